use std::time::Duration;

use crate::error::{AuthError, AuthErrorKind};
use crate::user::User;

/// What a user must have: all of it.
///
/// Roles and permissions are compared exactly. With a tenant they are those in that tenant, by the rule of the Go
/// SDK: `tenants[t]`, else the top-level ones if the session is in tenant `t` and the token has no `tenants` at all.
/// Without a tenant they are the top-level ones.
#[derive(Clone, Debug, Default)]
pub struct Requirement {
    roles: Vec<String>,
    permissions: Vec<String>,
    tenant: Option<String>,
    step_up: Option<Option<Duration>>,
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

    /// The user must belong to this tenant, and roles and permissions count there. Replaces an earlier tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
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
        let claims = user.claims();
        let granted = match self.tenant.as_deref() {
            None => {
                has_all(&self.roles, claims.roles())
                    && has_all(&self.permissions, claims.permissions())
            }
            Some(tenant) => {
                claims.is_in_tenant(tenant)
                    && has_all(&self.roles, claims.tenant_roles(tenant))
                    && has_all(&self.permissions, claims.tenant_permissions(tenant))
            }
        };
        if !granted {
            return Err(AuthErrorKind::Forbidden.into());
        }
        match self.step_up {
            Some(max_age) if !user.stepped_up_within(max_age) => {
                Err(AuthErrorKind::StepUpRequired { max_age }.into())
            }
            _ => Ok(()),
        }
    }
}

fn has_all<'a>(wanted: &[String], has: impl Iterator<Item = &'a str> + Clone) -> bool {
    wanted
        .iter()
        .all(|wanted| has.clone().any(|has| has == wanted))
}
