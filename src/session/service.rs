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
use crate::reject::Renderer;

/// The service that [`SessionLayer`](super::SessionLayer) makes.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    project: Arc<Project>,
    renderer: Renderer,
}

impl<S> SessionService<S> {
    pub(super) fn new(inner: S, project: Arc<Project>, renderer: Renderer) -> Self {
        Self {
            inner,
            project,
            renderer,
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let project = &self.project;
        let mut renderer = self.renderer.clone();
        if let Some(outer) = request.extensions().get::<Session>() {
            if Arc::ptr_eq(outer.project(), project) {
                // The layer was applied twice. The outer one has decided, and adds the cookies to the response.
                if renderer.is_chosen() {
                    Session::render_by(&renderer, request.extensions_mut());
                }
                return ResponseFuture::pass(self.inner.call(request));
            }
            outer.meet(project);
            if let Some(nearest) = Session::renderer_in(request.extensions()) {
                renderer = renderer.or(nearest).clone();
            }
        }
        let cross_origin = project.origins.refuses(&request);
        let credentials = project.credentials(request.headers());
        let step = decide_now(project, &Evidence::new(project, &credentials, cross_origin));
        let cookies = credentials.cookie_lines();
        let decision: Decision = match step {
            Step::Decided(decided) => {
                let session = Session::rendered_by(renderer, project.clone(), decided, cookies)
                    .insert(&mut request);
                return ResponseFuture::call(self.inner.call(request), session);
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
            renderer,
        };
        ResponseFuture::wait(decision, waiting)
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
