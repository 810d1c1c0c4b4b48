use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::identity::Decided;
use super::state::Session;
use super::write_back::write_back;
use crate::headers::CookieLines;
use crate::project::Project;
use crate::reject::Renderer;

pin_project! {
    /// The future of [`SessionService`](super::SessionService).
    ///
    /// It allocates only where the decision has to wait for the network.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        phase: Phase<S, B, S::Future>,
    }
}

pub(super) type Decision = Pin<Box<dyn Future<Output = Decided> + Send>>;

pin_project! {
    #[project = PhaseProj]
    enum Phase<S, B, F> {
        Deciding {
            decision: Decision,
            // Boxed to keep this future small: every request moves it, and few requests have to wait.
            waiting: Option<Box<Waiting<S, B>>>,
        },
        Calling {
            #[pin]
            future: F,
            session: Option<Session>,
        },
    }
}

/// What is kept while a decision waits for the network: the service that was polled ready, and the request for it.
pub(super) struct Waiting<S, B> {
    pub(super) service: S,
    pub(super) request: Request<B>,
    pub(super) cookies: CookieLines,
    pub(super) project: Arc<Project>,
    pub(super) renderer: Renderer,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// Leaves the response of the inner service as it is.
    pub(super) fn pass(future: S::Future) -> Self {
        Self {
            phase: Phase::Calling {
                future,
                session: None,
            },
        }
    }

    pub(super) fn call(future: S::Future, session: Session) -> Self {
        Self {
            phase: Phase::Calling {
                future,
                session: Some(session),
            },
        }
    }

    pub(super) fn wait(decision: Decision, waiting: Waiting<S, B>) -> Self {
        Self {
            phase: Phase::Deciding {
                decision,
                waiting: Some(Box::new(waiting)),
            },
        }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.phase.as_mut().project() {
                PhaseProj::Deciding { decision, waiting } => {
                    let decided = ready!(decision.as_mut().poll(cx));
                    let mut waiting = *waiting.take().expect("polled after completion");
                    let session = Session::rendered_by(
                        waiting.renderer,
                        waiting.project,
                        decided,
                        waiting.cookies,
                    )
                    .insert(&mut waiting.request);
                    Phase::Calling {
                        future: waiting.service.call(waiting.request),
                        session: Some(session),
                    }
                }
                PhaseProj::Calling { future, session } => {
                    let mut response = ready!(future.poll(cx))?;
                    let Some(session) = session.take() else {
                        return Poll::Ready(Ok(response));
                    };
                    write_back(&session, response.headers_mut());
                    return Poll::Ready(Ok(response));
                }
            };
            this.phase.set(next);
        }
    }
}

impl<S, B> std::fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
