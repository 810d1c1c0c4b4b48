//! The user object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lenient::seconds;
use super::{is_default, nullable};

/// The member `user` of a sign-up: the new user's details.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SignUpUser {
    /// The login id, the same as in the request.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_id: String,
    /// Display name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub name: String,
    /// Phone number in E.164 form.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub phone: String,
    /// E-mail address.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub email: String,
    /// First name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub given_name: String,
    /// Middle name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub middle_name: String,
    /// Family name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub family_name: String,
}

/// The full user object of the API: the answer to `GET /v1/auth/me`, and the member `user` of a token reply.
///
/// The claims of a session JWT hold only a small part of it; see [`crate::User`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UserProfile {
    /// The user's id: `U` and 27 characters. It is the claim `sub` of the user's JWTs.
    #[serde(deserialize_with = "nullable")]
    pub user_id: String,
    /// All login ids with which the user can sign in.
    #[serde(deserialize_with = "nullable")]
    pub login_ids: Vec<String>,
    /// Display name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// First name.
    #[serde(deserialize_with = "nullable")]
    pub given_name: String,
    /// Middle name.
    #[serde(deserialize_with = "nullable")]
    pub middle_name: String,
    /// Family name.
    #[serde(deserialize_with = "nullable")]
    pub family_name: String,
    /// E-mail address.
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    /// Whether the user verified the e-mail address.
    #[serde(deserialize_with = "nullable")]
    pub verified_email: bool,
    /// Phone number in E.164 form.
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    /// Whether the user verified the phone number.
    #[serde(deserialize_with = "nullable")]
    pub verified_phone: bool,
    /// Project-level roles.
    #[serde(deserialize_with = "nullable")]
    pub role_names: Vec<String>,
    /// Project-level permissions.
    #[serde(deserialize_with = "nullable")]
    pub permissions: Vec<String>,
    /// The tenants that the user belongs to.
    #[serde(deserialize_with = "nullable")]
    pub user_tenants: Vec<UserTenant>,
    /// `enabled`, `disabled` or `invited`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// The user's ids in other systems.
    #[serde(deserialize_with = "nullable")]
    pub external_ids: Vec<String>,
    /// The URL of the user's picture.
    #[serde(deserialize_with = "nullable")]
    pub picture: String,
    /// Whether this is a test user.
    #[serde(deserialize_with = "nullable")]
    pub test: bool,
    /// The attributes that the project defines for its users.
    #[serde(deserialize_with = "nullable")]
    pub custom_attributes: Map<String, Value>,
    /// When the user was created, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub created_time: i64,
    /// When the user was last changed, in Unix seconds. 0 if the API does not say.
    #[serde(deserialize_with = "seconds", skip_serializing_if = "is_default")]
    pub modified_time: i64,
    /// The ids of the user's SSO applications.
    #[serde(deserialize_with = "nullable")]
    pub sso_app_ids: Vec<String>,
    /// Whether an authenticator app is set up.
    #[serde(rename = "TOTP", deserialize_with = "nullable")]
    pub totp: bool,
    /// Whether the user signs in through SAML.
    #[serde(rename = "SAML", deserialize_with = "nullable")]
    pub saml: bool,
    /// Whether the user is provisioned through SCIM.
    #[serde(rename = "SCIM", deserialize_with = "nullable")]
    pub scim: bool,
    /// The OAuth providers, by name, each with whether the user signs in with it.
    #[serde(rename = "OAuth", deserialize_with = "nullable")]
    pub oauth: BTreeMap<String, bool>,
    /// Whether a passkey is set up.
    #[serde(deserialize_with = "nullable")]
    pub webauthn: bool,
    /// Whether a password is set.
    #[serde(deserialize_with = "nullable")]
    pub password: bool,
    /// Whether push sign-in is set up.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub push: bool,
    /// Whether the user may be edited.
    #[serde(deserialize_with = "nullable")]
    pub editable: bool,
    /// Members of the user object that this version of the crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A tenant to which a user or an access key belongs, with their rights in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UserTenant {
    /// The tenant's id.
    #[serde(deserialize_with = "nullable")]
    pub tenant_id: String,
    /// The tenant's name.
    #[serde(deserialize_with = "nullable")]
    pub tenant_name: String,
    /// The names of the roles in this tenant.
    #[serde(deserialize_with = "nullable")]
    pub role_names: Vec<String>,
    /// The permissions in this tenant.
    #[serde(deserialize_with = "nullable")]
    pub permissions: Vec<String>,
}

impl UserTenant {
    /// A tenant of this id, without rights in it, for a user of the emulator.
    pub fn new(tenant_id: impl Into<String>) -> Self {
        Self {
            tenant_id: tenant_id.into(),
            ..Self::default()
        }
    }

    /// With this role in the tenant.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role_names.push(role.into());
        self
    }
}
