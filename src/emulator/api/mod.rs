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
use crate::wire::{self, endpoint::Call};

pub(super) use self::body::Payload;
pub(super) use self::credentials::Peer;
pub(super) use self::reply::{empty_object, json};
pub(super) use self::segment::Segment;

/// The result of every handler.
pub(super) type Reply = Result<Response, ApiError>;

pub(super) fn router() -> Router<Arc<Instance>> {
    Router::new()
        .route(path::<wire::otp::SignUp>(), post(otp::sign_up))
        .route(path::<wire::otp::SignIn>(), post(otp::sign_in))
        .route(path::<wire::otp::SignUpOrIn>(), post(otp::sign_up_or_in))
        .route(path::<wire::otp::Verify>(), post(otp::verify))
        .route(path::<wire::otp::UpdateEmail>(), post(otp::update_email))
        .route(path::<wire::otp::UpdatePhone>(), post(otp::update_phone))
        .route(path::<wire::totp::SignUp>(), post(totp::sign_up))
        .route(path::<wire::totp::Update>(), post(totp::update))
        .route(path::<wire::totp::Verify>(), post(totp::verify))
        .route(
            path::<wire::notp::PendingSession>(),
            post(notp::pending_session),
        )
        .route(path::<wire::notp::SignUp>(), post(notp::sign_up))
        .route(path::<wire::notp::SignIn>(), post(notp::sign_in))
        .route(path::<wire::notp::SignUpOrIn>(), post(notp::sign_up_or_in))
        .route(path::<wire::notp::Update>(), post(notp::update))
        .route(
            path::<wire::session::Refresh>(),
            post(session::refresh).get(session::refresh),
        )
        .route(
            path::<wire::session::TryRefresh>(),
            post(session::try_refresh),
        )
        .route(path::<wire::session::Logout>(), post(session::logout))
        .route(
            path::<wire::session::LogoutAll>(),
            post(session::logout_all),
        )
        .route(path::<wire::session::Me>(), get(session::me))
        .route(
            path::<wire::session::MyTenants>(),
            post(session::my_tenants),
        )
        .route(path::<wire::session::History>(), get(session::history))
        .route(
            path::<wire::session::SelectTenant>(),
            post(session::select_tenant),
        )
        .route(path::<wire::session::Validate>(), post(session::validate))
        .route(
            path::<wire::session::ExchangeAccessKey>(),
            post(session::exchange_access_key),
        )
        .route("/v2/keys/{project_id}", get(keys_v2))
        .route("/v1/keys/{project_id}", get(keys_v1))
        .route("/v1/mgmt/license", get(license))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The path of the call.
fn path<C: Call>() -> &'static str {
    C::ENDPOINT.path
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

/// The Go, Python and Node SDKs make this call when they are configured with a management key.
async fn license(_: Credentials) -> Reply {
    Ok(json(&json!({ "rateLimitTier": "tier1" })))
}

pub(super) async fn not_found() -> ApiError {
    ApiError::not_found("No such path")
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        crate::wire::api_code::BAD_REQUEST,
        "Method not allowed",
    )
}
