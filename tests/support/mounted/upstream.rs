//! A Descope in memory, with the counters that tests judge by.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tower_descope::client::{Transport, TransportError, TransportErrorKind, TransportFuture};
use tower_descope::clock::{Clock, ManualClock};

use super::PROJECT;
use crate::support::signer::{Signer, claims, jwks};

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("key-1"));
static NEXT_SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("key-2"));

/// The right code, everywhere.
pub const CODE: &str = "123456";

/// A call as upstream saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    /// What stood behind the project id.
    pub token: Option<String>,
    pub body: Value,
    pub headers: http::HeaderMap,
}

/// What becomes of a call.
#[derive(Clone)]
pub enum Fault {
    /// An answer that the API did not write.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// No answer.
    Transport(TransportErrorKind),
    /// No answer ever.
    Hang,
    /// The call is carried out once the semaphore has a permit.
    Wait(Arc<Semaphore>),
    /// The call is carried out, and answered once the semaphore has a permit.
    Late(Arc<Semaphore>),
}

#[derive(Clone)]
pub struct Upstream {
    pub clock: Arc<ManualClock>,
    state: Arc<Mutex<State>>,
}

pub struct State {
    /// Whether a refresh JWT works once.
    pub rotation: bool,
    pub session_life: i64,
    pub refresh_life: i64,
    /// Further claims of all tokens.
    pub claims: Map<String, Value>,
    /// Further claims of session JWTs, as a JWT template makes them.
    pub session_claims: Map<String, Value>,
    /// Signs with the next key.
    pub rotated: bool,
    /// Publishes the next key beside the first.
    pub published: bool,
    /// Answers 500 to those who ask for keys.
    pub keys_down: bool,
    /// Further members of token replies.
    pub members: Map<String, Value>,
    /// Whether tokens come as `Set-Cookie`.
    pub cookie_mode: bool,
    /// Leaves the refresh JWT out of replies to verification.
    pub no_refresh: bool,
    pub calls: Vec<Call>,
    /// Rotated-out tokens that somebody sent.
    pub reused: usize,
    faults: VecDeque<(String, Fault)>,
    live: BTreeMap<String, String>,
    spent: BTreeSet<String>,
    serial: u64,
}

impl Upstream {
    pub fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::at_unix_seconds(1_800_000_000)),
            state: Arc::new(Mutex::new(State {
                rotation: false,
                session_life: 600,
                refresh_life: 28 * 24 * 3600,
                claims: Map::new(),
                session_claims: Map::new(),
                rotated: false,
                published: false,
                keys_down: false,
                members: Map::new(),
                cookie_mode: false,
                no_refresh: false,
                calls: Vec::new(),
                reused: 0,
                faults: VecDeque::new(),
                live: BTreeMap::new(),
                spent: BTreeSet::new(),
                serial: 0,
            })),
        }
    }

    pub fn rotating() -> Self {
        let upstream = Self::new();
        upstream.set().rotation = true;
        upstream
    }

    pub fn set(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What becomes of the next call of this path.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.set().faults.push_back((path.to_owned(), fault));
    }

    pub fn answer(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.fault(path, Fault::Answer(status, Vec::new(), body.into()));
    }

    /// Calls of this path so far.
    pub fn count(&self, path: &str) -> usize {
        self.calls(path).len()
    }

    pub fn calls(&self, path: &str) -> Vec<Call> {
        let state = self.set();
        let calls = state.calls.iter().filter(|call| call.path == path);
        calls.cloned().collect()
    }

    pub fn last(&self) -> Call {
        self.set().calls.last().expect("no call").clone()
    }

    /// All calls but those for keys.
    pub fn total(&self) -> usize {
        let state = self.set();
        let calls = state.calls.iter();
        calls.filter(|call| call.path.starts_with("/v1/")).count()
    }

    /// Whether this refresh JWT still works.
    pub fn is_live(&self, jwt: &str) -> bool {
        self.set().live.contains_key(jwt)
    }

    pub fn live(&self) -> usize {
        self.set().live.len()
    }

    /// A session and a refresh JWT of a user, as after a sign-in.
    pub fn tokens(&self, user: &str) -> (String, String) {
        let now = self.now();
        let mut state = self.set();
        (
            state.session(user, now, &Map::new()),
            state.refresh(user, now),
        )
    }

    fn now(&self) -> i64 {
        self.clock.unix().as_secs() as i64
    }
}

impl State {
    fn sign(
        &mut self,
        user: &str,
        drn: &str,
        now: i64,
        life: i64,
        more: &Map<String, Value>,
    ) -> String {
        self.serial += 1;
        let mut claims = json!({
            "iss": PROJECT, "sub": user, "drn": drn, "iat": now, "exp": now + life,
            "jti": self.serial.to_string(),
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(self.claims.clone());
        members.extend(more.clone());
        let signer = if self.rotated { &NEXT_SIGNER } else { &SIGNER };
        signer.sign(&claims)
    }

    pub fn session(&mut self, user: &str, now: i64, more: &Map<String, Value>) -> String {
        let mut claims = self.session_claims.clone();
        claims.extend(more.clone());
        self.sign(user, "DS", now, self.session_life, &claims)
    }

    pub fn refresh(&mut self, user: &str, now: i64) -> String {
        let jwt = self.sign(user, "DSR", now, self.refresh_life, &Map::new());
        self.live.insert(jwt.clone(), user.to_owned());
        jwt
    }

    /// The answer to a sign-in or a renewal.
    fn token_reply(&mut self, session: String, refresh: Option<String>, user: bool) -> Answer {
        let mut body = json!({
            "cookieDomain": "", "cookiePath": "/", "cookieMaxAge": self.refresh_life,
            "cookieExpiration": 1_900_000_000, "sessionExpiration": claims(&session)["exp"],
            "cookieName": "DSR", "firstSeen": false,
        });
        let members = body.as_object_mut().unwrap();
        if user {
            let id = &claims(&session)["sub"];
            members.insert("user".to_owned(), json!({"userId": id, "loginIds": [id]}));
        }
        members.extend(self.members.clone());
        let mut headers = Vec::new();
        let refresh = refresh.unwrap_or_default();
        if self.cookie_mode {
            headers.push(("set-cookie", format!("DS={session}; Path=/; HttpOnly")));
            headers.push(("set-cookie", format!("DSR={refresh}; Path=/; HttpOnly")));
            headers.push(("set-cookie", "tracker=1; Domain=.descope.com".to_owned()));
        } else {
            members.insert("sessionJwt".to_owned(), session.into());
            members.insert("refreshJwt".to_owned(), refresh.into());
        }
        Answer(200, headers, body.to_string().into_bytes())
    }

    fn sign_in(&mut self, login_id: &str, now: i64) -> Answer {
        let user = format!("U{login_id}");
        let session = self.session(&user, now, &Map::new());
        let refresh = (!self.no_refresh).then(|| self.refresh(&user, now));
        self.token_reply(session, refresh, true)
    }

    fn handle(&mut self, call: &Call, now: i64) -> Answer {
        let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
        let path = call.path.as_str();
        if path.starts_with("/v2/keys/") {
            if self.keys_down {
                return Answer(500, Vec::new(), Vec::new());
            }
            let next = self.published.then_some(&*NEXT_SIGNER);
            let keys = jwks([&*SIGNER].into_iter().chain(next));
            return Answer(200, Vec::new(), keys.to_string().into_bytes());
        }
        let user = call
            .token
            .as_ref()
            .and_then(|jwt| self.live.get(jwt))
            .cloned();
        if user.is_none()
            && call
                .token
                .as_ref()
                .is_some_and(|jwt| self.spent.contains(jwt))
        {
            self.reused += 1;
        }
        let needs_user = path.contains("/update")
            || ["/refresh", "/me", "/tenant", "/logout"]
                .iter()
                .any(|part| path.starts_with(&format!("/v1/auth{part}")));
        match (path, user) {
            (_, None) if needs_user => error(401, "E061005"),
            ("/v1/auth/refresh", Some(user)) => {
                let session = self.session(&user, now, &Map::new());
                let refresh = self.rotation.then(|| self.rotate(call, &user, now));
                self.token_reply(session, refresh, false)
            }
            ("/v1/auth/logout", _) => {
                self.live.remove(call.token.as_ref().unwrap());
                ok(json!({}))
            }
            ("/v1/auth/logoutall", Some(user)) => {
                self.live.retain(|_, owner| *owner != user);
                ok(json!({}))
            }
            ("/v1/auth/me", Some(user)) => ok(json!({"userId": user, "loginIds": ["x"], "new": 1})),
            ("/v1/auth/me/tenants", _) => ok(json!({"tenants": [{"id": "t1"}]})),
            ("/v1/auth/me/history", _) => ok(json!([{"userId": "U1", "loginTime": 1}])),
            ("/v1/auth/tenant/select", Some(user)) => {
                let tenant = json!({"dct": text("tenant")});
                let session = self.session(&user, now, tenant.as_object().unwrap());
                let rotate = self.rotation && !self.no_refresh;
                let refresh = rotate.then(|| self.rotate(call, &user, now));
                self.token_reply(session, refresh, true)
            }
            ("/v1/auth/validate", _) => match &call.token {
                Some(jwt) if claims(jwt)["drn"] == "DS" => ok(claims(jwt)),
                _ => error(401, "E061005"),
            },
            ("/v1/auth/totp/signup" | "/v1/auth/totp/update", _) => ok(
                json!({"provisioningURL": "otpauth://totp/x", "image": "aW1n", "key": "JBSWY3DP"}),
            ),
            ("/v1/auth/notp/pending-session", _) => match text("pendingRef").as_str() {
                "ref" => self.sign_in("phone", now),
                _ => error(401, "E066103"),
            },
            _ if path.starts_with("/v1/auth/notp/") => {
                ok(json!({"pendingRef": "ref", "redirectUrl": "https://wa.me/1", "image": "aW1n"}))
            }
            _ if path.contains("/verify") => match text("code").as_str() {
                CODE => self.sign_in(&text("loginId"), now),
                _ => error(400, "E061102"),
            },
            _ if path.ends_with("/email") => ok(json!({"maskedEmail": "j***@example.com"})),
            _ if path.starts_with("/v1/auth/otp/") => ok(json!({"maskedPhone": "+1***7"})),
            _ => Answer(404, Vec::new(), Vec::new()),
        }
    }

    fn rotate(&mut self, call: &Call, user: &str, now: i64) -> String {
        let old = call.token.clone().unwrap();
        self.live.remove(&old);
        self.spent.insert(old);
        self.refresh(user, now)
    }
}

struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

fn ok(body: Value) -> Answer {
    Answer(200, Vec::new(), body.to_string().into_bytes())
}

/// Descope's error, with text that must not get lost and text that must not get through.
pub fn error_body(code: &str) -> String {
    json!({
        "errorCode": code, "errorDescription": "described", "errorMessage": "explained",
        "message": "explained", "internal": "secret",
    })
    .to_string()
}

fn error(status: u16, code: &str) -> Answer {
    Answer(status, Vec::new(), error_body(code).into_bytes())
}

impl Transport for Upstream {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        Box::pin(async move {
            let credential = request.headers()["authorization"].to_str().unwrap();
            let mut parts = credential.strip_prefix("Bearer ").unwrap().split(':');
            assert_eq!(parts.next(), Some(PROJECT));
            let call = Call {
                path: request.uri().path().to_owned(),
                token: parts.next().map(str::to_owned),
                body: serde_json::from_slice(request.body()).unwrap_or(Value::Null),
                headers: request.headers().clone(),
            };
            let fault = {
                let mut state = self.set();
                state.calls.push(call.clone());
                let at = state.faults.iter().position(|(path, _)| *path == call.path);
                at.and_then(|at| state.faults.remove(at))
            };
            let Answer(status, headers, body) = match fault.map(|(_, fault)| fault) {
                Some(Fault::Answer(status, headers, body)) => Answer(status, headers, body),
                Some(Fault::Transport(kind)) => return Err(TransportError::new(kind)),
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::Wait(semaphore)) => {
                    semaphore.acquire().await.unwrap().forget();
                    let now = self.now();
                    self.set().handle(&call, now)
                }
                Some(Fault::Late(semaphore)) => {
                    let now = self.now();
                    let answer = self.set().handle(&call, now);
                    semaphore.acquire().await.unwrap().forget();
                    answer
                }
                None => {
                    let now = self.now();
                    self.set().handle(&call, now)
                }
            };
            if body.len() > limit {
                return Err(TransportError::new(TransportErrorKind::TooLarge));
            }
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(body.into()).unwrap())
        })
    }
}
