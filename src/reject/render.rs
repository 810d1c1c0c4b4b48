//! The renderers that come with this crate: a problem document, headers alone, and a gRPC status.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::{Reject, Rejected};
use crate::error::AuthError;

/// Answers with a problem document (RFC 9457), and with `WWW-Authenticate` and `Retry-After` where they apply. The
/// default.
///
/// ```json
/// {"type":"https://docs.rs/tower-descope/latest/tower_descope/enum.AuthErrorKind.html#missing_credentials",
///  "title":"Sign-in is required","status":401,"code":"missing_credentials"}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: From<Bytes>> Reject<B> for ProblemJson {
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        let error = rejected.error;
        let problem = serde_json::json!({
            "type": format!(
                "https://docs.rs/tower-descope/latest/tower_descope/enum.AuthErrorKind.html#{}",
                error.code()
            ),
            "title": error.title(),
            "status": error.status().as_u16(),
            "code": error.code(),
        });
        let mut response = Response::new(B::from(problem.to_string().into()));
        *response.status_mut() = error.status();
        let headers = response.headers_mut();
        describe(error, headers);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// Answers with the status and headers of [`ProblemJson`], without a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBody;

impl<B: Default> Reject<B> for NoBody {
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = rejected.error.status();
        describe(rejected.error, response.headers_mut());
        response
    }
}

/// Answers with a gRPC status in a trailers-only response, for tonic: `UNAUTHENTICATED`, `PERMISSION_DENIED`,
/// `UNAVAILABLE` or `INTERNAL`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl<B: Default> Reject<B> for GrpcStatus {
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        let error = rejected.error;
        let status = match error.status() {
            StatusCode::UNAUTHORIZED => "16",
            StatusCode::FORBIDDEN => "7",
            StatusCode::SERVICE_UNAVAILABLE => "14",
            _ => "13",
        };
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(status));
        headers.insert("grpc-message", HeaderValue::from_static(error.code()));
        response
    }
}

/// Sets `Cache-Control: no-store`, and `WWW-Authenticate` and `Retry-After` where they apply.
fn describe(error: &AuthError, headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(challenge) = error.challenge()
        && let Ok(challenge) = HeaderValue::try_from(challenge)
    {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(retry_after) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
    }
}
