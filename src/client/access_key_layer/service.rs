use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::header::AUTHORIZATION;
use tower_service::Service;

use super::error::AccessKeyError;
use super::future::AccessKeyFuture;
use super::ledger::Step;
use super::session::KeySession;

/// The service that [`AccessKeyLayer`](super::AccessKeyLayer) makes.
#[derive(Clone)]
pub struct AccessKeyService<S> {
    inner: S,
    session: Arc<KeySession>,
}

impl<S> AccessKeyService<S> {
    pub(super) fn new(inner: S, session: Arc<KeySession>) -> Self {
        Self { inner, session }
    }
}

impl<S, B> Service<Request<B>> for AccessKeyService<S>
where
    S: Service<Request<B>> + Clone,
{
    type Response = S::Response;
    type Error = AccessKeyError<S::Error>;
    type Future = AccessKeyFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The exchange is not waited for here: its failure concerns one call, while a service whose `poll_ready` has
        // failed is given up.
        self.inner.poll_ready(cx).map_err(AccessKeyError::Call)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.session.step() {
            Step::Go { bearer, .. } => {
                request.headers_mut().insert(AUTHORIZATION, bearer);
                AccessKeyFuture::call(self.inner.call(request))
            }
            Step::Fail(error) => AccessKeyFuture::fail(error),
            Step::Wait => {
                // The service that was polled ready has to be the one that is called; the clone has not been polled.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                AccessKeyFuture::wait(self.session.clone().wait(), ready, request)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for AccessKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeyService")
            .field("inner", &self.inner)
            .field("client", self.session.client())
            .finish_non_exhaustive()
    }
}
