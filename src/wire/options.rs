//! Login options, which all ways of signing in share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{is_default, nullable};

/// The member `loginOptions` of a sign-in, of a sign-up and of a TOTP verify.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LoginOptions {
    /// Step up an existing session. The call needs the refresh JWT of that session. The new session JWT carries
    /// `su: true`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub stepup: bool,
    /// Add a second factor to an existing session. The call needs the refresh JWT of that session. The claim `amr` then
    /// lists all factors, and `mfa`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub mfa: bool,
    /// Claims chosen by the caller. They arrive under `nsec` in the JWTs and must not be trusted.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Map::is_empty")]
    pub custom_claims: Map<String, Value>,
    /// The id of the template of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_id: String,
    /// Values for the template.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_options: BTreeMap<String, String>,
    /// The language of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub locale: String,
    /// The PKCE code challenge (RFC 7636).
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub pkce_challenge: String,
    /// The id of the SSO application that starts the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
    /// The id of the tenant to sign in to.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub tenant_id: String,
    /// Whether to end all other sessions of the user.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub revoke_other_sessions: bool,
    /// Which kinds of other sessions to end. Descope does not document the values.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub revoke_other_sessions_types: Vec<String>,
}

impl LoginOptions {
    /// Whether a call with these options must carry the refresh JWT of an existing session.
    pub fn needs_refresh_token(&self) -> bool {
        self.stepup || self.mfa
    }
}
