//! Why a token is not accepted: it is invalid, it has expired, or it cannot be verified now.

use super::error::InvalidToken;
use super::keys::KeysUnavailable;

/// Why a token was refused, or why there is no verdict on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Invalid(InvalidToken),
    Expired,
    Unavailable(KeysUnavailable),
}

impl From<InvalidToken> for Failure {
    fn from(reason: InvalidToken) -> Self {
        Self::Invalid(reason)
    }
}
