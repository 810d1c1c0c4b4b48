//! What a page with Descope's browser SDK sends, and what the browser keeps.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, SET_COOKIE};
use http::request::Builder;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{CODE, PROJECT};

/// A browser with one page of `https://app.example`.
#[derive(Clone)]
pub struct Browser {
    app: Router,
    pub cookies: BTreeMap<String, String>,
    /// Whether bodies may hold tokens.
    pub allow_tokens: bool,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Browser {
    pub fn new(app: Router) -> Self {
        Self {
            app,
            cookies: BTreeMap::new(),
            allow_tokens: false,
        }
    }

    /// A browser that has these cookies from before.
    pub fn with_tokens(app: Router, tokens: (String, String)) -> Self {
        let mut browser = Self::new(app);
        browser.cookies.insert("DS".to_owned(), tokens.0);
        browser.cookies.insert("DSR".to_owned(), tokens.1);
        browser
    }

    /// What the page's requests go to.
    pub fn app(&self) -> Router {
        self.app.clone()
    }

    pub fn ds(&self) -> String {
        self.cookies.get("DS").cloned().unwrap_or_default()
    }

    pub fn dsr(&self) -> String {
        self.cookies.get("DSR").cloned().unwrap_or_default()
    }

    /// A request of the SDK, without a body.
    pub fn request(method: &str, path: &str) -> Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("/auth{path}"))
            .header("host", "app.example")
            .header("authorization", format!("Bearer {PROJECT}"))
            .header("x-descope-project-id", PROJECT)
            .header("x-descope-sdk-name", "web-js")
            .header("sec-fetch-site", "same-origin");
        match method {
            "GET" => request,
            _ => request
                .header("origin", "https://app.example")
                .header("content-type", "application/json"),
        }
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        let request = Self::request("POST", path);
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = Self::request("GET", path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Signs in by e-mail.
    pub async fn sign_in(&mut self, login_id: &str) -> Answer {
        self.post(
            "/v1/auth/otp/verify/email",
            json!({"loginId": login_id, "code": CODE}),
        )
        .await
    }

    /// Sends a request with the cookies, keeps those of the answer, and checks what holds for every answer.
    pub async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let line: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !line.is_empty() {
            let line = line.join("; ").parse().unwrap();
            request.headers_mut().insert("cookie", line);
        }
        let is_route = request.uri().path().starts_with("/auth/");
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.keep(&head.headers);
        if is_route {
            self.check(&head.headers, &text);
        }
        Answer {
            status: head.status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            headers: head.headers,
            text,
        }
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
                assert!(attributes.contains(attribute), "{cookie}");
            }
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// What every answer keeps to. Security requirements 31 and 46.
    fn check(&self, headers: &HeaderMap, text: &str) {
        assert_eq!(headers[CONTENT_TYPE], "application/json", "{text}");
        let body: Value = serde_json::from_str(text).expect("every answer is JSON");
        assert!(body.is_object() || body.is_array(), "{text}");
        let caching = headers[CACHE_CONTROL].to_str().unwrap();
        if headers.contains_key(SET_COOKIE) {
            assert_eq!(caching, "private, no-store");
            assert_eq!(headers["vary"], "Cookie");
        } else {
            assert!(caching.contains("no-store"), "{caching}");
        }
        if !self.allow_tokens {
            assert!(!text.contains("eyJ"), "a token in a body: {text}");
        }
        assert!(!text.contains("null"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["errorCode"].as_str().unwrap_or_default()
    }

    pub fn sets_cookies(&self) -> bool {
        self.headers.contains_key(SET_COOKIE)
    }

    /// Asserts an error in Descope's shape.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status.as_u16(), self.code()),
            (status, code),
            "{}",
            self.text
        );
        assert!(self.body["errorDescription"].is_string(), "{}", self.text);
        self
    }

    #[track_caller]
    pub fn is_ok(&self) -> &Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }
}
