//! Renewals that fail on the wire, fault by fault, over real sockets.
//!
//! An indefinite answer is 503 with `Retry-After`, in time, and leaves the cookies; the call is made once. When
//! upstream is back and the pause over, the same cookies are renewed. Only a definite refusal ends a session.
//!
//! Security requirements 22, 25, 42 and 44. What is wrong with tokens that upstream issues is in `refresh_answers.rs`.

use std::time::{Duration, Instant};

use crate::support::endpoint::{Endpoint, Fault, Good};
use crate::support::mounted::error_body;
use crate::support::renewal::{OLD, OTHERS, PATH, RETRY_AFTER, Site, renewed, trial, unavailable};
use crate::support::socket_faults::{self, STALE_KEEPALIVE};
use crate::support::upstream::Upstream;
use libtest_mimic::Trial;
use serde_json::json;

/// Deadline and all, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(2);

pub fn trials() -> Vec<Trial> {
    let faults = socket_faults::all(&Good::tokens(PATH)).into_iter();
    let blocked = socket_faults::status("403 Forbidden", "<html>blocked by a firewall");
    // The list's own 403 has a code of the sign-in, which says nothing about a refresh JWT.
    let faults = faults
        .map(|(name, fault)| match name {
            "403" => (name, refused_with_403()),
            _ => (name, fault),
        })
        .chain([("403-bare", blocked)]);
    let mut trials: Vec<Trial> = faults
        .map(|(name, fault)| match name {
            "401" | "403" => trial(&format!("refresh/{name}"), async move || {
                definite(&fault).await
            }),
            _ => trial(&format!("refresh/{name}"), async move || {
                indefinite(&fault).await
            }),
        })
        .collect();
    trials.extend([
        trial("refresh/404-of-the-api", async || {
            no_verdict("404 Not Found", "E062108").await
        }),
        trial("refresh/403-of-the-project", async || {
            no_verdict("403 Forbidden", "E061103").await
        }),
        trial(&format!("refresh/{STALE_KEEPALIVE}"), stale_keepalive),
    ]);
    trials
}

fn refused_with_403() -> Fault {
    socket_faults::status("403 Forbidden", &error_body("E061005"))
}

async fn indefinite(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, fault);
    let fails = async || {
        let started = Instant::now();
        let reply = site.get().await;
        assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
        unavailable(&reply)
    };

    assert_eq!(fails().await, fault.pause().unwrap_or(RETRY_AFTER));
    assert_eq!(endpoint.counts(), fault.cost(), "never replayed");
    by_route(&endpoint, fault).await;
    // Upstream is left alone for as long as it asked, at most a minute, or when it has failed three times in a row.
    let hold = match fault.pause() {
        Some(seconds) => seconds.min(60),
        None => {
            for _ in 0..2 {
                assert_eq!(fails().await, RETRY_AFTER);
            }
            1
        }
    };
    let before = endpoint.counts();
    site.advance(hold - 1);
    assert_eq!(fails().await, 1);
    assert_eq!(endpoint.counts(), before, "asked during the pause");

    endpoint.set_broken(false).await;
    let before = endpoint.counts();
    site.advance(1);
    let mut reply = site.get().await;
    // A healthy upstream answers at once; on a busy machine perhaps not within so short a deadline.
    for _ in 0..4 {
        if reply.status() == 200 || !fault.outlasts_the_deadline() {
            break;
        }
        site.advance(10);
        reply = site.get().await;
    }
    let (_, refresh) = renewed(&reply);
    assert_ne!(refresh.unwrap(), *OLD);
    if !fault.outlasts_the_deadline() {
        assert_eq!(endpoint.counts().1, before.1 + 1);
    }
    assert_eq!(endpoint.strayed(), 0, "a redirect was followed");
}

/// The same call by the mounted route, for a browser whose session nobody has tried to renew yet.
async fn by_route(endpoint: &Endpoint, fault: &Fault) {
    let before = endpoint.counts();
    let mut page = Site::at(endpoint, fault).page();
    let answer = page.post(PATH, json!({})).await;
    answer.is_error(503, "unavailable");
    let told = fault.pause().unwrap_or(RETRY_AFTER);
    assert_eq!(answer.headers["retry-after"], told.to_string());
    assert!(!answer.sets_cookies());
    let (connections, requests) = fault.cost();
    let after = (before.0 + connections, before.1 + requests);
    assert_eq!(endpoint.counts(), after, "never replayed");
}

async fn definite(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, fault);
    let refused = async || {
        let reply = site.get().await;
        assert_eq!(reply.status(), 401);
        assert_eq!(reply.json()["code"], "session_ended");
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm="), "{challenge}");
        assert!(!reply.body.contains(socket_faults::SECRET));
        reply
    };
    // A race has losers, and what they are told is no reason to delete the winner's cookies.
    for seconds in [0, 5] {
        site.advance(seconds);
        assert!(refused().await.set_cookies().is_empty());
        assert_eq!(endpoint.counts(), (1, 1), "the refusal is remembered");
    }
    // Who presents the same token after the window has lost no race.
    site.advance(6);
    let reply = refused().await;
    assert_eq!(endpoint.counts(), (2, 2));
    let cookies = reply.set_cookies();
    assert_eq!(cookies.len(), 2);
    for name in ["DS=;", "DSR=;"] {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(name));
        assert!(cookie.unwrap().contains("Max-Age=0"), "{cookies:?}");
    }

    // From then on it is known, and not asked about again.
    for _ in 0..5 {
        site.advance(11);
        assert_eq!(refused().await.set_cookies().len(), 2);
        assert_eq!(endpoint.counts(), (2, 2));
    }

    // By the mounted route of a process that knows of no refusal yet.
    let mut page = Site::at(&endpoint, fault).page();
    let answer = page.post(PATH, json!({})).await;
    answer.is_error(401, "E061005");
    assert!(!answer.sets_cookies());
}

/// Not in the list: an answer of the API that does not refuse this token. It keeps nobody else from asking.
async fn no_verdict(status: &str, code: &str) {
    let fault = socket_faults::status(status, &error_body(code));
    let mut endpoint = Endpoint::start(&fault, &Good::tokens(PATH)).await;
    endpoint.set_broken(true).await;
    let site = Site::at(&endpoint, &fault);
    for request in 1..=4 {
        assert_eq!(unavailable(&site.get().await), RETRY_AFTER);
        assert_eq!(endpoint.counts(), (request, request));
    }
    endpoint.set_broken(false).await;
    renewed(&site.get_with(&OTHERS).await);
}

/// The server closes an idle connection, which costs nothing, or one on which a request has just arrived: that may have
/// been carried out and is not sent again.
async fn stale_keepalive() {
    let good = Good::tokens(PATH).answer(&[]);
    for reads_another in [false, true] {
        let good = good.clone();
        let upstream = Upstream::start(move |mut peer| {
            let good = good.clone();
            async move {
                if peer.read_request().await {
                    peer.write(&good).await;
                }
                if reads_another && peer.number == 0 {
                    peer.read_request().await;
                }
            }
        })
        .await;
        let site = Site::new(&upstream.url());
        renewed(&site.get().await);
        assert_eq!(upstream.counts(), (1, 1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let reply = site.get_with(&OTHERS).await;
        if reads_another {
            assert_eq!(unavailable(&reply), RETRY_AFTER);
            assert_eq!(upstream.counts(), (1, 2), "sent again");
            renewed(&site.get_with(&OTHERS).await);
            assert_eq!(upstream.counts(), (2, 3));
        } else {
            renewed(&reply);
            assert_eq!(upstream.counts(), (2, 2));
        }
    }
}
