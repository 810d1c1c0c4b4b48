//! An app with the mounted routes, the emulator that it signs in at, and browsers.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::Request;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_descope::clock::{Clock, ManualClock};
use tower_descope::{Descope, DescopeBuilder, Emulator, RequireLayer, User};

/// Both sides go by one clock, which stands still unless a test moves it.
pub struct Live {
    pub emulator: Emulator,
    pub clock: Arc<ManualClock>,
    pub descope: Descope,
    pub app: Router,
}

impl Live {
    pub async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub async fn with(configure: impl FnOnce(DescopeBuilder) -> DescopeBuilder) -> Self {
        let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
        let emulator = Emulator::builder().clock(clock.clone()).start().await;
        let emulator = emulator.unwrap();
        let builder = emulator.descope().clock(clock.clone());
        let descope = configure(builder).build().unwrap();
        let app = app(&descope);
        Self {
            emulator,
            clock,
            descope,
            app,
        }
    }

    pub fn browser(&self) -> Browser {
        Browser {
            app: self.app.clone(),
            clock: self.clock.clone(),
            bearer: format!("Bearer {}", self.emulator.project_id()),
            jar: BTreeMap::new(),
        }
    }

    /// A browser that is signed in by e-mail.
    pub async fn signed_in(&self, email: &str) -> Browser {
        let (mut browser, ann) = (self.browser(), self.emulator.sign_in(email).unwrap());
        for (name, jwt) in [("DS", ann.session_jwt()), ("DSR", ann.refresh_jwt())] {
            let end = claims(jwt)["exp"].as_i64().unwrap();
            browser.jar.insert(name.to_owned(), (jwt.to_owned(), end));
        }
        browser
    }

    pub fn code(&self, to: &str) -> String {
        self.emulator.last_code(to).expect("a message")
    }

    pub fn now(&self) -> i64 {
        self.clock.unix().as_secs() as i64
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A call of the emulator without the mounted routes between.
    pub async fn upstream(&self, method: &str, path: &str, jwt: &str, body: &str) -> (u16, Value) {
        let bearer = match jwt {
            "" => self.emulator.project_id().to_owned(),
            jwt => format!("{}:{jwt}", self.emulator.project_id()),
        };
        let url = format!("{}{path}", self.emulator.base_url());
        let reply = client()
            .request(method.parse().unwrap(), url)
            .header("authorization", format!("Bearer {bearer}"))
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub fn app(descope: &Descope) -> Router {
    let recent = RequireLayer::new().step_up(Duration::from_secs(300));
    Router::new()
        .route(
            "/api/me",
            get(async |user: User| Json(json!({"id": user.id()}))),
        )
        .route("/api/pay", get(async || "paid").route_layer(recent))
        .nest("/auth", descope.routes())
        .layer(descope.session_layer())
}

/// A page of `https://app.example` that uses Descope's browser SDK, and the cookies of its browser.
#[derive(Clone)]
pub struct Browser {
    app: Router,
    clock: Arc<ManualClock>,
    bearer: String,
    /// Value and end.
    jar: BTreeMap<String, (String, i64)>,
}

impl Browser {
    /// The value of a cookie; empty if there is none (any more).
    pub fn cookie(&self, name: &str) -> String {
        let now = self.clock.unix().as_secs() as i64;
        let cookie = self.jar.get(name).filter(|(_, end)| now < *end);
        cookie.map(|(value, _)| value.clone()).unwrap_or_default()
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.jar
            .insert(name.to_owned(), (value.to_owned(), i64::MAX));
    }

    /// The claims of the session JWT.
    pub fn claims(&self) -> Value {
        claims(&self.cookie("DS"))
    }

    pub fn is_signed_in(&self) -> bool {
        !self.cookie("DS").is_empty() && !self.cookie("DSR").is_empty()
    }

    /// A call of a mounted route.
    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    pub async fn post_text(&mut self, path: &str, body: &str) -> Answer {
        self.call("POST", path, body).await
    }

    /// A call of a mounted route.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    pub async fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let answer = self.send(method, &format!("/auth{path}"), body).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        // By its dots too: an image in base64 may hold the letters by chance.
        let is_token = |text: &str| text.contains("eyJ") && text.matches('.').count() >= 2;
        let has_token = answer.text.split('"').any(is_token);
        assert!(!has_token, "a token in {}", answer.text);
        assert!(answer.body.is_object() || answer.body.is_array());
        answer
    }

    /// One of the app's own pages.
    pub async fn page(&mut self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "app.example")
            .header("sec-fetch-site", "same-origin");
        if path.starts_with("/auth/") {
            request = request.header("authorization", &self.bearer);
        }
        if method == "POST" {
            request = request
                .header("origin", "https://app.example")
                .header("content-type", "application/json");
        }
        let pairs: Vec<String> = self
            .jar
            .keys()
            .map(|name| (name, self.cookie(name)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !pairs.is_empty() {
            request = request.header(COOKIE, pairs.join("; "));
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        self.keep(&head.headers);
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    fn keep(&mut self, headers: &HeaderMap) {
        let now = self.clock.unix().as_secs() as i64;
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly"), "{cookie}");
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let age = attributes
                .split(';')
                .find_map(|attribute| attribute.trim().strip_prefix("Max-Age="))
                .expect("Max-Age");
            let end = now + age.parse::<i64>().unwrap();
            self.jar.insert(name.to_owned(), (value.to_owned(), end));
        }
    }

    /// Asks for a code: `signup`, `signin` or `signup-in`.
    pub async fn otp(&mut self, call: &str, channel: &str, login_id: &str) -> Answer {
        let path = format!("/v1/auth/otp/{call}/{channel}");
        self.post(&path, json!({"loginId": login_id})).await
    }

    pub async fn verify(&mut self, channel: &str, login_id: &str, code: &str) -> Answer {
        let path = format!("/v1/auth/otp/verify/{channel}");
        let body = json!({"loginId": login_id, "code": code});
        self.post(&path, body).await
    }

    pub async fn totp(&mut self, login_id: &str, code: &str) -> Answer {
        let body = json!({"loginId": login_id, "code": code});
        self.post("/v1/auth/totp/verify", body).await
    }

    pub async fn poll(&mut self, pending_ref: &str) -> Answer {
        let body = json!({"pendingRef": pending_ref});
        self.post("/v1/auth/notp/pending-session", body).await
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    /// Status and code of a refusal in Descope's shape.
    #[track_caller]
    pub fn refusal(&self) -> (u16, &str) {
        let code = self.body["errorCode"].as_str();
        assert!(self.body["errorDescription"].is_string(), "{}", self.text);
        (self.status, code.expect("errorCode"))
    }
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("a JWT");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What an authenticator app shows (RFC 6238), computed without the crate that the emulator uses.
pub fn totp_at(key: &str, time: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(key));
    let mac = hmac::sign(&key, &(time as u64 / 30).to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[19] & 0xf);
    let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => panic!("not base32"),
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// What a phone's camera reads from a base64 PNG.
pub fn scan(image: &Value) -> String {
    let bytes = BASE64_STANDARD.decode(image.as_str().unwrap()).unwrap();
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        pixels[y * info.line_size + x]
    });
    image.detect_grids()[0].decode().unwrap().1
}

const EMAIL: &str = "ann@example.com";
const PHONE: &str = "+15555550100";

fn address(channel: &str) -> &'static str {
    match channel {
        "email" => EMAIL,
        _ => PHONE,
    }
}

/// A path of the table with its variable segment filled in.
pub fn fill(path: &str, channel: &str) -> String {
    path.replace("{method}", channel)
        .replace("{provider}", "whatsapp")
}

/// The channels of a path; one without a variable has a single nameless one.
pub fn channels(path: &str) -> &'static [&'static str] {
    if path.contains("/phone/") {
        &["sms", "voice", "whatsapp", "im"]
    } else if path.contains("{method}") {
        &["email", "sms", "voice", "whatsapp", "im"]
    } else {
        &["email"]
    }
}

impl Live {
    /// Begins anew, and takes the steps that come before a call: a browser that is ready for it, and what to send.
    pub async fn ready(&self, path: &str, channel: &str) -> (Browser, Value) {
        self.emulator.reset();
        let to = address(channel);
        let call = path.strip_prefix("/v1/auth/").expect("a path of the API");
        let mut stranger = self.browser();
        match call {
            "otp/signup/{method}" | "otp/signup-in/{method}" => (stranger, json!({"loginId": to})),
            "otp/signin/{method}" => {
                self.sign_up(channel).await;
                (stranger, json!({"loginId": to}))
            }
            "otp/verify/{method}" => {
                stranger.otp("signup", channel, to).await.ok();
                let code = self.code(to);
                (stranger, json!({"loginId": to, "code": code}))
            }
            "totp/signup" => (stranger, json!({"loginId": EMAIL})),
            "totp/verify" => {
                let path = "/v1/auth/totp/signup";
                let shown = stranger.post(path, json!({"loginId": EMAIL})).await.ok();
                let code = totp_at(shown["key"].as_str().unwrap(), self.now());
                (stranger, json!({"loginId": EMAIL, "code": code}))
            }
            "notp/{provider}/signup" => (stranger, json!({"loginId": PHONE})),
            "notp/{provider}/signin" => {
                self.sign_up("sms").await;
                (stranger, json!({"loginId": PHONE}))
            }
            "notp/{provider}/signup-in" => (stranger, json!({"loginId": ""})),
            "notp/pending-session" => {
                let path = "/v1/auth/notp/whatsapp/signup";
                let link = stranger.post(path, json!({"loginId": PHONE})).await.ok();
                let pending_ref = link["pendingRef"].as_str().unwrap();
                self.emulator.complete_notp(pending_ref, None).unwrap();
                (stranger, json!({"pendingRef": pending_ref}))
            }
            _ => {
                let browser = self.sign_up("email").await;
                self.emulator
                    .put_user(EMAIL, |user| {
                        let mut tenant = tower_descope::wire::UserTenant::default();
                        tenant.tenant_id = "t1".to_owned();
                        user.user_tenants = vec![tenant];
                    })
                    .unwrap();
                let body = match call {
                    "otp/update/email" => json!({"loginId": EMAIL, "email": "new@example.com"}),
                    "otp/update/phone/{method}" | "notp/{provider}/update" => {
                        json!({"loginId": EMAIL, "phone": PHONE})
                    }
                    "totp/update" => json!({"loginId": EMAIL}),
                    "me/tenants" => json!({"dct": false, "ids": ["t1"]}),
                    "tenant/select" => json!({"tenant": "t1"}),
                    _ => json!({}),
                };
                (browser, body)
            }
        }
    }

    async fn sign_up(&self, channel: &str) -> Browser {
        let mut browser = self.browser();
        let to = address(channel);
        browser.otp("signup", channel, to).await.ok();
        browser.verify(channel, to, &self.code(to)).await.ok();
        browser
    }
}
