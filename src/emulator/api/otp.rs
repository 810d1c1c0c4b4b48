//! `/v1/auth/otp/…`

use std::sync::Arc;

use axum::extract::State;

use super::super::error::ApiError;
use super::super::instance::Instance;
use super::super::state::NewAddress;
use super::credentials::{Credentials, Peer};
use super::{Payload, Reply, Segment, json, reply};
use crate::wire::{
    DeliveryMethod, OtpSignInRequest, OtpSignUpRequest, OtpUpdateEmailRequest,
    OtpUpdatePhoneRequest, OtpVerifyRequest,
};

/// A path with an unknown method is a path that does not exist.
fn known(method: &str) -> Result<DeliveryMethod, ApiError> {
    method
        .parse()
        .map_err(|_| ApiError::not_found("No such delivery method"))
}

pub(super) async fn sign_up(
    State(instance): State<Arc<Instance>>,
    Segment(method): Segment,
    _: Credentials,
    Payload(request): Payload<OtpSignUpRequest>,
) -> Reply {
    let method = known(&method)?;
    let masked = instance.state().otp_sign_up(method, request)?;
    Ok(json(&masked))
}

pub(super) async fn sign_in(
    State(instance): State<Arc<Instance>>,
    Segment(method): Segment,
    credentials: Credentials,
    Payload(request): Payload<OtpSignInRequest>,
) -> Reply {
    let method = known(&method)?;
    let masked = instance
        .state()
        .otp_sign_in(method, request, &credentials.presented())?;
    Ok(json(&masked))
}

pub(super) async fn sign_up_or_in(
    State(instance): State<Arc<Instance>>,
    Segment(method): Segment,
    credentials: Credentials,
    Payload(request): Payload<OtpSignInRequest>,
) -> Reply {
    let method = known(&method)?;
    let masked = instance
        .state()
        .otp_sign_up_or_in(method, request, &credentials.presented())?;
    Ok(json(&masked))
}

pub(super) async fn verify(
    State(instance): State<Arc<Instance>>,
    Segment(method): Segment,
    peer: Peer,
    _: Credentials,
    Payload(request): Payload<OtpVerifyRequest>,
) -> Reply {
    let method = known(&method)?;
    let grant = instance.state().otp_verify(method, &request, &peer.ip())?;
    reply::tokens(grant)
}

pub(super) async fn update_email(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    Payload(request): Payload<OtpUpdateEmailRequest>,
) -> Reply {
    let masked = instance.state().otp_update(
        NewAddress {
            method: DeliveryMethod::Email,
            login_id: &request.login_id,
            address: request.email,
            options: request.options,
        },
        &credentials.presented(),
    )?;
    Ok(json(&masked))
}

pub(super) async fn update_phone(
    State(instance): State<Arc<Instance>>,
    Segment(method): Segment,
    credentials: Credentials,
    Payload(request): Payload<OtpUpdatePhoneRequest>,
) -> Reply {
    let method = known(&method)?;
    if !method.is_phone() {
        return Err(ApiError::not_found("No such delivery method"));
    }
    let masked = instance.state().otp_update(
        NewAddress {
            method,
            login_id: &request.login_id,
            address: request.phone,
            options: request.options,
        },
        &credentials.presented(),
    )?;
    Ok(json(&masked))
}
