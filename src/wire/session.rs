//! Tokens and sessions.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint::{
    Answer, Body, Call, Credential, Endpoint, Purpose, Request, Required, TENANT,
};
use super::lenient::seconds;
use super::{UserProfile, is_default, nullable, path};

/// Renews the session.
pub(crate) enum Refresh {}

impl Call for Refresh {
    type Request = RefreshRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::REFRESH,
        "session().refresh",
        Purpose::Renew,
        "Renews the session",
    )
    .with(Credential::Refresh);
}

/// Renews the session if there is one.
pub(crate) enum TryRefresh {}

impl Call for TryRefresh {
    type Request = RefreshRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::TRY_REFRESH,
        "session().try_refresh",
        Purpose::Renew,
        "Renews the session if there is one, else answers {}",
    )
    .with(Credential::Refresh);
}

/// Ends the session.
pub(crate) enum Logout {}

impl Call for Logout {
    type Request = LogoutRequest;
    type Answer = Acknowledgement;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::LOGOUT,
        "session().logout",
        Purpose::SignOut,
        "Ends the session",
    )
    .with(Credential::Refresh);
}

/// Ends all sessions of the user.
pub(crate) enum LogoutAll {}

impl Call for LogoutAll {
    type Request = LogoutRequest;
    type Answer = Acknowledgement;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::LOGOUT_ALL,
        "session().logout_all",
        Purpose::SignOut,
        "Ends all sessions of the user",
    )
    .with(Credential::Refresh);
}

/// Reads the user object.
pub(crate) enum Me {}

impl Call for Me {
    type Request = NoBody;
    type Answer = UserProfile;
    const ENDPOINT: Endpoint = Endpoint::get(path::ME, "session().me", Purpose::Read, "The user")
        .with(Credential::Refresh);
}

/// Reads the tenants of the user.
pub(crate) enum MyTenants {}

impl Call for MyTenants {
    type Request = MyTenantsRequest;
    type Answer = TenantsResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::ME_TENANTS,
        "session().my_tenants",
        Purpose::Read,
        "The user's tenants",
    )
    .with(Credential::Refresh);
}

/// Reads the past sign-ins of the user.
pub(crate) enum History {}

impl Call for History {
    type Request = NoBody;
    type Answer = Vec<HistoryEntry>;
    const ENDPOINT: Endpoint = Endpoint::get(
        path::ME_HISTORY,
        "session().history",
        Purpose::Read,
        "The user's sign-ins",
    )
    .with(Credential::Refresh);
}

/// Moves the session into a tenant.
pub(crate) enum SelectTenant {}

impl Call for SelectTenant {
    type Request = TenantSelectRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::TENANT_SELECT,
        "session().select_tenant",
        Purpose::Renew,
        "Moves the session into a tenant",
    )
    .with(Credential::Refresh);
}

/// Checks a session JWT.
pub(crate) enum Validate {}

impl Call for Validate {
    type Request = ValidateRequest;
    type Answer = Map<String, Value>;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::VALIDATE,
        "session().validate",
        Purpose::Read,
        "The claims of the session",
    )
    .with(Credential::Session);
}

/// Exchanges an access key for a session JWT.
pub(crate) enum ExchangeAccessKey {}

impl Call for ExchangeAccessKey {
    type Request = AccessKeyExchangeRequest;
    type Answer = AccessKeyExchangeResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::ACCESS_KEY_EXCHANGE,
        "session().exchange_access_key",
        Purpose::SignIn,
        "A session JWT for an access key",
    )
    .with(Credential::AccessKey);
}

/// The answer to every call that issues tokens for a user: verify, refresh, tenant select, nOTP poll.
///
/// If the project has the setting "manage in cookies", Descope leaves both JWT members empty and sends the tokens as
/// `Set-Cookie`. The client then copies them into these members.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct JwtResponse {
    /// The session JWT.
    #[serde(deserialize_with = "nullable")]
    pub session_jwt: String,
    /// The refresh JWT. Empty when a refresh does not rotate it.
    #[serde(deserialize_with = "nullable")]
    pub refresh_jwt: String,
    /// The `Domain` for the cookies. Empty means cookies for this host only.
    #[serde(deserialize_with = "nullable")]
    pub cookie_domain: String,
    /// The `Path` for the cookies.
    #[serde(deserialize_with = "nullable")]
    pub cookie_path: String,
    /// How long the refresh JWT is valid, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub cookie_max_age: i64,
    /// When the refresh JWT expires, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub cookie_expiration: i64,
    /// When the session JWT expires, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub session_expiration: i64,
    /// The user object. Absent in the answer to a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserProfile>,
    /// Whether this call created the user. `false` if the member is absent.
    #[serde(deserialize_with = "nullable")]
    pub first_seen: bool,
    /// The claims of the session JWT, for pages that cannot read it because it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Map<String, Value>>,
    /// Members of the answer that this version of the crate does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
    /// Whether the client of this crate has received it from Descope.
    #[serde(skip)]
    pub(crate) received: Received,
}

/// Whether [`Client`](crate::Client) has received an answer from Descope, over the connection that is configured. An
/// answer that was read from anywhere else, such as the body of a request, says so by the default.
///
/// No part of what an answer says, so two answers that differ in nothing else are equal.
#[derive(Clone, Copy, Default)]
pub(crate) struct Received(pub(crate) bool);

impl PartialEq for Received {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

// `other` may hold further tokens (`externalToken`, `trustedDeviceJwt`), so `Debug` does not show it.
impl fmt::Debug for JwtResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtResponse")
            .field("has_session_jwt", &!self.session_jwt.is_empty())
            .field("has_refresh_jwt", &!self.refresh_jwt.is_empty())
            .field("session_expiration", &self.session_expiration)
            .field("cookie_expiration", &self.cookie_expiration)
            .field("first_seen", &self.first_seen)
            .finish_non_exhaustive()
    }
}

/// The body of `POST /v1/auth/refresh` and `…/try-refresh`. It may be left out.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct RefreshRequest {
    /// A token of another identity provider, whose session is to be migrated to Descope.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub external_token: String,
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest").finish_non_exhaustive()
    }
}

/// The body of `POST /v1/auth/logout` and `…/logoutall`. It may be left out.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LogoutRequest {
    /// Which kinds of sessions to end. Descope does not document the values.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub logout_type: Vec<String>,
}

/// The body of `POST /v1/auth/me/tenants`. Set exactly one of its members.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct MyTenantsRequest {
    /// Ask for the tenant that the session is in, and no other.
    #[serde(deserialize_with = "nullable")]
    pub dct: bool,
    /// Ask for the tenants with these ids, and no others.
    #[serde(deserialize_with = "nullable")]
    pub ids: Vec<String>,
}

impl MyTenantsRequest {
    /// Asks for the tenant that the session is in.
    pub fn current() -> Self {
        Self {
            dct: true,
            ids: Vec::new(),
        }
    }

    /// Asks for the tenants with these ids. The answer leaves out those to which the user does not belong.
    pub fn with_ids<I>(ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            dct: false,
            ids: ids.into_iter().map(Into::into).collect(),
        }
    }
}

/// The answer to `POST /v1/auth/me/tenants`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TenantsResponse {
    /// The tenants.
    #[serde(deserialize_with = "nullable")]
    pub tenants: Vec<TenantInfo>,
}

/// A tenant as `POST /v1/auth/me/tenants` shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TenantInfo {
    /// The tenant's id.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// The tenant's name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// The attributes that the project defines for its tenants.
    #[serde(deserialize_with = "nullable")]
    pub custom_attributes: Map<String, Value>,
}

/// One sign-in in the answer to `GET /v1/auth/me/history`. The answer is an array of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The user's id.
    #[serde(deserialize_with = "nullable")]
    pub user_id: String,
    /// When the user signed in, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub login_time: i64,
    /// The city from which the user signed in.
    #[serde(deserialize_with = "nullable")]
    pub city: String,
    /// The country from which the user signed in.
    #[serde(deserialize_with = "nullable")]
    pub country: String,
    /// The IP address from which the user signed in.
    #[serde(deserialize_with = "nullable")]
    pub ip: String,
    /// The id of the tenant into which the user signed in.
    #[serde(deserialize_with = "nullable")]
    pub selected_tenant: String,
}

/// The body of `POST /v1/auth/tenant/select`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TenantSelectRequest {
    /// The tenant's id.
    #[serde(deserialize_with = "nullable")]
    pub tenant: String,
}

impl TenantSelectRequest {
    /// A request to move the session into this tenant.
    pub fn new(tenant: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
        }
    }
}

/// The body of `POST /v1/auth/accesskey/exchange`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AccessKeyExchangeRequest {
    /// Options of the exchange.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: AccessKeyLoginOptions,
}

/// The member `loginOptions` of an access-key exchange.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AccessKeyLoginOptions {
    /// Claims chosen by the caller. They arrive under `nsec` in the JWT and must not be trusted.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Map::is_empty")]
    pub custom_claims: Map<String, Value>,
    /// The id of the tenant in which the access key is to act.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub selected_tenant: String,
}

/// The answer to an access-key exchange. It holds no refresh JWT.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AccessKeyExchangeResponse {
    /// The id of the access key.
    #[serde(deserialize_with = "nullable")]
    pub key_id: String,
    /// The session JWT.
    #[serde(deserialize_with = "nullable")]
    pub session_jwt: String,
    /// When the session JWT expires, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub expiration: i64,
}

impl fmt::Debug for AccessKeyExchangeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeyExchangeResponse")
            .field("key_id", &self.key_id)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

/// The request type of calls that have no body.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct NoBody {}

/// The body of `POST /v1/auth/validate`. Descope reads only the token, which is in a header.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct ValidateRequest {}

/// An answer without content: the status says that the call succeeded.
#[derive(Deserialize)]
pub(crate) struct Acknowledgement {}

impl Request for RefreshRequest {
    const BODY: Body = Body::Optional;
}

impl Request for LogoutRequest {
    const BODY: Body = Body::Optional;
}

impl Request for MyTenantsRequest {
    const BODY: Body = Body::Optional;
}

impl Request for TenantSelectRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(TENANT, &self.tenant)]
    }
}

impl Request for AccessKeyExchangeRequest {}

impl Request for ValidateRequest {
    const BODY: Body = Body::Optional;
}

impl Request for NoBody {
    const BODY: Body = Body::None;
}

impl Answer for JwtResponse {
    const NEEDS: &'static [&'static str] = &["sessionJwt", "refreshJwt"];
    const ISSUES_TOKENS: bool = true;

    fn received(mut self) -> Self {
        self.received = Received(true);
        self
    }
}

impl Answer for AccessKeyExchangeResponse {
    const NEEDS: &'static [&'static str] = &["sessionJwt"];
}

impl Answer for UserProfile {
    const NEEDS: &'static [&'static str] = &["userId"];
}

// For a user without tenants the API may answer with an empty object.
impl Answer for TenantsResponse {
    const NEEDS: &'static [&'static str] = &["tenants"];
    const MAY_BE_BLANK: bool = true;
}

impl Answer for Vec<HistoryEntry> {
    const NEEDS: &'static [&'static str] = &[];
    const IS_LIST: bool = true;
}

impl Answer for Acknowledgement {
    const NEEDS: &'static [&'static str] = &[];
    const MAY_BE_BLANK: bool = true;
}

// The claims of a session JWT.
impl Answer for Map<String, Value> {
    const NEEDS: &'static [&'static str] = &["sub"];
}
