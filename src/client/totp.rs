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
    /// Makes a key for the authenticator app of somebody who is not registered (`POST /v1/auth/totp/signup`).
    ///
    /// The user is created when the first code is verified.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn sign_up(self, request: &TotpSignUpRequest) -> Result<TotpEnrolment, ClientError> {
        self.client.call::<totp::SignUp>(request, None).await
    }

    /// Makes a new key for the authenticator app of a signed-in user (`POST /v1/auth/totp/update`).
    ///
    /// The new key replaces the old key when the first code of the new key is verified.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
    pub async fn update(
        self,
        request: &TotpUpdateRequest,
        token: &RefreshToken,
    ) -> Result<TotpEnrolment, ClientError> {
        self.client
            .call::<totp::Update>(request, Some(token.expose()))
            .await
    }

    /// Exchanges a code for a session (`POST /v1/auth/totp/verify`). A first code also completes a sign-up or an
    /// update.
    ///
    /// `token` is required if the login options ask for `stepup` or `mfa`; otherwise it is not sent.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
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
