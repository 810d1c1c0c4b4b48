//! What is decided about a request before it becomes a session.

use std::sync::Arc;

use crate::error::AuthError;
use crate::refresh::{self, Presented};
use crate::token::Verified;

/// Who sent the request, as far as can be told.
pub(crate) enum Identity {
    SignedIn {
        session: Arc<Verified>,
        credential: TokenSource,
    },
    /// Nothing was sent.
    Anonymous,
    Failed {
        error: AuthError,
        credential: TokenSource,
    },
}

/// Where the decisive token came from.
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

/// What the layer decided, before it becomes a [`Session`]. Renewals are boxed, because few requests have one and all
/// of them move this about.
pub(crate) struct Decided {
    pub(crate) identity: Identity,
    pub(crate) renewal: Option<Box<Renewal>>,
    pub(crate) early: Option<Box<Presented>>,
    /// Whether no refresh cookie counts, which the log says.
    pub(crate) unclear: bool,
}
