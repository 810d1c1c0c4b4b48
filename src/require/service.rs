use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::requirement::Requirement;
use crate::reject::{Memo, Reject, Rejected, RejectedBy};
use crate::user::User;

/// The service that [`RequireLayer`](super::RequireLayer) makes.
#[derive(Clone, Debug)]
pub struct RequireService<S, R> {
    inner: S,
    requirement: Arc<Requirement>,
    rejection: R,
    chosen: bool,
}

impl<S, R> RequireService<S, R> {
    pub(super) fn new(inner: S, requirement: Requirement, rejection: R, chosen: bool) -> Self {
        Self {
            inner,
            requirement: Arc::new(requirement),
            rejection,
            chosen,
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RequireService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Reject<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let verdict = User::from_extensions(request.extensions())
            .and_then(|user| self.requirement.check(&user));
        match verdict {
            Ok(()) => ResponseFuture::Inner {
                future: self.inner.call(request),
            },
            Err(error) => {
                let memo = self.rejection.wants_request().then(|| Memo::of(&request));
                let mut response = self.rejection.reject(Rejected {
                    error: &error,
                    request: memo.as_ref(),
                });
                if !self.chosen {
                    response.extensions_mut().insert(RejectedBy(error));
                }
                ResponseFuture::Rejected {
                    response: Some(response),
                }
            }
        }
    }
}

pin_project! {
    /// The future of [`RequireService`].
    #[project = ResponseFutureProj]
    pub enum ResponseFuture<F, B> {
        #[doc(hidden)]
        Inner {
            #[pin]
            future: F,
        },
        #[doc(hidden)]
        Rejected {
            response: Option<Response<B>>,
        },
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResponseFutureProj::Inner { future } => future.poll(cx),
            ResponseFutureProj::Rejected { response } => {
                Poll::Ready(Ok(response.take().expect("polled after completion")))
            }
        }
    }
}

impl<F, B> std::fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
