use std::time::Duration;

use crate::error::{AuthError, AuthErrorKind};
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
}

/// Where roles and permissions count.
#[derive(Clone, Debug, Default)]
enum Scope {
    #[default]
    Project,
    Tenant(String),
    CurrentTenant,
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

    /// Requires that the session is stepped up (`su`) and, if `max_age` is given, that its JWT is not older than
    /// `max_age` (`iat`). Default: no step-up is required.
    #[must_use]
    pub fn step_up(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.step_up = Some(max_age.into());
        self
    }

    /// Checks that the user meets all parts of the requirement.
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::Forbidden`] for a missing tenant, role or permission, else
    /// [`AuthErrorKind::StepUpRequired`].
    pub fn check(&self, user: &User) -> Result<(), AuthError> {
        if let Some(rule) = self.refusing(user.claims()) {
            tracing::debug!(
                event = "requirement.refused",
                rule,
                "the user lacks a {rule}"
            );
            return Err(AuthErrorKind::Forbidden.into());
        }
        match self.step_up {
            Some(max_age) if !user.stepped_up_within(max_age) => {
                tracing::debug!(
                    event = "requirement.refused",
                    rule = "step-up",
                    "the session is not stepped up, or no longer"
                );
                Err(AuthErrorKind::StepUpRequired { max_age }.into())
            }
            _ => Ok(()),
        }
    }

    /// Which kind of thing the user lacks, if anything: `tenant`, `role` or `permission`.
    fn refusing(&self, claims: &Claims) -> Option<&'static str> {
        let in_tenant = |tenant| {
            if claims.is_in_tenant(tenant) {
                let (roles, permissions) = (
                    claims.tenant_roles(tenant),
                    claims.tenant_permissions(tenant),
                );
                self.lacking(roles, permissions)
            } else {
                Some("tenant")
            }
        };
        match &self.scope {
            Scope::Project => self.lacking(claims.roles(), claims.permissions()),
            Scope::Tenant(tenant) => in_tenant(tenant.as_str()),
            Scope::CurrentTenant => claims.dct().map_or(Some("tenant"), in_tenant),
        }
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

fn has_all<'a>(wanted: &[String], has: impl Iterator<Item = &'a str> + Clone) -> bool {
    wanted
        .iter()
        .all(|wanted| has.clone().any(|has| has == wanted))
}
