use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::requirement::Requirement;
use crate::headers::RequestHead;
use crate::reject::{Renderer, ResponseBody};
use crate::session::Session;
use crate::user::User;

/// The service that [`RequireLayer`](super::RequireLayer) makes.
#[derive(Clone, Debug)]
pub struct RequireService<S> {
    inner: S,
    requirement: Arc<Requirement>,
    renderer: Renderer,
}

impl<S> RequireService<S> {
    pub(super) fn new(inner: S, requirement: Arc<Requirement>, renderer: Renderer) -> Self {
        Self {
            inner,
            requirement,
            renderer,
        }
    }

    /// The response to this request if it is rejected.
    fn rejection<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        let head = RequestHead::from(request);
        let error = User::from_extensions(head.extensions())
            .and_then(|user| self.requirement.check_request(&user, head))
            .err()?;
        let nearest = Session::renderer_in(head.extensions());
        let renderer = nearest.map_or(&self.renderer, |nearest| self.renderer.or(nearest));
        Some(renderer.render(&error, head))
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let answer = match self.rejection(&request) {
            None => Answer::Inner {
                future: self.inner.call(request),
            },
            Some(response) => Answer::Rejection {
                response: Some(response),
            },
        };
        ResponseFuture { answer }
    }
}

pin_project! {
    /// The future of [`RequireService`].
    pub struct ResponseFuture<F> {
        #[pin]
        answer: Answer<F>,
    }
}

pin_project! {
    #[project = AnswerProj]
    enum Answer<F> {
        Inner {
            #[pin]
            future: F,
        },
        Rejection {
            response: Option<Response<Bytes>>,
        },
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            AnswerProj::Inner { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            AnswerProj::Rejection { response } => {
                let response = response.take().expect("polled after completion");
                Poll::Ready(Ok(response.map(ResponseBody::rejection)))
            }
        }
    }
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
