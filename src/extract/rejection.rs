use std::fmt;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};

use crate::error::AuthError;
use crate::reject::{ProblemJson, Reject, Rejected, RejectedBy};

/// The rejection of this crate's extractors.
///
/// Renders a problem document (RFC 9457) unless the session layer has
/// [another renderer](crate::SessionLayer::with_rejection).
#[derive(Clone, Debug)]
pub struct AuthRejection(AuthError);

impl AuthRejection {
    /// Why the request is rejected.
    pub fn error(&self) -> &AuthError {
        &self.0
    }

    /// Why the request is rejected, as an owned value.
    pub fn into_error(self) -> AuthError {
        self.0
    }
}

impl From<AuthError> for AuthRejection {
    fn from(error: AuthError) -> Self {
        Self(error)
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let mut response: Response<Body> = ProblemJson.reject(Rejected {
            error: &self.0,
            request: None,
        });
        response.extensions_mut().insert(RejectedBy(self.0));
        response
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
