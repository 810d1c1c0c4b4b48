//! The tokens that a call issues.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::config::TokenDelivery;
use super::super::error::ApiError;
use super::super::keys::SigningKey;
use super::super::random;
use super::super::token::{self, Claims};
use super::State;
use crate::wire::{JwtResponse, UserProfile, UserTenant};

/// Tokens that are decided on but not yet signed. Signing costs the better part of a millisecond, so it happens
/// after the state's lock is released.
pub(crate) struct Grant {
    key: Arc<SigningKey>,
    session: Claims,
    refresh: Option<Claims>,
    session_expires: i64,
    refresh_expires: i64,
    now: i64,
    pub(crate) user: Option<UserProfile>,
    pub(crate) first_seen: bool,
    pub(crate) delivery: TokenDelivery,
}

impl Grant {
    /// The reply in body form, whatever the project's delivery mode.
    pub(crate) fn sign(self) -> Result<JwtResponse, ApiError> {
        let refresh_jwt = match &self.refresh {
            Some(claims) => token::sign(&self.key, claims)?,
            None => String::new(),
        };
        Ok(JwtResponse {
            session_jwt: token::sign(&self.key, &self.session)?,
            refresh_jwt,
            cookie_path: "/".to_owned(),
            cookie_max_age: self.refresh_expires - self.now,
            cookie_expiration: self.refresh_expires,
            session_expiration: self.session_expires,
            user: self.user,
            first_seen: self.first_seen,
            // Clients that cannot read the cookie read the claims here.
            claims: (self.delivery == TokenDelivery::Cookies).then_some(self.session),
            ..JwtResponse::default()
        })
    }
}

// Claims are personal data.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("session_expires", &self.session_expires)
            .field("refresh_expires", &self.refresh_expires)
            .finish_non_exhaustive()
    }
}

impl State {
    /// A session JWT for the session, and the refresh JWT of that `jti` if there is one to hand out.
    pub(crate) fn grant(
        &self,
        session_id: &str,
        refresh_token_id: Option<&str>,
        stepped_up: bool,
    ) -> Result<Grant, ApiError> {
        let now = self.now();
        let session = self
            .sessions
            .get(session_id)
            .ok_or_else(ApiError::logged_out)?;
        let user = self
            .directory
            .get(&session.user_id)
            .ok_or_else(ApiError::user_not_found)?;

        let mut common = Claims::new();
        common.insert("amr".to_owned(), json!(session.amr));
        let tenant = self.current_tenant(session_id);
        if !tenant.is_empty() {
            common.insert("dct".to_owned(), json!(tenant));
        }
        common.insert("iss".to_owned(), json!(self.project_id));
        // The caller's own claims stay below `nsec`, where they can forge nothing.
        if !session.custom_claims.is_empty() {
            common.insert(
                "nsec".to_owned(),
                Value::Object(session.custom_claims.clone()),
            );
        }
        common.insert("permissions".to_owned(), json!(user.profile.permissions));
        common.insert("roles".to_owned(), json!(user.profile.role_names));
        common.insert("sub".to_owned(), json!(session.user_id));
        common.insert(
            "tenants".to_owned(),
            tenant_claims(&user.profile.user_tenants),
        );

        let mut life = self.config.session_ttl_seconds;
        if stepped_up {
            life = life.min(self.config.step_up_ttl_seconds);
        }
        // A session JWT never outlives its session.
        let session_expires = (now + i64::from(life)).min(session.expires);
        let mut claims = common.clone();
        claims.insert("drn".to_owned(), json!(token::SESSION));
        claims.insert("exp".to_owned(), json!(session_expires));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("jti".to_owned(), json!(random::alphanumeric(22)?));
        claims.insert("rexp".to_owned(), json!(token::rfc3339(session.expires)));
        // Only here: a refreshed session JWT is not stepped up any more.
        if stepped_up {
            claims.insert("su".to_owned(), json!(true));
        }

        let refresh = match refresh_token_id {
            Some(id) => {
                let issued = self
                    .sessions
                    .token(id)
                    .ok_or_else(ApiError::logged_out)?
                    .issued;
                common.insert("drn".to_owned(), json!(token::REFRESH));
                common.insert("exp".to_owned(), json!(session.expires));
                common.insert("iat".to_owned(), json!(issued));
                common.insert("jti".to_owned(), json!(id));
                Some(common)
            }
            None => None,
        };

        Ok(Grant {
            key: Arc::clone(self.keys.current()),
            session: claims,
            refresh,
            session_expires,
            refresh_expires: session.expires,
            now,
            user: None,
            first_seen: false,
            delivery: self.config.token_delivery,
        })
    }

    /// The tenant that was selected, else the only one there is; may be empty.
    pub(crate) fn current_tenant(&self, session_id: &str) -> String {
        let Some(session) = self.sessions.get(session_id) else {
            return String::new();
        };
        let Some(user) = self.directory.get(&session.user_id) else {
            return String::new();
        };
        if user.is_in_tenant(&session.tenant) {
            return session.tenant.clone();
        }
        match user.profile.user_tenants.as_slice() {
            [only] => only.tenant_id.clone(),
            _ => String::new(),
        }
    }
}

/// The `tenants` claim.
pub(super) fn tenant_claims(tenants: &[UserTenant]) -> Value {
    tenants
        .iter()
        .map(|tenant| {
            (
                tenant.tenant_id.clone(),
                json!({"permissions": tenant.permissions, "roles": tenant.role_names}),
            )
        })
        .collect::<Claims>()
        .into()
}
