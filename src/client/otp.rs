//! One-time codes.

use super::error::ClientError;
use super::{Client, RefreshToken, expose};
use crate::wire::{
    DeliveryMethod, JwtResponse, MaskedAddress, OtpSignInRequest, OtpSignUpRequest,
    OtpUpdateEmailRequest, OtpUpdatePhoneRequest, OtpVerifyRequest, otp,
};

/// Calls of `/v1/auth/otp`; see [`Client::otp`].
///
/// A new code replaces the earlier code. None of these calls is repeated once a connection was established.
#[derive(Clone, Copy, Debug)]
pub struct Otp<'a> {
    pub(super) client: &'a Client,
}

impl Otp<'_> {
    /// Sends a code to somebody who is not registered (`POST /v1/auth/otp/signup/{method}`).
    ///
    /// The user is created when the code is verified.
    ///
    /// # Errors
    ///
    /// E062107 when the user exists already; and as every call, see
    /// [`ClientErrorKind`](super::ClientErrorKind).
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
    /// `token` is required if the login options ask for `stepup` or `mfa`; otherwise it is not sent.
    ///
    /// # Errors
    ///
    /// E062108 when there is no such user; and as every call, see
    /// [`ClientErrorKind`](super::ClientErrorKind).
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
    /// `token` is required if the login options ask for `stepup` or `mfa`; otherwise it is not sent.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
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

    /// Exchanges a code for a session (`POST /v1/auth/otp/verify/{method}`).
    ///
    /// `method` is the method with which the code was sent. The call completes a sign-up, a sign-in or an update.
    ///
    /// # Errors
    ///
    /// E061102 for a wrong code, E061104 for an expired code, and E061103 for a code that was tried too often; and as
    /// every call, see [`ClientErrorKind`](super::ClientErrorKind).
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
    /// The new address takes effect when the code is verified.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
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
    /// The new number takes effect when the code is verified. [`DeliveryMethod::Email`] is refused without a call.
    ///
    /// # Errors
    ///
    /// As every call, see [`ClientErrorKind`](super::ClientErrorKind).
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
