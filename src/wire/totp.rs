//! Authenticator apps: `/v1/auth/totp/…`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LoginOptions, SignUpUser, is_default, nullable};

/// `POST /v1/auth/totp/signup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpSignUpRequest {
    /// The name under which the user signs in.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// What is known of the user.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: SignUpUser,
    /// The SSO application that starts the sign-up.
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

/// `POST /v1/auth/totp/update`: a new key, which replaces the old one when it is verified.
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

/// `POST /v1/auth/totp/verify`: sign-in, and completion of sign-up and update.
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
    /// See [`LoginOptions`].
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

/// A key for an authenticator app, in three forms. All three are the secret itself.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TotpEnrolment {
    /// `otpauth://` URI.
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
