//! One-time codes.

use super::error::ClientError;
use super::{Client, RefreshToken, reply, require, step_up};
use crate::wire::{
    DeliveryMethod, JwtResponse, MaskedAddress, OtpSignInRequest, OtpSignUpRequest,
    OtpUpdateEmailRequest, OtpUpdatePhoneRequest, OtpVerifyRequest, path,
};

/// Calls of `/v1/auth/otp`; see [`Client::otp`].
///
/// Sending a code invalidates the one before. Every failure is a [`ClientError`]; none of these calls is
/// repeated after a connection was established.
#[derive(Clone, Copy, Debug)]
pub struct Otp<'a> {
    pub(super) client: &'a Client,
}

impl Otp<'_> {
    /// Sends a code to somebody who is not registered (`POST /v1/auth/otp/signup/{method}`).
    ///
    /// The user exists once the code is verified. E062107 when there is one already.
    pub async fn sign_up(
        self,
        method: DeliveryMethod,
        request: &OtpSignUpRequest,
    ) -> Result<MaskedAddress, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        let path = format!("{}/signup/{method}", path::OTP);
        let call = self.client.post(&path, request, None)?;
        reply::masked(&self.client.send(call).await?)
    }

    /// Sends a code to a registered user (`POST /v1/auth/otp/signin/{method}`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then. E062108 when there
    /// is no such user.
    pub async fn sign_in(
        self,
        method: DeliveryMethod,
        request: &OtpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<MaskedAddress, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        let credential = step_up(&request.login_options, token)?;
        let path = format!("{}/signin/{method}", path::OTP);
        let call = self.client.post(&path, request, credential)?;
        reply::masked(&self.client.send(call).await?)
    }

    /// Sends a code, whether the user is registered or not (`POST /v1/auth/otp/signup-in/{method}`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    pub async fn sign_up_or_in(
        self,
        method: DeliveryMethod,
        request: &OtpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<MaskedAddress, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        let credential = step_up(&request.login_options, token)?;
        let path = format!("{}/signup-in/{method}", path::OTP);
        let call = self.client.post(&path, request, credential)?;
        reply::masked(&self.client.send(call).await?)
    }

    /// Turns a code into a session (`POST /v1/auth/otp/verify/{method}`).
    ///
    /// `method` is the one that the code was sent with. Completes sign-up, sign-in and both updates. A wrong
    /// code is E061102, an expired one E061104, one that was tried too often E061103.
    pub async fn verify(
        self,
        method: DeliveryMethod,
        request: &OtpVerifyRequest,
    ) -> Result<JwtResponse, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        require(&request.code, "the code is empty")?;
        let path = format!("{}/verify/{method}", path::OTP);
        let call = self.client.post(&path, request, None)?;
        self.client.send_for_tokens(call).await
    }

    /// Sends a code to a user's new e-mail address (`POST /v1/auth/otp/update/email`).
    ///
    /// The address is live once the code is verified.
    pub async fn update_email(
        self,
        request: &OtpUpdateEmailRequest,
        token: &RefreshToken,
    ) -> Result<MaskedAddress, ClientError> {
        require(&request.login_id, "the login id is empty")?;
        require(&request.email, "the e-mail address is empty")?;
        let call = self
            .client
            .post(path::OTP_UPDATE_EMAIL, request, Some(token.expose()))?;
        reply::masked(&self.client.send(call).await?)
    }

    /// Sends a code to a user's new phone number (`POST /v1/auth/otp/update/phone/{method}`).
    ///
    /// The number is live once the code is verified. [`DeliveryMethod::Email`] is refused without a call.
    pub async fn update_phone(
        self,
        method: DeliveryMethod,
        request: &OtpUpdatePhoneRequest,
        token: &RefreshToken,
    ) -> Result<MaskedAddress, ClientError> {
        if !method.is_phone() {
            return Err(ClientError::invalid("e-mail does not reach a phone"));
        }
        require(&request.login_id, "the login id is empty")?;
        require(&request.phone, "the phone number is empty")?;
        let path = format!("{}/{method}", path::OTP_UPDATE_PHONE);
        let call = self.client.post(&path, request, Some(token.expose()))?;
        reply::masked(&self.client.send(call).await?)
    }
}
