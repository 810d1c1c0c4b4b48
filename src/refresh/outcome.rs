//! What goes into a renewal and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::circuit_breaker::Caller;
use super::flight::Key;
use crate::client::{ClientError, RefreshToken};
use crate::token::{RevocationMark, Unverified, Verified};

/// A refresh JWT that verified locally.
#[derive(Clone)]
pub(crate) struct Presented {
    pub(crate) jwt: Box<str>,
    pub(crate) verified: Arc<Verified>,
    pub(super) key: Key,
}

impl Presented {
    pub(crate) fn new(jwt: &str, verified: Arc<Verified>) -> Self {
        Self {
            key: Sha256::digest(jwt).into(),
            jwt: jwt.into(),
            verified,
        }
    }

    /// The token and its user, for the circuit breaker. The user counts because nobody can choose a user id, while one
    /// user may hold any number of tokens.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            token: self.key,
            user: Sha256::digest(self.verified.claims.id()).into(),
        }
    }

    /// The refresh JWT in the form that the client takes.
    pub(crate) fn to_token(&self) -> Result<RefreshToken, ClientError> {
        RefreshToken::new(&*self.jwt).map_err(|_| ClientError::invalid("not a token"))
    }
}

/// A token that upstream issued and that verified locally.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) jwt: Box<str>,
    pub(crate) verified: Arc<Verified>,
}

impl From<Presented> for Issued {
    fn from(token: Presented) -> Self {
        Self {
            jwt: token.jwt,
            verified: token.verified,
        }
    }
}

/// What upstream issued, as far as it can be used.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    pub(crate) session: Option<Issued>,
    pub(crate) refresh: Option<Issued>,
    /// When a browser should renew again, if the project tracks inactivity (`nextRefreshSeconds`).
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) next_refresh: Option<u32>,
}

/// How a renewal ended.
pub(crate) enum Outcome {
    Renewed(Tokens),
    /// Upstream refused the refresh JWT. `clear`: it had refused it before, so the cookies are to be deleted.
    Refused {
        clear: bool,
    },
    /// No definite answer. A refresh JWT that came with an unusable session is still delivered.
    Unavailable {
        retry_after: Duration,
        rescued: Option<Issued>,
        /// An answer whose key is missing. Nothing of it is used before it is verified.
        undecided: Option<Arc<Undecided>>,
    },
}

/// An answer of upstream that cannot be verified yet, because its key is missing.
///
/// The refresh JWT that was sent for the answer may be spent, so the answer is kept, and judged again when a request
/// asks for a renewal.
pub(crate) struct Undecided {
    pub(super) session: Option<Unverified>,
    pub(super) refresh: Option<Unverified>,
    pub(super) next_refresh: Option<u32>,
    /// The revocations that the tokens are newer than, see [`Renewer::newer_than`](super::Renewer::newer_than).
    pub(super) mark: Option<RevocationMark>,
    /// Monotonic. If the key is still missing then, upstream is asked again with the old refresh JWT.
    pub(super) give_up: Duration,
}

/// What upstream issued to somebody who signed in, or who was moved into a tenant.
pub(crate) struct Accepted {
    /// The tokens that were verified.
    pub(crate) tokens: Tokens,
    /// A refresh JWT whose key is missing. It may be stored as a cookie, because it is verified when it is presented,
    /// but it must not be used to tell who signed in.
    pub(crate) unverified: Option<Unverified>,
    /// Whether the session JWT, too, could not be verified for want of a key.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) lacks_session: bool,
}

impl Outcome {
    /// An answer that is to be judged again.
    pub(super) fn undecided(&self) -> Option<&Arc<Undecided>> {
        match self {
            Self::Unavailable { undecided, .. } => undecided.as_ref(),
            _ => None,
        }
    }

    /// The refresh JWT that upstream has issued in place of the one that was sent, if it cannot be verified yet.
    pub(crate) fn unverified(&self) -> Option<&Unverified> {
        self.undecided()?.refresh.as_ref()
    }

    /// The tokens that have to reach the browser.
    pub(crate) fn tokens(&self) -> Tokens {
        match self {
            Self::Renewed(tokens) => tokens.clone(),
            Self::Refused { .. } => Tokens::default(),
            Self::Unavailable { rescued, .. } => Tokens {
                refresh: rescued.clone(),
                ..Tokens::default()
            },
        }
    }
}
