//! Mounted routes whose call upstream fails on the wire, fault by fault, over real sockets.
//!
//! The page gets Descope's error shape with a code of ours, or Descope's own public error, and nothing else of what
//! upstream said. A code is sent or verified once, whatever happens. Security requirements 22, 44 and 48.

use std::time::{Duration, Instant};

use crate::support::endpoint::{Endpoint, Fault, Good};
use crate::support::mounted::browser::Answer;
use crate::support::mounted::{Browser, CODE, bare, error_body};
use crate::support::renewal::{Site, trial};
use crate::support::socket_faults::{self, SECRET, STALE_KEEPALIVE};
use crate::support::upstream::Upstream;
use libtest_mimic::Trial;
use serde_json::json;

const SEND: &str = "/v1/auth/otp/signup-in/email";
const VERIFY: &str = "/v1/auth/otp/verify/email";
/// Deadline and all, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(2);

pub fn trials() -> Vec<Trial> {
    let names = socket_faults::all(&good(VERIFY)).into_iter();
    let mut trials: Vec<Trial> = names
        .map(|(name, _)| {
            trial(&format!("auth/{name}"), async move || {
                for path in [SEND, VERIFY] {
                    play(name, path).await;
                }
            })
        })
        .collect();
    trials.push(trial(&format!("auth/{STALE_KEEPALIVE}"), stale_keepalive));
    trials
}

fn good(path: &'static str) -> Good {
    match path {
        VERIFY => Good::tokens(path),
        _ => Good::sent(path),
    }
}

/// The fault of this name; of a 404 the one that the API itself would send.
fn fault(name: &str, good: &Good) -> Fault {
    if name == "404" {
        return socket_faults::status("404 Not Found", &error_body("E062108"));
    }
    let faults = socket_faults::all(good).into_iter();
    let mut named = faults.filter(|(other, _)| *other == name);
    named.next().expect("a fault of this name").1
}

async fn play(name: &str, path: &'static str) {
    let good = good(path);
    let fault = fault(name, &good);
    let mut endpoint = Endpoint::start(&fault, &good).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, &fault);
    let mut page = Browser::new(bare(&site.descope));

    let started = Instant::now();
    let answer = post(&mut page, path).await;
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    let told = expect(name, &fault, &answer);
    let retry_after = answer.headers.get("retry-after");
    assert_eq!(
        retry_after.map(|value| value.to_str().unwrap().to_owned()),
        told.map(|seconds| seconds.to_string())
    );
    assert!(!answer.sets_cookies());
    let shown = format!("{:?} {}", answer.headers, answer.text);
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(endpoint.counts(), fault.cost(), "never replayed");

    endpoint.set_broken(false).await;
    let before = endpoint.counts();
    let mut answer = post(&mut page, path).await;
    // A healthy upstream answers at once; on a busy machine perhaps not within so short a deadline.
    for _ in 0..4 {
        if answer.status == 200 || !fault.outlasts_the_deadline() {
            break;
        }
        answer = post(&mut page, path).await;
    }
    answer.is_ok();
    assert_eq!(page.ds().is_empty(), path == SEND);
    if !fault.outlasts_the_deadline() {
        assert_eq!(endpoint.counts().1, before.1 + 1);
    }
    assert_eq!(endpoint.strayed(), 0, "a redirect was followed");
}

async fn post(page: &mut Browser, path: &str) -> Answer {
    page.post(path, json!({"loginId": "ann@example.com", "code": CODE}))
        .await
}

/// Checks status and body. Returns what the page has to be told about when to return.
fn expect(name: &str, fault: &Fault, answer: &Answer) -> Option<u64> {
    // Descope's SDK repeats what is answered with 503, which is for calls that were not carried out.
    let told = match name {
        "401" => answer.is_error(401, "E061005"),
        "403" => answer.is_error(403, "E061103"),
        "404" => answer.is_error(404, "E062108"),
        _ if name.starts_with("429") => answer.is_error(429, "E130429"),
        "503" => answer.is_error(503, "unavailable"),
        _ if fault.prevents_connections() => answer.is_error(503, "unavailable"),
        _ if fault.outlasts_the_deadline() => answer.is_error(504, "upstream_timeout"),
        _ => answer.is_error(502, "upstream_invalid"),
    };
    let members: Vec<_> = told.body.as_object().unwrap().keys().collect();
    match told.status.as_u16() {
        401 | 403 | 404 => {
            let public = ["errorCode", "errorDescription", "errorMessage", "message"];
            assert_eq!(members, public);
            assert_eq!(told.body["errorDescription"], "described");
            assert_eq!(told.body["errorMessage"], "explained");
        }
        _ => assert_eq!(members, ["errorCode", "errorDescription"]),
    }
    match told.status.as_u16() {
        503 => Some(fault.pause().unwrap_or(5)),
        _ => fault.pause(),
    }
}

/// The server closes an idle connection, which costs nothing, or one on which a request has just arrived: that may have
/// been carried out and is not sent again.
async fn stale_keepalive() {
    for path in [SEND, VERIFY] {
        let upstream = Upstream::start(move |mut peer| async move {
            let good = good(path).answer(&[]);
            if peer.read_request().await {
                peer.write(&good).await;
            }
            if peer.number == 1 {
                peer.read_request().await;
            }
        })
        .await;
        let site = Site::new(&upstream.url());
        let mut page = Browser::new(bare(&site.descope));
        for calls in 1..=2 {
            post(&mut page, path).await.is_ok();
            assert_eq!(upstream.counts(), (calls, calls));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = post(&mut page, path).await;
        answer.is_error(502, "upstream_invalid");
        assert_eq!(upstream.counts(), (2, 3), "sent again");
        post(&mut page, path).await.is_ok();
        assert_eq!(upstream.counts(), (3, 4));
    }
}
