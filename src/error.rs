//! Why a request has no user, or may not do what it asks for.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::token::{Failure, InvalidToken};

/// Why a request has no user, or may not do what it asks for.
///
/// The kind decides status, challenge and body of the response. Details for the operator are in
/// [`source`](StdError::source); nothing of them enters a response.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The cases of [`AuthError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// Nothing was sent. 401 without an error code (RFC 6750 section 3.1).
    MissingCredentials,
    /// The token is no session of this project. 401 `invalid_token`.
    InvalidToken,
    /// The session is over and could not be renewed. 401 `invalid_token`. An expired token is refused before its
    /// signature is looked at, so it may also be a forgery that nobody needs to look at.
    /// Also when refresh cookies name different users, or another user than the session does.
    ExpiredToken,
    /// Descope refused the refresh JWT. 401 `invalid_token`.
    SessionEnded,
    /// A cross-origin request that may change something carried cookies; they were ignored. 403. Also the answer to
    /// every form of an app whose proxy rewrites `Host`, until
    /// [`public_origin`](crate::DescopeBuilder::public_origin) says where browsers see it.
    CrossOrigin,
    /// A role, permission or tenant is missing. 403 `insufficient_scope`.
    Forbidden,
    /// The route wants a recent step-up (RFC 9470). 401 `insufficient_user_authentication`.
    StepUpRequired {
        /// How old the authentication may be; `None` when any step-up will do.
        max_age: Option<Duration>,
    },
    /// The claims are not of the type that the handler asks for. 403.
    ClaimsMismatch,
    /// Descope cannot be reached, so nothing can be decided. 503 with `Retry-After`.
    Unavailable {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The renewed session does not fit into a cookie (4096 bytes with its name, RFC 6265bis). 500.
    CookieTooLarge {
        /// Bytes of name and value.
        size: usize,
    },
    /// The route asks for a user but no [`SessionLayer`](crate::SessionLayer) ran. 500, a mistake in the app.
    MissingLayer,
}

impl AuthError {
    /// An error of this kind.
    pub fn new(kind: AuthErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Descope cannot be reached, or what a decision takes is missing; ask again after this time.
    pub(crate) fn unavailable(retry_after: Duration) -> Self {
        Self::new(AuthErrorKind::Unavailable { retry_after })
    }

    /// Adds the cause, for logs.
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
            | AuthErrorKind::ClaimsMismatch => StatusCode::FORBIDDEN,
            AuthErrorKind::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            AuthErrorKind::CookieTooLarge { .. } | AuthErrorKind::MissingLayer => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
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

    /// Seconds for `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            AuthErrorKind::Unavailable { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// A stable name: the last part of the problem's `type`, and a label for metrics.
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
            AuthErrorKind::Unavailable { .. } => "unavailable",
            AuthErrorKind::CookieTooLarge { .. } => "cookie_too_large",
            AuthErrorKind::MissingLayer => "missing_layer",
        }
    }

    /// What a person may read.
    pub(crate) fn title(&self) -> &'static str {
        match self.kind {
            AuthErrorKind::MissingCredentials => "Sign-in is required",
            AuthErrorKind::InvalidToken => "The token is not valid",
            AuthErrorKind::ExpiredToken | AuthErrorKind::SessionEnded => "The session is over",
            AuthErrorKind::CrossOrigin => "The request came from another site",
            AuthErrorKind::Forbidden => "A permission is missing",
            AuthErrorKind::StepUpRequired { .. } => "A more recent authentication is required",
            AuthErrorKind::ClaimsMismatch => "The session lacks what this page needs",
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
