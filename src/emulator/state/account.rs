//! What a signed-in user asks about: profile, tenants, history, and which tenant the session is in.

use serde_json::json;

use super::super::error::ApiError;
use super::super::token::{self, Claims};
use super::sessions::Presented;
use super::{Grant, State};
use crate::wire::{HistoryEntry, MyTenantsRequest, TenantInfo, TenantsResponse, UserProfile};

impl State {
    /// `GET /v1/auth/me`.
    pub(crate) fn me(&self, presented: &Presented) -> Result<UserProfile, ApiError> {
        let caller = self.authenticate(presented)?;
        self.directory
            .get(&caller.user_id)
            .map(|user| user.profile.clone())
            .ok_or_else(ApiError::user_not_found)
    }

    /// `GET /v1/auth/me/history`, newest first.
    pub(crate) fn history(&self, presented: &Presented) -> Result<Vec<HistoryEntry>, ApiError> {
        let caller = self.authenticate(presented)?;
        let user = self
            .directory
            .get(&caller.user_id)
            .ok_or_else(ApiError::user_not_found)?;
        Ok(user.history.iter().rev().cloned().collect())
    }

    /// `POST /v1/auth/me/tenants`. Tenants that the user is not in are left out.
    pub(crate) fn my_tenants(
        &self,
        presented: &Presented,
        request: &MyTenantsRequest,
    ) -> Result<TenantsResponse, ApiError> {
        let caller = self.authenticate(presented)?;
        let user = self
            .directory
            .get(&caller.user_id)
            .ok_or_else(ApiError::user_not_found)?;
        let current = self.current_tenant(&caller.session_id);
        let tenants = user
            .profile
            .user_tenants
            .iter()
            .filter(|tenant| !request.dct || tenant.tenant_id == current)
            .filter(|tenant| request.ids.is_empty() || request.ids.contains(&tenant.tenant_id))
            .map(|tenant| {
                self.directory
                    .tenant(&tenant.tenant_id)
                    .cloned()
                    .unwrap_or_else(|| TenantInfo {
                        id: tenant.tenant_id.clone(),
                        name: tenant.tenant_name.clone(),
                        ..TenantInfo::default()
                    })
            })
            .collect();
        Ok(TenantsResponse { tenants })
    }

    /// `POST /v1/auth/tenant/select`. The reply has a new refresh JWT in every rotation mode, for it carries
    /// `dct`, too.
    pub(crate) fn select_tenant(
        &mut self,
        presented: &Presented,
        tenant: &str,
    ) -> Result<Grant, ApiError> {
        let caller = self.authenticate(presented)?;
        if tenant.is_empty() {
            return Err(ApiError::missing("tenant"));
        }
        let is_member = self
            .directory
            .get(&caller.user_id)
            .is_some_and(|user| user.is_in_tenant(tenant));
        if !is_member {
            return Err(ApiError::forbidden("The user is not in this tenant"));
        }
        if let Some(session) = self.sessions.get_mut(&caller.session_id) {
            tenant.clone_into(&mut session.tenant);
        }
        let token_id = self.issue_refresh_token(&caller.session_id)?;
        self.grant(&caller.session_id, Some(&token_id), false)
    }

    /// `POST /v1/auth/validate`: the claims of a session JWT, with its times as text.
    pub(crate) fn validate(&self, session_jwt: Option<&str>) -> Result<Claims, ApiError> {
        let jwt =
            session_jwt.ok_or_else(|| ApiError::invalid_token("A session JWT is required"))?;
        let mut claims = token::verify(&self.keys, jwt, token::SESSION, self.now())?;
        for name in ["exp", "iat"] {
            if let Some(time) = claims.get(name).and_then(serde_json::Value::as_i64) {
                claims.insert(name.to_owned(), json!(token::rfc3339(time)));
            }
        }
        Ok(claims)
    }
}
