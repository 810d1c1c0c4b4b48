//! An app, its handle and the emulator that it signs in at.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_descope::clock::ManualClock;
pub use tower_descope::emulator::SignedIn;
use tower_descope::emulator::{Emulator, RefreshRotation};
use tower_descope::{AuthRejection, Descope, DescopeBuilder, RequireLayer, User};

pub const REFRESH: &str = "/v1/auth/refresh";

pub struct World {
    pub emulator: Emulator,
    pub clock: Arc<ManualClock>,
    pub descope: Descope,
    pub app: Router,
}

/// Cookies as text, for requests that carry others besides.
pub trait CookieLine {
    /// Both cookies.
    fn cookie_line(&self) -> String;

    /// The cookie of a browser that has lost its session cookie.
    fn refresh_cookie(&self) -> String;
}

impl CookieLine for SignedIn {
    fn cookie_line(&self) -> String {
        self.cookies().to_str().unwrap().to_owned()
    }

    fn refresh_cookie(&self) -> String {
        format!("DSR={}", self.refresh_jwt())
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub async fn with(configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> Self {
        let clock = clock();
        // One clock for both: on a busy machine two would part.
        let builder = Emulator::builder().clock(clock.clone());
        Self::of(builder.start().await.unwrap(), clock, configure)
    }

    /// A world in which the tokens of other worlds mean nothing: its emulator does not start with the key that is
    /// published with the crate.
    pub async fn with_other_keys() -> Self {
        let clock = clock();
        let builder = Emulator::builder().fresh_keys().clock(clock.clone());
        Self::of(builder.start().await.unwrap(), clock, |builder| builder)
    }

    /// Another project than that of the other worlds.
    pub async fn of_project(id: &str) -> Self {
        let clock = clock();
        let builder = Emulator::builder().clock(clock.clone()).project_id(id);
        Self::of(builder.start().await.unwrap(), clock, |builder| builder)
    }

    /// With an emulator in real time, for apps in other processes.
    pub async fn in_real_time() -> Self {
        let emulator = Emulator::builder().start().await.unwrap();
        Self::of(emulator, clock(), |builder| builder)
    }

    fn of(
        emulator: Emulator,
        clock: Arc<ManualClock>,
        configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder,
    ) -> Self {
        let descope = handle(&emulator, clock.clone(), configure);
        let app = app(&descope);
        Self {
            emulator,
            clock,
            descope,
            app,
        }
    }

    pub fn rotation(&self, rotation: RefreshRotation) {
        self.emulator
            .configure(|config| config.refresh_rotation = rotation);
    }

    /// Signs somebody in.
    pub async fn sign_in(&self, address: &str) -> SignedIn {
        self.emulator.sign_in(address).unwrap()
    }

    /// Signs somebody in an hour ago: the session JWT is over, the refresh JWT lives.
    pub async fn sign_in_long_ago(&self, address: &str) -> SignedIn {
        self.emulator.advance_clock(-3600);
        let session = self.sign_in(address).await;
        self.emulator.advance_clock(3600);
        session
    }

    /// The page that this browser gets.
    pub async fn browse(&self, path: &str, browser: &SignedIn) -> Reply {
        self.send(browser.browse(path).map(Body::from)).await
    }

    /// What an API client gets.
    pub async fn ask(&self, path: &str, client: &SignedIn) -> Reply {
        self.send(client.get(path).map(Body::from)).await
    }

    /// What a client with this token gets, whatever it is.
    pub async fn get_bearer(&self, path: &str, token: &str) -> Reply {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// With these cookies, of whomever.
    pub async fn get(&self, path: &str, cookies: &str) -> Reply {
        let request = Request::get(path).header(COOKIE, cookies);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        Reply::read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    pub fn key_fetches(&self) -> u64 {
        self.emulator
            .calls(&format!("/v2/keys/{}", self.emulator.project_id()))
    }

    pub fn refreshes(&self) -> u64 {
        self.emulator.calls(REFRESH)
    }
}

fn clock() -> Arc<ManualClock> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Arc::new(ManualClock::at_unix_seconds(now.as_secs() as i64))
}

pub fn handle(
    emulator: &Emulator,
    clock: Arc<ManualClock>,
    configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder,
) -> Descope {
    let builder = emulator
        .descope()
        .clock(clock)
        .deadline(Duration::from_secs(2));
    configure(builder).build().unwrap()
}

pub fn app(descope: &Descope) -> Router {
    Router::new()
        .route(
            "/me",
            get(async |user: User| {
                Json(json!({ "id": user.id(), "amr": user.amr().collect::<Vec<_>>() }))
            }),
        )
        .route("/me", post(async |user: User| user.id().to_owned()))
        .route(
            "/maybe",
            get(async |user: Option<User>| Json(json!({ "signedIn": user.is_some() }))),
        )
        .route(
            "/result",
            get(async |user: Result<User, AuthRejection>| match user {
                Ok(_) => "signed in",
                Err(rejection) => rejection.error().code(),
            }),
        )
        .route(
            "/admin",
            get(async || "welcome").route_layer(RequireLayer::new().role("admin")),
        )
        .route(
            "/public",
            get(async || ([(CACHE_CONTROL, "public, max-age=60")], "for everybody")),
        )
        .route(
            "/cookie",
            get(async |_: User| ([(SET_COOKIE, "theme=dark")], "ok")),
        )
        .route("/profile", get(profile))
        .layer(descope.session_layer())
}

async fn profile(user: User) -> String {
    match user.profile().await {
        Ok(profile) => profile.email.clone(),
        Err(error) => error.to_string(),
    }
}

pub struct Reply {
    pub response: Response<()>,
    pub body: String,
}

impl Reply {
    pub async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            response: Response::from_parts(parts, ()),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn set_cookies(&self) -> Vec<String> {
        self.response
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// The value of a cookie that the response sets; empty when it deletes it.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.set_cookies().iter().find_map(|cookie| {
            let rest = cookie.strip_prefix(name)?.strip_prefix('=')?;
            Some(rest.split(';').next().unwrap_or_default().to_owned())
        })
    }
}
