//! Descope's API over HTTP: one handler per call, which does no more than read, ask the state and answer.

mod body;
mod credentials;
mod notp;
mod otp;
mod reply;
mod segment;
mod session;
mod totp;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use self::credentials::Credentials;
use super::error::ApiError;
use super::instance::Instance;

pub(super) use self::body::Payload;
pub(super) use self::credentials::Peer;
pub(super) use self::reply::{empty_object, json};
pub(super) use self::segment::Segment;

/// What every handler answers.
pub(super) type Reply = Result<Response, ApiError>;

pub(super) fn router() -> Router<Arc<Instance>> {
    Router::new()
        .route("/v1/auth/otp/signup/{method}", post(otp::sign_up))
        .route("/v1/auth/otp/signin/{method}", post(otp::sign_in))
        .route("/v1/auth/otp/signup-in/{method}", post(otp::sign_up_or_in))
        .route("/v1/auth/otp/verify/{method}", post(otp::verify))
        .route("/v1/auth/otp/update/email", post(otp::update_email))
        .route(
            "/v1/auth/otp/update/phone/{method}",
            post(otp::update_phone),
        )
        .route("/v1/auth/totp/signup", post(totp::sign_up))
        .route("/v1/auth/totp/update", post(totp::update))
        .route("/v1/auth/totp/verify", post(totp::verify))
        .route("/v1/auth/notp/pending-session", post(notp::pending_session))
        .route("/v1/auth/notp/{provider}/signup", post(notp::sign_up))
        .route("/v1/auth/notp/{provider}/signin", post(notp::sign_in))
        .route(
            "/v1/auth/notp/{provider}/signup-in",
            post(notp::sign_up_or_in),
        )
        .route("/v1/auth/notp/{provider}/update", post(notp::update))
        .route(
            "/v1/auth/refresh",
            post(session::refresh).get(session::refresh),
        )
        .route("/v1/auth/try-refresh", post(session::try_refresh))
        .route("/v1/auth/logout", post(session::logout))
        .route("/v1/auth/logoutall", post(session::logout_all))
        .route("/v1/auth/me", get(session::me))
        .route("/v1/auth/me/tenants", post(session::my_tenants))
        .route("/v1/auth/me/history", get(session::history))
        .route("/v1/auth/tenant/select", post(session::select_tenant))
        .route("/v1/auth/validate", post(session::validate))
        .route(
            "/v1/auth/accesskey/exchange",
            post(session::exchange_access_key),
        )
        .route("/v2/keys/{project_id}", get(keys_v2))
        .route("/v1/keys/{project_id}", get(keys_v1))
        .route("/v1/mgmt/license", get(license))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn keys_v2(State(instance): State<Arc<Instance>>, Segment(project_id): Segment) -> Reply {
    let keys = published_keys(&instance, &project_id)?;
    Ok(json(&json!({ "keys": keys })))
}

async fn keys_v1(State(instance): State<Arc<Instance>>, Segment(project_id): Segment) -> Reply {
    published_keys(&instance, &project_id).map(|keys| json(&keys))
}

fn published_keys(
    instance: &Instance,
    project_id: &str,
) -> Result<Vec<serde_json::Value>, ApiError> {
    let state = instance.state();
    if state.project_id() == project_id {
        Ok(state.keys.jwks())
    } else {
        Err(ApiError::not_found("Project not found"))
    }
}

/// Go, Python and Node ask for it when they are given a management key.
async fn license(_: Credentials) -> Reply {
    Ok(json(&json!({ "rateLimitTier": "tier1" })))
}

pub(super) async fn not_found() -> ApiError {
    ApiError::not_found("No such path")
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        crate::wire::code::BAD_REQUEST,
        "Method not allowed",
    )
}
