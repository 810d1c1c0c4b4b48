//! Authenticator apps: `/v1/auth/totp/…`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::{
    Answer, CODE, Call, Credential, Endpoint, LOGIN_ID, Purpose, Request, Required,
};
use super::{JwtResponse, LoginOptions, SignUpUser, is_default, nullable, path};

/// Makes a key for the authenticator app of somebody who is not registered.
pub(crate) enum SignUp {}

impl Call for SignUp {
    type Request = TotpSignUpRequest;
    type Answer = TotpEnrolment;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::TOTP_SIGN_UP,
        "totp().sign_up",
        Purpose::SignUp,
        "A key for an authenticator app of a new user",
    );
}

/// Makes a new key for the authenticator app of a signed-in user.
pub(crate) enum Update {}

impl Call for Update {
    type Request = TotpUpdateRequest;
    type Answer = TotpEnrolment;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::TOTP_UPDATE,
        "totp().update",
        Purpose::Update,
        "A key for a new authenticator app",
    )
    .with(Credential::Refresh);
}

/// Exchanges a code for a session.
pub(crate) enum Verify {}

impl Call for Verify {
    type Request = TotpVerifyRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::TOTP_VERIFY,
        "totp().verify",
        Purpose::Verify,
        "Signs in with an authenticator app",
    )
    .with(Credential::StepUp);
}

/// The body of `POST /v1/auth/totp/signup`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpSignUpRequest {
    /// The name under which the user signs in.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new user's details.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: SignUpUser,
    /// The id of the SSO application that starts the sign-up.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl TotpSignUpRequest {
    /// A request for this login id.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            ..Self::default()
        }
    }
}

/// The body of `POST /v1/auth/totp/update`. The new key replaces the old key once a code of the new key is verified.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpUpdateRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
}

impl TotpUpdateRequest {
    /// A request for this login id.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
        }
    }
}

/// The body of `POST /v1/auth/totp/verify`, which signs in and also completes a sign-up or an update.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpVerifyRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The code that the authenticator app shows.
    #[serde(deserialize_with = "nullable")]
    pub code: String,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
}

impl TotpVerifyRequest {
    /// A request for this login id and code.
    pub fn new(login_id: impl Into<String>, code: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            code: code.into(),
            login_options: LoginOptions::default(),
        }
    }
}

impl fmt::Debug for TotpVerifyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpVerifyRequest")
            .field("login_id", &self.login_id)
            .finish_non_exhaustive()
    }
}

/// A key for an authenticator app, in three forms. Each form holds the secret key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpEnrolment {
    /// The key as an `otpauth://` URI.
    #[serde(rename = "provisioningURL", deserialize_with = "nullable")]
    pub provisioning_url: String,
    /// The URI as a QR code: a PNG in standard base64, without a `data:` prefix.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// The key in base32.
    #[serde(deserialize_with = "nullable")]
    pub key: String,
}

impl fmt::Debug for TotpEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpEnrolment").finish_non_exhaustive()
    }
}

impl Request for TotpSignUpRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for TotpUpdateRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for TotpVerifyRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id), (CODE, &self.code)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }

    fn login_options(&self) -> Option<&LoginOptions> {
        Some(&self.login_options)
    }
}

// An answer without a key is refused: a page could not show the key, and the user could not sign in with it later.
impl Answer for TotpEnrolment {
    const NEEDS: &'static [&'static str] = &["key", "provisioningURL"];
}
