//! What can go wrong: for the program that runs the emulator, and for the callers of its API.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::wire::{ErrorBody, api_code};

/// Why the emulator did not start, or did not do what its handle was told.
#[derive(Debug)]
pub struct EmulatorError {
    kind: EmulatorErrorKind,
    detail: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`EmulatorError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmulatorErrorKind {
    /// The project id is empty, longer than 64 characters, or has characters other than letters, digits, `-`
    /// and `_`.
    InvalidProjectId,
    /// The address is reachable from other machines, and
    /// [`dangerous_listen_beyond_loopback`](crate::emulator::EmulatorBuilder::dangerous_listen_beyond_loopback)
    /// was not called.
    NotLoopback,
    /// The address could not be bound, for example because the port is taken.
    Bind,
    /// A signing key could not be made.
    KeyGeneration,
    /// The snapshot file could not be read or written, or belongs to another project.
    Snapshot,
    /// The emulator understood the order and refused it, as the control API would have done with a 4xx.
    Refused,
}

impl EmulatorError {
    pub(crate) fn new(kind: EmulatorErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which kind of failure this is.
    pub fn kind(&self) -> EmulatorErrorKind {
        self.kind
    }
}

impl fmt::Display for EmulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for EmulatorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl From<ApiError> for EmulatorError {
    fn from(error: ApiError) -> Self {
        Self::new(EmulatorErrorKind::Refused, error.body.error_description)
    }
}

/// A refused call of the API or of the control API: a status and Descope's error body.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
    /// Seconds for the `Retry-After` header.
    pub(crate) retry_after: Option<i64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, description: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody::new(code, description),
            retry_after: None,
        }
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.body = self.body.with_message(message);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::BAD_REQUEST,
            "Request is malformed",
        )
        .with_message(message)
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::VALIDATION_FAILURE,
            "Request is invalid",
        )
        .with_message(format!("The {field} field is required"))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::INVALID_ARGUMENTS,
            "Invalid arguments",
        )
        .with_message(message)
    }

    pub(crate) fn not_found(description: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            api_code::INVALID_ARGUMENTS,
            description,
        )
    }

    /// The credential is missing, broken, expired, or not of the kind that the call needs.
    pub(crate) fn invalid_token(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            api_code::INVALID_TOKEN,
            "Invalid token",
        )
        .with_message(message)
    }

    /// The refresh JWT was good once and is not any more.
    pub(crate) fn logged_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            api_code::TOKEN_LOGGED_OUT,
            "Token expired",
        )
        .with_message("The session was logged out, or the refresh JWT was replaced by a newer one")
    }

    pub(crate) fn user_not_found() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::USER_NOT_FOUND,
            "Cannot find user",
        )
    }

    pub(crate) fn user_exists() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::USER_ALREADY_EXISTS,
            "User already exists",
        )
    }

    pub(crate) fn user_disabled() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            api_code::UNAUTHORIZED,
            "User is disabled",
        )
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            api_code::UNAUTHORIZED,
            "Unauthorized",
        )
        .with_message(message)
    }

    pub(crate) fn wrong_code() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::WRONG_OTP_CODE,
            "Invalid one time code",
        )
    }

    pub(crate) fn too_many_attempts() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::TOO_MANY_OTP_ATTEMPTS,
            "Too many attempts",
        )
    }

    pub(crate) fn rate_limited(retry_after: Option<i64>) -> Self {
        Self {
            retry_after,
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                api_code::RATE_LIMIT_EXCEEDED,
                "API rate limit exceeded",
            )
        }
    }

    pub(crate) fn code_expired() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            api_code::OTP_EXPIRED,
            "One time code has expired",
        )
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "E000000",
            "Internal error",
        )
        .with_message(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reaches_the_handle_with_its_reason() {
        let error = EmulatorError::from(ApiError::user_not_found());
        assert_eq!(error.kind(), EmulatorErrorKind::Refused);
        assert_eq!(error.to_string(), "Cannot find user");
    }
}
