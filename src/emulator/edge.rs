//! What happens to a request before a handler sees it, and to the answer after: paths, cross-origin rules,
//! counting, faults.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Frame;
use tower_service::Service;

use super::api::{self, Peer};
use super::control;
use super::error::ApiError;
use super::fault::{Fault, FaultKind};
use super::instance::Instance;
use crate::wire::api_code;

/// There is no answer: the connection is to be reset.
#[derive(Debug)]
pub(crate) struct ConnectionReset;

/// Passes each request to the router of the API or to the router of the control API.
#[derive(Clone)]
pub(crate) struct Edge {
    instance: Arc<Instance>,
    api: Router,
    control: Router,
}

impl Edge {
    pub(crate) fn new(instance: Arc<Instance>) -> Self {
        Self {
            api: api::router().with_state(Arc::clone(&instance)),
            control: control::router().with_state(Arc::clone(&instance)),
            instance,
        }
    }

    pub(crate) async fn answer(
        self,
        mut request: Request<Body>,
        peer: Peer,
    ) -> Result<Response, ConnectionReset> {
        collapse_slashes(request.uri_mut());
        request.extensions_mut().insert(peer);
        let path = request.uri().path();
        let is_control = path == "/emulator" || path.starts_with("/emulator/");
        let mut response = if is_control {
            self.answer_control(request).await
        } else {
            self.answer_api(request).await?
        };
        let headers = response.headers_mut();
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }

    /// Answers a request to the control API. No latency, fault or CORS header applies to it.
    async fn answer_control(&self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        if let Err(refused) = control::require_local(&parts) {
            return refused.into_response();
        }
        // The inbox page sends a GET every other second. A GET changes nothing that the snapshot would keep.
        let changes = parts.method != Method::GET;
        let response = call(self.control.clone(), Request::from_parts(parts, body)).await;
        if changes {
            self.instance.changed.notify_one();
        }
        response
    }

    async fn answer_api(&self, request: Request<Body>) -> Result<Response, ConnectionReset> {
        let origin = request.headers().get(ORIGIN).cloned();
        if request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Ok(preflight(request.headers(), origin));
        }
        let (fault, latency) = {
            let mut state = self.instance.state();
            state.count_call(request.uri().path());
            let fault = state.faults.take(request.uri().path());
            (fault, state.config.latency_ms)
        };
        let answer = match &fault {
            Some(fault) if !fault.executed => None,
            _ => Some(self.execute(request).await),
        };
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency.into())).await;
        }
        let mut response = match (fault, answer) {
            (None, Some(answer)) => answer,
            (Some(fault), answer) => happen(fault, answer).await?,
            (None, None) => ApiError::internal("no answer").into_response(),
        };
        allow_origin(response.headers_mut(), origin);
        Ok(response)
    }

    async fn execute(&self, request: Request<Body>) -> Response {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = call(self.api.clone(), request).await;
        tracing::debug!(%method, path, status = response.status().as_u16(), "emulator");
        // Notified at once: if the client gives up during the delay of the answer, this future is dropped.
        self.instance.changed.notify_one();
        response
    }
}

async fn call(mut router: Router, request: Request<Body>) -> Response {
    // A router is always ready.
    router
        .call(request)
        .await
        .unwrap_or_else(|never: Infallible| match never {})
}

/// `//v1/…` is what a base URL with a trailing slash makes of a path.
fn collapse_slashes(uri: &mut Uri) {
    let path = uri.path();
    if !path.contains("//") {
        return;
    }
    let mut target = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !target.ends_with('/') {
            target.push(c);
        }
    }
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    if let Ok(collapsed) = target.parse() {
        *uri = collapsed;
    }
}

/// The answer to a CORS preflight. Descope's browser SDK sends credentials, so the answer must name the origin. The SDK
/// may send any header, so all requested headers are allowed.
fn preflight(headers: &HeaderMap, origin: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let allowed = response.headers_mut();
    allow_origin(allowed, origin);
    allowed.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"),
    );
    if let Some(names) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    allowed.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("retry-after"),
        );
    }
}

/// Applies the fault. `answer` is `Some` if the call was executed.
async fn happen(fault: Fault, answer: Option<Response>) -> Result<Response, ConnectionReset> {
    let mut response = match fault.kind {
        FaultKind::Slow(delay) => {
            tokio::time::sleep(delay).await;
            return Ok(answer.unwrap_or_else(|| own_reply(&fault)));
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Reset => return Err(ConnectionReset),
        FaultKind::Empty => fault.status_code().into_response(),
        FaultKind::Garbage => (
            fault.status_code(),
            [(CONTENT_TYPE, HeaderValue::from_static("text/html"))],
            "<!doctype html><title>Welcome</title><p>Accept the terms to use this network.",
        )
            .into_response(),
        FaultKind::Truncate => truncated(answer.unwrap_or_else(|| own_reply(&fault))).await,
        FaultKind::Status => own_reply(&fault),
    };
    for (name, value) in fault.valid_headers() {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// The fault's body if it has one, otherwise the emulator's own error body for this status.
fn own_reply(fault: &Fault) -> Response {
    let status = fault.status_code();
    let mut response = match &fault.body {
        Some(body) => api::json(body),
        None if status == StatusCode::TOO_MANY_REQUESTS => {
            ApiError::rate_limited(None).into_response()
        }
        None => ApiError::new(status, api_code::BAD_REQUEST, "Injected fault").into_response(),
    };
    *response.status_mut() = status;
    response
}

/// Announces the whole body, sends half of it and fails.
async fn truncated(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let half = bytes.slice(..bytes.len() / 2);
    Response::from_parts(parts, Body::new(HalfBody::Data(half)))
}

enum HalfBody {
    Data(Bytes),
    /// Waits until the first half has left the socket. An error at once would discard it.
    Pause(Pin<Box<tokio::time::Sleep>>),
}

impl http_body::Body for HalfBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut *self {
            Self::Data(bytes) => {
                let bytes = std::mem::take(bytes);
                let pause = tokio::time::sleep(Duration::from_millis(20));
                *self = Self::Pause(Box::pin(pause));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Pause(pause) => pause
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(std::io::Error::other("truncated on order")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_collapsed_and_the_query_is_kept() {
        for (before, after) in [
            ("//v1/auth/me", "/v1/auth/me"),
            ("/v1///auth//me?x=//1", "/v1/auth/me?x=//1"),
            ("/v1/auth/me?a=b", "/v1/auth/me?a=b"),
            ("/", "/"),
        ] {
            let mut uri: Uri = before.parse().unwrap();
            collapse_slashes(&mut uri);
            assert_eq!(uri, after);
        }
    }
}
