use std::sync::Arc;

use tower_layer::Layer;

use super::service::SessionService;
use crate::project::Project;
use crate::reject::{Reject, Renderer};

/// A tower layer that finds out who sent a request, and renews sessions that have run out. See the
/// [module](crate::session).
#[derive(Clone, Debug)]
pub struct SessionLayer {
    project: Arc<Project>,
    renderer: Renderer,
}

impl SessionLayer {
    pub(crate) fn of(project: Arc<Project>) -> Self {
        Self {
            project,
            renderer: Renderer::default(),
        }
    }

    /// Lets `rejection` make the response wherever an extractor, or a [`RequireLayer`](crate::RequireLayer) that has
    /// no renderer of its own, rejects a request inside this layer. Default: that of a session layer further outside,
    /// else a problem document (RFC 9457).
    ///
    /// Of layers inside each other the innermost with a renderer counts, also where they are of one handle, so a nested
    /// router can have another renderer than the rest. The response is made where the request is rejected: layers in
    /// between see it as any other response.
    #[must_use]
    pub fn with_rejection(mut self, rejection: impl Reject) -> Self {
        self.renderer = Renderer::new(rejection);
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.project.clone(), self.renderer.clone())
    }
}
