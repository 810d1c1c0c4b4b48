//! `/v1/auth/notp/…`

use std::sync::Arc;

use axum::extract::State;

use super::super::instance::Instance;
use super::super::qr;
use super::super::state::StartedFlow;
use super::credentials::{Credentials, Peer};
use super::{Payload, Reply, Segment, json, reply};
use crate::wire::{
    NotpLinkResponse, NotpSignInRequest, NotpSignUpRequest, NotpUpdateRequest,
    PendingSessionRequest,
};

/// The link holds the code of the message and not the `pendingRef`, so that the phone that opens it cannot fetch the
/// session.
fn link(instance: &Instance, started: StartedFlow) -> Reply {
    let redirect_url = format!(
        "{}/emulator/whatsapp/{}",
        instance.base_url, started.message_code
    );
    Ok(json(&NotpLinkResponse {
        pending_ref: started.pending_ref,
        image: qr::png_base64(&redirect_url)?,
        redirect_url,
    }))
}

pub(super) async fn sign_up(
    State(instance): State<Arc<Instance>>,
    Segment(provider): Segment,
    _: Credentials,
    Payload(request): Payload<NotpSignUpRequest>,
) -> Reply {
    let started = instance.state().notp_sign_up(&provider, request)?;
    link(&instance, started)
}

pub(super) async fn sign_in(
    State(instance): State<Arc<Instance>>,
    Segment(provider): Segment,
    credentials: Credentials,
    Payload(request): Payload<NotpSignInRequest>,
) -> Reply {
    let started =
        instance
            .state()
            .notp_sign_in(&provider, request, false, &credentials.presented())?;
    link(&instance, started)
}

pub(super) async fn sign_up_or_in(
    State(instance): State<Arc<Instance>>,
    Segment(provider): Segment,
    credentials: Credentials,
    Payload(request): Payload<NotpSignInRequest>,
) -> Reply {
    let started =
        instance
            .state()
            .notp_sign_in(&provider, request, true, &credentials.presented())?;
    link(&instance, started)
}

pub(super) async fn update(
    State(instance): State<Arc<Instance>>,
    Segment(provider): Segment,
    credentials: Credentials,
    Payload(request): Payload<NotpUpdateRequest>,
) -> Reply {
    let started = instance
        .state()
        .notp_update(&provider, request, &credentials.presented())?;
    link(&instance, started)
}

pub(super) async fn pending_session(
    State(instance): State<Arc<Instance>>,
    peer: Peer,
    _: Credentials,
    Payload(request): Payload<PendingSessionRequest>,
) -> Reply {
    let grant = instance
        .state()
        .notp_pending_session(&request.pending_ref, &peer.ip())?;
    reply::tokens(grant)
}
