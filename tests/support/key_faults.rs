//! The faults, by the names of the list.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::key_endpoint::{Fault, Serve, keys};
use super::upstream::{Peer, http};

pub fn all() -> Vec<(&'static str, Fault)> {
    let mut faults = connections();
    faults.extend(refusals());
    faults.extend(bodies());
    faults
}

/// Everything below HTTP, and HTTP that takes too long.
fn connections() -> Vec<(&'static str, Fault)> {
    vec![
        ("jwks/refused", Fault::Refused),
        #[cfg(target_os = "linux")]
        ("jwks/blackhole", Fault::Blackhole),
        ("jwks/dns-nxdomain", Fault::NameUnknown),
        ("jwks/dns-slow", Fault::NameHangs),
        ("jwks/tls-expired", Fault::Certificate("localhost", 2020)),
        (
            "jwks/tls-wrong-host",
            Fault::Certificate("example.com", 2100),
        ),
        ("jwks/tls-plain", Fault::PlainOnTlsPort),
        ("jwks/accept-then-close", serve(async |_: Peer| {})),
        (
            "jwks/half-close",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                let _ = peer.stream.shutdown().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }),
        ),
        (
            "jwks/rst-mid-body",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                let answer = keys(&[]);
                peer.write(&answer[..answer.len() / 2]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.reset();
            }),
        ),
        (
            "jwks/slow-headers",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                peer.drip(&keys(&[])).await;
            }),
        ),
        (
            "jwks/slow-body",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                let answer = keys(&[]);
                let body = answer.len() - 100;
                peer.write(&answer[..body]).await;
                peer.drip(&answer[body..]).await;
            }),
        ),
        (
            "jwks/never-ends",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                    .await;
                while peer.write(b"1\r\n \r\n").await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }),
        ),
        (
            "jwks/huge-100MB",
            serve(async |mut peer: Peer| {
                peer.read_request().await;
                peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n{\"keys\":[")
                    .await;
                let megabyte = vec![b' '; 1024 * 1024];
                for _ in 0..100 {
                    if !peer.write(&megabyte).await {
                        return;
                    }
                }
            }),
        ),
        (
            "jwks/huge-header",
            Fault::Bytes(keys(&[&format!("x: {}", "h".repeat(1024 * 1024))])),
        ),
        (
            "jwks/cl-mismatch",
            Fault::Bytes({
                let mut short = keys(&[]);
                short.truncate(short.len() - 10);
                short
            }),
        ),
        ("jwks/http09", Fault::Bytes(b"<html>hello</html>".to_vec())),
        (
            "jwks/http2-goaway",
            Fault::Bytes(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ),
    ]
}

/// Statuses other than 200.
fn refusals() -> Vec<(&'static str, Fault)> {
    let status = |status: &str, body: &str| Fault::Bytes(http(status, CLOSE, body.as_bytes()));
    let pause = |status: &str, value: &str, seconds| {
        let header = format!("retry-after: {value}");
        Fault::Pause(http(status, &[&header, CLOSE[0]], b""), seconds)
    };
    vec![
        (
            "jwks/500",
            status("500 Internal Server Error", "<html>oops"),
        ),
        ("jwks/502", status("502 Bad Gateway", "")),
        ("jwks/503", pause("503 Service Unavailable", "2", 2)),
        ("jwks/429-seconds", pause("429 Too Many", "7", 7)),
        (
            "jwks/429-date",
            pause("429 Too Many", "Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ),
        // Our own pause is a minute at most: one answer must not keep us from asking for years.
        ("jwks/429-huge", pause("429 Too Many", "999999999", 60)),
        ("jwks/429-negative", pause("429 Too Many", "-1", 60)),
        ("jwks/429-garbage", pause("429 Too Many", "soon", 60)),
        (
            "jwks/401",
            status("401 Unauthorized", r#"{"errorCode":"E061005"}"#),
        ),
        ("jwks/403", status("403 Forbidden", "")),
        ("jwks/404", status("404 Not Found", "404 page not found")),
        (
            "jwks/301-self",
            Fault::Redirect("301 Moved", "/v2/keys/P2aTestProject000000000000001"),
        ),
        (
            "jwks/302-evil",
            Fault::Redirect("302 Found", "https://evil.example"),
        ),
        (
            "jwks/302-http",
            Fault::Redirect("302 Found", "ELSEWHERE/v2/keys/x"),
        ),
        (
            "jwks/307-file",
            Fault::Redirect("307 Temporary", "file:///etc/passwd"),
        ),
        (
            "jwks/204",
            Fault::Bytes(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()),
        ),
    ]
}

/// 200, and a body that is no key set.
fn bodies() -> Vec<(&'static str, Fault)> {
    let json = |body: &[u8]| {
        Fault::Bytes(http(
            "200 OK",
            &["content-type: application/json", CLOSE[0]],
            body,
        ))
    };
    let good = keys(&[]);
    let start = good
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let good = &good[start..];
    let twice = [br#"{"keys":[],"#, &good[1..]].concat();
    let bad_text = [br#"{"x":""#.as_slice(), b"\xff\xfe", br#"","#, &good[1..]].concat();
    vec![
        ("jwks/garbage-json", json(b"not json")),
        ("jwks/truncated-json", json(&good[..good.len() / 2])),
        ("jwks/wrong-shape", json(b"[]")),
        ("jwks/wrong-types", json(br#"{"sessionJwt":1}"#)),
        (
            "jwks/html-200",
            Fault::Bytes(http(
                "200 OK",
                &["content-type: text/html", CLOSE[0]],
                b"<html>Please sign in to the hotel's network</html>",
            )),
        ),
        ("jwks/empty-200", json(b"")),
        (
            "jwks/gzip-bomb",
            Fault::Bytes(http("200 OK", &["content-encoding: gzip", CLOSE[0]], GZIP)),
        ),
        ("jwks/utf8-bad", json(&bad_text)),
        ("jwks/dup-keys", json(&twice)),
    ]
}

fn serve<F, Fut>(serve: F) -> Fault
where
    F: Fn(Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let serve: Serve = Arc::new(move |peer| Box::pin(serve(peer)));
    Fault::Serve(serve)
}

const CLOSE: &[&str] = &["connection: close"];
/// What matters is that nothing unpacks it.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0,
];
