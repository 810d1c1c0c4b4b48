//! Errors of the routes. Their bodies all have the form of Descope's errors.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::shape::has_token;
use crate::client::{ClientError, ClientErrorKind, UnavailableReason};
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::forbid_caching;
use crate::session::NotStarted;
use crate::token::Failure;
use crate::wire::{self, ErrorBody};

/// Values of `errorCode` that are this crate's own, and the status that each comes with.
///
/// Descope's codes are `E` and digits, see [`wire::api_code`](crate::wire::api_code). The routes also answer with some of those
/// without asking Descope: `E011001` (400, the request is malformed), `E011003` (400, a member is missing) and
/// `E061005` (401, there is no token that counts).
pub mod route_code {
    /// 403: a request from a page of another origin.
    pub const CROSS_ORIGIN: &str = "cross_origin";
    /// 403: the app's [hook](crate::DescopeBuilder::on_sign_in) has refused the sign-in.
    pub const SIGN_IN_REFUSED: &str = "sign_in_refused";
    /// 500: the app's hook for sign-ins has failed.
    pub const SIGN_IN_FAILED: &str = "sign_in_failed";
    /// 404: no such route, delivery method or provider.
    pub const NOT_FOUND: &str = "not_found";
    /// 405: `Allow` names the methods of the route.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// 408: the body did not arrive in [time](crate::DescopeBuilder::body_timeout). Nothing was sent upstream.
    pub const REQUEST_TIMEOUT: &str = "request_timeout";
    /// 413: the body has more than 16 KiB.
    pub const BODY_TOO_LARGE: &str = "body_too_large";
    /// 415: the body is not `application/json`.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    /// 500: a token does not fit into a cookie. Nothing was set; the log has the size.
    pub const COOKIE_TOO_LARGE: &str = "cookie_too_large";
    /// 502: the answer of Descope cannot be used, or its tokens do not verify, or the connection broke. Descope may
    /// have carried out the call.
    pub const UPSTREAM_INVALID: &str = "upstream_invalid";
    /// 503 with `Retry-After`: Descope cannot be reached, or says so itself. The session is as it was.
    pub const UNAVAILABLE: &str = "unavailable";
    /// 504: Descope did not answer in time. It may have carried out the call.
    pub const UPSTREAM_TIMEOUT: &str = "upstream_timeout";
}

/// The response to a call that failed.
pub(super) struct RouteError(Box<ErrorParts>);

struct ErrorParts {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
    token_was_bad: bool,
    cookies: Vec<HeaderValue>,
}

/// `Retry-After` of a 503 where neither Descope nor the renewer has named a time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

impl RouteError {
    fn new(status: StatusCode, code: &str, description: &str) -> Self {
        Self(Box::new(ErrorParts {
            status,
            body: ErrorBody::new(code, description),
            retry_after: None,
            token_was_bad: false,
            cookies: Vec::new(),
        }))
    }

    fn message(mut self, message: &str) -> Self {
        self.0.body = self.0.body.with_message(message);
        self
    }

    pub(super) fn cross_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            route_code::CROSS_ORIGIN,
            "The request came from another site",
        )
    }

    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            route_code::NOT_FOUND,
            "No such route",
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            route_code::METHOD_NOT_ALLOWED,
            "The route has another method",
        )
    }

    pub(super) fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            route_code::REQUEST_TIMEOUT,
            "The request body did not arrive in time",
        )
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            route_code::BODY_TOO_LARGE,
            "The request body is too large",
        )
    }

    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            route_code::UNSUPPORTED_MEDIA_TYPE,
            "The content type must be application/json",
        )
    }

    pub(super) fn malformed() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            wire::api_code::BAD_REQUEST,
            "The request is malformed",
        )
    }

    pub(super) fn required(member: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            wire::api_code::VALIDATION_FAILURE,
            "The request is invalid",
        )
        .message(&format!("The {member} field is required"))
    }

    /// 401: there is no token, or the token does not count. The challenge has an error code only in the second case
    /// (RFC 6750 section 3.1).
    pub(super) fn unauthorized(token_was_bad: bool) -> Self {
        let mut error = Self::new(
            StatusCode::UNAUTHORIZED,
            wire::api_code::INVALID_TOKEN,
            "Invalid token",
        );
        error.0.token_was_bad = token_was_bad;
        error
    }

    pub(super) fn cookie_too_large() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            route_code::COOKIE_TOO_LARGE,
            "The session does not fit into a cookie",
        )
    }

    pub(super) fn upstream_invalid() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            route_code::UPSTREAM_INVALID,
            "The sign-in service gave no usable answer",
        )
    }

    pub(super) fn unavailable(retry_after: Option<Duration>) -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            route_code::UNAVAILABLE,
            "Sign-in is not available right now",
        );
        error.0.retry_after = Some(retry_after.unwrap_or(DEFAULT_RETRY_AFTER));
        error
    }

    /// The response to a call that failed upstream.
    ///
    /// Descope's browser SDK repeats a call that is answered with 503, up to four times in ten seconds. So 503 is used
    /// only for calls that upstream did not carry out, so that no code is sent or used up twice.
    pub(super) fn upstream(error: &ClientError) -> Self {
        match error.kind() {
            ClientErrorKind::Api => Self::api(error),
            ClientErrorKind::RateLimited => {
                let mut limited = Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    wire::api_code::RATE_LIMIT_EXCEEDED,
                    "Rate limit exceeded",
                );
                limited.0.retry_after = error.retry_after();
                limited
            }
            ClientErrorKind::InvalidRequest => Self::malformed(),
            ClientErrorKind::Unavailable => {
                tracing::warn!(%error, "a call of descope has failed");
                match (error.unavailable_reason(), error.status()) {
                    (Some(UnavailableReason::NotConnected), _)
                    | (Some(UnavailableReason::Status), Some(StatusCode::SERVICE_UNAVAILABLE)) => {
                        Self::unavailable(error.retry_after())
                    }
                    (Some(UnavailableReason::Timeout), _) => Self::new(
                        StatusCode::GATEWAY_TIMEOUT,
                        route_code::UPSTREAM_TIMEOUT,
                        "The sign-in service did not answer in time",
                    ),
                    _ => Self::upstream_invalid(),
                }
            }
        }
    }

    /// Like [`Self::upstream`], for calls that only read a session.
    ///
    /// Descope's browser SDK takes every 4xx answer to these calls for a sign-out. So a definite refusal of the token
    /// is answered with a 4xx, and a rate limit is not.
    pub(super) fn reading_session(error: &ClientError) -> Self {
        match error.kind() {
            ClientErrorKind::Api if error.is_definite_refusal() => Self::api(error),
            ClientErrorKind::InvalidRequest => Self::malformed(),
            _ => {
                tracing::warn!(%error, "a call of descope has failed");
                Self::unavailable(error.retry_after())
            }
        }
    }

    /// Passes on the status, code, description and message of Descope's error, and nothing else of its answer. A text
    /// that has a token in it is left out.
    fn api(error: &ClientError) -> Self {
        let status = error.status().unwrap_or(StatusCode::BAD_REQUEST);
        let code = error.code().unwrap_or(wire::api_code::BAD_REQUEST);
        let [description, message] =
            [error.description(), error.message()].map(|text| text.filter(|it| !has_token(it)));
        let described = Self::new(status, code, description.unwrap_or_default());
        match message {
            Some(message) => described.message(message),
            None => described,
        }
    }

    /// Adds cookies to the response.
    pub(super) fn with_cookies(mut self, cookies: Vec<HeaderValue>) -> Self {
        self.0.cookies = cookies;
        self
    }
}

/// The response where tokens that upstream has just issued do not verify.
impl From<Failure> for RouteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(keys) => Self::unavailable(Some(keys.retry_after)),
            Failure::Invalid(_) | Failure::Expired => {
                tracing::error!(?failure, "descope issued a token that does not verify");
                Self::upstream_invalid()
            }
        }
    }
}

/// What Descope has issued does not become a session.
impl From<NotStarted> for RouteError {
    fn from(not_started: NotStarted) -> Self {
        match not_started {
            NotStarted::Nobody => Self::upstream_invalid(),
            NotStarted::Unwritable(_) => Self::cookie_too_large(),
            NotStarted::Undecided => Self::unavailable(None),
            NotStarted::Refused(error) => AuthError::from(error).into(),
        }
    }
}

/// Why the request has no session.
impl From<AuthError> for RouteError {
    fn from(error: AuthError) -> Self {
        match error.kind() {
            AuthErrorKind::Unavailable { retry_after } => Self::unavailable(Some(*retry_after)),
            AuthErrorKind::MissingCredentials => Self::unauthorized(false),
            AuthErrorKind::CrossOrigin => Self::cross_origin(),
            AuthErrorKind::CookieTooLarge { .. } => Self::cookie_too_large(),
            AuthErrorKind::SignInRefused => Self::new(
                StatusCode::FORBIDDEN,
                route_code::SIGN_IN_REFUSED,
                "The sign-in was refused",
            ),
            AuthErrorKind::SignInFailed => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                route_code::SIGN_IN_FAILED,
                "The sign-in has failed",
            ),
            _ => Self::unauthorized(true),
        }
    }
}

/// As the mounted routes answer when their call has failed: Descope's error, in the form of Descope's errors, and nothing
/// else of its answer. For a page that is meant for people, look at [`ClientError::code`] instead.
impl IntoResponse for ClientError {
    fn into_response(self) -> Response {
        RouteError::upstream(&self).into_response()
    }
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        let ErrorParts {
            status,
            body,
            retry_after,
            token_was_bad,
            cookies,
        } = *self.0;
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(retry_after) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            let kind = if token_was_bad {
                AuthErrorKind::InvalidToken
            } else {
                AuthErrorKind::MissingCredentials
            };
            if let Some(challenge) = AuthError::new(kind).challenge_value() {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        if !cookies.is_empty() {
            for cookie in cookies {
                headers.append(SET_COOKIE, cookie);
            }
            forbid_caching(headers);
        }
        response
    }
}
