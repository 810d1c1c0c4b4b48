//! Which session JWTs were issued for which refresh JWT, so that a logout ends all of them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::token::{TokenId, Verified};

/// Refresh JWTs that are remembered. What is forgotten is no longer revoked by a logout that does not present it,
/// and expires by itself within a session's life.
const CAPACITY: u64 = 100_000;

/// See the module's documentation.
pub(crate) struct Lineage {
    sessions: Cache<TokenId, Arc<[Session]>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Session {
    pub(crate) id: TokenId,
    pub(crate) exp: i64,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            sessions: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_idle(Duration::from_secs(24 * 60 * 60))
                .build(),
        }
    }
}

impl Lineage {
    /// Notes a new session: of a sign-in (`parent` is its refresh JWT), or of a renewal that may have replaced it.
    /// Without a session the new refresh JWT still takes over those of the old one.
    pub(crate) fn record(
        &self,
        parent: Option<&Verified>,
        session: Option<&Verified>,
        refresh: Option<&Verified>,
        now: Duration,
    ) {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut sessions: Vec<Session> = Vec::new();
        if let Some(parent) = parent {
            let known = self.of(&parent.id);
            sessions.extend(known.iter().filter(|session| session.exp >= now));
        }
        sessions.extend(session.map(|session| Session {
            id: session.id,
            exp: session.claims.exp,
        }));
        let sessions: Arc<[Session]> = sessions.into();
        for token in [parent, refresh].into_iter().flatten() {
            self.sessions.insert(token.id, sessions.clone());
        }
    }

    /// The sessions of this refresh JWT.
    pub(crate) fn of(&self, refresh: &TokenId) -> Arc<[Session]> {
        self.sessions.get(refresh).unwrap_or_default()
    }
}
