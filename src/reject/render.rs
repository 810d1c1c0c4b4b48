//! The renderers that come with this crate: a problem document, headers alone, and a gRPC status.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::{Reject, Rejected};
use crate::error::AuthError;

/// Answers with a problem document (RFC 9457). The default.
///
/// ```json
/// {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Sign-in is required","code":"missing_credentials"}
/// ```
///
/// `code` is [`AuthError::code`]. The type is `about:blank`, because nothing more is to be known of a problem than its
/// status and its code say.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl Reject for ProblemJson {
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes> {
        problem(rejected.error())
    }
}

/// Answers with the status and headers of [`ProblemJson`], without a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBody;

impl Reject for NoBody {
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes> {
        rejected.response(Bytes::new())
    }
}

/// Answers with a gRPC status in a trailers-only response, for tonic: `UNAUTHENTICATED`, `PERMISSION_DENIED`,
/// `UNAVAILABLE` or `INTERNAL`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl Reject for GrpcStatus {
    fn reject(&self, rejected: &Rejected<'_>) -> Response<Bytes> {
        let error = rejected.error();
        let status = match error.status() {
            StatusCode::UNAUTHORIZED => "16",
            StatusCode::FORBIDDEN => "7",
            StatusCode::SERVICE_UNAVAILABLE => "14",
            _ => "13",
        };
        // A gRPC response has the HTTP status 200.
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(status));
        headers.insert("grpc-message", HeaderValue::from_static(error.code()));
        response
    }
}

/// The problem document of an error, which needs no request.
pub(crate) fn problem(error: &AuthError) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(error.problem().as_bytes()));
    *response.status_mut() = error.status();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    complete(error, &mut response);
    response
}

/// Adds what a response lacks: `Cache-Control`, and `WWW-Authenticate` and `Retry-After` where its status is the error's.
pub(super) fn complete(error: &AuthError, response: &mut Response<Bytes>) {
    let is_own_status = response.status() == error.status();
    let headers = response.headers_mut();
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(no_store);
    if !is_own_status {
        return;
    }
    if let Some(challenge) = error.challenge_value() {
        headers.entry(WWW_AUTHENTICATE).or_insert(challenge);
    }
    if let Some(retry_after) = error.retry_after() {
        let seconds = HeaderValue::from(retry_after.as_secs().max(1));
        headers.entry(RETRY_AFTER).or_insert(seconds);
    }
}
