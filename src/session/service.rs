use std::mem;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::{Request, Response};
use tower_service::Service;

use super::decide::{Step, decide, decide_now, renew};
use super::future::{Decision, ResponseFuture};
use super::source::CookieLines;
use super::state::{Decided, Session};
use crate::descope::Descope;
use crate::require::Rerender;

/// The service that [`SessionLayer`](super::SessionLayer) makes.
#[derive(Clone, Debug)]
pub struct SessionService<S, R = crate::require::Inherit> {
    inner: S,
    descope: Descope,
    rejection: R,
}

impl<S, R> SessionService<S, R> {
    pub(super) fn new(inner: S, descope: Descope, rejection: R) -> Self {
        Self {
            inner,
            descope,
            rejection,
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: Rerender<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let inner = self.descope.inner();
        if let Some(outer) = request.extensions().get::<Session>() {
            if outer.descope().is(&self.descope) {
                // Applied twice: the outer one has decided and writes back.
                return ResponseFuture::pass(self.inner.call(request));
            }
            outer.meet(&self.descope);
        }
        let rerender = self.rejection.remember(&request);
        let cross_origin = inner.origins.refuses(&request);
        let credentials = inner.credentials(request.headers());
        let step = decide_now(inner, &credentials, cross_origin);
        let cookies = credentials.cookie_lines();
        let decision: Decision = match step {
            Step::Decided(decided) => {
                let session = insert(&mut request, &self.descope, decided, cookies);
                let future = self.inner.call(request);
                return ResponseFuture::call(future, session, self.rejection.clone(), rerender);
            }
            Step::Renew(presented) => {
                let descope = self.descope.clone();
                Box::pin(async move { renew(descope.inner(), presented).await })
            }
            Step::NeedsKeys => {
                let descope = self.descope.clone();
                let headers = credentials_of(request.headers());
                Box::pin(async move { decide(descope.inner(), &headers, cross_origin).await })
            }
        };
        // The service that was polled ready is the one to call; its clone has not been polled.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        ResponseFuture::wait(
            decision,
            ready,
            request,
            cookies,
            self.descope.clone(),
            self.rejection.clone(),
            rerender,
        )
    }
}

/// Puts the outcome into the request and keeps a copy for the way back.
pub(super) fn insert<B>(
    request: &mut Request<B>,
    descope: &Descope,
    decided: Decided,
    cookies: CookieLines,
) -> Session {
    let session = Session::new(descope.clone(), decided, cookies);
    request.extensions_mut().insert(session.clone());
    session
}

/// The headers that matter, for a decision that outlives the borrow of the request. Values are shared, not copied.
fn credentials_of(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::new();
    for name in [AUTHORIZATION, COOKIE] {
        for value in headers.get_all(&name) {
            copy.append(name.clone(), value.clone());
        }
    }
    copy
}
