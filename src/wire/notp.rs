//! Sign-in by a message that the user sends: `/v1/auth/notp/{provider}/…`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::{
    Answer, Call, Credential, Endpoint, LOGIN_ID, PENDING_REF, PHONE, Purpose, Request, Required,
};
use super::{JwtResponse, LoginOptions, SignUpUser, UpdateOptions, is_default, nullable, path};

/// A link for somebody who is not registered.
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

/// A link for a registered user.
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

/// A link for anybody.
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

/// A link that moves a user to a new phone.
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

/// The messenger; a segment of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotpProvider {
    /// WhatsApp, the only one that the official SDKs know.
    #[default]
    Whatsapp,
}

impl NotpProvider {
    /// The path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
        }
    }
}

impl fmt::Display for NotpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The pages and messages that the flow shows.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpTemplates {
    /// The pre-filled message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub verify_template_id: String,
    /// The answer to a good message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub success_template_id: String,
    /// The answer to a bad message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub error_template_id: String,
}

/// `POST /v1/auth/notp/{provider}/signup`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpSignUpRequest {
    /// The login id; may be empty, then the phone that sends the message becomes it.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The phone that will send the message.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub phone: String,
    /// What is known of the user.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub user: SignUpUser,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The messaging connector.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The texts of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The SSO application that starts the sign-up.
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

/// `POST /v1/auth/notp/{provider}/signin` and `…/signup-in`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpSignInRequest {
    /// The login id; may be empty, then the phone that sends the message tells who it is.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// Options of the sign-in.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub login_options: LoginOptions,
    /// The messaging connector.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub provider_id: String,
    /// The texts of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The SSO application that starts the sign-in.
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

/// `POST /v1/auth/notp/{provider}/update`.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpUpdateRequest {
    /// One of the user's login ids.
    #[serde(deserialize_with = "nullable")]
    pub login_id: String,
    /// The new number; it must send the message.
    #[serde(deserialize_with = "nullable")]
    pub phone: String,
    /// What all updates have in common.
    #[serde(flatten)]
    pub options: UpdateOptions,
    /// The texts of the messages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub templates: NotpTemplates,
    /// The SSO application that starts the update.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub sso_app_id: String,
}

impl NotpUpdateRequest {
    /// A request to move this login id to a new number.
    pub fn new(login_id: impl Into<String>, phone: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            phone: phone.into(),
            ..Self::default()
        }
    }
}

/// Where the user sends the message, and the reference to poll with.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NotpLinkResponse {
    /// The reference for `pending-session`. Whoever has it gets the session.
    #[serde(deserialize_with = "nullable")]
    pub pending_ref: String,
    /// The link that opens the messenger with the message filled in.
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

/// `POST /v1/auth/notp/pending-session` (no provider in the path).
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PendingSessionRequest {
    /// The reference that came with the link.
    #[serde(deserialize_with = "nullable")]
    pub pending_ref: String,
}

impl PendingSessionRequest {
    /// A poll with this reference.
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

// The login id of the next two may be empty: then the phone that sends the message tells who it is.
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

// Without the reference the page would poll for nothing.
impl Answer for NotpLinkResponse {
    const NEEDS: &'static [&'static str] = &["pendingRef"];
}
