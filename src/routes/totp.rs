//! Authenticator apps: `/v1/auth/totp/…`.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::answers::TOTP_ENROLMENT;
use super::caller::Caller;
use super::error::RouteError;
use super::reply::{plain, post, signed_in};
use super::request::Input;
use crate::client::ClientError;
use crate::descope::Descope;
use crate::wire::{TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest, path};

pub(super) async fn sign_up(
    State(descope): State<Descope>,
    Input(request): Input<TotpSignUpRequest>,
) -> Result<Response, RouteError> {
    enrolment(post(&descope, path::TOTP_SIGN_UP, &request, None).await)
}

pub(super) async fn update(
    State(descope): State<Descope>,
    caller: Caller,
    Input(request): Input<TotpUpdateRequest>,
) -> Result<Response, RouteError> {
    let token = caller.refresh_jwt().await?;
    enrolment(post(&descope, path::TOTP_UPDATE, &request, Some(&token)).await)
}

pub(super) async fn verify(
    State(descope): State<Descope>,
    caller: Caller,
    Input(request): Input<TotpVerifyRequest>,
) -> Result<Response, RouteError> {
    let token = caller.step_up(&request.login_options).await?;
    let reply = post(&descope, path::TOTP_VERIFY, &request, token.as_ref()).await;
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    signed_in(&descope, &caller, reply, token.as_ref()).await
}

fn enrolment(reply: Result<Value, ClientError>) -> Result<Response, RouteError> {
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    // A page that shows no key would lock the user out at the next sign-in.
    plain(reply, &TOTP_ENROLMENT, &["key", "provisioningURL"])
}
