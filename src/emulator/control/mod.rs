//! The control API. It does what a user would do (read the SMS, send the WhatsApp message) or what an operator would do
//! (settings, clock, keys). It gives out codes, so it refuses web pages of other origins.

mod local_only;
mod pages;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::{get, patch, post, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{Payload, Reply, Segment, empty_object, json, method_not_allowed, not_found};
use super::error::ApiError;
use super::fault::Fault;
use super::instance::Instance;
use super::keys::SigningKey;
use super::state::NewAccessKey;
use crate::wire::{UserProfile, nullable};

pub(super) use self::local_only::require_local;

pub(super) fn router() -> Router<Arc<Instance>> {
    pages::router()
        .route("/emulator/v1/project", get(project))
        .route("/emulator/v1/messages", get(messages))
        .route("/emulator/v1/users", put(put_user).get(users))
        .route(
            "/emulator/v1/notp/{pending_ref}/complete",
            post(complete_notp),
        )
        .route("/emulator/v1/whatsapp/{code}", get(whatsapp_message))
        .route("/emulator/v1/whatsapp", post(receive_whatsapp))
        .route("/emulator/v1/reset", post(reset))
        .route("/emulator/v1/clock", post(clock))
        .route("/emulator/v1/keys/rotate", post(rotate_keys))
        .route("/emulator/v1/config", patch(patch_config))
        .route("/emulator/v1/faults", post(push_fault))
        .route("/emulator/v1/stats", get(stats))
        .route("/emulator/v1/accesskeys", post(create_access_key))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The base URL and the project id with which a client is to be configured.
async fn project(State(instance): State<Arc<Instance>>) -> Reply {
    let project_id = instance.state().project_id().to_owned();
    Ok(json(
        &json!({ "baseUrl": instance.base_url, "projectId": project_id }),
    ))
}

async fn messages(
    State(instance): State<Arc<Instance>>,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Reply {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let messages = instance
        .state()
        .messages(query.get("to").map(String::as_str));
    Ok(json(&json!({ "messages": messages })))
}

async fn users(State(instance): State<Arc<Instance>>) -> Reply {
    let users = instance.state().users();
    Ok(json(&json!({ "users": users })))
}

async fn put_user(
    State(instance): State<Arc<Instance>>,
    Payload(body): Payload<Map<String, Value>>,
) -> Reply {
    let login_id = match body.get("loginId") {
        Some(Value::String(login_id)) => login_id.clone(),
        Some(_) => return Err(ApiError::bad_request("loginId: expected a string")),
        None => return Err(ApiError::missing("loginId")),
    };
    let profile = instance
        .state()
        .put_user(&login_id, |profile| overlay(profile, body))?;
    Ok(json(&profile))
}

/// Members of the body replace those of the profile; absent ones, `null` and unknown ones change nothing.
fn overlay(profile: &mut UserProfile, body: Map<String, Value>) -> Result<(), ApiError> {
    let Ok(Value::Object(mut merged)) = serde_json::to_value(&*profile) else {
        return Err(ApiError::internal("the user object"));
    };
    merged.extend(body.into_iter().filter(|(_, value)| !value.is_null()));
    *profile = serde_json::from_value(Value::Object(merged))
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    profile.other.clear();
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sender {
    from: Option<String>,
}

async fn complete_notp(
    State(instance): State<Arc<Instance>>,
    Segment(pending_ref): Segment,
    Payload(sender): Payload<Sender>,
) -> Reply {
    instance
        .state()
        .complete_notp(&pending_ref, sender.from.as_deref())?;
    Ok(empty_object())
}

/// What the page that plays WhatsApp shows.
async fn whatsapp_message(State(instance): State<Arc<Instance>>, Segment(code): Segment) -> Reply {
    let page = instance.state().notp_page(&code)?;
    Ok(json(&page))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WhatsappMessage {
    #[serde(deserialize_with = "nullable")]
    from: String,
    #[serde(deserialize_with = "nullable")]
    text: String,
}

async fn receive_whatsapp(
    State(instance): State<Arc<Instance>>,
    Payload(message): Payload<WhatsappMessage>,
) -> Reply {
    if message.from.is_empty() {
        return Err(ApiError::missing("from"));
    }
    instance
        .state()
        .receive_notp_message(&message.from, &message.text)?;
    Ok(empty_object())
}

async fn reset(State(instance): State<Arc<Instance>>, _: Payload<Map<String, Value>>) -> Reply {
    instance.state().reset();
    Ok(empty_object())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Advance {
    #[serde(deserialize_with = "nullable")]
    advance_seconds: i64,
}

async fn clock(State(instance): State<Arc<Instance>>, Payload(body): Payload<Advance>) -> Reply {
    let mut state = instance.state();
    state.advance(body.advance_seconds);
    Ok(json(
        &json!({ "now": state.now(), "offsetSeconds": state.offset() }),
    ))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rotate {
    #[serde(deserialize_with = "nullable")]
    retire_old: bool,
}

async fn rotate_keys(
    State(instance): State<Arc<Instance>>,
    Payload(body): Payload<Rotate>,
) -> Reply {
    let kid = rotate(&instance, body.retire_old).await?;
    Ok(json(&json!({ "kid": kid })))
}

/// Makes a key away from the runtime's threads and signs with it from now on.
pub(super) async fn rotate(instance: &Instance, retire_old: bool) -> Result<String, ApiError> {
    let key = tokio::task::spawn_blocking(SigningKey::generate)
        .await
        .map_err(|_| ApiError::internal("no key was generated"))??;
    let kid = key.kid().to_owned();
    instance.state().keys.rotate(key, retire_old);
    Ok(kid)
}

async fn patch_config(
    State(instance): State<Arc<Instance>>,
    Payload(patch): Payload<Map<String, Value>>,
) -> Reply {
    let mut state = instance.state();
    state.config = state.config.patched(patch)?;
    Ok(json(&state.config))
}

async fn push_fault(State(instance): State<Arc<Instance>>, Payload(body): Payload<Value>) -> Reply {
    let fault = Fault::from_json(body)?;
    instance.state().faults.push(fault);
    Ok(empty_object())
}

async fn stats(State(instance): State<Arc<Instance>>) -> Reply {
    let calls = instance.state().calls.clone();
    Ok(json(&json!({ "calls": calls })))
}

async fn create_access_key(
    State(instance): State<Arc<Instance>>,
    Payload(rights): Payload<NewAccessKey>,
) -> Reply {
    let key = instance.state().create_access_key(rights)?;
    Ok(json(&json!({ "key": key })))
}
