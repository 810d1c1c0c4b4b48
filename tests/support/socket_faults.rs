//! The faults of the list that any path may have, by their names there without the place.
//!
//! Good answers are part of most: whoever follows a redirect, unpacks a body or guesses the rest finds one.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::endpoint::{Fault, Good, Serve};
use super::mounted::error_body;
use super::upstream::{Peer, http};

/// Marks what no client may ever see.
pub const SECRET: &str = "secret";

/// An idle connection that goes away is no fault of one answer, so each place has a test of its own.
pub const STALE_KEEPALIVE: &str = "stale-keepalive";

/// The faults of an endpoint that is `good` otherwise.
pub fn all(good: &Good) -> Vec<(&'static str, Fault)> {
    let mut faults = connections();
    faults.extend(interruptions(good));
    faults.extend(refusals());
    faults.extend(bodies(good));
    faults
}

/// Everything below HTTP.
fn connections() -> Vec<(&'static str, Fault)> {
    vec![
        ("refused", Fault::Refused),
        #[cfg(target_os = "linux")]
        ("blackhole", Fault::Blackhole),
        ("dns-nxdomain", Fault::NameUnknown),
        ("dns-slow", Fault::NameHangs),
        ("tls-expired", Fault::Certificate("localhost", 2020)),
        ("tls-wrong-host", Fault::Certificate("example.com", 2100)),
        ("tls-plain", Fault::PlainOnTlsPort),
        ("accept-then-close", Fault::Closed),
        ("http09", Fault::Bytes(b"<html>hello</html>".to_vec())),
        (
            "http2-goaway",
            Fault::Bytes(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ),
    ]
}

/// Good answers that end too early, too late or not at all.
fn interruptions(good: &Good) -> Vec<(&'static str, Fault)> {
    let answer = good.answer(&[]);
    let (head, tail) = answer.split_at(answer.len() - good.body.len() / 2);
    vec![
        (
            "half-close",
            Fault::Serve(serve(b"", b"", async |mut peer, _, _| {
                let _ = peer.stream.shutdown().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            })),
        ),
        (
            "rst-mid-body",
            Fault::Serve(serve(head, b"", async |mut peer, head, _| {
                peer.write(&head).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.reset();
            })),
        ),
        (
            "slow-headers",
            Fault::Slow(serve(b"", &answer, async |mut peer, _, answer| {
                peer.drip(&answer).await;
            })),
        ),
        (
            "slow-body",
            Fault::Slow(serve(head, tail, async |mut peer, head, tail| {
                peer.write(&head).await;
                peer.drip(&tail).await;
            })),
        ),
        (
            "never-ends",
            Fault::Slow(serve(
                CHUNKED,
                b"1\r\n \r\n",
                async |mut peer, head, chunk| {
                    peer.write(&head).await;
                    while peer.write(&chunk).await {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                },
            )),
        ),
        (
            "huge-100MB",
            Fault::Serve(serve(HUGE, b"{", async |mut peer, head, start| {
                peer.write(&[head, start].concat()).await;
                let megabyte = vec![b' '; 1024 * 1024];
                for _ in 0..100 {
                    if !peer.write(&megabyte).await {
                        return;
                    }
                }
            })),
        ),
        (
            "huge-header",
            Fault::Bytes(good.answer(&[&format!("x: {}", "h".repeat(1024 * 1024))])),
        ),
        (
            "cl-mismatch",
            Fault::Bytes(answer[..answer.len() - 10].to_vec()),
        ),
    ]
}

/// An answer with this status and body.
pub fn status(status: &str, body: &str) -> Fault {
    Fault::Bytes(http(status, CLOSE, body.as_bytes()))
}

/// Statuses other than 200.
fn refusals() -> Vec<(&'static str, Fault)> {
    let pause = |status: &str, value: &str, seconds| {
        let retry_after = format!("retry-after: {value}");
        let headers = [&[&*retry_after], CLOSE].concat();
        Fault::Pause(http(status, &headers, SECRET.as_bytes()), seconds)
    };
    vec![
        (
            "500",
            status("500 Internal Server Error", "<html>oops, secret"),
        ),
        ("502", status("502 Bad Gateway", "")),
        ("503", pause("503 Service Unavailable", "2", 2)),
        ("429-seconds", pause("429 Too Many", "7", 7)),
        (
            "429-date",
            pause("429 Too Many", "Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ),
        ("429-huge", pause("429 Too Many", "999999999", 3600)),
        ("429-negative", pause("429 Too Many", "-1", 60)),
        ("429-garbage", pause("429 Too Many", "soon", 60)),
        ("401", status("401 Unauthorized", &error_body("E061005"))),
        ("403", status("403 Forbidden", &error_body("E061103"))),
        ("404", status("404 Not Found", "404 page not found, secret")),
        ("301-self", Fault::Redirect("301 Moved", "SELF")),
        (
            "302-evil",
            Fault::Redirect("302 Found", "https://ELSEWHERE/"),
        ),
        (
            "302-http",
            Fault::Redirect("302 Found", "http://ELSEWHERESELF"),
        ),
        (
            "307-file",
            Fault::Redirect("307 Temporary", "file:///etc/passwd"),
        ),
        (
            "204",
            Fault::Bytes(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()),
        ),
    ]
}

/// 200, and a body that is not what the API sends.
fn bodies(good: &Good) -> Vec<(&'static str, Fault)> {
    let typed = |kind: &str, body: &[u8]| {
        let kind = format!("content-type: {kind}");
        Fault::Bytes(http("200 OK", &[&[&*kind], CLOSE].concat(), body))
    };
    let json = |body: &[u8]| typed("application/json", body);
    let (body, member) = (good.body.as_bytes(), good.member);
    let twice = format!(r#"{{"{member}":null,{}"#, &good.body[1..]);
    let bad_text = [br#"{"x":""#, &b"\xff\xfe"[..], br#"","#, &body[1..]].concat();
    let packed = [&["content-encoding: gzip"], CLOSE].concat();
    vec![
        ("garbage-json", json(b"not json, secret")),
        ("truncated-json", json(&body[..body.len() / 2])),
        ("wrong-shape", json(b"[]")),
        ("wrong-types", json(br#"{"sessionJwt":1}"#)),
        (
            "html-200",
            typed(
                "text/html",
                b"<html>Please sign in to the hotel's secret network</html>",
            ),
        ),
        ("empty-200", json(b"")),
        // The right answer for whoever unpacks it, which nobody may.
        (
            "gzip-bomb",
            Fault::Bytes(http("200 OK", &packed, &gzip(body))),
        ),
        ("utf8-bad", json(&bad_text)),
        ("dup-keys", json(twice.as_bytes())),
    ]
}

/// Reads a request, then plays with the connection and these bytes.
fn serve<F, Fut>(head: &[u8], tail: &[u8], play: F) -> Serve
where
    F: Fn(Peer, Vec<u8>, Vec<u8>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (head, tail) = (head.to_vec(), tail.to_vec());
    Arc::new(move |mut peer| {
        let (play, head, tail) = (play.clone(), head.clone(), tail.clone());
        Box::pin(async move {
            peer.read_request().await;
            play(peer, head, tail).await;
        })
    })
}

/// Stored, not compressed (RFC 1952 and RFC 1951, 3.2.4).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let length = u16::try_from(bytes.len()).unwrap();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(bytes);
    packed.extend((!crc).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

const CLOSE: &[&str] = &[
    "connection: close",
    "x-upstream: secret",
    "set-cookie: evil=secret; Path=/",
];
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const HUGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n";
