//! The variable segment of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::super::error::ApiError;

/// The variable segment of a path, percent-decoded. A segment that is not UTF-8 is answered like an unknown path;
/// axum's own extractor would answer without JSON.
pub(in super::super) struct Segment(pub(in super::super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(segment)| Self(segment))
            .map_err(|_| ApiError::not_found("No such path"))
    }
}
