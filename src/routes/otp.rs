//! One-time codes: `/v1/auth/otp/…`.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::answers::MASKED_ADDRESS;
use super::caller::Caller;
use super::error::RouteError;
use super::reply::{empty, is_blank, plain, post, signed_in};
use super::request::{Input, Method, PhoneMethod};
use crate::client::ClientError;
use crate::descope::Descope;
use crate::wire::{
    OtpSignInRequest, OtpSignUpRequest, OtpUpdateEmailRequest, OtpUpdatePhoneRequest,
    OtpVerifyRequest, path,
};

pub(super) async fn sign_up(
    State(descope): State<Descope>,
    Method(method): Method,
    Input(request): Input<OtpSignUpRequest>,
) -> Result<Response, RouteError> {
    let path = format!("{}/signup/{method}", path::OTP);
    sent(post(&descope, &path, &request, None).await)
}

pub(super) async fn sign_in(
    State(descope): State<Descope>,
    Method(method): Method,
    caller: Caller,
    Input(request): Input<OtpSignInRequest>,
) -> Result<Response, RouteError> {
    let path = format!("{}/signin/{method}", path::OTP);
    let token = caller.step_up(&request.login_options).await?;
    sent(post(&descope, &path, &request, token.as_ref()).await)
}

pub(super) async fn sign_up_or_in(
    State(descope): State<Descope>,
    Method(method): Method,
    caller: Caller,
    Input(request): Input<OtpSignInRequest>,
) -> Result<Response, RouteError> {
    let path = format!("{}/signup-in/{method}", path::OTP);
    let token = caller.step_up(&request.login_options).await?;
    sent(post(&descope, &path, &request, token.as_ref()).await)
}

pub(super) async fn verify(
    State(descope): State<Descope>,
    Method(method): Method,
    caller: Caller,
    Input(request): Input<OtpVerifyRequest>,
) -> Result<Response, RouteError> {
    let path = format!("{}/verify/{method}", path::OTP);
    let reply = post(&descope, &path, &request, None).await;
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    signed_in(&descope, &caller, reply, None).await
}

pub(super) async fn update_email(
    State(descope): State<Descope>,
    caller: Caller,
    Input(request): Input<OtpUpdateEmailRequest>,
) -> Result<Response, RouteError> {
    let token = caller.refresh_jwt().await?;
    sent(post(&descope, path::OTP_UPDATE_EMAIL, &request, Some(&token)).await)
}

pub(super) async fn update_phone(
    State(descope): State<Descope>,
    PhoneMethod(method): PhoneMethod,
    caller: Caller,
    Input(request): Input<OtpUpdatePhoneRequest>,
) -> Result<Response, RouteError> {
    let path = format!("{}/{method}", path::OTP_UPDATE_PHONE);
    let token = caller.refresh_jwt().await?;
    sent(post(&descope, &path, &request, Some(&token)).await)
}

/// The API's documentation still speaks of an empty object. Anything else names the address.
fn sent(reply: Result<Value, ClientError>) -> Result<Response, RouteError> {
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    if is_blank(&reply) {
        return Ok(empty(Vec::new()));
    }
    plain(reply, &MASKED_ADDRESS, &["maskedEmail", "maskedPhone"])
}
