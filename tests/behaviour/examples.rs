//! The examples, served over a socket and used as a browser uses them.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tower_descope::wire::{DeliveryMethod, OtpSignInRequest, OtpVerifyRequest};
use tower_descope::{Descope, Emulator};

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/html_forms.rs"]
mod html_forms;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/websocket.rs"]
mod websocket;

/// A browser without script.
struct Browser {
    client: reqwest::Client,
    origin: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn new(app: axum::Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let builder = reqwest::Client::builder().no_proxy();
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            client,
            origin,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens a page, or submits a form, and follows where it leads.
    async fn open(&mut self, path: &str, form: Option<&[(&str, &str)]>) -> String {
        let url = format!("{}{path}", self.origin);
        let request = match form {
            Some(fields) => {
                let mut body = reqwest::Url::parse("http://form").unwrap();
                body.query_pairs_mut().extend_pairs(fields);
                self.client
                    .post(url)
                    .header("origin", &self.origin)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body.query().unwrap_or_default().to_owned())
            }
            None => self.client.get(url),
        };
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        let response = request.header("cookie", line).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly"), "{cookie}");
            let (name, rest) = cookie.split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                let value = rest.split(';').next().unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        match response.headers().get(LOCATION) {
            Some(location) => {
                let location = location.to_str().unwrap().to_owned();
                Box::pin(self.open(&location, None)).await
            }
            None => response.text().await.unwrap(),
        }
    }
}

#[tokio::test]
async fn html_forms_sign_in_and_out_without_script() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = Descope::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let mut browser = Browser::new(html_forms::app(&descope)).await;
    assert!(browser.open("/", None).await.contains("Send a code"));
    let email = "ann@example.com";
    let page = browser.open("/code", Some(&[("email", email)])).await;
    assert!(page.contains("Code"), "{page}");
    let page = browser
        .open("/sign-in", Some(&[("email", "\"><script>"), ("code", "1")]))
        .await;
    assert!(
        page.contains("not the code") && !page.contains("<script>"),
        "{page}"
    );
    let code = emulator.last_code(email).unwrap();
    let page = browser
        .open("/sign-in", Some(&[("email", email), ("code", &code)]))
        .await;
    assert!(page.contains("Hello"), "{page}");
    assert_eq!(browser.cookies.len(), 2);
    assert!(browser.open("/", None).await.contains("Hello"));
    let page = browser.open("/sign-out", Some(&[])).await;
    assert!(page.contains("Send a code"), "{page}");
    assert!(browser.cookies.is_empty());
}

// Two processes of it, with Redis between them, are in `cases/websocket_redis.rs`.
#[tokio::test]
async fn the_handshake_of_a_websocket_renews_the_session_and_a_sign_out_closes_it() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = Descope::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let email = "ann@example.com";
    let otp = descope.client().otp();
    let request = OtpSignInRequest::new(email);
    otp.sign_up_or_in(DeliveryMethod::Email, &request, None)
        .await
        .unwrap();
    let request = OtpVerifyRequest::new(email, emulator.last_code(email).unwrap());
    let tokens = otp.verify(DeliveryMethod::Email, &request).await.unwrap();
    let mut browser = Browser::new(websocket::app(&descope)).await;

    // Its session JWT is gone, as after ten minutes.
    let url = browser.origin.replace("http", "ws") + "/live";
    let mut request = url.into_client_request().unwrap();
    let refresh = format!("DSR={}", tokens.refresh_jwt);
    let headers = request.headers_mut();
    headers.insert(COOKIE, refresh.parse().unwrap());
    headers.insert("origin", browser.origin.parse().unwrap());
    let (mut socket, response) = connect_async(request).await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("DS=ey"), "{cookie}");
    let next = poll_fn(|context| Pin::new(&mut socket).poll_next(context));
    let hello = next.await.unwrap().unwrap();
    assert!(hello.into_text().unwrap().starts_with("hello "));

    let (_, rest) = refresh.split_once('=').unwrap();
    browser.cookies.insert("DSR".to_owned(), rest.to_owned());
    browser
        .open("/auth/v1/auth/logout", Some(&[("returnTo", "/")]))
        .await;
    let next = poll_fn(|context| Pin::new(&mut socket).poll_next(context));
    let end = tokio::time::timeout(Duration::from_secs(1), next).await;
    let Message::Close(Some(frame)) = end.unwrap().unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::Policy);
}
