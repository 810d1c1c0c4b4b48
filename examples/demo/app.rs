//! The demo's pages and API. The browser test serves the same.

use std::path::PathBuf;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_descope::{Descope, ProfileError, RequireLayer, User};

#[derive(Clone)]
pub struct App {
    pub descope: Descope,
    /// Where to read the codes, when the emulator sends them.
    pub inbox: Option<String>,
    /// The npm package `@descope/web-js-sdk`, or the file of it that browsers load.
    pub sdk: Option<PathBuf>,
}

pub fn router(app: App) -> Router {
    let descope = app.descope.clone();
    Router::new()
        .route("/", get(index))
        .route("/demo.js", get(async || javascript(INDEX_SCRIPT)))
        .route("/demo.css", get(style))
        .route("/sdk", get(sdk_page))
        .route("/sdk.js", get(async || javascript(SDK_SCRIPT)))
        .route("/web-js-sdk.js", get(sdk))
        .route("/api/me", get(me))
        .route("/api/maybe", get(maybe))
        .route("/api/profile", get(profile))
        .merge(
            Router::new()
                .route("/api/admin", get(admin))
                .route_layer(RequireLayer::new().role("admin")),
        )
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .nest("/auth", descope.routes())
        .layer(descope.session_layer())
        .with_state(app)
}

async fn me(user: User) -> Json<Value> {
    Json(describe(&user))
}

async fn maybe(user: Option<User>) -> Json<Value> {
    match user {
        Some(user) => Json(json!({ "signedIn": true, "id": user.id() })),
        None => Json(json!({ "signedIn": false })),
    }
}

async fn admin(user: User) -> Json<Value> {
    Json(json!({ "welcome": user.id() }))
}

async fn profile(user: User) -> Result<Response, Response> {
    match user.profile().await {
        Ok(profile) => Ok(Json(&*profile).into_response()),
        Err(error) => {
            let (status, message) = match &error {
                ProfileError::NoRefreshToken => (
                    StatusCode::FORBIDDEN,
                    "the profile needs the session cookies; a bearer token alone cannot load it",
                ),
                _ => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the profile cannot be loaded right now",
                ),
            };
            Err((status, Json(json!({ "error": message }))).into_response())
        }
    }
}

async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    match app.descope.ready().await {
        Ok(()) => {
            let age = app.descope.key_age().unwrap_or(Duration::ZERO);
            (
                StatusCode::OK,
                Json(json!({ "ready": true, "keyAgeSeconds": age.as_secs() })),
            )
        }
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "reason": error.to_string() })),
        ),
    }
}

fn describe(user: &User) -> Value {
    let tenants: serde_json::Map<String, Value> = user
        .tenants()
        .map(|tenant| {
            let grants = json!({
                "roles": user.tenant_roles(tenant).collect::<Vec<_>>(),
                "permissions": user.tenant_permissions(tenant).collect::<Vec<_>>(),
            });
            (tenant.to_owned(), grants)
        })
        .collect();
    let expires_at = user
        .expires_at()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    json!({
        "id": user.id(),
        "roles": user.roles().collect::<Vec<_>>(),
        "permissions": user.permissions().collect::<Vec<_>>(),
        "tenants": tenants,
        "currentTenant": user.current_tenant(),
        "amr": user.amr().collect::<Vec<_>>(),
        "stepUp": user.is_step_up(),
        "expiresAt": expires_at.as_secs(),
    })
}

async fn index(State(app): State<App>) -> impl IntoResponse {
    page(INDEX, &app)
}

async fn sdk_page(State(app): State<App>) -> impl IntoResponse {
    page(SDK_PAGE, &app)
}

/// Descope's browser SDK, as it came.
async fn sdk(State(app): State<App>) -> Response {
    let Some(path) = app.sdk else {
        return (StatusCode::NOT_FOUND, "DESCOPE_WEB_JS_SDK is not set\n").into_response();
    };
    let file = if path.is_dir() {
        path.join("dist/index.umd.js")
    } else {
        path
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => javascript(text).into_response(),
        Err(error) => {
            let message = format!("{}: {error}\n", file.display());
            (StatusCode::NOT_FOUND, message).into_response()
        }
    }
}

fn page(template: &str, app: &App) -> impl IntoResponse + use<> {
    let hint = match &app.inbox {
        Some(inbox) => format!(
            r#"No message leaves this machine: <a href="{inbox}" target="_blank" rel="noopener">read the code in the inbox</a>."#
        ),
        None => "Descope sends the code.".to_owned(),
    };
    let html = template
        .replace("{{hint}}", &hint)
        .replace("{{project}}", app.descope.project_id().as_str());
    (page_headers(), Html(html))
}

fn javascript(text: impl IntoResponse) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], text)
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

fn page_headers() -> [(HeaderName, &'static str); 1] {
    [(
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )]
}

const INDEX: &str = include_str!("index.html");
const INDEX_SCRIPT: &str = include_str!("demo.js");
const SDK_PAGE: &str = include_str!("sdk.html");
const SDK_SCRIPT: &str = include_str!("sdk.js");
const STYLE: &str = include_str!("demo.css");
