//! Sign-in by a message that the user sends: `/v1/auth/notp/…`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::answers::NOTP_LINK;
use super::caller::Caller;
use super::error::RouteError;
use super::reply::{plain, post, signed_in};
use super::request::{Input, Provider};
use crate::client::NotpProvider;
use crate::descope::Descope;
use crate::refresh::Presented;
use crate::wire::{
    NotpSignInRequest, NotpSignUpRequest, NotpUpdateRequest, PendingSessionRequest, path,
};

pub(super) async fn sign_up(
    State(descope): State<Descope>,
    Provider(provider): Provider,
    Input(request): Input<NotpSignUpRequest>,
) -> Result<Response, RouteError> {
    link(&descope, provider, "signup", &request, None).await
}

pub(super) async fn sign_in(
    State(descope): State<Descope>,
    Provider(provider): Provider,
    caller: Caller,
    Input(request): Input<NotpSignInRequest>,
) -> Result<Response, RouteError> {
    let token = caller.step_up(&request.login_options).await?;
    link(&descope, provider, "signin", &request, token.as_ref()).await
}

pub(super) async fn sign_up_or_in(
    State(descope): State<Descope>,
    Provider(provider): Provider,
    caller: Caller,
    Input(request): Input<NotpSignInRequest>,
) -> Result<Response, RouteError> {
    let token = caller.step_up(&request.login_options).await?;
    link(&descope, provider, "signup-in", &request, token.as_ref()).await
}

pub(super) async fn update(
    State(descope): State<Descope>,
    Provider(provider): Provider,
    caller: Caller,
    Input(request): Input<NotpUpdateRequest>,
) -> Result<Response, RouteError> {
    let token = caller.refresh_jwt().await?;
    link(&descope, provider, "update", &request, Some(&token)).await
}

/// The SDK asks every second and goes on at any error, so errors of upstream pass as they are.
pub(super) async fn pending_session(
    State(descope): State<Descope>,
    caller: Caller,
    Input(request): Input<PendingSessionRequest>,
) -> Result<Response, RouteError> {
    let reply = post(&descope, path::NOTP_PENDING_SESSION, &request, None).await;
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    signed_in(&descope, &caller, reply, None).await
}

async fn link<T: Serialize>(
    descope: &Descope,
    provider: NotpProvider,
    call: &str,
    request: &T,
    token: Option<&Presented>,
) -> Result<Response, RouteError> {
    let path = format!("{}/{provider}/{call}", path::NOTP);
    let reply = post(descope, &path, request, token).await;
    let reply = reply.map_err(|error| RouteError::upstream(&error))?;
    // Without the reference the page would poll for nothing.
    plain(reply, &NOTP_LINK, &["pendingRef"])
}
