use std::fmt;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;

use crate::error::AuthError;
use crate::headers::RequestHead;
use crate::reject::problem;
use crate::session::Session;
use crate::user::ProfileError;

/// The rejection of this crate's extractors.
///
/// As a response it is what the renderer of the [session layer](crate::SessionLayer::with_rejection) has made where the
/// request was rejected, by default a problem document (RFC 9457).
#[derive(Clone, Debug)]
pub struct AuthRejection {
    error: AuthError,
    /// What the renderer has made, if one was chosen. Boxed, because a result with this type is returned by every
    /// extractor.
    response: Option<Box<http::Response<Bytes>>>,
}

impl AuthRejection {
    /// Has the renderer that was chosen for this request make the response.
    pub(super) fn of(error: AuthError, parts: &Parts) -> Self {
        let response = Session::renderer_in(&parts.extensions)
            .filter(|renderer| renderer.is_chosen())
            .map(|renderer| Box::new(renderer.render(&error, RequestHead::from(parts))));
        Self { error, response }
    }

    /// Why the request is rejected.
    pub fn error(&self) -> &AuthError {
        &self.error
    }

    /// Why the request is rejected, as an owned value.
    pub fn into_error(self) -> AuthError {
        self.error
    }
}

/// Renders a problem document, because nothing is known of the request.
impl From<AuthError> for AuthRejection {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            response: None,
        }
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let response = self.response.map(|response| *response);
        let response = response.unwrap_or_else(|| problem(&self.error));
        response.map(Body::from)
    }
}

/// A problem document (RFC 9457), for a handler that answers with the error. The renderer of the session layer is not
/// asked, because nothing is known of the request.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        problem(&self).map(Body::from)
    }
}

/// As the [`AuthError`] that it becomes.
impl IntoResponse for ProfileError {
    fn into_response(self) -> Response {
        AuthError::from(self).into_response()
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
