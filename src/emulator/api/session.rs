//! Sessions, the signed-in user's own data, and access keys.

use std::sync::Arc;

use axum::extract::State;

use super::super::instance::Instance;
use super::credentials::Credentials;
use super::{Payload, Reply, empty_object, json, reply};
use crate::wire::{
    AccessKeyExchangeRequest, LogoutRequest, MyTenantsRequest, RefreshRequest, TenantSelectRequest,
};

pub(super) async fn refresh(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    _: Payload<RefreshRequest>,
) -> Reply {
    let grant = instance.state().refresh(&credentials.presented())?;
    reply::tokens(grant)
}

/// The web SDK makes this call when a page loads, so a caller who is not signed in gets `{}` and not an error.
pub(super) async fn try_refresh(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    _: Payload<RefreshRequest>,
) -> Reply {
    let grant = instance.state().refresh(&credentials.presented());
    match grant {
        Ok(grant) => reply::tokens(grant),
        Err(error) if error.status.is_server_error() => Err(error),
        Err(_) => Ok(empty_object()),
    }
}

pub(super) async fn logout(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    _: Payload<LogoutRequest>,
) -> Reply {
    let mut state = instance.state();
    state.logout(&credentials.presented())?;
    reply::signed_out(state.config.token_delivery)
}

pub(super) async fn logout_all(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    _: Payload<LogoutRequest>,
) -> Reply {
    let mut state = instance.state();
    state.logout_all(&credentials.presented())?;
    reply::signed_out(state.config.token_delivery)
}

pub(super) async fn me(State(instance): State<Arc<Instance>>, credentials: Credentials) -> Reply {
    let user = instance.state().me(&credentials.presented())?;
    Ok(json(&user))
}

pub(super) async fn history(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
) -> Reply {
    let history = instance.state().history(&credentials.presented())?;
    Ok(json(&history))
}

pub(super) async fn my_tenants(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    Payload(request): Payload<MyTenantsRequest>,
) -> Reply {
    let tenants = instance
        .state()
        .my_tenants(&credentials.presented(), &request)?;
    Ok(json(&tenants))
}

pub(super) async fn select_tenant(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    Payload(request): Payload<TenantSelectRequest>,
) -> Reply {
    let grant = instance
        .state()
        .select_tenant(&credentials.presented(), &request.tenant)?;
    reply::tokens(grant)
}

pub(super) async fn validate(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
) -> Reply {
    let claims = instance.state().validate(credentials.jwt())?;
    Ok(json(&claims))
}

pub(super) async fn exchange_access_key(
    State(instance): State<Arc<Instance>>,
    credentials: Credentials,
    Payload(request): Payload<AccessKeyExchangeRequest>,
) -> Reply {
    let grant = instance
        .state()
        .exchange_access_key(credentials.access_key(), request)?;
    Ok(json(&grant.sign()?))
}
