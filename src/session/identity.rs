//! The types of a decision about a request.

use std::sync::Arc;

use crate::error::AuthError;
use crate::refresh::{self, Presented};
use crate::token::Verified;

/// Who sent the request.
pub(crate) enum Identity {
    SignedIn {
        session: Arc<Verified>,
        credential: TokenSource,
    },
    /// The request carries no token.
    Anonymous,
    Failed {
        error: AuthError,
        credential: TokenSource,
    },
}

/// Which header the token came from that decided who sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Bearer,
    Cookie,
}

/// A renewal that this request took part in.
#[derive(Clone)]
pub(crate) struct Renewal {
    pub(crate) presented: Presented,
    pub(crate) outcome: Arc<refresh::Outcome>,
}

/// A decision, from which a [`Session`](super::Session) is made. Renewals are boxed to keep this type small: every
/// request moves it, and few requests have a renewal.
pub(crate) struct Decided {
    pub(crate) identity: Identity,
    pub(crate) renewal: Option<Box<Renewal>>,
    pub(crate) early: Option<Box<Presented>>,
    /// Whether it is unclear which refresh cookie is the user's, so that none is renewed. The log says so already.
    pub(crate) unclear: bool,
}
