//! A browser: cookies, and requests that carry them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_TYPE, COOKIE, HeaderMap, ORIGIN, SET_COOKIE};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::upstream::{TokenHash, Upstream};

pub struct Browser {
    pub address: String,
    origin: String,
    http: reqwest::Client,
    jar: Mutex<BTreeMap<String, String>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub body: String,
    /// It deleted a cookie.
    pub cleared: bool,
}

impl Browser {
    pub fn new(address: String, origin: String, http: reqwest::Client) -> Self {
        Self {
            address,
            origin,
            http,
            jar: Mutex::default(),
        }
    }

    /// Which refresh JWT it holds.
    pub fn token(&self) -> TokenHash {
        TokenHash::of(self.jar().get("DSR").map_or("", String::as_str))
    }

    /// Sends a request with the cookies of this moment and obeys the answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let line: Vec<String> = self
            .jar()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.origin));
        if !line.is_empty() {
            request = request.header(COOKIE, line.join("; "));
        }
        if method != Method::GET {
            request = request
                .header(ORIGIN, &self.origin)
                .header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(_) => {
                // The app broke the connection: that is no answer of any kind.
                return Answer {
                    status: StatusCode::IM_A_TEAPOT,
                    body: String::new(),
                    cleared: false,
                };
            }
        };
        let status = answer.status();
        let cleared = self.obey(answer.headers());
        let body = answer.text().await.unwrap_or_default();
        Answer {
            status,
            body,
            cleared,
        }
    }

    fn obey(&self, headers: &HeaderMap) -> bool {
        let mut cleared = false;
        let mut jar = self.jar();
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap_or_default();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if attributes.contains("Max-Age=0") {
                cleared |= jar.remove(name).is_some();
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        cleared
    }

    /// Signs in with a one-time code, through the app.
    pub async fn sign_in(&self, upstream: &Upstream) {
        self.jar().clear();
        let request = json!({"loginId": self.address});
        let sent = self
            .send(
                Method::POST,
                "/auth/v1/auth/otp/signup-in/email",
                Some(request),
            )
            .await;
        assert_eq!(sent.status, 200, "{}", sent.body);
        let code = upstream.code(&self.address).await;
        let request = json!({"loginId": self.address, "code": code});
        let verified = self
            .send(
                Method::POST,
                "/auth/v1/auth/otp/verify/email",
                Some(request),
            )
            .await;
        assert_eq!(verified.status, 200, "{}", verified.body);
        assert_eq!(self.jar().len(), 2, "two cookies");
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
