//! Which session JWTs were issued for which refresh JWT, so that a logout ends all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use crate::token::{TokenId, Verified};

/// Refresh JWTs that are remembered. What is forgotten is no longer revoked by a logout that does not present it,
/// and expires by itself within a session's life.
const CAPACITY: u64 = 100_000;
/// The most leeway that those who check a session can be given: so long it counts after its end.
const LEEWAY: i64 = 60;

/// See the module's documentation.
pub(crate) struct Lineage {
    sessions: Cache<TokenId, Sessions>,
}

/// Forgotten when the last of them is over: with rotation every renewal makes a new entry.
#[derive(Clone, Default)]
struct Sessions {
    all: Arc<[Session]>,
    lifetime: Duration,
}

struct PerEntry;

impl Expiry<TokenId, Sessions> for PerEntry {
    fn expire_after_create(&self, _: &TokenId, new: &Sessions, _: Instant) -> Option<Duration> {
        Some(new.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &TokenId,
        new: &Sessions,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(new.lifetime)
    }
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
                .expire_after(PerEntry)
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
            sessions.extend(known.iter().filter(|session| session.lifetime(now) > 0));
        }
        sessions.extend(session.map(|session| Session {
            id: session.id,
            exp: session.claims.exp,
        }));
        let lifetime = sessions.iter().map(|session| session.lifetime(now)).max();
        let sessions = Sessions {
            all: sessions.into(),
            lifetime: Duration::from_secs(lifetime.unwrap_or(0).max(0).unsigned_abs()),
        };
        for token in [parent, refresh].into_iter().flatten() {
            self.sessions.insert(token.id, sessions.clone());
        }
    }

    /// The sessions of this refresh JWT.
    pub(crate) fn of(&self, refresh: &TokenId) -> Arc<[Session]> {
        self.sessions.get(refresh).unwrap_or_default().all
    }
}

impl Session {
    /// For how many seconds it still counts.
    fn lifetime(&self, now: i64) -> i64 {
        self.exp.saturating_add(LEEWAY).saturating_sub(now)
    }
}
