//! The deny set: sessions that ended before their tokens expire.
//!
//! Kept in this process. Entries live until the token that they deny would have expired, so the set is as small
//! as the number of sign-outs within one token life.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::Expiry;
use moka::sync::Cache;

use super::claims::Claims;
use super::crypto::TokenId;

/// Most tokens and most users that are remembered. Beyond it the least useful go, with a warning at the call.
const CAPACITY: u64 = 1_000_000;

/// Life that is assumed for a user-wide revocation, whose tokens we may not know. Refresh JWTs count as well: one that
/// outlived the denial would bring the session back.
pub(crate) const LONGEST_TOKEN: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// See the module's documentation.
pub(crate) struct Revoked {
    tokens: Cache<TokenId, Lifetime>,
    subjects: Cache<Box<str>, Subject>,
    /// Tokens that are newer than the revocation of their user although their `iat` does not show it.
    spared: Cache<TokenId, Spared>,
    /// How many times a user was revoked.
    revocations: AtomicU64,
    /// Lets the common case, nothing revoked, cost one load.
    used: AtomicBool,
}

#[derive(Clone, Copy)]
struct Lifetime(Duration);

#[derive(Clone, Copy)]
struct Subject {
    /// Tokens issued up to this Unix second are denied.
    issued_until: i64,
    mark: Mark,
    /// Whether tokens of other ids are denied, too, if they have this name as their `sub`.
    by_sub: bool,
}

/// What a user is named by when all of their tokens are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The id (`dsub`, else `sub`). A sign-out must not reach somebody whose `sub` a JWT template made the same.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    Id,
    /// The id, or what stands in `sub` beside a `dsub`: an application may know its users by either.
    IdOrSub,
}

/// A moment between two revocations of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

#[derive(Clone, Copy)]
struct Spared {
    mark: Mark,
    lifetime: Duration,
}

struct PerEntry;

impl Expiry<TokenId, Lifetime> for PerEntry {
    fn expire_after_create(
        &self,
        _: &TokenId,
        lifetime: &Lifetime,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(lifetime.0)
    }
}

impl Expiry<TokenId, Spared> for PerEntry {
    fn expire_after_create(
        &self,
        _: &TokenId,
        spared: &Spared,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(spared.lifetime)
    }
}

impl Default for Revoked {
    fn default() -> Self {
        Self {
            tokens: Cache::builder()
                .max_capacity(CAPACITY)
                .expire_after(PerEntry)
                .build(),
            subjects: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(LONGEST_TOKEN)
                .build(),
            spared: Cache::builder()
                .max_capacity(CAPACITY)
                .expire_after(PerEntry)
                .build(),
            revocations: AtomicU64::new(0),
            used: AtomicBool::new(false),
        }
    }
}

impl Revoked {
    /// Denies one token for as long as it would live.
    pub(crate) fn token(&self, id: TokenId, remaining: Duration) {
        self.used.store(true, Ordering::Release);
        // A little longer than the token, for the leeway of those who check it.
        self.tokens
            .insert(id, Lifetime(remaining + Duration::from_secs(60)));
    }

    /// Denies every token of a user that was issued up to this Unix second.
    pub(crate) fn subject(&self, user: &str, name: Name, issued_until: i64) {
        self.used.store(true, Ordering::Release);
        let mark = Mark(self.revocations.fetch_add(1, Ordering::AcqRel) + 1);
        // What replicas tell each other arrives in any order; the latest moment counts.
        self.subjects.entry(user.into()).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value);
            Subject {
                issued_until: known
                    .map_or(issued_until, |known| known.issued_until.max(issued_until)),
                // Of two at the same time either may come first.
                mark: known.map_or(mark, |known| known.mark.max(mark)),
                by_sub: name == Name::IdOrSub || known.is_some_and(|known| known.by_sub),
            }
        });
    }

    /// The present moment, to be taken before a call that may issue tokens.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.revocations.load(Ordering::Acquire))
    }

    /// A token that a call has issued which began at `mark`. It is newer than every revocation of its user before
    /// that: `iat` has seconds only, and comes from another clock.
    pub(crate) fn spare(&self, id: &TokenId, claims: &Claims, mark: Mark, remaining: Duration) {
        if !self.used.load(Ordering::Acquire) {
            return;
        }
        let latest = self.denials(claims).map(|subject| subject.mark).max();
        if latest.is_some_and(|latest| latest <= mark) {
            // As long as a denial of the token itself.
            let lifetime = remaining + Duration::from_secs(60);
            self.spared.insert(*id, Spared { mark, lifetime });
        }
    }

    /// Without I/O, and without cost while nothing is revoked.
    pub(crate) fn contains(&self, id: &TokenId, claims: &Claims, _now: Duration) -> bool {
        if !self.used.load(Ordering::Acquire) {
            return false;
        }
        self.tokens.contains_key(id)
            || self.denials(claims).any(|subject| {
                let spared = |spared: Spared| subject.mark <= spared.mark;
                !self.spared.get(id).is_some_and(spared)
            })
    }

    /// Revocations of the token's user: by id, and by what a JWT template put into `sub` where that was meant.
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

impl Subject {
    fn denies(&self, claims: &Claims) -> bool {
        // A token without `iat` cannot show that it is newer.
        claims.iat.is_none_or(|iat| iat <= self.issued_until)
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoked").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::claims;

    // A JWT template took over `sub`: the application knows the user by `dsub`.
    #[test]
    fn a_user_is_denied_by_either_name() {
        let json = br#"{"sub":"ann@corp","dsub":"U1","iat":10,"exp":100}"#;
        let claims = claims::parse(json, |_| Ok(())).unwrap();
        for name in ["ann@corp", "U1"] {
            let revoked = Revoked::default();
            assert!(!revoked.contains(&[1; 32], &claims, Duration::ZERO));
            revoked.subject(name, Name::IdOrSub, 10);
            assert!(revoked.contains(&[1; 32], &claims, Duration::ZERO));
            // A call that began after that issued it.
            revoked.spare(&[1; 32], &claims, revoked.mark(), Duration::from_secs(90));
            assert!(!revoked.contains(&[1; 32], &claims, Duration::ZERO));
            revoked.subject(name, Name::IdOrSub, 10);
            assert!(revoked.contains(&[1; 32], &claims, Duration::ZERO));
        }
    }

    // Who signs out is named by the id; another user's template may have put the same into `sub`.
    #[test]
    fn an_id_denies_nobody_who_is_named_alike() {
        let parse = |json: &[u8]| claims::parse(json, |_| Ok(())).unwrap();
        let ann = parse(br#"{"sub":"ann@corp","dsub":"U1","iat":10,"exp":100}"#);
        let bob = parse(br#"{"sub":"U1","dsub":"U2","iat":10,"exp":100}"#);
        let revoked = Revoked::default();
        let denied = |claims| revoked.contains(&[1; 32], claims, Duration::ZERO);
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
