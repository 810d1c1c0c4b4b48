use tower_layer::Layer;

use super::service::SessionService;
use crate::descope::Descope;
use crate::require::{Inherit, With};

/// Finds out who sent a request, and renews sessions that have run out. See the [module](crate::session).
///
/// `R` says who renders rejections that come back from inside; see [`with_rejection`](Self::with_rejection).
#[derive(Clone, Debug)]
pub struct SessionLayer<R = Inherit> {
    descope: Descope,
    rejection: R,
}

impl SessionLayer {
    /// The layer of this handle; the same as [`Descope::session_layer`].
    pub fn new(descope: Descope) -> Self {
        Self {
            descope,
            rejection: Inherit,
        }
    }
}

impl<R> SessionLayer<R> {
    /// Lets `rejection` answer for every extractor and every [`RequireLayer`](crate::RequireLayer) inside that has
    /// no renderer of its own. Default: what they made, a problem document (RFC 9457).
    pub fn with_rejection<R2>(self, rejection: R2) -> SessionLayer<With<R2>> {
        SessionLayer {
            descope: self.descope,
            rejection: With(rejection),
        }
    }
}

impl<S, R: Clone> Layer<S> for SessionLayer<R> {
    type Service = SessionService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.descope.clone(), self.rejection.clone())
    }
}
