//! One-time codes: `/v1/auth/otp/…`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::{
    Answer, CODE, Call, Credential, EMAIL, Endpoint, LOGIN_ID, PHONE, Purpose, Request, Required,
};
use super::{JwtResponse, LoginOptions, SignUpUser, is_default, nullable, path};
use crate::names::{names, serde_as_text};

/// Sends a code to somebody who is not registered.
pub(crate) enum SignUp {}

impl Call for SignUp {
    type Request = OtpSignUpRequest;
    type Answer = MaskedAddress;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/otp/signup/{method}",
        "otp().sign_up",
        Purpose::SignUp,
        "Sends a code that creates the user",
    );
}

/// Sends a code to a registered user.
pub(crate) enum SignIn {}

impl Call for SignIn {
    type Request = OtpSignInRequest;
    type Answer = MaskedAddress;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/otp/signin/{method}",
        "otp().sign_in",
        Purpose::SignIn,
        "Sends a code",
    )
    .with(Credential::StepUp);
}

/// Sends a code to anybody.
pub(crate) enum SignUpOrIn {}

impl Call for SignUpOrIn {
    type Request = OtpSignInRequest;
    type Answer = MaskedAddress;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/otp/signup-in/{method}",
        "otp().sign_up_or_in",
        Purpose::SignUpOrIn,
        "Sends a code that creates the user if need be",
    )
    .with(Credential::StepUp);
}

/// Exchanges a code for a session.
pub(crate) enum Verify {}

impl Call for Verify {
    type Request = OtpVerifyRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/otp/verify/{method}",
        "otp().verify",
        Purpose::Verify,
        "Signs in with a code",
    );
}

/// Sends a code to a new e-mail address.
pub(crate) enum UpdateEmail {}

impl Call for UpdateEmail {
    type Request = OtpUpdateEmailRequest;
    type Answer = MaskedAddress;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::OTP_UPDATE_EMAIL,
        "otp().update_email",
        Purpose::Update,
        "Sends a code to a new e-mail address",
    )
    .with(Credential::Refresh);
}

/// Sends a code to a new phone number.
pub(crate) enum UpdatePhone {}

impl Call for UpdatePhone {
    type Request = OtpUpdatePhoneRequest;
    type Answer = MaskedAddress;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/otp/update/phone/{method}",
        "otp().update_phone",
        Purpose::Update,
        "Sends a code to a new number",
    )
    .with(Credential::Refresh);
}

/// How a one-time code reaches the user. Its name (`email`, `sms`, `voice`, `whatsapp`, `im`) is the last segment of the
/// path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeliveryMethod {
    /// E-mail.
    Email,
    /// Text message.
    Sms,
    /// Voice call.
    Voice,
    /// WhatsApp message.
    Whatsapp,
    /// Another instant messenger.
    Im,
}

impl DeliveryMethod {
    /// All delivery methods.
    pub const ALL: [Self; 5] = [
        Self::Email,
        Self::Sms,
        Self::Voice,
        Self::Whatsapp,
        Self::Im,
    ];

    /// Whether the code goes to a phone number.
    pub fn is_phone(self) -> bool {
        self != Self::Email
    }
}

names!(
    DeliveryMethod,
    "delivery method",
    [Email => "email", Sms => "sms", Voice => "voice", Whatsapp => "whatsapp", Im => "im"]
);
serde_as_text!(DeliveryMethod, "delivery method");

/// The body of `POST /v1/auth/otp/signup/{method}`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OtpSignUpRequest {
    /// The name under which the user signs in.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new user's details.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: SignUpUser,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The e-mail address, where the code goes by e-mail.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub email: String,
    /// The phone number, where the code goes to a phone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub phone: String,
    /// The phone number of a voice call. Descope's Python SDK sends it in place of `phone`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub voice: String,
    /// The phone number of a WhatsApp message. Descope's Go and Python SDKs send it in place of `phone`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub whatsapp: String,
    /// The id of the messaging connector to use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The id of the template of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_id: String,
}

impl OtpSignUpRequest {
    /// A request for this login id.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            ..Self::default()
        }
    }

    /// Where the code goes. This is the first that is not empty of: the member of this delivery method (for a phone
    /// also `phone`), the address in `user`, the login id.
    pub fn address(&self, method: DeliveryMethod) -> &str {
        let own = match method {
            DeliveryMethod::Email => [&self.email, &self.user.email, ""],
            DeliveryMethod::Voice => [&self.voice, &self.phone, self.user.phone.as_str()],
            DeliveryMethod::Whatsapp => [&self.whatsapp, &self.phone, self.user.phone.as_str()],
            DeliveryMethod::Sms | DeliveryMethod::Im => [&self.phone, self.user.phone.as_str(), ""],
        };
        own.into_iter()
            .find(|address| !address.is_empty())
            .unwrap_or(&self.login_id)
    }
}

/// The body of `POST /v1/auth/otp/signin/{method}` and `…/signup-in/{method}`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OtpSignInRequest {
    /// The name under which the user signs in.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The id of the messaging connector to use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The id of the template of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_id: String,
    /// The id of the SSO application that starts the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl OtpSignInRequest {
    /// A request for this login id.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            ..Self::default()
        }
    }
}

/// The body of `POST /v1/auth/otp/verify/{method}`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OtpVerifyRequest {
    /// The login id for which the code was requested.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The code that the user received.
    #[serde(deserialize_with = "nullable")]
    pub code: String,
}

impl OtpVerifyRequest {
    /// A request for this login id and code.
    pub fn new(login_id: impl Into<String>, code: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            code: code.into(),
        }
    }
}

impl fmt::Debug for OtpVerifyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpVerifyRequest")
            .field("login_id", &self.login_id)
            .finish_non_exhaustive()
    }
}

/// The options that the update calls of OTP and nOTP share.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UpdateOptions {
    /// Whether the new address or phone number becomes a login id of the user.
    #[serde(
        rename = "addToLoginIDs",
        deserialize_with = "nullable",
        skip_serializing_if = "is_default"
    )]
    pub add_to_login_ids: bool,
    /// Which user survives a merge, when another user already has the new login id: the other user if this is true,
    /// otherwise the caller. It has an effect only with `addToLoginIDs`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub on_merge_use_existing: bool,
    /// Whether the update is refused, and not merged, when another user already has the new login id.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub fail_on_conflict: bool,
    /// Whether the new session keeps the factors of the refresh JWT and adds the one that was just verified to `amr`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub mfa: bool,
    /// The id of the messaging connector to use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The id of the template of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_id: String,
    /// Values for the template.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub template_options: BTreeMap<String, String>,
    /// The language of the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub locale: String,
}

/// The body of `POST /v1/auth/otp/update/email`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OtpUpdateEmailRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new e-mail address. It takes effect once it is verified.
    #[serde(deserialize_with = "nullable")]
    pub email: String,
    /// The options that all update calls have.
    #[serde(flatten)]
    pub options: UpdateOptions,
}

impl OtpUpdateEmailRequest {
    /// A request to give the user with this login id a new e-mail address.
    pub fn new(login_id: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            email: email.into(),
            ..Self::default()
        }
    }
}

/// The body of `POST /v1/auth/otp/update/phone/{method}`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OtpUpdatePhoneRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new phone number. It takes effect once it is verified.
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    /// The options that all update calls have.
    #[serde(flatten)]
    pub options: UpdateOptions,
}

impl OtpUpdatePhoneRequest {
    /// A request to give the user with this login id a new phone number.
    pub fn new(login_id: impl Into<String>, phone: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            phone: phone.into(),
            ..Self::default()
        }
    }
}

/// The answer to a call that sent a code: the masked address to which the code went.
///
/// Descope answers with `maskedEmail` or `maskedPhone`. Its documentation still speaks of an empty object, but the
/// Python SDK fails without the member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct MaskedAddress {
    /// The masked e-mail address, if the code went to one.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub masked_email: String,
    /// The masked phone number, if the code went to one.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub masked_phone: String,
    /// How often the code may be tried. 0 if the API does not say.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub verification_attempts: i32,
}

impl MaskedAddress {
    /// The masked e-mail address, or the masked phone number if there is no e-mail address.
    pub fn as_str(&self) -> &str {
        if self.masked_email.is_empty() {
            &self.masked_phone
        } else {
            &self.masked_email
        }
    }
}

impl Request for OtpSignUpRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for OtpSignInRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }

    fn login_options(&self) -> Option<&LoginOptions> {
        Some(&self.login_options)
    }
}

impl Request for OtpVerifyRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id), (CODE, &self.code)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for OtpUpdateEmailRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id), (EMAIL, &self.email)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for OtpUpdatePhoneRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id), (PHONE, &self.phone)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

// Descope's documentation still speaks of an empty object, so one is accepted. An object that has other members and no
// address cannot be the answer to this call.
impl Answer for MaskedAddress {
    const NEEDS: &'static [&'static str] = &["maskedEmail", "maskedPhone"];
    const MAY_BE_BLANK: bool = true;
}
