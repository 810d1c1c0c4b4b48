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
    /// By refresh JWT. An entry is forgotten when the last of its sessions has expired, because with rotation every
    /// renewal adds an entry. Refresh JWTs that replaced each other share one family, so that a logout with any of them
    /// ends all sessions that were issued for any of them.
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
    /// Notes that `session` was issued. `parent` is the refresh JWT that was sent for it, and `refresh` the new one
    /// that came with it. Without a session, `refresh` still joins the family of `parent`.
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

    /// `tokens`: the refresh JWT that was sent, and the one that came back. `now`: since the Unix epoch.
    fn note(&self, tokens: [Option<TokenId>; 2], session: Option<IssuedSession>, now: Duration) {
        let mut joined: Option<Arc<Family>> = None;
        let mut evicts = false;
        for token in tokens.into_iter().flatten() {
            let known = joined.take();
            // By then all sessions of the family have expired. Without any session there is nothing to remember.
            let end = self.end(&token, session, known.as_deref(), now);
            // This runs under the lock of the entry, so that two grants of one refresh JWT at the same time share one
            // family.
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

    /// The sessions of the family of this refresh JWT.
    pub(crate) fn of(&self, refresh: &TokenId) -> Vec<IssuedSession> {
        let family = self.families.get(refresh);
        family.map_or_else(Vec::new, |family| family.sessions().clone())
    }

    /// How many refresh JWTs were forgotten, to make room, before their sessions had expired.
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

    /// Drops sessions that have expired, and adds a session.
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
        // Never holds both locks at once: two families may join each other at the same time, and would deadlock.
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
    /// When no replica accepts this session JWT any more, since the Unix epoch.
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

    // Once without rotation, and once with rotation, where each of two grants of one refresh JWT brings a new one.
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

    // It may become known only later that a refresh JWT replaced another one, after both have got sessions.
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
            // The second token is known already, so that it takes no further place.
            let tokens = [Some(id(n)), (n > 0).then(|| id(n - 1))];
            lineage.note(tokens, Some(session(1, 9_999)), NOW);
            assert_eq!(log.lines(), u64::from(n >= 1000), "{n}");
        }
        drop(guard);
        assert!((2000..3000).all(|n| lineage.of(&id(n)).len() == 1));
        assert_eq!(lineage.forgotten(), 2000);
    }
}
