use std::sync::Arc;

use tower_layer::Layer;

use super::service::SessionService;
use crate::project::Project;
use crate::reject::{Inherit, With};

/// A tower layer that finds out who sent a request, and renews sessions that have run out. See the
/// [module](crate::session).
///
/// `R` renders the rejections of the extractors and layers inside; see [`with_rejection`](Self::with_rejection).
#[derive(Clone, Debug)]
pub struct SessionLayer<R = Inherit> {
    project: Arc<Project>,
    rejection: R,
}

impl SessionLayer {
    pub(crate) fn of(project: Arc<Project>) -> Self {
        Self {
            project,
            rejection: Inherit,
        }
    }
}

impl<R> SessionLayer<R> {
    /// Lets `rejection` make the response wherever an extractor, or a [`RequireLayer`](crate::RequireLayer) that has
    /// no renderer of its own, rejects a request inside this layer. Default: the response that they made, a problem
    /// document (RFC 9457).
    pub fn with_rejection<R2>(self, rejection: R2) -> SessionLayer<With<R2>> {
        SessionLayer {
            project: self.project,
            rejection: With(rejection),
        }
    }
}

impl<S, R: Clone> Layer<S> for SessionLayer<R> {
    type Service = SessionService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.project.clone(), self.rejection.clone())
    }
}
