//! What the client makes of an upstream that misbehaves on the wire.
//!
//! The upstream is a plain TCP listener that counts connections and requests: no POST may arrive twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::upstream::{Upstream, fill_backlog, http, short_backlog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_descope::client::{
    BuildError, Client, ClientError, ClientErrorKind, RefreshToken, UnavailableReason,
};
use tower_descope::wire::{DeliveryMethod, JwtResponse, OtpVerifyRequest};

use UnavailableReason::{
    Interrupted, Malformed, NotConnected, Redirect, Status, Timeout, TooLarge,
};

const TOKEN: &str = "c2VjcmV0.dG9rZW4.c2ln";
const CODE: &str = "271828";
const ADDRESS: &str = "jane@example.com";

fn client_for(upstream: &Upstream) -> Client {
    client_of(&upstream.url())
}

fn client_of(base: &str) -> Client {
    Client::builder("P2abc".parse().unwrap())
        .base_url(base.parse().unwrap())
        .deadline(Duration::from_millis(400))
        .build()
        .unwrap()
}

async fn verify(client: &Client) -> Result<JwtResponse, ClientError> {
    let request = OtpVerifyRequest::new(ADDRESS, CODE);
    client.otp().verify(DeliveryMethod::Email, &request).await
}

async fn refresh(client: &Client) -> Result<JwtResponse, ClientError> {
    let token = RefreshToken::new(TOKEN).unwrap();
    client.session().refresh(&token).await
}

/// A verify and a refresh against this upstream: both unavailable, each sent once and answered in time.
async fn expect_unavailable(name: &str, upstream: &Upstream, reason: UnavailableReason) {
    let client = client_for(upstream);
    for (call, error) in [
        ("verify", verify(&client).await.unwrap_err()),
        ("refresh", refresh(&client).await.unwrap_err()),
    ] {
        assert_eq!(error.kind(), ClientErrorKind::Unavailable, "{name} {call}");
        assert_eq!(error.unavailable_reason(), Some(reason), "{name} {call}");
        assert!(!error.is_definite_refusal(), "{name} {call}");
        assert_clean(name, &error);
    }
    let (connections, requests) = upstream.counts();
    assert_eq!(connections, 2, "{name}: a POST was replayed");
    assert!(requests <= 2, "{name}: a POST was replayed");
}

/// Neither what was sent nor what came back is shown (security requirement 46).
fn assert_clean(name: &str, error: &ClientError) {
    use std::error::Error;
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    for secret in [TOKEN, CODE, ADDRESS, "UPSTREAM", "127.0.0.1"] {
        assert!(!shown.contains(secret), "{name}: {shown}");
    }
}

#[tokio::test]
async fn connections_that_break() {
    let upstream = Upstream::start(|peer| async move { drop(peer) }).await;
    expect_unavailable("auth/accept-then-close", &upstream, Interrupted).await;

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        peer.stream.shutdown().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    expect_unavailable("auth/half-close", &upstream, Interrupted).await;

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"sessionJwt\":\"UPSTREAM";
        peer.write(half).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.reset();
    })
    .await;
    expect_unavailable("auth/rst-mid-body", &upstream, Interrupted).await;

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        peer.reset();
    })
    .await;
    expect_unavailable("rst instead of headers", &upstream, Interrupted).await;
}

#[tokio::test]
async fn answers_that_take_too_long() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        peer.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .await;
    })
    .await;
    let started = Instant::now();
    expect_unavailable("auth/slow-headers", &upstream, Timeout).await;
    assert!(started.elapsed() < Duration::from_secs(2));

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
            .await;
        peer.drip(&[b' '; 99]).await;
    })
    .await;
    expect_unavailable("auth/slow-body", &upstream, Timeout).await;

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        while peer.write(b"1\r\n \r\n").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    expect_unavailable("auth/never-ends", &upstream, Timeout).await;
}

#[tokio::test]
async fn bodies_beyond_the_limit() {
    let megabyte = Arc::new(vec![b' '; 1024 * 1024]);
    for head in [
        "content-length: 104857600",
        "transfer-encoding: chunked",
        "connection: close",
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let (megabyte, counter) = (megabyte.clone(), sent.clone());
        let upstream = Upstream::start(move |mut peer| {
            let (megabyte, sent) = (megabyte.clone(), counter.clone());
            async move {
                peer.read_request().await;
                let start = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
                peer.write(start.as_bytes()).await;
                for _ in 0..100 {
                    let chunked = head.starts_with("transfer");
                    if chunked && !peer.write(b"100000\r\n").await {
                        return;
                    }
                    if !peer.write(&megabyte).await {
                        return;
                    }
                    if chunked && !peer.write(b"\r\n").await {
                        return;
                    }
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
        .await;
        // Reading a megabyte in a debug build on a busy machine may take its time.
        let client = Client::builder("P2abc".parse().unwrap())
            .base_url(format!("http://{}", upstream.address).parse().unwrap())
            .build()
            .unwrap();
        let error = verify(&client).await.unwrap_err();
        assert_eq!(
            error.unavailable_reason(),
            Some(TooLarge),
            "auth/huge-100MB {head}"
        );
        assert_eq!(upstream.counts(), (1, 1));
        // What the sockets buffer, but not the whole body.
        assert!(sent.load(Ordering::SeqCst) < 50, "{head}");
    }

    let header = format!("x: {}", "h".repeat(1024 * 1024));
    let upstream = Upstream::answering(http("200 OK", &[&header], b"{}")).await;
    expect_unavailable("auth/huge-header", &upstream, Interrupted).await;
}

#[tokio::test]
async fn successes_that_are_none() {
    let json = "content-type: application/json";
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0,
    ];
    for (name, status, headers, body) in [
        (
            "auth/garbage-json",
            "200 OK",
            &[json][..],
            &b"not json UPSTREAM"[..],
        ),
        (
            "auth/truncated-json",
            "200 OK",
            &[json],
            b"{\"sessionJwt\":\"UPSTR",
        ),
        ("auth/wrong-shape", "200 OK", &[json], b"[]"),
        (
            "an array of fields",
            "200 OK",
            &[json],
            b"[\"UPSTREAM\",\"b\"]",
        ),
        ("auth/wrong-types", "200 OK", &[json], b"{\"sessionJwt\":1}"),
        ("no tokens", "200 OK", &[json], b"{}"),
        (
            "auth/html-200",
            "200 OK",
            &["content-type: text/html"],
            b"<html>UPSTREAM</html>",
        ),
        ("auth/empty-200", "200 OK", &[], b""),
        (
            "auth/gzip-bomb",
            "200 OK",
            &[json, "content-encoding: gzip"],
            &gzip,
        ),
        (
            "auth/utf8-bad",
            "200 OK",
            &[json],
            b"{\"sessionJwt\":\"\xff\xfe\"}",
        ),
        (
            "auth/dup-keys",
            "200 OK",
            &[json],
            b"{\"sessionJwt\":\"a.b.c\",\"sessionJwt\":\"UPSTREAM\"}",
        ),
    ] {
        let upstream = Upstream::answering(http(status, headers, body)).await;
        expect_unavailable(name, &upstream, Malformed).await;
    }

    let upstream = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    expect_unavailable("auth/204", &upstream, Malformed).await;

    let deep = format!("{{\"user\":{}", "[".repeat(100_000));
    let upstream = Upstream::answering(http("200 OK", &[json], deep.as_bytes())).await;
    expect_unavailable("nested without end", &upstream, Malformed).await;
}

#[tokio::test]
async fn answers_that_are_no_http() {
    for (name, bytes) in [
        (
            "auth/cl-mismatch",
            &b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"sessionJwt\":\"a.b.c\"}"[..],
        ),
        ("auth/http09", b"<html>UPSTREAM</html>"),
        (
            "auth/http2-goaway",
            b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        ),
    ] {
        let upstream = Upstream::answering(bytes).await;
        expect_unavailable(name, &upstream, Interrupted).await;
    }
}

#[tokio::test]
async fn error_statuses() {
    let body = br#"{"errorCode":"E061005","errorDescription":"UPSTREAM","errorMessage":"jane@example.com"}"#;
    for (name, status, headers, bytes, reason) in [
        (
            "auth/500",
            "500 Internal Server Error",
            &[][..],
            &b"<html>UPSTREAM"[..],
            Status,
        ),
        (
            "500 with a code",
            "500 Internal Server Error",
            &[],
            body,
            Status,
        ),
        ("auth/502", "502 Bad Gateway", &[], b"", Status),
        (
            "auth/503",
            "503 Service Unavailable",
            &["retry-after: 2"],
            b"",
            Status,
        ),
        (
            "refresh/403-bare",
            "403 Forbidden",
            &[],
            b"<html>UPSTREAM",
            Status,
        ),
        ("bare 401", "401 Unauthorized", &[], b"", Status),
        (
            "401 with an empty object",
            "401 Unauthorized",
            &[],
            b"{}",
            Status,
        ),
        (
            "refresh/404",
            "404 Not Found",
            &[],
            b"404 page not found UPSTREAM",
            Status,
        ),
        (
            "auth/301-self",
            "301 Moved",
            &["location: /v1/auth/refresh"],
            b"",
            Redirect,
        ),
        (
            "auth/302-evil",
            "302 Found",
            &["location: https://evil.example"],
            b"",
            Redirect,
        ),
        (
            "auth/302-http",
            "302 Found",
            &["location: http://evil.example"],
            body,
            Redirect,
        ),
        (
            "auth/307-file",
            "307 Temporary",
            &["location: file:///etc/passwd"],
            b"",
            Redirect,
        ),
        (
            "308",
            "308 Permanent",
            &["location: /v1/auth/refresh"],
            b"",
            Redirect,
        ),
        ("304", "304 Not Modified", &[], b"", Redirect),
    ] {
        let upstream = Upstream::answering(http(status, headers, bytes)).await;
        expect_unavailable(name, &upstream, reason).await;
    }
    let upstream = Upstream::answering(http("503 Unavailable", &["retry-after: 2"], b"")).await;
    let error = refresh(&client_for(&upstream)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));

    for (name, status, definite) in [
        ("auth/401", "401 Unauthorized", true),
        ("auth/403", "403 Forbidden", true),
        ("auth/404", "404 Not Found", false),
        ("400", "400 Bad Request", false),
    ] {
        let upstream = Upstream::answering(http(status, &[], body)).await;
        let error = verify(&client_for(&upstream)).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Api, "{name}");
        assert_eq!(error.is_definite_refusal(), definite, "{name}");
        assert_eq!(error.status().unwrap().as_str(), &status[..3], "{name}");
        assert_eq!(error.code(), Some("E061005"), "{name}");
        assert_eq!(error.message(), Some(ADDRESS), "{name}");
        assert_clean(name, &error);
        assert_eq!(upstream.counts(), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn req_44_rate_limits() {
    for (name, header, seconds) in [
        ("auth/429-seconds", "retry-after: 7", 7..=7),
        (
            "auth/429-date",
            "retry-after: Fri, 31 Dec 2100 23:59:59 GMT",
            3600..=3600,
        ),
        (
            "a date in the past",
            "retry-after: Sun, 06 Nov 1994 08:49:37 GMT",
            1..=1,
        ),
        ("auth/429-huge", "retry-after: 999999999", 3600..=3600),
        ("auth/429-negative", "retry-after: -1", 60..=60),
        ("auth/429-garbage", "retry-after: soon", 60..=60),
        ("zero", "retry-after: 0", 1..=1),
        ("none", "x: y", 60..=60),
    ] {
        let body = br#"{"errorCode":"E130429","errorDescription":"UPSTREAM"}"#;
        let upstream = Upstream::answering(http("429 Too Many", &[header], body)).await;
        let error = verify(&client_for(&upstream)).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::RateLimited, "{name}");
        let wait = error.retry_after().unwrap().as_secs();
        assert!(seconds.contains(&wait), "{name}: {wait}");
        assert!(!error.is_definite_refusal(), "{name}");
        assert_clean(name, &error);
        assert_eq!(upstream.counts(), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn servers_that_are_not_there() {
    // A port that was just free.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let error = verify(&client_of(&format!("http://{address}")))
        .await
        .unwrap_err();
    assert_eq!(
        error.unavailable_reason(),
        Some(NotConnected),
        "auth/refused"
    );
    assert_clean("auth/refused", &error);

    // Plain HTTP on the TLS port: the handshake fails, so nothing was sent.
    let upstream = Upstream::start(|mut peer| async move {
        let mut hello = [0; 16];
        let _ = peer.stream.read(&mut hello).await;
        peer.write(&http("400 Bad Request", &[], b"UPSTREAM")).await;
    })
    .await;
    let tls = Client::builder("P2abc".parse().unwrap())
        .base_url(format!("https://{}", upstream.address).parse().unwrap())
        .build();
    match tls {
        Ok(client) => {
            let error = verify(&client).await.unwrap_err();
            assert_eq!(
                error.unavailable_reason(),
                Some(NotConnected),
                "auth/tls-plain"
            );
            assert_clean("auth/tls-plain", &error);
            assert_eq!(upstream.counts().1, 0);
        }
        // Without TLS, or on a machine without certificates, the builder says so.
        Err(error) => assert!(matches!(
            error,
            BuildError::NoTls | BuildError::NoCaCertificates
        )),
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_black_hole() {
    let listener = short_backlog();
    let address = listener.local_addr().unwrap();
    let _filling = fill_backlog(address).await;
    let started = Instant::now();
    let error = verify(&client_of(&format!("http://{address}")))
        .await
        .unwrap_err();
    assert_eq!(error.unavailable_reason(), Some(Timeout), "auth/blackhole");
    assert!(started.elapsed() < Duration::from_secs(2));

    // With time enough, it is the connect time-out of two seconds that speaks.
    let client = Client::builder("P2abc".parse().unwrap())
        .base_url(format!("http://{address}").parse().unwrap())
        .build()
        .unwrap();
    let started = Instant::now();
    let error = verify(&client).await.unwrap_err();
    assert_eq!(error.unavailable_reason(), Some(NotConnected));
    assert!(started.elapsed() < Duration::from_secs(5));
}

const TOKENS: &[u8] = br#"{"sessionJwt":"a.b.c","refreshJwt":"d.e.f"}"#;

/// Answers one request per connection, keeps the connection open in its headers, and closes it.
async fn closing_after_one(body: &'static [u8]) -> Upstream {
    Upstream::start(move |mut peer| async move {
        if peer.read_request().await {
            peer.write(&http("200 OK", &[], body)).await;
        }
    })
    .await
}

#[tokio::test]
async fn auth_stale_keepalive() {
    // The client sees the FIN before the next call: a new connection, no error, no replay.
    let upstream = closing_after_one(TOKENS).await;
    let client = client_for(&upstream);
    for _ in 0..3 {
        refresh(&client).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(upstream.counts(), (3, 3));

    // The server closes when the second request arrives: a POST is not sent again, a GET is.
    let upstream = Upstream::start(|mut peer| async move {
        if peer.read_request().await {
            let body = br#"{"userId":"U1","sessionJwt":"a.b.c"}"#;
            peer.write(&http("200 OK", &[], body)).await;
        }
        peer.read_request().await;
    })
    .await;
    let client = client_for(&upstream);
    refresh(&client).await.unwrap();
    let error = refresh(&client).await.unwrap_err();
    assert_eq!(error.unavailable_reason(), Some(Interrupted));
    assert_eq!(upstream.counts(), (1, 2));

    let token = RefreshToken::new(TOKEN).unwrap();
    client.session().me(&token).await.unwrap();
    assert_eq!(upstream.counts(), (2, 3));
    client.session().me(&token).await.unwrap();
    assert_eq!(upstream.counts(), (3, 5));
}

#[tokio::test]
async fn a_get_is_repeated_once_and_no_more() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
    })
    .await;
    let token = RefreshToken::new(TOKEN).unwrap();
    let error = client_for(&upstream)
        .session()
        .me(&token)
        .await
        .unwrap_err();
    assert_eq!(error.unavailable_reason(), Some(Interrupted));
    assert_eq!(upstream.counts(), (2, 2));

    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        if peer.number > 0 {
            peer.write(&http("200 OK", &[], br#"{"userId":"U1"}"#))
                .await;
        }
    })
    .await;
    client_for(&upstream).session().me(&token).await.unwrap();
    assert_eq!(upstream.counts(), (2, 2));
}

#[tokio::test]
async fn tokens_in_cookies() {
    let headers = [
        "set-cookie: evil=1; Domain=.example",
        "set-cookie: DS=a.b.c; Path=/; HttpOnly",
        "set-cookie: DSR=d.e.f; Path=/; HttpOnly",
        "set-cookie: DSR=; Max-Age=0",
    ];
    let body = br#"{"sessionJwt":"","refreshJwt":"","cookieMaxAge":-1}"#;
    let upstream = Upstream::answering(http("200 OK", &headers, body)).await;
    let reply = verify(&client_for(&upstream)).await.unwrap();
    assert_eq!(reply.session_jwt, "a.b.c");
    assert_eq!(reply.refresh_jwt, "d.e.f");
    assert!(reply.other.is_empty());
}

/// A transport that was told to follow redirects is caught at it.
#[tokio::test]
async fn a_client_that_follows_redirects() {
    let upstream = Upstream::start(|mut peer| async move {
        peer.read_request().await;
        if peer.number == 0 {
            let location = "location: /v1/auth/elsewhere";
            peer.write(&http(
                "307 Temporary",
                &[location, "connection: close"],
                b"",
            ))
            .await;
        } else {
            peer.write(&http("200 OK", &[], TOKENS)).await;
        }
    })
    .await;
    let following = reqwest::Client::builder().no_proxy().build();
    // Needs the machine's certificates.
    let Ok(following) = following else { return };
    let client = Client::builder("P2abc".parse().unwrap())
        .base_url(format!("http://{}", upstream.address).parse().unwrap())
        .transport(following)
        .build()
        .unwrap();
    let error = refresh(&client).await.unwrap_err();
    assert_eq!(error.unavailable_reason(), Some(Interrupted));
}
