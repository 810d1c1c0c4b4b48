//! The error of a failed call.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::transport::{TransportError, TransportErrorKind};
use crate::wire::{ErrorBody, api_code};

/// The error of a failed call.
///
/// `Display` and `Debug` show the kind, the status and Descope's error code. They never show tokens, one-time codes,
/// addresses or text from Descope. [`description`](Self::description) and [`message`](Self::message) return
/// Descope's text.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientError {
    inner: Box<ErrorParts>,
}

/// The kinds of [`ClientError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// Descope answered with a 4xx status other than 429 and with an error code: it understood the call and refused it.
    Api,
    /// There were too many calls (status 429). [`ClientError::retry_after`] always has a value, between 1 s and 3600 s.
    /// It is 60 s when the answer had no readable `Retry-After`.
    RateLimited,
    /// There was no usable answer: Descope was unreachable or too slow, or the answer was a 5xx, a redirect, a page
    /// of a proxy or firewall, or a body that the API does not send. A POST may have had its effect. The error says
    /// nothing about whether the user's tokens are valid.
    Unavailable,
    /// The arguments are invalid, so nothing was sent.
    InvalidRequest,
}

/// Why a call is [`ClientErrorKind::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// No connection was established, so nothing was sent.
    NotConnected,
    /// The call took longer than its deadline.
    Timeout,
    /// The connection broke, or the answer was not HTTP.
    Interrupted,
    /// The body of the answer was longer than the limit.
    TooLarge,
    /// The answer had a 4xx status without an error code, or any other status that is neither a success nor a redirect.
    Status,
    /// The answer was a redirect. The client follows none.
    Redirect,
    /// The answer had a successful status, but a body that the API does not send.
    Malformed,
}

#[derive(Clone)]
struct ErrorParts {
    kind: ClientErrorKind,
    reason: Option<UnavailableReason>,
    status: Option<StatusCode>,
    body: ErrorBody,
    retry_after: Option<Duration>,
    argument: &'static str,
    source: Option<TransportError>,
}

impl ClientError {
    /// What went wrong.
    pub fn kind(&self) -> ClientErrorKind {
        self.inner.kind
    }

    /// Why the call is [`ClientErrorKind::Unavailable`]; `None` for the other kinds.
    pub fn unavailable_reason(&self) -> Option<UnavailableReason> {
        self.inner.reason
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// Descope's error code (see [`wire::api_code`](crate::wire::api_code)), if the answer had one. It is never `None` for
    /// [`ClientErrorKind::Api`].
    pub fn code(&self) -> Option<&str> {
        non_empty(&self.inner.body.error_code)
    }

    /// Descope's description of the error code. The text is Descope's: check it before you show it to anybody.
    pub fn description(&self) -> Option<&str> {
        non_empty(&self.inner.body.error_description)
    }

    /// Descope's message about this call. It may repeat an address or a one-time code.
    pub fn message(&self) -> Option<&str> {
        non_empty(&self.inner.body.error_message).or(non_empty(&self.inner.body.message))
    }

    /// How long to wait before the next attempt, between 1 s and 3600 s.
    ///
    /// It is never `None` for [`ClientErrorKind::RateLimited`]. The other kinds have it only when the answer had a
    /// readable `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether Descope refused the token itself: the status is 401 or 403, and the error code is about the token. An
    /// app should end a session only if this is true.
    ///
    /// The error codes about the token are [`INVALID_TOKEN`](api_code::INVALID_TOKEN) (`E061005`) and
    /// [`TOKEN_LOGGED_OUT`](api_code::TOKEN_LOGGED_OUT) (`E064001`). No other error ends a session:
    ///
    /// - Firewalls send a 403 without an error code.
    /// - A 403 with another error code may mean that the project is disabled, an address is blocked or a limit of the
    ///   plan is exceeded. Such an error affects all users at once, and would sign all of them out.
    /// - [`UNAUTHORIZED`](api_code::UNAUTHORIZED) (`E111119`) says only that the caller may not make the call. For a
    ///   disabled user it means that no new session is issued; the refresh JWT works again once the user is enabled.
    /// - An error code that this crate does not know does not end a session either, not even with status 401. If the
    ///   code is in fact about the token, one user cannot renew the session (503) until they sign in again. If it is
    ///   not, but were treated so, all users could be signed out for good. In neither case does anybody gain access,
    ///   because access needs a new session JWT.
    pub fn is_definite_refusal(&self) -> bool {
        self.inner.kind == ClientErrorKind::Api
            && matches!(
                self.inner.status,
                Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            )
            && matches!(
                self.code(),
                Some(api_code::INVALID_TOKEN | api_code::TOKEN_LOGGED_OUT)
            )
    }

    /// Whether the code that was sent for verification is wrong, has expired, or was tried too often. A form asks for the
    /// code once more then; any other error is not the user's fault.
    pub fn is_code_refused(&self) -> bool {
        let refused = [
            api_code::WRONG_OTP_CODE,
            api_code::OTP_EXPIRED,
            api_code::TOO_MANY_OTP_ATTEMPTS,
        ];
        self.inner.kind == ClientErrorKind::Api
            && self.code().is_some_and(|code| refused.contains(&code))
    }

    /// Whether the call failed because the user has not sent the nOTP message yet.
    pub fn is_notp_pending(&self) -> bool {
        self.inner.kind == ClientErrorKind::Api && self.code() == Some(api_code::NOTP_PENDING)
    }

    fn new(kind: ClientErrorKind) -> Self {
        Self {
            inner: Box::new(ErrorParts {
                kind,
                reason: None,
                status: None,
                body: ErrorBody::default(),
                retry_after: None,
                argument: "",
                source: None,
            }),
        }
    }

    /// An invalid argument. The text says what is wrong, without quoting the argument.
    pub(crate) fn invalid(argument: &'static str) -> Self {
        let mut error = Self::new(ClientErrorKind::InvalidRequest);
        error.inner.argument = argument;
        error
    }

    pub(crate) fn unavailable(reason: UnavailableReason) -> Self {
        let mut error = Self::new(ClientErrorKind::Unavailable);
        error.inner.reason = Some(reason);
        error
    }

    /// An answer with this status and a body that the API does not send.
    pub(crate) fn malformed(status: StatusCode) -> Self {
        let mut error = Self::unavailable(UnavailableReason::Malformed);
        error.inner.status = Some(status);
        error
    }

    /// The error for an answer whose status is not 2xx. `body` is `Some` only if it has an error code.
    pub(super) fn refused(
        status: StatusCode,
        body: Option<ErrorBody>,
        retry_after: Option<Duration>,
    ) -> Self {
        let has_code = body.is_some();
        let mut error = if status == StatusCode::TOO_MANY_REQUESTS {
            Self::new(ClientErrorKind::RateLimited)
        } else if status.is_redirection() {
            Self::unavailable(UnavailableReason::Redirect)
        } else if status.is_client_error() && has_code {
            Self::new(ClientErrorKind::Api)
        } else {
            Self::unavailable(UnavailableReason::Status)
        };
        error.inner.status = Some(status);
        error.inner.body = body.unwrap_or_default();
        error.inner.retry_after = match error.inner.kind {
            ClientErrorKind::RateLimited => Some(retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
            _ => retry_after,
        };
        error
    }
}

impl From<TransportError> for ClientError {
    fn from(source: TransportError) -> Self {
        let mut error = Self::unavailable(match source.kind() {
            TransportErrorKind::NotConnected => UnavailableReason::NotConnected,
            TransportErrorKind::Timeout => UnavailableReason::Timeout,
            TransportErrorKind::TooLarge => UnavailableReason::TooLarge,
            TransportErrorKind::Interrupted => UnavailableReason::Interrupted,
        });
        error.inner.source = Some(source);
        error
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ClientError");
        debug.field("kind", &self.inner.kind);
        if let Some(reason) = self.inner.reason {
            debug.field("reason", &reason);
        }
        if let Some(status) = self.inner.status {
            debug.field("status", &status.as_u16());
        }
        if let Some(code) = self.code() {
            debug.field("code", &code);
        }
        if let Some(retry_after) = self.inner.retry_after {
            debug.field("retry_after", &retry_after);
        }
        if self.inner.kind == ClientErrorKind::InvalidRequest {
            debug.field("argument", &self.inner.argument);
        }
        debug.finish()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.inner.status.map_or(0, |status| status.as_u16());
        match self.inner.kind {
            ClientErrorKind::Api => write!(
                f,
                "descope refused the call with {} (status {status})",
                self.inner.body.error_code
            ),
            ClientErrorKind::RateLimited => write!(
                f,
                "descope's rate limit is exceeded, retry after {} s",
                self.inner.retry_after.unwrap_or_default().as_secs()
            ),
            ClientErrorKind::InvalidRequest => {
                write!(f, "invalid request: {}", self.inner.argument)
            }
            ClientErrorKind::Unavailable => {
                f.write_str("descope is unavailable: ")?;
                match self.inner.reason {
                    Some(UnavailableReason::NotConnected) => f.write_str("no connection"),
                    Some(UnavailableReason::Timeout) => f.write_str("no answer in time"),
                    Some(UnavailableReason::Interrupted) => {
                        f.write_str("the connection broke or did not speak http")
                    }
                    Some(UnavailableReason::TooLarge) => f.write_str("the answer is too large"),
                    Some(UnavailableReason::Redirect) => {
                        write!(f, "it redirects (status {status}), which is never followed")
                    }
                    Some(UnavailableReason::Malformed) => {
                        write!(f, "the answer (status {status}) is not what the api sends")
                    }
                    Some(UnavailableReason::Status) | None => write!(f, "status {status}"),
                }
            }
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source as _)
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

// The wait that Descope's published rate limits name, and that its Java SDK assumes.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<&str>, retry_after: Option<u64>) -> ClientError {
        ClientError::refused(
            StatusCode::from_u16(status).unwrap(),
            code.map(|code| ErrorBody::new(code, "d").with_message("to jane@example.com")),
            retry_after.map(Duration::from_secs),
        )
    }

    #[test]
    fn which_errors_ask_for_the_code_once_more() {
        for (status, code, refused_code) in [
            (400, Some("E061102"), true),
            (400, Some("E061103"), true),
            (400, Some("E061104"), true),
            (401, Some("E061005"), false),
            (400, Some("E062108"), false),
            (503, Some("E061102"), false),
            (400, None, false),
        ] {
            let error = refused(status, code, None);
            assert_eq!(error.is_code_refused(), refused_code, "{status} {code:?}");
        }
    }

    #[test]
    fn what_a_status_means() {
        use ClientErrorKind::{Api, RateLimited, Unavailable};
        for (status, code, kind, definite) in [
            (400, Some("E011001"), Api, false),
            (401, Some("E061005"), Api, true),
            (403, Some("E061005"), Api, true),
            (401, Some("E064001"), Api, true),
            (401, Some("E111119"), Api, false),
            (403, Some("E111119"), Api, false),
            (403, Some("E061103"), Api, false),
            (401, Some("E062504"), Api, false),
            (401, Some("E062803"), Api, false),
            (401, Some("E999999"), Api, false),
            (404, Some("E063302"), Api, false),
            (401, None, Unavailable, false),
            (403, None, Unavailable, false),
            (404, None, Unavailable, false),
            (429, Some("E130429"), RateLimited, false),
            (429, None, RateLimited, false),
            (500, Some("E061005"), Unavailable, false),
            (503, None, Unavailable, false),
            (302, Some("E061005"), Unavailable, false),
        ] {
            let error = refused(status, code, None);
            assert_eq!(error.kind(), kind, "{status} {code:?}");
            assert_eq!(error.is_definite_refusal(), definite, "{status} {code:?}");
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn a_rate_limit_always_says_how_long() {
        assert_eq!(
            refused(429, None, None).retry_after().unwrap().as_secs(),
            60
        );
        assert_eq!(
            refused(429, None, Some(7)).retry_after().unwrap().as_secs(),
            7
        );
        assert_eq!(
            refused(503, None, Some(2)).retry_after().unwrap().as_secs(),
            2
        );
        assert_eq!(refused(503, None, None).retry_after(), None);
    }

    #[test]
    fn req_46_text_of_upstream_needs_a_getter() {
        let error = refused(400, Some("E011001"), None);
        assert_eq!(error.message(), Some("to jane@example.com"));
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("jane"), "{shown}");
        assert!(shown.contains("E011001"));
    }
}
