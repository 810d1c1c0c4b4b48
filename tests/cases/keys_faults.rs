//! A key endpoint that fails on the wire, fault by fault, over real sockets.
//!
//! For each: with keys at hand nothing is refused. Without any, the answer is 503 with `Retry-After`, within the
//! deadline of a call, never 401 and never 200. Once the endpoint is back, the first request after the pause that
//! `Retry-After` named is served; that is one second unless the endpoint asked for more (at most a minute).
//!
//! Security requirements 21, 22 and 42. Faults that need time instead of sockets are in `keys_lifecycle.rs`.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::support::endpoint::{Endpoint, Fault, Good, KEY};
use crate::support::project::{NOW, retry_after, token, unknown_kid};
use crate::support::signer::PROJECT;
use crate::support::socket_faults::{self, STALE_KEEPALIVE};
use crate::support::upstream::Upstream;
use crate::support::verdict;
use http::header::RETRY_AFTER;
use libtest_mimic::Trial;
use tower_descope::Descope;
use tower_descope::clock::ManualClock;

static TOKEN: LazyLock<String> = LazyLock::new(|| token(&KEY));

const DEADLINE: Duration = Duration::from_millis(250);
/// The deadline, and what a busy machine adds to it.
const IN_TIME: Duration = Duration::from_secs(2);

pub fn trials() -> Vec<Trial> {
    let faults = socket_faults::all(&Good::keys()).into_iter();
    let mut trials: Vec<Trial> = faults
        .map(|(name, fault)| {
            Trial::test(format!("jwks/{name}"), move || {
                block_on(async {
                    without_keys(&fault).await;
                    with_keys(&fault).await;
                });
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test(format!("jwks/{STALE_KEEPALIVE}"), || {
        block_on(stale_keepalive());
        Ok(())
    }));
    trials
}

async fn without_keys(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::keys()).await;
    endpoint.set_broken(true).await;
    let (descope, clock) = handle(&endpoint);

    let started = Instant::now();
    let error = descope.validate_session(&TOKEN).await.unwrap_err();
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    let pause = retry_after(&error);
    // Our own pause is a minute at most: one answer must not keep us from asking for an hour.
    assert_eq!(pause, fault.pause().unwrap_or(1).min(60));

    let (bearer, cookie) = (format!("Bearer {}", *TOKEN), format!("DS={}", *TOKEN));
    for (name, value) in [("authorization", &bearer), ("cookie", &cookie)] {
        let response = verdict::response(&descope, &[(name, value)]).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], pause.to_string());
    }

    endpoint.set_broken(false).await;
    clock.advance(Duration::from_secs(pause));
    eventually_ready(&descope, &clock).await;
    descope.validate_session(&TOKEN).await.unwrap();
    assert_eq!(endpoint.strayed(), 0, "a redirect was followed");
}

async fn with_keys(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault, &Good::keys()).await;
    let (descope, clock) = handle(&endpoint);
    eventually_ready(&descope, &clock).await;

    endpoint.set_broken(true).await;
    // A refresh beside the request, one that the request waits for, a dozen hours of nothing, one that is forced.
    for hours in [0, 1, 12] {
        clock.advance(Duration::from_secs(hours * 3600 + 600));
        for _ in 0..3 {
            let started = Instant::now();
            descope.validate_session(&TOKEN).await.unwrap();
            assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
        }
    }
    descope.refresh_keys().await.unwrap();
    descope.validate_session(&TOKEN).await.unwrap();
    let error = descope.validate_session(&unknown_kid(1)).await.unwrap_err();
    retry_after(&error);

    endpoint.set_broken(false).await;
    for _ in 0..5 {
        descope.refresh_keys().await.unwrap();
        if descope.key_age() == Some(Duration::ZERO) {
            break;
        }
    }
    assert_eq!(descope.key_age(), Some(Duration::ZERO), "it recovers");
    assert_eq!(endpoint.strayed(), 0, "a redirect was followed");
}

/// The server closes a pooled connection just when the next request arrives on it. No outage: it is sent again.
async fn stale_keepalive() {
    let upstream = Upstream::start(|mut peer| async move {
        if peer.read_request().await {
            peer.write(&Good::keys().answer(&[])).await;
            peer.read_request().await;
        }
    })
    .await;
    let descope = Descope::builder(PROJECT)
        .base_url(upstream.url())
        .clock(Arc::new(ManualClock::at_unix_seconds(NOW)))
        .build()
        .unwrap();
    for _ in 0..3 {
        descope.refresh_keys().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    descope.validate_session(&TOKEN).await.unwrap();
    assert_eq!(upstream.counts(), (3, 5));
}

/// Healthy endpoints answer at once; on a busy machine perhaps not within so short a deadline.
async fn eventually_ready(descope: &Descope, clock: &ManualClock) {
    for _ in 0..5 {
        if descope.ready().await.is_ok() {
            return;
        }
        clock.advance(Duration::from_secs(1));
    }
    panic!("not ready although the endpoint is back");
}

fn handle(endpoint: &Endpoint) -> (Descope, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at_unix_seconds(NOW));
    let mut builder = Descope::builder(PROJECT)
        .base_url(&endpoint.url)
        .deadline(DEADLINE)
        .clock(clock.clone());
    if let Some(transport) = &endpoint.transport {
        builder = builder.transport(transport.clone());
    }
    (builder.build().unwrap(), clock)
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}
