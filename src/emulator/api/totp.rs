//! `/v1/auth/totp/…`

use std::sync::Arc;

use axum::extract::State;

use super::super::instance::Instance;
use super::super::qr;
use super::super::state::ShownKey;
use super::credentials::{Credentials, Peer};
use super::{Payload, Reply, json, reply};
use crate::wire::{TotpEnrolment, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest};

fn enrolment(key: ShownKey) -> Reply {
    Ok(json(&TotpEnrolment {
        image: qr::png_base64(&key.uri)?,
        provisioning_url: key.uri,
        key: key.base32,
    }))
}

pub(super) async fn sign_up(
    State(instance): State<Arc<Instance>>,
    _: Credentials,
    Payload(request): Payload<TotpSignUpRequest>,
) -> Reply {
    let key = instance.state().totp_sign_up(request)?;
    enrolment(key)
}

pub(super) async fn update(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    Payload(request): Payload<TotpUpdateRequest>,
) -> Reply {
    let key = instance
        .state()
        .totp_update(&request, &credentials.presented())?;
    enrolment(key)
}

pub(super) async fn verify(
    State(instance): State<Arc<Instance>>,
    peer: Peer,
    credentials: Credentials,
    Payload(request): Payload<TotpVerifyRequest>,
) -> Reply {
    let grant = instance
        .state()
        .totp_verify(&request, &credentials.presented(), &peer.ip())?;
    reply::tokens(grant)
}
