use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tenant::TenantFrom;
use crate::error::{AuthError, AuthErrorKind};
use crate::headers::RequestHead;
use crate::token::Claims;
use crate::user::User;

/// What a user must have. A user has to meet all parts of it. Default: nothing but a session.
///
/// Roles and permissions are compared exactly. If a tenant `t` is required, the roles and permissions in `t` count, by
/// the rule of the Go SDK: those under `tenants[t]`, else the top-level ones if the session is in tenant `t` and the
/// token has no `tenants` at all. If no tenant is required, those in the project count: the top-level ones, unless the
/// session is in a tenant and the token has no `tenants` at all, because they then belong to that tenant
/// ([`User::roles`]). So an admin of one tenant does not pass where an admin of the project is required. To let admins
/// of the session's tenant pass, use [`Self::in_current_tenant`].
#[derive(Clone, Debug, Default)]
pub struct Requirement {
    roles: Vec<String>,
    permissions: Vec<String>,
    scope: Scope,
    step_up: Option<Option<Duration>>,
    /// All of them.
    all: Vec<Requirement>,
    /// Of each of these, one.
    any: Vec<Vec<Requirement>>,
    /// None of them.
    none: Vec<Requirement>,
    predicates: Vec<Predicate>,
}

type MeetsRequest = dyn Fn(&User, &RequestHead<'_>) -> bool + Send + Sync;

#[derive(Clone)]
enum Predicate {
    User(Arc<dyn Fn(&User) -> bool + Send + Sync>),
    Request(Arc<MeetsRequest>),
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

/// Why a requirement is not met.
#[derive(Clone, Copy)]
enum Refusal {
    /// The user lacks something of this kind.
    Lacks(&'static str),
    /// The requirement is about the request, and there is none to look at.
    NoRequest,
    StepUp(Option<Duration>),
}

/// Where roles and permissions count.
#[derive(Clone, Debug, Default)]
enum Scope {
    #[default]
    Project,
    Tenant(String),
    CurrentTenant,
    RequestedTenant(TenantFrom),
}

impl Requirement {
    /// Requires nothing but a session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires this role, besides what is required already.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Requires this permission, besides what is required already.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.permissions.push(permission.into());
        self
    }

    /// Requires that the user belongs to this tenant; roles and permissions are then those in this tenant. Replaces an
    /// earlier call of this method and of [`Self::in_current_tenant`]. Default: no tenant is required.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.scope = Scope::Tenant(tenant.into());
        self
    }

    /// Requires that the session is in a tenant, whichever it is ([`User::current_tenant`]); roles and permissions are
    /// then those in that tenant. Replaces an earlier [`Self::tenant`]. The handler must then show that tenant's data
    /// only.
    #[must_use]
    pub fn in_current_tenant(mut self) -> Self {
        self.scope = Scope::CurrentTenant;
        self
    }

    /// Requires that the user belongs to the tenant that the request names; roles and permissions are then those in that
    /// tenant. Replaces an earlier [`Self::tenant`].
    ///
    /// ```
    /// use tower_descope::require::{Requirement, TenantFrom};
    ///
    /// // An owner of the tenant in `/t/{tenant}/settings`.
    /// let owner = Requirement::new().tenant_from(TenantFrom::path_after("/t/")).role("owner");
    /// # let _ = owner;
    /// ```
    #[must_use]
    pub fn tenant_from(mut self, source: TenantFrom) -> Self {
        self.scope = Scope::RequestedTenant(source);
        self
    }

    /// Requires that the session is stepped up (`su`) and, if `max_age` is given, that its JWT is not older than
    /// `max_age` (`iat`). Default: no step-up is required.
    #[must_use]
    pub fn step_up(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.step_up = Some(max_age.into());
        self
    }

    /// Requires another requirement besides. Each has a tenant of its own: a role in one tenant and a permission in
    /// another one are two requirements.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.all.push(other);
        self
    }

    /// Requires at least one of these, besides what is required already. Of none of them, nobody passes.
    ///
    /// If a user lacks only a step-up for one of them, the answer asks for the step-up.
    ///
    /// ```
    /// use tower_descope::require::Requirement;
    ///
    /// // An editor, or somebody who may write and has stepped up.
    /// let requirement = Requirement::new().any_of([
    ///     Requirement::new().role("editor"),
    ///     Requirement::new().permission("write").step_up(None),
    /// ]);
    /// # let _ = requirement;
    /// ```
    #[must_use]
    pub fn any_of(mut self, alternatives: impl IntoIterator<Item = Self>) -> Self {
        self.any.push(alternatives.into_iter().collect());
        self
    }

    /// Requires that the user does not meet another requirement, besides what is required already.
    #[must_use]
    pub fn not(mut self, other: Self) -> Self {
        self.none.push(other);
        self
    }

    /// Requires what a function of yours says of the user, besides what is required already. It runs with every request,
    /// so it must not block.
    ///
    /// ```
    /// use tower_descope::require::Requirement;
    ///
    /// let by_app = Requirement::new().predicate(|user| user.amr().any(|factor| factor == "totp"));
    /// # let _ = by_app;
    /// ```
    #[must_use]
    pub fn predicate(mut self, meets: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        let predicate = Predicate::User(Arc::new(meets));
        self.predicates.push(predicate);
        self
    }

    /// Requires what a function of yours says of the user and the request, besides what is required already. It runs
    /// with every request, so it must not block.
    ///
    /// ```
    /// use tower_descope::require::Requirement;
    ///
    /// // Everybody may read, and editors may write.
    /// let readers = Requirement::new()
    ///     .request_predicate(|user, request| request.method().is_safe() || user.has_role("editor"));
    /// # let _ = readers;
    /// ```
    #[must_use]
    pub fn request_predicate(
        mut self,
        meets: impl Fn(&User, &RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let predicate = Predicate::Request(Arc::new(meets));
        self.predicates.push(predicate);
        self
    }

    /// Checks that the user meets all parts of the requirement.
    ///
    /// Nobody meets a requirement that is about the request, by [`Self::tenant_from`] or [`Self::request_predicate`], and
    /// an event in the log says so; check that with [`Self::check_request`].
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::Forbidden`] for a missing tenant, role or permission, else
    /// [`AuthErrorKind::StepUpRequired`].
    pub fn check(&self, user: &User) -> Result<(), AuthError> {
        self.judge(user, None)
    }

    /// Checks that the user meets all parts of the requirement in this request, given as `&Request<B>` or `&Parts`.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn check_request<'a>(
        &self,
        user: &User,
        request: impl Into<RequestHead<'a>>,
    ) -> Result<(), AuthError> {
        self.judge(user, Some(&request.into()))
    }

    fn judge(&self, user: &User, request: Option<&RequestHead<'_>>) -> Result<(), AuthError> {
        match self.verdict(user, request) {
            Ok(()) => Ok(()),
            Err(Refusal::Lacks(rule)) => {
                tracing::debug!(
                    event = "requirement.refused",
                    rule,
                    "the user does not meet a rule of this kind: {rule}"
                );
                Err(AuthErrorKind::Forbidden.into())
            }
            Err(Refusal::NoRequest) => {
                tracing::error!(
                    event = "requirement.refused",
                    rule = "request",
                    "the requirement is about the request: check it with `check_request`"
                );
                Err(AuthErrorKind::Forbidden.into())
            }
            Err(Refusal::StepUp(max_age)) => {
                tracing::debug!(
                    event = "requirement.refused",
                    rule = "step-up",
                    "the session is not stepped up, or no longer"
                );
                Err(AuthErrorKind::StepUpRequired { max_age }.into())
            }
        }
    }

    fn verdict(&self, user: &User, request: Option<&RequestHead<'_>>) -> Result<(), Refusal> {
        self.in_scope(user.claims(), request)?;
        for other in &self.none {
            match other.verdict(user, request) {
                Ok(()) => return Err(Refusal::Lacks("not")),
                Err(Refusal::NoRequest) => return Err(Refusal::NoRequest),
                Err(_) => {}
            }
        }
        for predicate in &self.predicates {
            let meets = match predicate {
                Predicate::User(meets) => meets(user),
                Predicate::Request(meets) => meets(user, request.ok_or(Refusal::NoRequest)?),
            };
            if !meets {
                return Err(Refusal::Lacks("predicate"));
            }
        }
        // What can be remedied comes last, so that nobody steps up in vain.
        let mut step_up = None;
        let mut remember = |verdict: Result<(), Refusal>| match verdict {
            Err(Refusal::StepUp(max_age)) => {
                step_up.get_or_insert(max_age);
                Ok(())
            }
            verdict => verdict,
        };
        for other in &self.all {
            remember(other.verdict(user, request))?;
        }
        for alternatives in &self.any {
            remember(one_of(alternatives, user, request))?;
        }
        if let Some(max_age) = self.step_up
            && !user.stepped_up_within(max_age)
        {
            remember(Err(Refusal::StepUp(max_age)))?;
        }
        step_up.map_or(Ok(()), |max_age| Err(Refusal::StepUp(max_age)))
    }

    /// Whether the user has the tenant, the roles and the permissions.
    fn in_scope(&self, claims: &Claims, request: Option<&RequestHead<'_>>) -> Result<(), Refusal> {
        let lacking = match &self.scope {
            Scope::Project => self.lacking(claims.roles(), claims.permissions()),
            Scope::Tenant(tenant) => self.lacking_in(claims, Some(tenant)),
            Scope::CurrentTenant => self.lacking_in(claims, claims.dct()),
            Scope::RequestedTenant(source) => {
                let request = request.ok_or(Refusal::NoRequest)?;
                match source.tenant_of(*request) {
                    Some(tenant) => self.lacking_in(claims, Some(&tenant)),
                    None => Some("requested-tenant"),
                }
            }
        };
        lacking.map_or(Ok(()), |rule| Err(Refusal::Lacks(rule)))
    }

    /// Which kind of thing the user lacks in a tenant, if anything: `tenant`, `role` or `permission`.
    fn lacking_in(&self, claims: &Claims, tenant: Option<&str>) -> Option<&'static str> {
        let Some(tenant) = tenant.filter(|tenant| claims.is_in_tenant(tenant)) else {
            return Some("tenant");
        };
        self.lacking(
            claims.tenant_roles(tenant),
            claims.tenant_permissions(tenant),
        )
    }

    fn lacking<'a>(
        &self,
        roles: impl Iterator<Item = &'a str> + Clone,
        permissions: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'static str> {
        if !has_all(&self.roles, roles) {
            Some("role")
        } else if !has_all(&self.permissions, permissions) {
            Some("permission")
        } else {
            None
        }
    }
}

/// The first alternative that is met, else the first that lacks nothing but a step-up.
fn one_of(
    alternatives: &[Requirement],
    user: &User,
    request: Option<&RequestHead<'_>>,
) -> Result<(), Refusal> {
    let mut refusal = Refusal::Lacks("alternatives");
    for alternative in alternatives {
        match alternative.verdict(user, request) {
            Ok(()) => return Ok(()),
            Err(Refusal::NoRequest) => return Err(Refusal::NoRequest),
            Err(step_up @ Refusal::StepUp(_)) if matches!(refusal, Refusal::Lacks(_)) => {
                refusal = step_up;
            }
            Err(_) => {}
        }
    }
    Err(refusal)
}

fn has_all<'a>(wanted: &[String], has: impl Iterator<Item = &'a str> + Clone) -> bool {
    wanted
        .iter()
        .all(|wanted| has.clone().any(|has| has == wanted))
}
