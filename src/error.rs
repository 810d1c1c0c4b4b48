//! Why a request has no user, or may not do what it asks for.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

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
        match self.kind {
            AuthErrorKind::MissingCredentials
            | AuthErrorKind::InvalidToken
            | AuthErrorKind::ExpiredToken
            | AuthErrorKind::SessionEnded
            | AuthErrorKind::StepUpRequired { .. } => StatusCode::UNAUTHORIZED,
            AuthErrorKind::CrossOrigin
            | AuthErrorKind::Forbidden
            | AuthErrorKind::ClaimsMismatch
            | AuthErrorKind::NoAccount => StatusCode::FORBIDDEN,
            AuthErrorKind::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            AuthErrorKind::CookieTooLarge { .. }
            | AuthErrorKind::MissingLayer
            | AuthErrorKind::LoadFailed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `WWW-Authenticate` header, where the status calls for one (RFC 6750 section 3, RFC 9470 section 3).
    pub fn challenge(&self) -> Option<String> {
        let parameters = match &self.kind {
            AuthErrorKind::MissingCredentials => String::new(),
            AuthErrorKind::InvalidToken => {
                r#", error="invalid_token", error_description="The token is not valid""#.to_owned()
            }
            AuthErrorKind::ExpiredToken | AuthErrorKind::SessionEnded => {
                r#", error="invalid_token", error_description="The session is over""#.to_owned()
            }
            AuthErrorKind::Forbidden => r#", error="insufficient_scope""#.to_owned(),
            AuthErrorKind::StepUpRequired { max_age } => {
                let mut parameters = concat!(
                    r#", error="insufficient_user_authentication""#,
                    r#", error_description="A more recent authentication is required""#
                )
                .to_owned();
                if let Some(max_age) = max_age {
                    parameters.push_str(&format!(r#", max_age="{}""#, max_age.as_secs()));
                }
                parameters
            }
            _ => return None,
        };
        Some(format!(r#"Bearer realm="descope"{parameters}"#))
    }

    /// The time for `Retry-After`; `None` unless the kind is [`AuthErrorKind::Unavailable`].
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            AuthErrorKind::Unavailable { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// A stable name of the kind: the last part of the `type` in a problem document, and a label for metrics.
    pub fn code(&self) -> &'static str {
        match self.kind {
            AuthErrorKind::MissingCredentials => "missing_credentials",
            AuthErrorKind::InvalidToken => "invalid_token",
            AuthErrorKind::ExpiredToken => "session_expired",
            AuthErrorKind::SessionEnded => "session_ended",
            AuthErrorKind::CrossOrigin => "cross_origin",
            AuthErrorKind::Forbidden => "forbidden",
            AuthErrorKind::StepUpRequired { .. } => "step_up_required",
            AuthErrorKind::ClaimsMismatch => "claims_mismatch",
            AuthErrorKind::NoAccount => "no_account",
            AuthErrorKind::LoadFailed => "load_failed",
            AuthErrorKind::Unavailable { .. } => "unavailable",
            AuthErrorKind::CookieTooLarge { .. } => "cookie_too_large",
            AuthErrorKind::MissingLayer => "missing_layer",
        }
    }

    /// A short text for people, which contains no details.
    pub(crate) fn title(&self) -> &'static str {
        match self.kind {
            AuthErrorKind::MissingCredentials => "Sign-in is required",
            AuthErrorKind::InvalidToken => "The token is not valid",
            AuthErrorKind::ExpiredToken | AuthErrorKind::SessionEnded => "The session is over",
            AuthErrorKind::CrossOrigin => "The request came from another site",
            AuthErrorKind::Forbidden => "A permission is missing",
            AuthErrorKind::StepUpRequired { .. } => "A more recent authentication is required",
            AuthErrorKind::ClaimsMismatch => "The session lacks what this page needs",
            AuthErrorKind::NoAccount => "There is no account for this user",
            AuthErrorKind::LoadFailed => "The account could not be loaded",
            AuthErrorKind::Unavailable { .. } => "Sign-in is not available right now",
            AuthErrorKind::CookieTooLarge { .. } => "The session does not fit into a cookie",
            AuthErrorKind::MissingLayer => "The server is not set up for sign-in",
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
