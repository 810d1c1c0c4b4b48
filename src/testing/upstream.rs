//! The part of Descope that a test handle talks to: renewals, sign-outs and profiles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::user;
use crate::client::{Transport, TransportError, TransportErrorKind, TransportFuture};
use crate::clock::{Clock, ManualClock};

pub(super) struct Upstream {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    down: bool,
    /// The claims of sessions by refresh JWT.
    sessions: HashMap<String, Map<String, Value>>,
}

impl Upstream {
    pub(super) fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    pub(super) fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Lets this refresh JWT renew sessions with these claims.
    pub(super) fn sign_in(&self, refresh_jwt: &str, claims: Map<String, Value>) {
        self.state().sessions.insert(refresh_jwt.to_owned(), claims);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut state = self.state();
        if state.down {
            return Err(TransportError::new(TransportErrorKind::NotConnected));
        }
        let bearer = request.headers().get(AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok());
        // `Bearer <project id>:<token>`, after which there may be a management key.
        let token = bearer.and_then(|value| value.split(':').nth(1));
        let known = token.and_then(|token| state.sessions.get(token).cloned());
        Ok(match (request.uri().path(), known) {
            ("/v1/auth/refresh", Some(claims)) => {
                let issued = i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX);
                reply(200, &json!({"sessionJwt": user::session(&claims, issued)}))
            }
            ("/v1/auth/me", Some(claims)) => reply(200, &profile(&claims)),
            ("/v1/auth/logout", Some(_)) => {
                state
                    .sessions
                    .retain(|refresh, _| Some(&**refresh) != token);
                reply(200, &json!({}))
            }
            ("/v1/auth/logoutall", Some(user)) => {
                state
                    .sessions
                    .retain(|_, other| other["sub"] != user["sub"]);
                reply(200, &json!({}))
            }
            (
                "/v1/auth/refresh" | "/v1/auth/me" | "/v1/auth/logout" | "/v1/auth/logoutall",
                None,
            ) => reply(
                401,
                &json!({"errorCode": "E061005", "errorDescription": "Invalid token"}),
            ),
            (path, _) => {
                let why = format!(
                    "the test kit answers renewals, sign-outs and profiles, but not {path}; test that with the emulator"
                );
                // In the log, because an app may hide the error, and in the error, because a test may not see the log.
                tracing::error!("{why}");
                let body = json!({"errorCode": "test_kit", "errorDescription": why});
                reply(400, &body)
            }
        })
    }
}

fn profile(claims: &Map<String, Value>) -> Value {
    let list = |name| claims.get(name).cloned().unwrap_or_else(|| json!([]));
    json!({
        "userId": claims["sub"],
        "loginIds": [claims["sub"]],
        "name": claims["sub"],
        "status": "enabled",
        "roleNames": list("roles"),
        "permissions": list("permissions"),
    })
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

impl Transport for Upstream {
    fn send(&self, request: Request<Bytes>, _: usize) -> TransportFuture<'_> {
        let answer = self.answer(&request);
        Box::pin(std::future::ready(answer))
    }
}
