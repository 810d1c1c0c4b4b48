//! The error body, and the error codes that this crate knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{is_default, nullable};

/// The body of Descope's answer to a failed call.
///
/// Descope sends the same text as `errorMessage` and as `message`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ErrorBody {
    /// Descope's error code: `E` and six digits. The module [`api_code`] names the known ones.
    #[serde(deserialize_with = "nullable")]
    pub error_code: String,
    /// What the error code means, in a few words.
    #[serde(deserialize_with = "nullable")]
    pub error_description: String,
    /// What went wrong in this call, written for a developer.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub error_message: String,
    /// A copy of `error_message`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub message: String,
}

impl ErrorBody {
    /// An error body with an error code and its description.
    pub fn new(code: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            error_code: code.into(),
            error_description: description.into(),
            ..Self::default()
        }
    }

    /// Sets `error_message` and `message` to this text.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.error_message = message.into();
        self.message = self.error_message.clone();
        self
    }
}

// The texts may repeat an address or a one-time code that the caller sent, so only the error code is shown.
impl fmt::Debug for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorBody")
            .field("error_code", &self.error_code)
            .finish_non_exhaustive()
    }
}

/// Descope's error codes, those that its public SDKs and documentation name.
pub mod api_code {
    /// The request is malformed.
    pub const BAD_REQUEST: &str = "E011001";
    /// An argument is missing.
    pub const MISSING_ARGUMENTS: &str = "E011002";
    /// A field does not pass validation.
    pub const VALIDATION_FAILURE: &str = "E011003";
    /// An argument is invalid.
    pub const INVALID_ARGUMENTS: &str = "E011004";
    /// The token is not valid, or not of the kind that the call needs.
    pub const INVALID_TOKEN: &str = "E061005";
    /// The one-time code is wrong.
    pub const WRONG_OTP_CODE: &str = "E061102";
    /// The one-time code was tried too often and is no longer accepted.
    pub const TOO_MANY_OTP_ATTEMPTS: &str = "E061103";
    /// The one-time code has expired.
    pub const OTP_EXPIRED: &str = "E061104";
    /// The user exists already.
    pub const USER_ALREADY_EXISTS: &str = "E062107";
    /// No user has that login id.
    pub const USER_NOT_FOUND: &str = "E062108";
    /// No access key was sent.
    pub const MISSING_ACCESS_KEY: &str = "E062802";
    /// The access key is not valid.
    pub const INVALID_ACCESS_KEY: &str = "E062803";
    /// The refresh JWT is no longer valid: its session was logged out, or a rotation replaced the JWT.
    pub const TOKEN_LOGGED_OUT: &str = "E064001";
    /// The user has not sent the nOTP message yet.
    pub const NOTP_PENDING: &str = "E066103";
    /// The caller is known but may not make this call, for example because the user is disabled.
    pub const UNAUTHORIZED: &str = "E111119";
    /// The rate limit is exceeded; see `Retry-After`.
    pub const RATE_LIMIT_EXCEEDED: &str = "E130429";
}
