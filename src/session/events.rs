//! The `tracing` events about decisions, for an operator who wants to know why a request has no user.
//!
//! The names in the field `event` are stable. No event contains any part of a token.

use super::identity::{Decided, Identity};

/// Emits one event for each request, unless its session JWT verified and nothing had to be renewed.
#[inline]
pub(super) fn tell(decided: &Decided) {
    match &decided.identity {
        Identity::SignedIn { .. } if decided.renewal.is_none() => {}
        identity => tell_of(identity),
    }
}

#[cold]
fn tell_of(identity: &Identity) {
    match identity {
        Identity::SignedIn { .. } => {
            tracing::debug!(event = "session.renewed", "the session was renewed");
        }
        Identity::Anonymous => {
            tracing::trace!(
                event = "session.no_credentials",
                "the request has no credentials"
            );
        }
        Identity::Failed { error, credential } => {
            tracing::debug!(
                event = "session.refused",
                code = error.code(),
                credential = ?credential,
                reason = std::error::Error::source(error).map(tracing::field::display),
                "{error}"
            );
        }
    }
}
