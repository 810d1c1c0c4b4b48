//! Sign-in by a message that the user sends: `/v1/auth/notp/{provider}/…`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::{
    Answer, Call, Credential, Endpoint, LOGIN_ID, PENDING_REF, PHONE, Purpose, Request, Required,
};
use super::{JwtResponse, LoginOptions, SignUpUser, UpdateOptions, is_default, nullable, path};
use crate::names::{names, serde_as_text};

/// Makes a link for somebody who is not registered.
pub(crate) enum SignUp {}

impl Call for SignUp {
    type Request = NotpSignUpRequest;
    type Answer = NotpLinkResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/notp/{provider}/signup",
        "notp().sign_up",
        Purpose::SignUp,
        "A link for a message that creates the user",
    );
}

/// Makes a link for a registered user.
pub(crate) enum SignIn {}

impl Call for SignIn {
    type Request = NotpSignInRequest;
    type Answer = NotpLinkResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/notp/{provider}/signin",
        "notp().sign_in",
        Purpose::SignIn,
        "A link for a message",
    )
    .with(Credential::StepUp);
}

/// Makes a link for anybody, registered or not.
pub(crate) enum SignUpOrIn {}

impl Call for SignUpOrIn {
    type Request = NotpSignInRequest;
    type Answer = NotpLinkResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/notp/{provider}/signup-in",
        "notp().sign_up_or_in",
        Purpose::SignUpOrIn,
        "A link for a message that creates the user if need be",
    )
    .with(Credential::StepUp);
}

/// Makes a link for a signed-in user's new phone number.
pub(crate) enum Update {}

impl Call for Update {
    type Request = NotpUpdateRequest;
    type Answer = NotpLinkResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        "/v1/auth/notp/{provider}/update",
        "notp().update",
        Purpose::Update,
        "A link for a message from a new number",
    )
    .with(Credential::Refresh);
}

/// Asks whether the message has arrived.
pub(crate) enum PendingSession {}

impl Call for PendingSession {
    type Request = PendingSessionRequest;
    type Answer = JwtResponse;
    const ENDPOINT: Endpoint = Endpoint::post(
        path::NOTP_PENDING_SESSION,
        "notp().pending_session",
        Purpose::Poll,
        "Signs in once the message was sent; before, 401 with E066103",
    );
}

/// The messenger through which the user sends the message. Its name (`whatsapp`) is a segment of the
/// path. Default: WhatsApp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotpProvider {
    /// WhatsApp, the only messenger that the official SDKs know.
    #[default]
    Whatsapp,
}

names!(NotpProvider, "nOTP provider", [Whatsapp => "whatsapp"]);
serde_as_text!(NotpProvider, "nOTP provider");

/// The templates of the messages that the user sends and receives.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpTemplates {
    /// The id of the template of the message that the user sends. The messenger opens with it filled in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub verify_template_id: String,
    /// The id of the template of the reply to an accepted message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub success_template_id: String,
    /// The id of the template of the reply to a refused message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub error_template_id: String,
}

/// The body of `POST /v1/auth/notp/{provider}/signup`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpSignUpRequest {
    /// The login id. If it is empty, the number of the phone that sends the message becomes the login id.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The number of the phone that will send the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub phone: String,
    /// The new user's details.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: SignUpUser,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The id of the messaging connector to use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The templates of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The id of the SSO application that starts the sign-up.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl NotpSignUpRequest {
    /// A request for this login id, which may be empty.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            ..Self::default()
        }
    }
}

/// The body of `POST /v1/auth/notp/{provider}/signin` and `…/signup-in`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpSignInRequest {
    /// The login id. If it is empty, the number of the phone that sends the message identifies the user.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The id of the messaging connector to use.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The templates of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The id of the SSO application that starts the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl NotpSignInRequest {
    /// A request for this login id, which may be empty.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            ..Self::default()
        }
    }
}

/// The body of `POST /v1/auth/notp/{provider}/update`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpUpdateRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new phone number. The message must come from it.
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    /// The options that all update calls have.
    #[serde(flatten)]
    pub options: UpdateOptions,
    /// The templates of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The id of the SSO application that starts the update.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl NotpUpdateRequest {
    /// A request to give the user with this login id a new phone number.
    pub fn new(login_id: impl Into<String>, phone: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            phone: phone.into(),
            ..Self::default()
        }
    }
}

/// The link with which the user sends the message, and the reference with which to ask for the session.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpLinkResponse {
    /// The reference for `pending-session`. It is a secret: whoever has it can fetch the session.
    #[serde(deserialize_with = "nullable")]
    pub pending_ref: String,
    /// The link that opens the messenger, with the message filled in.
    #[serde(deserialize_with = "nullable")]
    pub redirect_url: String,
    /// The link as a QR code: a PNG in standard base64, without a `data:` prefix.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
}

impl fmt::Debug for NotpLinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotpLinkResponse").finish_non_exhaustive()
    }
}

/// The body of `POST /v1/auth/notp/pending-session`. The path names no provider.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PendingSessionRequest {
    /// The pending reference that came with the link.
    #[serde(deserialize_with = "nullable")]
    pub pending_ref: String,
}

impl PendingSessionRequest {
    /// A request with this pending reference.
    pub fn new(pending_ref: impl Into<String>) -> Self {
        Self {
            pending_ref: pending_ref.into(),
        }
    }
}

impl fmt::Debug for PendingSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSessionRequest")
            .finish_non_exhaustive()
    }
}

// Sign-up and sign-in do not require a login id: without one, the phone that sends the message identifies the user.
impl Request for NotpSignUpRequest {
    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for NotpSignInRequest {
    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }

    fn login_options(&self) -> Option<&LoginOptions> {
        Some(&self.login_options)
    }
}

impl Request for NotpUpdateRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(LOGIN_ID, &self.login_id), (PHONE, &self.phone)]
    }

    fn login_id_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.login_id)
    }
}

impl Request for PendingSessionRequest {
    fn required(&self) -> Vec<(Required, &str)> {
        vec![(PENDING_REF, &self.pending_ref)]
    }
}

// Without the reference a page could not ask for the session.
impl Answer for NotpLinkResponse {
    const NEEDS: &'static [&'static str] = &["pendingRef"];
}
