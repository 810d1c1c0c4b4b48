//! The deny set: sessions that ended before their tokens expire.
//!
//! Kept in this process. Entries live until the token that they deny would have expired, so the set is as small
//! as the number of sign-outs within one token life.
//!
//! # When the set is full
//!
//! A new revocation is always taken, and the one that was made longest ago is forgotten for it. A warning says so,
//! once a minute at most, and [`Stats::revocations_forgotten`](crate::Stats::revocations_forgotten) counts it.
//!
//! The other order would be to forget the revocation whose token is nearest to its expiry. It would make a flush
//! cheap: an account that signs in and out collects revocations of refresh JWTs, which live for weeks. Once they
//! fill the set, every further one would push out the session JWT of whoever has just signed out, and for a session
//! JWT this set is the only thing that ends it. As it is, an attacker needs a million tokens that upstream issues
//! and a sign-out denies, between a victim's sign-out and the expiry of the victim's session JWT: half a million
//! sign-ins, with a one-time code for each, or a million renewals of few sign-ins, whose session JWTs all end with
//! them. With the default of ten minutes that is 800 or 1,600 calls of upstream a second. What is forgotten otherwise
//! are old revocations of refresh JWTs, and those that were signed out upstream are refused there as well.
//!
//! Whoever can write to a shared store can send as many revocations as they like. They can deny any token and any
//! user, and flush what this process knows: the warning and the count are what shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::claims::Claims;
use super::crypto::TokenId;
use super::rules::MAX_LEEWAY;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::seldom::Seldom;
use crate::wakeups::{Wakeups, any};

/// How much is remembered at most. An entry takes up to 256 bytes, and that of a user the name in addition.
#[derive(Clone, Copy)]
struct Capacity {
    /// Tokens that are denied: 256 MB.
    tokens: usize,
    /// Users whose tokens are denied up to a moment: 80 MB.
    subjects: usize,
    /// Tokens that are newer than the revocation of their user: 26 MB. A token that is forgotten here is refused.
    spared: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            tokens: 1_000_000,
            subjects: 250_000,
            spared: 100_000,
        }
    }
}

/// Life that is assumed for a user-wide revocation, whose tokens we may not know. Refresh JWTs count as well: one that
/// outlived the denial would bring the session back.
pub(crate) const LONGEST_TOKEN: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// See the module's documentation.
pub(crate) struct Revoked {
    tokens: Ledger<TokenId, ()>,
    subjects: Ledger<Arc<str>, Subject>,
    /// Tokens that are newer than the revocation of their user although their `iat` does not show it, and since when.
    spared: Ledger<TokenId, RevocationMark>,
    /// How many times a user was revoked.
    revocations: AtomicU64,
    /// Whether anything was ever revoked. While nothing was, a check costs one load.
    used: AtomicBool,
    /// Those who wait for the revocation of a token or of a user. Every revocation, also one that another replica has
    /// announced, goes through [`Self::token`] or [`Self::subject`], which wake them.
    wakeups: Wakeups,
    clock: Arc<dyn Clock>,
    warning: Seldom,
}

#[derive(Clone, Copy)]
struct Subject {
    /// Tokens issued up to this Unix second are denied.
    issued_until: i64,
    mark: RevocationMark,
    /// Whether tokens of other ids are denied, too, if they have this name as their `sub`.
    by_sub: bool,
}

/// What a user is named by when all of their tokens are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The id (`dsub`, else `sub`). A sign-out must not reach somebody whose `sub` a JWT template made the same.
    Id,
    /// The id, or what stands in `sub` beside a `dsub`: an application may know its users by either.
    IdOrSub,
}

/// A moment between two revocations of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RevocationMark(u64);

impl Revoked {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, Capacity::default())
    }

    fn with_capacity(clock: Arc<dyn Clock>, capacity: Capacity) -> Self {
        Self {
            tokens: Ledger::new(capacity.tokens),
            subjects: Ledger::new(capacity.subjects),
            spared: Ledger::new(capacity.spared),
            revocations: AtomicU64::new(0),
            used: AtomicBool::new(false),
            wakeups: Wakeups::default(),
            clock,
            warning: Seldom::default(),
        }
    }

    /// Denies one token for as long as it would live. If a token is denied several times, the longest denial counts: a
    /// shorter one may come from somebody who can write to the shared store.
    pub(crate) fn token(&self, id: TokenId, remaining: Duration) {
        self.used.store(true, Ordering::Release);
        let now = self.clock.monotonic();
        let evicts = self.tokens.write(id, over(now, remaining), now, |_| ());
        self.wakeups.wake(&id);
        self.warn_if(evicts, now);
    }

    /// Whether nothing was ever revoked.
    pub(crate) fn is_unused(&self) -> bool {
        !self.used.load(Ordering::Acquire)
    }

    /// Whether this very token is denied for as long as it lives.
    pub(crate) fn is_denied_for(&self, id: &TokenId, remaining: Duration) -> bool {
        let end = self.clock.monotonic().saturating_add(remaining);
        self.tokens.end(id).is_some_and(|known| known >= end)
    }

    /// Denies every token of a user that was issued up to this Unix second.
    pub(crate) fn subject(&self, user: &str, name: Name, issued_until: i64) {
        self.used.store(true, Ordering::Release);
        let mark = RevocationMark(self.revocations.fetch_add(1, Ordering::AcqRel) + 1);
        let now = self.clock.monotonic();
        // Notices of other replicas arrive in any order, so the latest moment counts.
        let latest = |known: Option<&Subject>| Subject {
            issued_until: known.map_or(issued_until, |known| known.issued_until.max(issued_until)),
            // Of two revocations at the same time either may be written first.
            mark: known.map_or(mark, |known| known.mark.max(mark)),
            by_sub: name == Name::IdOrSub || known.is_some_and(|known| known.by_sub),
        };
        let end = over(now, LONGEST_TOKEN);
        let evicts = self.subjects.write(user.into(), end, now, latest);
        self.wakeups.wake(user);
        self.warn_if(evicts, now);
    }

    fn warn_if(&self, evicts: bool, now: Duration) {
        if evicts && self.warning.is_due(now) {
            tracing::warn!(
                forgotten = self.forgotten(),
                "the oldest revocations are forgotten because there are too many; a token that was denied long ago \
                 may be accepted again until it expires"
            );
        }
    }

    /// Revocations that are held, of tokens and of users.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len() + self.subjects.len()
    }

    /// Revocations that were forgotten to make room for newer ones.
    pub(crate) fn forgotten(&self) -> u64 {
        self.tokens.forgotten() + self.subjects.forgotten()
    }

    /// How many tokens were forgotten of which it was known that they are newer than the revocation of their user. They
    /// are good, but are refused from then on.
    pub(crate) fn spared_forgotten(&self) -> u64 {
        self.spared.forgotten()
    }

    /// The present moment, to be taken before a call that may issue tokens.
    pub(crate) fn mark(&self) -> RevocationMark {
        RevocationMark(self.revocations.load(Ordering::Acquire))
    }

    /// Notes a token that was issued by a call which began at `mark`. The token is newer than every revocation of its
    /// user before that moment. Its `iat` cannot show this: it has whole seconds and comes from another clock.
    pub(crate) fn spare(
        &self,
        id: &TokenId,
        claims: &Claims,
        mark: RevocationMark,
        remaining: Duration,
    ) {
        if !self.used.load(Ordering::Acquire) {
            return;
        }
        let latest = self.denials(claims).map(|subject| subject.mark).max();
        if latest.is_some_and(|latest| latest <= mark) {
            let now = self.clock.monotonic();
            let later =
                |known: Option<&RevocationMark>| known.map_or(mark, |known| mark.max(*known));
            // Kept for as long as a denial of the token itself would be.
            let evicts = self.spared.write(*id, over(now, remaining), now, later);
            if evicts && self.warning.is_due(now) {
                tracing::warn!(
                    forgotten = self.spared_forgotten(),
                    "users whose sessions were all ended and who have signed in again since may have to do so once \
                     more: there are too many of them"
                );
            }
        }
    }

    /// Whether the token of this id is denied by itself, and not with all tokens of its user.
    pub(crate) fn contains_token(&self, id: &TokenId) -> bool {
        !self.is_unused() && self.tokens.contains(id)
    }

    /// Whether this token is denied. Costs next to nothing while nothing is revoked.
    pub(crate) fn contains(&self, id: &TokenId, claims: &Claims) -> bool {
        if !self.used.load(Ordering::Acquire) {
            return false;
        }
        self.tokens.contains(id)
            || self.denials(claims).any(|subject| {
                let spared = |since: RevocationMark| subject.mark <= since;
                !self.spared.get(id).is_some_and(spared)
            })
    }

    /// Resolves when a session JWT, or the refresh JWT of this id, may have been denied, from this call on: call this
    /// first, then [`Self::contains`], then wait. It also resolves for no reason now and then.
    pub(crate) fn change(
        &self,
        session: &TokenId,
        claims: &Claims,
        refresh: Option<&TokenId>,
    ) -> impl Future<Output = ()> + Send {
        let (sub, user) = (claims.sub(), claims.id());
        any([
            Some(self.wakeups.wait(session)),
            Some(self.wakeups.wait(user)),
            (sub != user).then(|| self.wakeups.wait(sub)),
            refresh.map(|refresh| self.wakeups.wait(refresh)),
        ])
    }

    /// Revocations that cover the token: those of its user id, and those of its `sub` if they were meant to cover names
    /// in `sub` that a JWT template has put there.
    fn denials(&self, claims: &Claims) -> impl Iterator<Item = Subject> {
        let (sub, id) = (claims.sub(), claims.id());
        let by_id = self.subjects.get(id);
        let by_sub = (sub != id)
            .then(|| self.subjects.get(sub))
            .flatten()
            .filter(|subject| subject.by_sub);
        [by_id, by_sub]
            .into_iter()
            .flatten()
            .filter(|subject| subject.denies(claims))
    }
}

/// When the entry for a token with this remaining life may be forgotten.
fn over(now: Duration, remaining: Duration) -> Duration {
    now.saturating_add(remaining).saturating_add(MAX_LEEWAY)
}

impl Subject {
    fn denies(&self, claims: &Claims) -> bool {
        // A token without `iat` cannot show that it is newer.
        claims.iat.is_none_or(|iat| iat <= self.issued_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::token::claims;

    fn empty() -> Revoked {
        Revoked::new(Arc::new(ManualClock::at_unix_seconds(0)))
    }

    fn of(sub: &str) -> Claims {
        let json = format!(r#"{{"sub":"{sub}","iat":10,"exp":100}}"#);
        claims::parse(json.as_bytes(), |_| Ok(())).unwrap()
    }

    fn id(n: u32) -> TokenId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        id
    }

    const HOUR: Duration = Duration::from_secs(3600);

    // Somebody who can write to a shared store denies a token until a moment that is over, before its owner signs out
    // or afterwards.
    #[test]
    fn a_revocation_is_not_cut_short_by_another_one() {
        for remaining in [
            [Duration::ZERO, HOUR],
            [HOUR, Duration::ZERO],
            [HOUR, Duration::MAX],
        ] {
            let clock = Arc::new(ManualClock::at_unix_seconds(0));
            let revoked = Revoked::new(clock.clone());
            for remaining in remaining {
                revoked.token(id(1), remaining);
            }
            clock.advance(HOUR);
            // Writing is what removes entries that have ended.
            (2..5000).for_each(|n| revoked.token(id(n), HOUR));
            assert!(revoked.contains(&id(1), &of("U1")));
        }
    }

    #[test]
    fn the_revocation_of_a_user_only_grows() {
        let clock = Arc::new(ManualClock::at_unix_seconds(0));
        let revoked = Revoked::new(clock.clone());
        revoked.subject("U1", Name::Id, 5);
        clock.advance(LONGEST_TOKEN / 2);
        for issued_until in [10, 0, i64::MIN] {
            revoked.subject("U1", Name::Id, issued_until);
        }
        clock.advance(LONGEST_TOKEN / 2 + HOUR);
        (0..5000).for_each(|n| revoked.subject(&n.to_string(), Name::Id, 0));
        assert!(revoked.contains(&id(1), &of("U1")));
    }

    #[test]
    fn a_full_set_takes_every_new_revocation_and_says_what_it_forgets() {
        let clock = Arc::new(ManualClock::at_unix_seconds(0));
        let capacity = Capacity {
            tokens: 1000,
            subjects: 1000,
            spared: 1000,
        };
        let revoked = Revoked::with_capacity(clock.clone(), capacity);
        let denied = |n: u32| revoked.contains(&id(n), &of("nobody"));
        let is_user_denied = |n: u32| revoked.contains(&id(9999), &of(&n.to_string()));
        let log = crate::seldom::tests::Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            for n in 0..3000 {
                // However often the old ones are asked for, and however soon the new ones end.
                (0..1000).step_by(50).for_each(|old| {
                    denied(old);
                    is_user_denied(old);
                });
                revoked.token(id(n), HOUR - Duration::from_secs(n.into()));
                assert!(denied(n));
                revoked.subject(&n.to_string(), Name::Id, 10);
                assert!(is_user_denied(n));
            }
            assert_eq!(log.lines(), 1);
            clock.advance(Duration::from_secs(60));
            (3000..3100).for_each(|n| revoked.token(id(n), HOUR));
            assert_eq!(log.lines(), 2);
        });
        assert!((2100..3100).all(denied));
        assert!((2000..3000).all(is_user_denied));
        assert_eq!(revoked.len(), 2000);
        assert_eq!(revoked.forgotten(), 2100 + 2000);
    }

    // A JWT template took over `sub`: the application knows the user by `dsub`.
    #[test]
    fn a_user_is_denied_by_either_name() {
        let json = br#"{"sub":"ann@corp","dsub":"U1","iat":10,"exp":100}"#;
        let claims = claims::parse(json, |_| Ok(())).unwrap();
        for name in ["ann@corp", "U1"] {
            let revoked = empty();
            assert!(!revoked.contains(&[1; 32], &claims));
            revoked.subject(name, Name::IdOrSub, 10);
            assert!(revoked.contains(&[1; 32], &claims));
            // A call that began after the revocation issued it.
            revoked.spare(&[1; 32], &claims, revoked.mark(), Duration::from_secs(90));
            assert!(!revoked.contains(&[1; 32], &claims));
            revoked.subject(name, Name::IdOrSub, 10);
            assert!(revoked.contains(&[1; 32], &claims));
        }
    }

    // A sign-out names the user by id. A template of another user may have put the same text into `sub`.
    #[test]
    fn an_id_denies_nobody_who_is_named_alike() {
        let parse = |json: &[u8]| claims::parse(json, |_| Ok(())).unwrap();
        let ann = parse(br#"{"sub":"ann@corp","dsub":"U1","iat":10,"exp":100}"#);
        let bob = parse(br#"{"sub":"U1","dsub":"U2","iat":10,"exp":100}"#);
        let revoked = empty();
        let denied = |claims| revoked.contains(&[1; 32], claims);
        revoked.subject("U1", Name::Id, 10);
        assert!(denied(&ann) && !denied(&bob));
        revoked.subject("ann@corp", Name::Id, 10);
        revoked.subject("U1", Name::IdOrSub, 10);
        revoked.subject("U1", Name::Id, 10);
        assert!(
            denied(&ann) && denied(&bob),
            "a revocation takes either name"
        );
    }
}
