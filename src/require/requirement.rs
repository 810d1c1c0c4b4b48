use std::time::Duration;

use crate::error::{AuthError, AuthErrorKind};
use crate::token::Claims;
use crate::user::User;

/// What a user must have: all of it.
///
/// Roles and permissions are compared exactly. With a tenant they are those in that tenant, by the rule of the Go
/// SDK: `tenants[t]`, else the top-level ones if the session is in tenant `t` and the token has no `tenants` at all.
/// Without a tenant they are those in the project: the top-level ones, except in that last case, where they belong to
/// the tenant ([`User::roles`]). So an admin of one tenant does not pass where an admin of the project is wanted;
/// [`Self::in_current_tenant`] asks for the former.
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
    /// Nothing but a session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Adds a permission.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.permissions.push(permission.into());
        self
    }

    /// The user must belong to this tenant, and roles and permissions count there. Replaces an earlier tenant, and
    /// [`Self::in_current_tenant`].
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.scope = Scope::Tenant(tenant.into());
        self
    }

    /// The session must be in a tenant, whichever it is ([`User::current_tenant`]), and roles and permissions count
    /// there. Replaces an earlier [`Self::tenant`]. What the handler then shows must be that tenant's.
    #[must_use]
    pub fn in_current_tenant(mut self) -> Self {
        self.scope = Scope::CurrentTenant;
        self
    }

    /// The session must be stepped up (`su`), and if `max_age` is given, its JWT not older than that (`iat`).
    #[must_use]
    pub fn step_up(mut self, max_age: impl Into<Option<Duration>>) -> Self {
        self.step_up = Some(max_age.into());
        self
    }

    /// Whether the user has all of it.
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

    /// What the user lacks, if anything.
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
