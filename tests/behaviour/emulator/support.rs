//! A client that knows nothing of the crate's own: what any SDK could send.

use std::ops::Deref;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tower_descope::emulator::Emulator;

/// An emulator and a client for it.
pub struct Api {
    emulator: Emulator,
    http: reqwest::Client,
}

impl Deref for Api {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Reply {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.json);
        self.json
    }

    /// Status and code of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> (u16, &str) {
        let code = self.json["errorCode"].as_str().expect("errorCode");
        assert!(self.json["errorDescription"].is_string());
        (self.status.as_u16(), code)
    }
}

impl Api {
    pub async fn start() -> Self {
        Self::over(Emulator::builder().start().await.unwrap())
    }

    pub fn over(emulator: Emulator) -> Self {
        Self {
            emulator,
            http: client(),
        }
    }

    pub fn into_emulator(self) -> Emulator {
        self.emulator
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// The bearer of this project, with a refresh JWT if there is one.
    pub fn bearer(&self, jwt: &str) -> String {
        if jwt.is_empty() {
            format!("Bearer {}", self.project_id())
        } else {
            format!("Bearer {}:{jwt}", self.project_id())
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let reply = request.send().await.unwrap();
        let (status, headers) = (reply.status(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        let json =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {status} {text:?}"));
        Reply {
            status,
            headers,
            json,
        }
    }

    pub async fn post(&self, path: &str, jwt: &str, body: Value) -> Reply {
        let request = self
            .request(Method::POST, path)
            .header("authorization", self.bearer(jwt))
            .body(body.to_string());
        self.send(request).await
    }

    pub async fn get(&self, path: &str, jwt: &str) -> Reply {
        let request = self
            .request(Method::GET, path)
            .header("authorization", self.bearer(jwt));
        self.send(request).await
    }

    pub async fn refresh(&self, jwt: &str) -> Reply {
        self.post("/v1/auth/refresh", jwt, json!({})).await
    }

    /// Signs up or in by e-mail.
    pub async fn sign_in(&self, email: &str) -> Tokens {
        self.sign_in_with(email, "", json!({})).await
    }

    pub async fn sign_in_with(&self, email: &str, jwt: &str, options: Value) -> Tokens {
        let body = json!({"loginId": email, "loginOptions": options});
        self.post("/v1/auth/otp/signup-in/email", jwt, body)
            .await
            .ok();
        let code = self.last_code(email).unwrap();
        self.verify("email", email, &code).await.ok().into()
    }

    pub async fn verify(&self, method: &str, login_id: &str, code: &str) -> Reply {
        let path = format!("/v1/auth/otp/verify/{method}");
        self.post(&path, "", json!({"loginId": login_id, "code": code}))
            .await
    }
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub struct Tokens {
    pub session: String,
    pub refresh: String,
    pub body: Value,
}

impl From<Value> for Tokens {
    fn from(body: Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self {
            session: text("sessionJwt"),
            refresh: text("refreshJwt"),
            body,
        }
    }
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

/// The header (0) or the claims (1) of a JWT, unverified.
pub fn part(jwt: &str, index: usize) -> Value {
    use base64::Engine;
    let part = jwt.split('.').nth(index).unwrap();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What a phone's camera reads from a base64 PNG.
pub fn scan(image: &str) -> String {
    use base64::Engine;
    let bytes = base64::prelude::BASE64_STANDARD.decode(image).unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let width = info.width as usize;
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, info.height as usize, |x, y| {
            pixels[y * info.line_size + x]
        });
    let (_, text) = image.detect_grids()[0].decode().unwrap();
    text
}
