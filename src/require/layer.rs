use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::requirement::Requirement;
use super::service::RequireService;
use super::tenant::TenantFrom;
use crate::reject::{Reject, Renderer};

/// Lets only those users pass who meet a [`Requirement`].
///
/// It runs before the body is read and before extractors. It needs a [`SessionLayer`](crate::SessionLayer) outside of
/// it; without one every request is answered with 500, and the log names the missing call.
///
/// | outcome | answer |
/// |---|---|
/// | the request has no token | 401, challenge without an error code (RFC 6750 section 3.1) |
/// | bad, expired or ended session | 401 `invalid_token` |
/// | role, permission or tenant missing | 403 `insufficient_scope` |
/// | step-up missing or too old | 401 `insufficient_user_authentication` (RFC 9470) |
/// | cookies of a cross-origin request | 403 |
/// | Descope cannot be reached | 503 with `Retry-After`; the cookies stay |
///
/// ```
/// # #[cfg(feature = "routes")] {
/// use axum::{Router, routing::get};
/// use tower_descope::RequireLayer;
///
/// let admin: Router = Router::new()
///     .route("/admin", get(async || "welcome"))
///     .route_layer(RequireLayer::new().role("admin"));
/// # let _ = admin; }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequireLayer {
    requirement: Requirement,
    renderer: Renderer,
}

impl RequireLayer {
    /// Lets every user with a session pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Requirement::role`].
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.requirement = self.requirement.role(role);
        self
    }

    /// See [`Requirement::permission`].
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.requirement = self.requirement.permission(permission);
        self
    }

    /// See [`Requirement::tenant`].
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.requirement = self.requirement.tenant(tenant);
        self
    }

    /// See [`Requirement::in_current_tenant`].
    #[must_use]
    pub fn in_current_tenant(mut self) -> Self {
        self.requirement = self.requirement.in_current_tenant();
        self
    }

    /// See [`Requirement::tenant_from`].
    #[must_use]
    pub fn tenant_from(mut self, source: TenantFrom) -> Self {
        self.requirement = self.requirement.tenant_from(source);
        self
    }

    /// See [`Requirement::step_up`].
    #[must_use]
    pub fn step_up(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.requirement = self.requirement.step_up(max_age);
        self
    }

    /// Answers rejections of this layer with `rejection`, whatever the session layer says. Default: the renderer that is
    /// set on the session layer, and a problem document (RFC 9457) if none is set there.
    #[must_use]
    pub fn with_rejection(mut self, rejection: impl Reject) -> Self {
        self.renderer = Renderer::new(rejection);
        self
    }
}

/// With a requirement that was put together elsewhere, to be shared with [`Policy`](crate::Policy) or checked by hand.
impl From<Requirement> for RequireLayer {
    fn from(requirement: Requirement) -> Self {
        Self {
            requirement,
            renderer: Renderer::default(),
        }
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = RequireService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let requirement = Arc::new(self.requirement.clone());
        RequireService::new(inner, requirement, self.renderer.clone())
    }
}
