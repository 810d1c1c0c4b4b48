//! Failures on order.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_descope::emulator::{Fault, RefreshRotation};

use super::support::{Api, Tokens};

const ME: &str = "/v1/auth/me";

/// Sends a request by hand and reads until the connection ends.
async fn raw(api: &Api, path: &str) -> (Vec<u8>, std::io::Result<()>) {
    let mut stream = TcpStream::connect(api.addr()).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\n\r\n",
        api.project_id()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await.map(drop);
    (answer, end)
}

#[tokio::test]
async fn a_status_comes_with_descopes_body_as_often_as_ordered() {
    let api = Api::start().await;
    api.fault(Fault::status(ME, 429).retry_after(7).times(2));
    api.fault(Fault::status(ME, 403).body(json!({})));
    for _ in 0..2 {
        let reply = api.get(ME, "").await;
        assert_eq!(reply.refusal(), (429, "E130429"));
        assert_eq!(reply.headers["retry-after"], "7");
    }
    let reply = api.get(ME, "").await;
    assert_eq!((reply.status.as_u16(), reply.json), (403, json!({})));
    assert_eq!(api.get(ME, "").await.refusal().0, 401);
    assert_eq!(api.calls(ME), 4);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let api = Api::start().await;
    api.fault(Fault::reset(ME));
    let (answer, end) = raw(&api, ME).await;
    assert!(answer.is_empty());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_truncated_answer_announces_more_than_it_sends() {
    let api = Api::start().await;
    api.fault(Fault::truncate(ME).body(json!({"sessionJwt": "a.b.c"})));
    let (answer, _) = raw(&api, ME).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    assert!(head.contains("content-length: 22"), "{head}");
    assert_eq!(body, r#"{"sessionJw"#);
}

#[tokio::test]
async fn garbage_is_a_success_that_no_json_parser_reads() {
    let api = Api::start().await;
    api.fault(Fault::garbage(ME));
    let reply = api.request(reqwest::Method::GET, ME).send().await.unwrap();
    assert!(reply.status().is_success());
    assert!(reply.text().await.unwrap().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn a_firewalls_page_and_an_empty_answer() {
    let api = Api::start().await;
    api.fault(Fault::garbage(ME).with_status(403));
    api.fault(Fault::empty(ME, 502));
    let get = || api.request(reqwest::Method::GET, ME).send();
    let page = get().await.unwrap();
    assert_eq!(page.status(), 403);
    assert_eq!(page.headers()["content-type"], "text/html");
    let empty = get().await.unwrap();
    assert_eq!(empty.status(), 502);
    assert!(empty.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_hanging_call_ends_with_the_clients_patience() {
    let api = Api::start().await;
    api.fault(Fault::hang(ME));
    let request = api
        .request(reqwest::Method::GET, ME)
        .timeout(Duration::from_millis(150));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(api.get(ME, "").await.refusal().0, 401);
}

#[tokio::test]
async fn slow_and_latency_hold_answers_back() {
    let api = Api::start().await;
    api.fault(Fault::slow(ME, Duration::from_millis(200)));
    let start = Instant::now();
    api.get(ME, "").await.refusal();
    assert!(start.elapsed() >= Duration::from_millis(200));
    api.configure(|config| config.latency_ms = 400);
    let start = Instant::now();
    api.get(ME, "").await.refusal();
    assert!(start.elapsed() >= Duration::from_millis(400));
    // The control API is never slow.
    let start = Instant::now();
    api.get("/emulator/v1/stats", "").await.ok();
    assert!(start.elapsed() < Duration::from_millis(400));
}

/// The worst case for a client of rotating tokens: the server has rotated, and nobody knows.
#[tokio::test]
async fn an_executed_call_may_lose_its_answer() {
    let api = Api::start().await;
    api.configure(|config| config.refresh_rotation = RefreshRotation::SingleUse);
    let tokens = api.sign_in("ann@example.com").await;
    let path = "/v1/auth/refresh";
    api.fault(Fault::reset(path));
    let attempt = |jwt: &str| {
        api.request(reqwest::Method::POST, path)
            .header("authorization", api.bearer(jwt))
            .send()
    };
    assert!(attempt(&tokens.refresh).await.is_err());
    let renewed: Tokens = api.refresh(&tokens.refresh).await.ok().into();
    api.fault(Fault::reset(path).executed());
    assert!(attempt(&renewed.refresh).await.is_err());
    assert_eq!(
        api.refresh(&renewed.refresh).await.refusal(),
        (401, "E064001")
    );
}

#[tokio::test]
async fn the_control_api_orders_faults_too() {
    let api = Api::start().await;
    let order = |body: serde_json::Value| {
        api.request(reqwest::Method::POST, "/emulator/v1/faults")
            .body(body.to_string())
    };
    let body = json!({"path": ME, "status": 503, "retryAfter": "soon", "headers": {"x-a": "b"}});
    api.send(order(body)).await.ok();
    let reply = api.get(ME, "").await;
    assert_eq!(reply.refusal().0, 503);
    assert_eq!(reply.headers["retry-after"], "soon");
    assert_eq!(reply.headers["x-a"], "b");
    let refused = api
        .send(order(json!({"path": ME, "kind": "explode"})))
        .await;
    assert_eq!(refused.refusal().0, 400);
    api.send(order(json!({"path": ME, "kind": "hang"})))
        .await
        .ok();
    api.reset();
    assert_eq!(api.get(ME, "").await.refusal().0, 401);
}
