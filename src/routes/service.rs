use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tower_service::Service;

/// The routes as a [`tower::Service`](https://docs.rs/tower-service) that takes requests with any body of bytes,
/// such as `hyper::body::Incoming`. Made by [`Descope::routes_service`](crate::Descope::routes_service).
///
/// It serves paths that begin with `/v1/auth/` and answers 404 to all others. Either send it only requests with such a
/// path, or strip your own prefix first.
///
/// ```
/// use http::Request;
/// use http_body_util::Empty;
/// use bytes::Bytes;
/// use tower::ServiceExt;
/// use tower_descope::Descope;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
/// let request = Request::post("/v1/auth/logout").body(Empty::<Bytes>::new())?;
/// let response = descope.routes_service().oneshot(request).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RoutesService {
    router: Router,
}

impl RoutesService {
    pub(super) fn new(router: Router) -> Self {
        Self { router }
    }
}

impl<B> Service<Request<B>> for RoutesService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RoutesFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, request: Request<B>) -> RoutesFuture {
        RoutesFuture {
            inner: self.router.call(request),
        }
    }
}

impl fmt::Debug for RoutesService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesService").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`RoutesService`].
    pub struct RoutesFuture {
        #[pin]
        inner: RouteFuture<Infallible>,
    }
}

impl Future for RoutesFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl fmt::Debug for RoutesFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesFuture").finish_non_exhaustive()
    }
}
