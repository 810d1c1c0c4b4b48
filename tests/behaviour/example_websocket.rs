//! The example `websocket`, served over a socket and used as a browser uses it.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use http::header::{COOKIE, SET_COOKIE};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tower_descope::Emulator;

use crate::support::browser_without_script::Browser;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/websocket.rs"]
mod websocket;

// Two processes of it, with Redis between them, are in `cases/websocket_redis.rs`.
#[tokio::test]
async fn the_handshake_of_a_websocket_renews_the_session_and_a_sign_out_closes_it() {
    let emulator = Emulator::builder().start().await.unwrap();
    let descope = emulator.descope().build().unwrap();
    let ann = emulator.sign_in("ann@example.com").unwrap();
    let mut browser = Browser::new(websocket::app(&descope)).await;

    // Its session JWT is gone, as after ten minutes.
    let url = browser.origin.replace("http", "ws") + "/live";
    let mut request = url.into_client_request().unwrap();
    let refresh = format!("DSR={}", ann.refresh_jwt());
    let headers = request.headers_mut();
    headers.insert(COOKIE, refresh.parse().unwrap());
    headers.insert("origin", browser.origin.parse().unwrap());
    let (mut socket, response) = connect_async(request).await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("DS=ey"), "{cookie}");
    let next = poll_fn(|context| Pin::new(&mut socket).poll_next(context));
    let hello = next.await.unwrap().unwrap();
    assert!(hello.into_text().unwrap().starts_with("hello "));

    let cookies = &mut browser.cookies;
    cookies.insert("DSR".to_owned(), ann.refresh_jwt().to_owned());
    browser
        .submit("/auth/v1/auth/logout", &[("returnTo", "/")])
        .await;
    let next = poll_fn(|context| Pin::new(&mut socket).poll_next(context));
    let end = tokio::time::timeout(Duration::from_secs(1), next).await;
    let Message::Close(Some(frame)) = end.unwrap().unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::Policy);
}
