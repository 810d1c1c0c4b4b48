//! Why a request has no user, or may not do what it asks for.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::token::{Failure, InvalidToken};

/// Why a request has no user, or may not do what it asks for.
///
/// The kind decides the status, challenge and body of the response. [`source`](StdError::source) has details for the
/// operator, which never enter a response.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The cases of [`AuthError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// The request has no token. 401 without an error code (RFC 6750 section 3.1).
    MissingCredentials,
    /// The token is no valid session JWT of this project. 401 `invalid_token`.
    InvalidToken,
    /// The session is over and could not be renewed. 401 `invalid_token`. An expired token is refused before its
    /// signature is checked, so it may be forged. This is also the error when the session cannot be renewed because
    /// refresh cookies name different users, or another user than the session does.
    ExpiredToken,
    /// Descope refused the refresh JWT. 401 `invalid_token`.
    SessionEnded,
    /// A cross-origin request that may change something carried cookies; they were ignored. 403. Every form
    /// of an app is answered so if a proxy in front of the app rewrites `Host` and
    /// [`public_origin`](crate::DescopeBuilder::public_origin) is not set.
    CrossOrigin,
    /// A role, permission or tenant is missing. 403 `insufficient_scope`.
    Forbidden,
    /// The route requires a recent step-up (RFC 9470). 401 `insufficient_user_authentication`.
    StepUpRequired {
        /// How old the session JWT may be; `None` if its age does not matter.
        max_age: Option<Duration>,
    },
    /// The claims are not of the type that the handler asks for. 403.
    ClaimsMismatch,
    /// The user is signed in, and the app has no row for them; see [`LoadUser`](crate::LoadUser). 403.
    NoAccount,
    /// The app's [`LoadUser`](crate::LoadUser) has failed; its error is the source. 500.
    LoadFailed,
    /// What the handler asks for needs the refresh JWT, and the request has none, as with a bearer. 403.
    NoRefreshToken,
    /// The app's hook has refused the sign-in, see [`on_sign_in`](crate::DescopeBuilder::on_sign_in). 403.
    SignInRefused,
    /// The app's hook for sign-ins has failed; its error is the source. 500.
    SignInFailed,
    /// Descope cannot be reached, or a key is missing, so that nothing can be decided now. 503 with `Retry-After`.
    Unavailable {
        /// The time after which to ask again.
        retry_after: Duration,
    },
    /// The tokens of a renewal do not fit into cookies (4096 bytes each, with the name; RFC 6265bis). 500.
    CookieTooLarge {
        /// The size of name and value together, in bytes.
        size: usize,
    },
    /// The route asks for a user but no [`SessionLayer`](crate::SessionLayer) ran. 500, a mistake in the app.
    MissingLayer,
}

impl AuthError {
    /// Makes an error of this kind, without a source.
    pub fn new(kind: AuthErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Makes an [`AuthErrorKind::Unavailable`].
    pub(crate) fn unavailable(retry_after: Duration) -> Self {
        Self::new(AuthErrorKind::Unavailable { retry_after })
    }

    /// Adds the cause, as the [`source`](StdError::source) for logs.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn with_shared_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.source = Some(source);
        self
    }

    /// Which case it is.
    pub fn kind(&self) -> &AuthErrorKind {
        &self.kind
    }

    /// Why the token was refused, when that is the cause.
    pub fn invalid_token(&self) -> Option<InvalidToken> {
        self.source.as_ref()?.downcast_ref().copied()
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.facts().status
    }

    /// The `WWW-Authenticate` header, where the status calls for one (RFC 6750 section 3, RFC 9470 section 3).
    pub fn challenge(&self) -> Option<Cow<'static, str>> {
        if let AuthErrorKind::StepUpRequired {
            max_age: Some(max_age),
        } = self.kind
        {
            let seconds = max_age.as_secs();
            return Some(format!(r#"{STEP_UP}, max_age="{seconds}""#).into());
        }
        self.facts().challenge.map(Cow::Borrowed)
    }

    pub(crate) fn challenge_value(&self) -> Option<HeaderValue> {
        match self.challenge()? {
            Cow::Borrowed(challenge) => Some(HeaderValue::from_static(challenge)),
            Cow::Owned(challenge) => HeaderValue::try_from(challenge).ok(),
        }
    }

    /// The time for `Retry-After`; `None` unless the kind is [`AuthErrorKind::Unavailable`].
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            AuthErrorKind::Unavailable { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// A stable name of the kind: the member `code` of a problem document, and a label for metrics.
    pub fn code(&self) -> &'static str {
        self.facts().code
    }

    /// The problem document (RFC 9457), in which nothing depends on the request.
    pub(crate) fn problem(&self) -> &'static str {
        self.facts().problem
    }

    fn facts(&self) -> &'static Facts {
        self.kind.facts()
    }
}

/// What a response says of a kind.
struct Facts {
    status: StatusCode,
    code: &'static str,
    challenge: Option<&'static str>,
    problem: &'static str,
}

const CHALLENGE: &str = r#"Bearer realm="descope""#;
const BAD_TOKEN: &str = concat!(
    r#"Bearer realm="descope", error="invalid_token""#,
    r#", error_description="The token is not valid""#
);
const OVER: &str = concat!(
    r#"Bearer realm="descope", error="invalid_token""#,
    r#", error_description="The session is over""#
);
const SCOPE: &str = r#"Bearer realm="descope", error="insufficient_scope""#;
const STEP_UP: &str = concat!(
    r#"Bearer realm="descope", error="insufficient_user_authentication""#,
    r#", error_description="A more recent authentication is required""#
);

macro_rules! facts {
    (401, $($rest:tt)*) => { facts!(UNAUTHORIZED "401" "Unauthorized", $($rest)*) };
    (403, $($rest:tt)*) => { facts!(FORBIDDEN "403" "Forbidden", $($rest)*) };
    (500, $($rest:tt)*) => { facts!(INTERNAL_SERVER_ERROR "500" "Internal Server Error", $($rest)*) };
    (503, $($rest:tt)*) => { facts!(SERVICE_UNAVAILABLE "503" "Service Unavailable", $($rest)*) };
    ($status:ident $number:literal $title:literal, $code:literal, $challenge:expr, $detail:literal) => {
        &Facts {
            status: StatusCode::$status,
            code: $code,
            challenge: $challenge,
            problem: concat!(
                r#"{"type":"about:blank","title":""#,
                $title,
                r#"","status":"#,
                $number,
                r#","detail":""#,
                $detail,
                r#"","code":""#,
                $code,
                r#""}"#
            ),
        }
    };
}

impl AuthErrorKind {
    fn facts(&self) -> &'static Facts {
        match self {
            Self::MissingCredentials => {
                facts!(
                    401,
                    "missing_credentials",
                    Some(CHALLENGE),
                    "Sign-in is required"
                )
            }
            Self::InvalidToken => {
                facts!(
                    401,
                    "invalid_token",
                    Some(BAD_TOKEN),
                    "The token is not valid"
                )
            }
            Self::ExpiredToken => facts!(401, "session_expired", Some(OVER), "The session is over"),
            Self::SessionEnded => facts!(401, "session_ended", Some(OVER), "The session is over"),
            Self::StepUpRequired { .. } => facts!(
                401,
                "step_up_required",
                Some(STEP_UP),
                "A more recent authentication is required"
            ),
            Self::CrossOrigin => {
                facts!(
                    403,
                    "cross_origin",
                    None,
                    "The request came from another site"
                )
            }
            Self::Forbidden => facts!(403, "forbidden", Some(SCOPE), "A permission is missing"),
            Self::ClaimsMismatch => {
                facts!(
                    403,
                    "claims_mismatch",
                    None,
                    "The session lacks what this page needs"
                )
            }
            Self::NoAccount => {
                facts!(403, "no_account", None, "There is no account for this user")
            }
            Self::NoRefreshToken => {
                facts!(
                    403,
                    "no_refresh_token",
                    None,
                    "This needs a sign-in with cookies"
                )
            }
            Self::LoadFailed => facts!(500, "load_failed", None, "The account could not be loaded"),
            Self::CookieTooLarge { .. } => {
                facts!(
                    500,
                    "cookie_too_large",
                    None,
                    "The session does not fit into a cookie"
                )
            }
            Self::MissingLayer => {
                facts!(
                    500,
                    "missing_layer",
                    None,
                    "The server is not set up for sign-in"
                )
            }
            Self::SignInRefused => {
                facts!(403, "sign_in_refused", None, "The sign-in was refused")
            }
            Self::SignInFailed => facts!(500, "sign_in_failed", None, "The sign-in has failed"),
            Self::Unavailable { .. } => {
                facts!(
                    503,
                    "unavailable",
                    None,
                    "Sign-in is not available right now"
                )
            }
        }
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<InvalidToken> for AuthError {
    fn from(reason: InvalidToken) -> Self {
        Self::new(AuthErrorKind::InvalidToken).with_source(reason)
    }
}

impl From<Failure> for AuthError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(reason) => reason.into(),
            Failure::Expired => AuthErrorKind::ExpiredToken.into(),
            Failure::Unavailable(keys) => Self::unavailable(keys.retry_after),
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            AuthErrorKind::MissingCredentials => "no credentials were sent",
            AuthErrorKind::InvalidToken => "the token is not valid",
            AuthErrorKind::ExpiredToken => "the session is over",
            AuthErrorKind::SessionEnded => "descope refused the refresh token",
            AuthErrorKind::CrossOrigin => {
                "cookies of a cross-origin request were ignored; if a page of this app made it, name the origin that \
                 browsers see with `.public_origin(..)`, or allow another one with `.allow_origin(..)`"
            }
            AuthErrorKind::Forbidden => "a role, permission or tenant is missing",
            AuthErrorKind::StepUpRequired { .. } => "a recent step-up is required",
            AuthErrorKind::NoAccount => "the app has no row for the user",
            AuthErrorKind::LoadFailed => "the row of the user could not be loaded",
            AuthErrorKind::SignInRefused => "the app has refused the sign-in",
            AuthErrorKind::SignInFailed => "the hook for sign-ins has failed",
            AuthErrorKind::NoRefreshToken => "the request carries no refresh token",
            AuthErrorKind::ClaimsMismatch => "the claims are not of the wanted type",
            AuthErrorKind::Unavailable { .. } => "descope cannot be reached",
            AuthErrorKind::CookieTooLarge { size } => {
                return write!(
                    f,
                    "the session cookie would have {size} bytes, more than 4096"
                );
            }
            AuthErrorKind::MissingLayer => {
                "no session layer ran: add `.layer(descope.session_layer())` outside this route"
            }
        })
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AuthError");
        debug.field("kind", &self.kind);
        if let Some(source) = &self.source {
            debug.field("source", &format_args!("{source}"));
        }
        debug.finish()
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_what_they_say() {
        let retry_after = Duration::from_secs(1);
        for kind in [
            AuthErrorKind::MissingCredentials,
            AuthErrorKind::InvalidToken,
            AuthErrorKind::ExpiredToken,
            AuthErrorKind::SessionEnded,
            AuthErrorKind::StepUpRequired { max_age: None },
            AuthErrorKind::CrossOrigin,
            AuthErrorKind::Forbidden,
            AuthErrorKind::ClaimsMismatch,
            AuthErrorKind::NoAccount,
            AuthErrorKind::NoRefreshToken,
            AuthErrorKind::LoadFailed,
            AuthErrorKind::CookieTooLarge { size: 1 },
            AuthErrorKind::MissingLayer,
            AuthErrorKind::SignInRefused,
            AuthErrorKind::SignInFailed,
            AuthErrorKind::Unavailable { retry_after },
        ] {
            let error = AuthError::new(kind);
            let problem: serde_json::Value = serde_json::from_str(error.problem()).unwrap();
            assert_eq!(problem["status"], error.status().as_u16());
            assert_eq!(problem["code"], error.code());
            // RFC 9457 section 4.2.1: the title of `about:blank` is the phrase of the status.
            let phrase = error.status().canonical_reason().unwrap();
            assert_eq!(problem["title"], phrase);
            assert_eq!(
                error
                    .challenge()
                    .is_some_and(|text| text.contains("error=")),
                error.status() == 401 && *error.kind() != AuthErrorKind::MissingCredentials
                    || *error.kind() == AuthErrorKind::Forbidden
            );
        }
    }
}
