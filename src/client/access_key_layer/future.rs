use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::error::AccessKeyError;
use crate::client::ClientError;

pin_project! {
    /// The future of [`AccessKeyService`](super::AccessKeyService).
    ///
    /// It allocates only where the call has to wait for an exchange. Dropping it does not cancel the exchange.
    pub struct AccessKeyFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        phase: Phase<S, B, S::Future>,
    }
}

type Bearer = Pin<Box<dyn Future<Output = Result<HeaderValue, ClientError>> + Send>>;

pin_project! {
    #[project = PhaseProj]
    enum Phase<S, B, F> {
        Waiting {
            bearer: Bearer,
            // Boxed to keep this future small, because few calls have to wait.
            call: Option<Box<(S, Request<B>)>>,
        },
        Calling {
            #[pin]
            future: F,
        },
        Failed {
            error: Option<ClientError>,
        },
    }
}

impl<S, B> AccessKeyFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn call(future: S::Future) -> Self {
        Self {
            phase: Phase::Calling { future },
        }
    }

    pub(super) fn fail(error: ClientError) -> Self {
        Self {
            phase: Phase::Failed { error: Some(error) },
        }
    }

    /// `ready` is the service that was polled ready.
    pub(super) fn wait(
        bearer: impl Future<Output = Result<HeaderValue, ClientError>> + Send + 'static,
        ready: S,
        request: Request<B>,
    ) -> Self {
        Self {
            phase: Phase::Waiting {
                bearer: Box::pin(bearer),
                call: Some(Box::new((ready, request))),
            },
        }
    }
}

impl<S, B> Future for AccessKeyFuture<S, B>
where
    S: Service<Request<B>>,
{
    type Output = Result<S::Response, AccessKeyError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut phase = self.project().phase;
        loop {
            let future = match phase.as_mut().project() {
                PhaseProj::Calling { future } => {
                    return future.poll(cx).map_err(AccessKeyError::Call);
                }
                PhaseProj::Failed { error } => {
                    let error = error.take().expect("polled after completion");
                    return Poll::Ready(Err(AccessKeyError::Exchange(error)));
                }
                PhaseProj::Waiting { bearer, call } => {
                    let bearer = ready!(bearer.as_mut().poll(cx));
                    let (mut service, mut request) = *call.take().expect("polled after completion");
                    let bearer = bearer.map_err(AccessKeyError::Exchange)?;
                    request.headers_mut().insert(AUTHORIZATION, bearer);
                    service.call(request)
                }
            };
            phase.set(Phase::Calling { future });
        }
    }
}

impl<S, B> fmt::Debug for AccessKeyFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeyFuture").finish_non_exhaustive()
    }
}
