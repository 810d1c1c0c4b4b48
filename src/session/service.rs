use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::{Request, Response};
use tower_service::Service;

use super::decide::{Evidence, Step, decide, decide_now, renew};
use super::future::{Decision, ResponseFuture, Waiting};
use super::state::Session;
use crate::project::Project;
use crate::reject::{Inherit, Rerender};

/// The service that [`SessionLayer`](super::SessionLayer) makes.
#[derive(Clone, Debug)]
pub struct SessionService<S, R = Inherit> {
    inner: S,
    project: Arc<Project>,
    rejection: R,
}

impl<S, R> SessionService<S, R> {
    pub(super) fn new(inner: S, project: Arc<Project>, rejection: R) -> Self {
        Self {
            inner,
            project,
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
        let project = &self.project;
        if let Some(outer) = request.extensions().get::<Session>() {
            if Arc::ptr_eq(outer.project(), project) {
                // The layer was applied twice. The outer one has decided, and adds the cookies to the response.
                return ResponseFuture::pass(self.inner.call(request));
            }
            outer.meet(project);
        }
        let rerender = self.rejection.remember(&request);
        let cross_origin = project.origins.refuses(&request);
        let credentials = project.credentials(request.headers());
        let step = decide_now(project, &Evidence::new(project, &credentials, cross_origin));
        let cookies = credentials.cookie_lines();
        let decision: Decision = match step {
            Step::Decided(decided) => {
                let session = Session::new(project.clone(), decided, cookies).insert(&mut request);
                let future = self.inner.call(request);
                return ResponseFuture::call(future, session, self.rejection.clone(), rerender);
            }
            Step::Renew(presented) => {
                let project = project.clone();
                Box::pin(async move { renew(&project, presented).await })
            }
            Step::Needs(_) => {
                let project = project.clone();
                let headers = credentials_of(request.headers());
                Box::pin(async move { decide(&project, &headers, cross_origin).await })
            }
        };
        // The service that was polled ready has to be the one that is called; the clone has not been polled.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let waiting = Waiting {
            service: ready,
            request,
            cookies,
            project: project.clone(),
        };
        ResponseFuture::wait(decision, waiting, self.rejection.clone(), rerender)
    }
}

/// The headers that carry credentials, for a decision that outlives the borrow of the request. Cloning a value copies
/// no bytes.
fn credentials_of(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::new();
    for name in [AUTHORIZATION, COOKIE] {
        for value in headers.get_all(&name) {
            copy.append(name.clone(), value.clone());
        }
    }
    copy
}
