//! Authenticator apps.

use super::error::ClientError;
use super::{Client, RefreshToken, expose};
use crate::wire::{
    JwtResponse, TotpEnrolment, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest, totp,
};

/// Calls of `/v1/auth/totp`; see [`Client::totp`].
#[derive(Clone, Copy, Debug)]
pub struct Totp<'a> {
    pub(super) client: &'a Client,
}

impl Totp<'_> {
    /// A key for somebody who is not registered (`POST /v1/auth/totp/signup`).
    ///
    /// The user exists once a first code is verified.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_up(self, request: &TotpSignUpRequest) -> Result<TotpEnrolment, ClientError> {
        self.client.call::<totp::SignUp>(request, None).await
    }

    /// A new key for a signed-in user (`POST /v1/auth/totp/update`).
    ///
    /// Replaces the old one once a first code is verified.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn update(
        self,
        request: &TotpUpdateRequest,
        token: &RefreshToken,
    ) -> Result<TotpEnrolment, ClientError> {
        self.client
            .call::<totp::Update>(request, Some(token.expose()))
            .await
    }

    /// Turns a code into a session (`POST /v1/auth/totp/verify`): sign-in, and completion of sign-up and update.
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn verify(
        self,
        request: &TotpVerifyRequest,
        token: Option<&RefreshToken>,
    ) -> Result<JwtResponse, ClientError> {
        self.client
            .call::<totp::Verify>(request, expose(token))
            .await
    }
}
