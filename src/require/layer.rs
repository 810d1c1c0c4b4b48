use std::time::Duration;

use tower_layer::Layer;

use super::requirement::Requirement;
use super::service::RequireService;
use crate::reject::ProblemJson;

/// Lets only those users pass who meet a [`Requirement`].
///
/// It runs before the body is read and before extractors. It needs a [`SessionLayer`](crate::SessionLayer) outside of
/// it; without one every request is answered with 500, and the log names the missing call. (A renderer of your own, and
/// [`GrpcStatus`](crate::require::GrpcStatus), log nothing.)
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
#[derive(Clone, Debug)]
pub struct RequireLayer<R = ProblemJson> {
    requirement: Requirement,
    rejection: R,
    /// Whether the app has chosen `rejection`; if not, a renderer that is set on the session layer takes its place.
    chosen: bool,
}

impl RequireLayer {
    /// Lets every user with a session pass.
    pub fn new() -> Self {
        Self {
            requirement: Requirement::new(),
            rejection: ProblemJson,
            chosen: false,
        }
    }
}

impl Default for RequireLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> RequireLayer<R> {
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

    /// See [`Requirement::step_up`].
    #[must_use]
    pub fn step_up(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.requirement = self.requirement.step_up(max_age);
        self
    }

    /// Answers rejections with `rejection`, whatever the session layer says. Default: the renderer that is set on the
    /// session layer, and a problem document (RFC 9457) if none is set there.
    pub fn with_rejection<R2>(self, rejection: R2) -> RequireLayer<R2> {
        RequireLayer {
            requirement: self.requirement,
            rejection,
            chosen: true,
        }
    }
}

/// With a requirement that was put together elsewhere, to be shared with [`Policy`](crate::Policy) or checked by hand.
impl From<Requirement> for RequireLayer {
    fn from(requirement: Requirement) -> Self {
        Self {
            requirement,
            ..Self::new()
        }
    }
}

impl<S, R: Clone> Layer<S> for RequireLayer<R> {
    type Service = RequireService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService::new(
            inner,
            self.requirement.clone(),
            self.rejection.clone(),
            self.chosen,
        )
    }
}
