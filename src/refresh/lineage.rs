//! Which session JWTs were issued for which refresh JWT, so that a logout ends all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::Ledger;
use crate::seldom::Seldom;
use crate::token::{MAX_LEEWAY, TokenId, Verified};

/// Refresh JWTs that are remembered, with up to 500 bytes for each: 50 MB. When there are more, the one that was noted
/// longest ago is forgotten. A logout then ends the session JWTs that it presents, and the others of that refresh JWT
/// expire by themselves within a session's life.
const CAPACITY: usize = 100_000;

/// See the module's documentation.
pub(crate) struct Lineage {
    /// By refresh JWT, and forgotten when the last session is over: with rotation every renewal makes a new entry. The
    /// refresh JWTs that replaced each other share one family, so that whichever of them a logout presents ends
    /// everything that was issued for any of them.
    families: Ledger<TokenId, Arc<Family>>,
    warning: Seldom,
}

/// The sessions that were issued for refresh JWTs that replaced each other.
#[derive(Default)]
struct Family(Mutex<Vec<IssuedSession>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IssuedSession {
    pub(crate) id: TokenId,
    pub(crate) exp: i64,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            families: Ledger::new(CAPACITY),
            warning: Seldom::default(),
        }
    }
}

impl Lineage {
    /// Notes a new session: of a sign-in (`parent` is its refresh JWT), or of a renewal that may have replaced it.
    /// Without a session the new refresh JWT still joins the family of the old one.
    pub(crate) fn record(
        &self,
        parent: Option<&Verified>,
        session: Option<&Verified>,
        refresh: Option<&Verified>,
        now: Duration,
    ) {
        let tokens = [parent, refresh].map(|token| token.map(|token| token.id));
        let session = session.map(|session| IssuedSession {
            id: session.id,
            exp: session.claims.exp,
        });
        self.note(tokens, session, now);
    }

    /// `tokens`: the refresh JWT that was spent and the one that replaced it. `now`: since the Unix epoch.
    fn note(&self, tokens: [Option<TokenId>; 2], session: Option<IssuedSession>, now: Duration) {
        let mut joined: Option<Arc<Family>> = None;
        let mut evicts = false;
        for token in tokens.into_iter().flatten() {
            let known = joined.take();
            // The sessions of the family are over by then. Without one nothing needs to be known.
            let end = self.end(&token, session, known.as_deref(), now);
            // Under the lock of the entry: two grants of one token at the same time find one family.
            evicts |= self.families.write(token, end, now, |found| {
                let family = match (known, found) {
                    (Some(known), Some(found)) => {
                        known.join(found);
                        known
                    }
                    (Some(family), None) => family,
                    (None, Some(found)) => found.clone(),
                    (None, None) => Arc::default(),
                };
                family.add(session, now);
                joined = Some(family.clone());
                family
            });
        }
        if evicts && self.warning.is_due(now) {
            tracing::warn!(
                forgotten = self.forgotten(),
                "too many refresh tokens are in use to know all sessions of each; a sign-out may leave sessions that it \
                 does not present until they expire"
            );
        }
    }

    /// The sessions of this refresh JWT.
    pub(crate) fn of(&self, refresh: &TokenId) -> Vec<IssuedSession> {
        let family = self.families.get(refresh);
        family.map_or_else(Vec::new, |family| family.sessions().clone())
    }

    /// Refresh JWTs that had to be forgotten while sessions of theirs were alive.
    pub(crate) fn forgotten(&self) -> u64 {
        self.families.forgotten()
    }

    fn end(
        &self,
        token: &TokenId,
        session: Option<IssuedSession>,
        known: Option<&Family>,
        now: Duration,
    ) -> Duration {
        let found = self.of(token);
        let known = known.map_or_else(Vec::new, |family| family.sessions().clone());
        let sessions = found.iter().chain(&known).chain(&session);
        sessions.map(IssuedSession::end).max().unwrap_or(now)
    }
}

impl Family {
    fn sessions(&self) -> MutexGuard<'_, Vec<IssuedSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what is over, and adds a session.
    fn add(&self, session: Option<IssuedSession>, now: Duration) {
        let mut sessions = self.sessions();
        sessions.retain(|session| session.end() > now);
        if let Some(session) = session
            && !sessions.contains(&session)
        {
            sessions.push(session);
        }
    }

    /// Takes over the sessions of another family.
    fn join(self: &Arc<Self>, other: &Arc<Self>) {
        if Arc::ptr_eq(self, other) {
            return;
        }
        // One lock after the other: two families may join each other at the same time.
        let others = other.sessions().clone();
        let mut sessions = self.sessions();
        for session in others {
            if !sessions.contains(&session) {
                sessions.push(session);
            }
        }
    }
}

impl IssuedSession {
    /// When it counts no longer, since the Unix epoch.
    fn end(&self) -> Duration {
        let end = self.exp.saturating_add(MAX_LEEWAY.as_secs() as i64);
        Duration::from_secs(u64::try_from(end).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const OLD: TokenId = [1; 32];

    fn session(n: u8, exp: i64) -> IssuedSession {
        IssuedSession { id: [n; 32], exp }
    }

    // Once without rotation, and once with a rotation that answers two grants of the same token with two new ones.
    #[test]
    fn of_two_grants_at_the_same_time_a_logout_misses_none() {
        for rotates in [false, true] {
            for _ in 0..1_000 {
                let lineage = Lineage::default();
                let go = Barrier::new(2);
                std::thread::scope(|scope| {
                    for n in [10, 20] {
                        let (lineage, go) = (&lineage, &go);
                        let new = rotates.then_some([n; 32]);
                        scope.spawn(move || {
                            go.wait();
                            lineage.note([Some(OLD), new], Some(session(n, 2_000)), NOW);
                        });
                    }
                });
                let tokens: &[TokenId] = match rotates {
                    true => &[OLD, [10; 32], [20; 32]],
                    false => &[OLD],
                };
                for token in tokens {
                    let mut sessions = lineage.of(token);
                    sessions.sort_by_key(|session| session.id);
                    assert_eq!(sessions, [session(10, 2_000), session(20, 2_000)]);
                }
            }
        }
    }

    // A replacement may be heard of after the session that its new token was spent for.
    #[test]
    fn a_logout_misses_no_session_of_families_that_turn_out_to_be_one() {
        let lineage = Lineage::default();
        let new = [2; 32];
        lineage.note([Some(OLD), None], Some(session(10, 2_000)), NOW);
        lineage.note([Some(new), None], Some(session(20, 2_000)), NOW);
        lineage.note([Some(OLD), Some(new)], Some(session(30, 2_000)), NOW);
        for token in [OLD, new] {
            let mut sessions = lineage.of(&token);
            sessions.sort_by_key(|session| session.id);
            assert_eq!(sessions, [10, 20, 30].map(|n| session(n, 2_000)));
        }
    }

    #[test]
    fn sessions_that_are_over_are_forgotten() {
        let lineage = Lineage {
            families: Ledger::new(10),
            ..Lineage::default()
        };
        lineage.note([Some(OLD), None], Some(session(1, 1_100)), NOW);
        let later = NOW + Duration::from_secs(161);
        lineage.note([Some(OLD), None], Some(session(2, 2_000)), later);
        assert_eq!(lineage.of(&OLD), [session(2, 2_000)]);
        let much_later = Duration::from_secs(2_061);
        lineage.note([Some([9; 32]), None], Some(session(3, 3_000)), much_later);
        assert!(lineage.of(&OLD).is_empty());
        assert_eq!(lineage.families.len(), 1);
    }

    #[test]
    fn the_newest_refresh_tokens_are_known() {
        let lineage = Lineage {
            families: Ledger::new(1000),
            ..Lineage::default()
        };
        let id = |n: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            id
        };
        let log = crate::seldom::tests::Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        for n in 0..3000 {
            // With a successor that is known already, whose place is its own.
            let tokens = [Some(id(n)), (n > 0).then(|| id(n - 1))];
            lineage.note(tokens, Some(session(1, 9_999)), NOW);
            assert_eq!(log.lines(), u64::from(n >= 1000), "{n}");
        }
        drop(guard);
        assert!((2000..3000).all(|n| lineage.of(&id(n)).len() == 1));
        assert_eq!(lineage.forgotten(), 2000);
    }
}
