//! One-time codes.

use super::error::ClientError;
use super::{Client, RefreshToken, expose};
use crate::wire::{
    DeliveryMethod, JwtResponse, MaskedAddress, OtpSignInRequest, OtpSignUpRequest,
    OtpUpdateEmailRequest, OtpUpdatePhoneRequest, OtpVerifyRequest, otp,
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
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_up(
        self,
        method: DeliveryMethod,
        request: &OtpSignUpRequest,
    ) -> Result<MaskedAddress, ClientError> {
        let method = Some(method.as_str());
        self.client
            .call_with::<otp::SignUp>(method, request, None)
            .await
    }

    /// Sends a code to a registered user (`POST /v1/auth/otp/signin/{method}`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then. E062108 when there
    /// is no such user.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_in(
        self,
        method: DeliveryMethod,
        request: &OtpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<MaskedAddress, ClientError> {
        let method = Some(method.as_str());
        self.client
            .call_with::<otp::SignIn>(method, request, expose(token))
            .await
    }

    /// Sends a code, whether the user is registered or not (`POST /v1/auth/otp/signup-in/{method}`).
    ///
    /// With `stepup` or `mfa` in the options, `token` is required, and it is sent only then.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn sign_up_or_in(
        self,
        method: DeliveryMethod,
        request: &OtpSignInRequest,
        token: Option<&RefreshToken>,
    ) -> Result<MaskedAddress, ClientError> {
        let method = Some(method.as_str());
        self.client
            .call_with::<otp::SignUpOrIn>(method, request, expose(token))
            .await
    }

    /// Turns a code into a session (`POST /v1/auth/otp/verify/{method}`).
    ///
    /// `method` is the one that the code was sent with. Completes sign-up, sign-in and both updates. A wrong
    /// code is E061102, an expired one E061104, one that was tried too often E061103.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn verify(
        self,
        method: DeliveryMethod,
        request: &OtpVerifyRequest,
    ) -> Result<JwtResponse, ClientError> {
        let method = Some(method.as_str());
        self.client
            .call_with::<otp::Verify>(method, request, None)
            .await
    }

    /// Sends a code to a user's new e-mail address (`POST /v1/auth/otp/update/email`).
    ///
    /// The address is live once the code is verified.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn update_email(
        self,
        request: &OtpUpdateEmailRequest,
        token: &RefreshToken,
    ) -> Result<MaskedAddress, ClientError> {
        self.client
            .call::<otp::UpdateEmail>(request, Some(token.expose()))
            .await
    }

    /// Sends a code to a user's new phone number (`POST /v1/auth/otp/update/phone/{method}`).
    ///
    /// The number is live once the code is verified. [`DeliveryMethod::Email`] is refused without a call.
    ///
    /// # Errors
    ///
    /// When the request is invalid, when Descope refuses it or cannot be reached, or when the answer cannot be read.
    pub async fn update_phone(
        self,
        method: DeliveryMethod,
        request: &OtpUpdatePhoneRequest,
        token: &RefreshToken,
    ) -> Result<MaskedAddress, ClientError> {
        let method = Some(method.as_str());
        self.client
            .call_with::<otp::UpdatePhone>(method, request, Some(token.expose()))
            .await
    }
}
