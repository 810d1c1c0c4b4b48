//! Login options, shared by every method.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{is_default, nullable};

/// `loginOptions` of sign-in, sign-up and TOTP verify.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LoginOptions {
    /// Raise an existing session; needs its refresh JWT. The new session JWT carries `su: true`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub stepup: bool,
    /// Add a factor to an existing session; needs its refresh JWT. `amr` then lists all factors and `mfa`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub mfa: bool,
    /// Claims chosen by the caller. They arrive under `nsec` in the JWTs and must not be trusted.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Map::is_empty")]
    pub custom_claims: Map<String, Value>,
    /// The message template.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_id: String,
    /// Values for the template.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_options: BTreeMap<String, String>,
    /// The language of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub locale: String,
    /// PKCE challenge (RFC 7636).
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub pkce_challenge: String,
    /// The SSO application that starts the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
    /// The tenant to sign in to.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub tenant_id: String,
    /// End all other sessions of the user.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub revoke_other_sessions: bool,
    /// Which other sessions to end. The values are not documented.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub revoke_other_sessions_types: Vec<String>,
}

impl LoginOptions {
    /// Whether the call must carry the refresh JWT of the session that it changes.
    pub fn needs_refresh_token(&self) -> bool {
        self.stepup || self.mfa
    }
}
