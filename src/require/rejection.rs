//! What a rejection looks like.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::error::{AuthError, AuthErrorKind};

/// Makes the response to a request that is not let through.
///
/// Implemented by [`ProblemJson`], [`NoBody`], [`GrpcStatus`],
/// [`RedirectToLogin`](super::RedirectToLogin) and by closures from `&AuthError` to a response.
pub trait Reject<B> {
    /// Makes the response.
    fn reject(&self, rejected: Rejected<'_>) -> Response<B>;

    /// Whether [`Rejected::request`] is wanted. Off by default, because keeping it costs an allocation a request.
    fn wants_request(&self) -> bool {
        false
    }
}

/// A request that is not let through, and why.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// Why.
    pub error: &'a AuthError,
    /// What was asked for; see [`Reject::wants_request`].
    pub request: Option<&'a Memo>,
}

/// What is kept of a request for its rejection.
#[derive(Clone, Debug)]
pub struct Memo {
    path_and_query: String,
    is_navigation: bool,
}

impl Memo {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path_and_query = request.uri().path_and_query();
        Self {
            path_and_query: path_and_query.map_or("/", |path| path.as_str()).to_owned(),
            is_navigation: is_navigation(request.method(), request.headers()),
        }
    }

    /// Path and query of the request as the layer saw it.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// Whether a browser is about to show the response as a page.
    pub fn is_navigation(&self) -> bool {
        self.is_navigation
    }
}

fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if method != Method::GET && method != Method::HEAD {
        return false;
    }
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .any(|accept| accept.contains("text/html")),
    }
}

/// A problem document (RFC 9457), with challenge and `Retry-After`. The default.
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

/// Status and headers without a body.
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

/// A gRPC status in a trailers-only response, for tonic: `UNAUTHENTICATED`, `PERMISSION_DENIED`, `UNAVAILABLE` or
/// `INTERNAL`.
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

impl<B, F> Reject<B> for F
where
    F: Fn(&AuthError) -> Response<B>,
{
    fn reject(&self, rejected: Rejected<'_>) -> Response<B> {
        self(rejected.error)
    }
}

/// Challenge, `Retry-After`, and nothing for caches.
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
    if *error.kind() == AuthErrorKind::MissingLayer {
        tracing::error!("{error}");
    }
}

/// Says that a response is a rejection which the session layer may render anew.
#[derive(Clone)]
pub(crate) struct Mark(pub(crate) AuthError);

/// Renders rejections that come back from inside a [`SessionLayer`](crate::SessionLayer). Sealed; implement
/// [`Reject`] instead.
pub trait Rerender<B>: sealed::Sealed {
    #[doc(hidden)]
    fn remember<Q>(&self, request: &Request<Q>) -> Option<Memo>;
    #[doc(hidden)]
    fn rerender(&self, response: Response<B>, memo: Option<Memo>) -> Response<B>;
}

/// Leaves rejections as they are. The default of [`SessionLayer`](crate::SessionLayer).
#[derive(Clone, Copy, Debug, Default)]
pub struct Inherit;

impl<B> Rerender<B> for Inherit {
    fn remember<Q>(&self, _: &Request<Q>) -> Option<Memo> {
        None
    }

    fn rerender(&self, response: Response<B>, _: Option<Memo>) -> Response<B> {
        response
    }
}

/// Renders rejections with `R`; made by [`SessionLayer::with_rejection`](crate::SessionLayer::with_rejection).
#[derive(Clone, Copy, Debug, Default)]
pub struct With<R>(pub(crate) R);

impl<B, R: Reject<B>> Rerender<B> for With<R> {
    fn remember<Q>(&self, request: &Request<Q>) -> Option<Memo> {
        self.0.wants_request().then(|| Memo::of(request))
    }

    fn rerender(&self, mut response: Response<B>, memo: Option<Memo>) -> Response<B> {
        // Taken out, so that a session layer further outside does not render it a third time.
        match response.extensions_mut().remove::<Mark>() {
            Some(Mark(error)) => self.0.reject(Rejected {
                error: &error,
                request: memo.as_ref(),
            }),
            None => response,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Inherit {}
    impl<R> Sealed for super::With<R> {}
}
