//! Access keys: how a machine signs in.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::keys::SigningKey;
use super::super::random;
use super::super::token::{self, Claims};
use super::State;
use super::grant::tenant_claims;
use crate::wire::{AccessKeyExchangeRequest, AccessKeyExchangeResponse, UserTenant, nullable};

/// An access key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NewAccessKey {
    /// The name of the access key, which says what it is for.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Project-level roles.
    #[serde(deserialize_with = "nullable")]
    pub role_names: Vec<String>,
    /// Project-level permissions.
    #[serde(deserialize_with = "nullable")]
    pub permissions: Vec<String>,
    /// The tenants in which the access key may act. Unknown tenants are created.
    #[serde(deserialize_with = "nullable")]
    pub user_tenants: Vec<UserTenant>,
}

impl NewAccessKey {
    /// A key with this name and no rights.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct AccessKey {
    id: String,
    rights: NewAccessKey,
}

/// Access keys by the digest of their text. A key has far more entropy than a digest needs: no salt.
#[derive(Default)]
pub(crate) struct AccessKeys {
    by_digest: HashMap<String, AccessKey>,
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeys")
            .field("keys", &self.by_digest.len())
            .finish_non_exhaustive()
    }
}

/// An access key in a snapshot file.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedAccessKey {
    digest: String,
    key: AccessKey,
}

/// A machine's token, decided on but not yet signed.
pub(crate) struct MachineGrant {
    key: std::sync::Arc<SigningKey>,
    claims: Claims,
    id: String,
    expires: i64,
}

impl MachineGrant {
    pub(crate) fn sign(self) -> Result<AccessKeyExchangeResponse, ApiError> {
        Ok(AccessKeyExchangeResponse {
            session_jwt: token::sign(&self.key, &self.claims)?,
            key_id: self.id,
            expiration: self.expires,
        })
    }
}

impl State {
    /// Makes an access key. Only the caller ever sees its text.
    pub(crate) fn create_access_key(
        &mut self,
        mut rights: NewAccessKey,
    ) -> Result<String, ApiError> {
        let text = format!("K{}", random::alphanumeric(63)?);
        let id = random::id("K")?;
        self.directory.adopt_tenants(&mut rights.user_tenants);
        self.access_keys
            .by_digest
            .insert(digest_of(&text), AccessKey { id, rights });
        Ok(text)
    }

    /// `POST /v1/auth/accesskey/exchange`.
    pub(crate) fn exchange_access_key(
        &self,
        text: Option<&str>,
        request: AccessKeyExchangeRequest,
    ) -> Result<MachineGrant, ApiError> {
        use crate::wire::api_code::{INVALID_ACCESS_KEY, MISSING_ACCESS_KEY};
        let unauthorized = http::StatusCode::UNAUTHORIZED;
        let text = text
            .ok_or_else(|| ApiError::new(unauthorized, MISSING_ACCESS_KEY, "Missing access key"))?;
        let AccessKey { id, rights } = self
            .access_keys
            .by_digest
            .get(&digest_of(text))
            .ok_or_else(|| ApiError::new(unauthorized, INVALID_ACCESS_KEY, "Invalid access key"))?;

        let options = request.login_options;
        let selected = match rights.user_tenants.as_slice() {
            tenants if !options.selected_tenant.is_empty() => {
                if !tenants
                    .iter()
                    .any(|tenant| tenant.tenant_id == options.selected_tenant)
                {
                    return Err(ApiError::forbidden("The key is not in this tenant"));
                }
                options.selected_tenant
            }
            [only] => only.tenant_id.clone(),
            _ => String::new(),
        };
        let now = self.now();
        let expires = now + i64::from(self.config.session_ttl_seconds);
        let mut claims = Claims::new();
        if !selected.is_empty() {
            claims.insert("dct".to_owned(), json!(selected));
        }
        claims.insert("drn".to_owned(), json!(token::SESSION));
        claims.insert("exp".to_owned(), json!(expires));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("iss".to_owned(), json!(self.project_id));
        claims.insert("jti".to_owned(), json!(random::alphanumeric(22)?));
        if !options.custom_claims.is_empty() {
            claims.insert("nsec".to_owned(), Value::Object(options.custom_claims));
        }
        claims.insert("permissions".to_owned(), json!(rights.permissions));
        claims.insert("roles".to_owned(), json!(rights.role_names));
        claims.insert("sub".to_owned(), json!(id));
        claims.insert("tenants".to_owned(), tenant_claims(&rights.user_tenants));
        Ok(MachineGrant {
            key: std::sync::Arc::clone(self.keys.current()),
            claims,
            id: id.clone(),
            expires,
        })
    }

    pub(crate) fn save_access_keys(&self) -> Vec<SavedAccessKey> {
        self.access_keys
            .by_digest
            .iter()
            .map(|(digest, key)| SavedAccessKey {
                digest: digest.clone(),
                key: key.clone(),
            })
            .collect()
    }

    pub(crate) fn restore_access_keys(&mut self, saved: Vec<SavedAccessKey>) {
        self.access_keys.by_digest = saved
            .into_iter()
            .map(|saved| (saved.digest, saved.key))
            .collect();
    }
}

fn digest_of(text: &str) -> String {
    BASE64_STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    #[test]
    fn a_key_becomes_a_session_jwt_with_its_rights() {
        let mut state = state();
        let mut rights = NewAccessKey::new("job");
        rights.role_names = vec!["worker".to_owned()];
        let text = state.create_access_key(rights).unwrap();
        let reply = state
            .exchange_access_key(Some(&text), AccessKeyExchangeRequest::default())
            .unwrap()
            .sign()
            .unwrap();
        let claims =
            token::verify(&state.keys, &reply.session_jwt, token::SESSION, state.now()).unwrap();
        assert_eq!(claims["sub"], json!(reply.key_id));
        assert_eq!(claims["roles"], json!(["worker"]));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let state = state();
        for (text, code) in [(None, "E062802"), (Some("K123"), "E062803")] {
            let refused = state
                .exchange_access_key(text, AccessKeyExchangeRequest::default())
                .err()
                .unwrap();
            assert_eq!(
                (refused.status.as_u16(), &*refused.body.error_code),
                (401, code)
            );
        }
    }
}
