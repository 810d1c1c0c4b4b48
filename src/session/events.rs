//! What the log says of a decision, for whoever asks why a request has no user.
//!
//! The names in the field `event` are stable. Nothing of a token is ever in an event.

use super::identity::{Decided, Identity};

/// One event for each request whose session did not simply verify.
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
