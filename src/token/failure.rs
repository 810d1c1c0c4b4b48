//! Why a token is not accepted: it is bad, it is over, or nobody can tell.

use super::error::InvalidToken;
use super::keys::KeysUnavailable;

/// Why there is no verdict, or a negative one.
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
