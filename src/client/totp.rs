//! Authenticator apps.

use super::error::ClientError;
use super::{Client, RefreshToken, reply, require, step_up};
use crate::wire::{
    JwtResponse, TotpEnrolment, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest, path,
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
    pub async fn sign_up(self, request: &TotpSignUpRequest) -> Result<TotpEnrolment, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        let call = self.client.post(path::TOTP_SIGN_UP, request, None)?;
        self.enrolment(call).await
    }

    /// A new key for a signed-in user (`POST /v1/auth/totp/update`).
    ///
    /// Replaces the old one once a first code is verified.
    pub async fn update(
        self,
        request: &TotpUpdateRequest,
        token: &RefreshToken,
    ) -> Result<TotpEnrolment, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        let call = self
            .client
            .post(path::TOTP_UPDATE, request, Some(token.expose()))?;
        self.enrolment(call).await
    }

    /// Turns a code into a session (`POST /v1/auth/totp/verify`): sign-in, and completion of sign-up and update.
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    pub async fn verify(
        self,
        request: &TotpVerifyRequest,
        token: Option<&RefreshToken>,
    ) -> Result<JwtResponse, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        require(&request.code, "the code is empty")?;
        let credential = step_up(&request.login_options, token)?;
        let call = self.client.post(path::TOTP_VERIFY, request, credential)?;
        self.client.send_for_tokens(call).await
    }

    async fn enrolment(self, call: super::call::Call<'_>) -> Result<TotpEnrolment, ClientError> {
        let response = self.client.send(call).await?;
        let enrolment: TotpEnrolment = reply::object(&response)?;
        // A page that shows no key would lock the user out at the next sign-in.
        if enrolment.key.is_empty() && enrolment.provisioning_url.is_empty() {
            return Err(ClientError::malformed(response.status()));
        }
        Ok(enrolment)
    }
}
