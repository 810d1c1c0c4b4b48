//! A key endpoint that fails on the wire, fault by fault, over real sockets.
//!
//! For each: with keys at hand nothing is refused. Without any, the answer is 503 with `Retry-After`, within the
//! deadline of a call, never 401 and never 200. Once the endpoint is back, the first request after the pause that
//! `Retry-After` named is served; that is one second unless the endpoint asked for more (at most a minute).
//!
//! Security requirements 21, 22 and 42. Faults that need time instead of sockets are in `keys_lifecycle.rs`.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::support::key_endpoint::{Endpoint, Fault, KEY, keys};
use crate::support::project::{NOW, retry_after, token, unknown_kid};
use crate::support::signer::PROJECT;
use crate::support::upstream::Upstream;
use crate::support::{key_faults as faults, needs, verdict};
use http::header::RETRY_AFTER;
use libtest_mimic::Trial;
use tower_descope::Descope;
use tower_descope::clock::ManualClock;

static TOKEN: LazyLock<String> = LazyLock::new(|| token(&KEY));

const DEADLINE: Duration = Duration::from_millis(250);
/// The deadline, and what a busy machine adds to it.
const IN_TIME: Duration = Duration::from_secs(2);

/// Faults of the list that need a clock rather than a socket, and the tests in `keys_lifecycle.rs` that have them.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "jwks/unknown-kty-added",
        "other_keys_in_the_set_change_nothing",
    ),
    ("jwks/emptied", "a_useless_answer_never_replaces_keys"),
    ("jwks/rotate-overlap", "rotate_overlap"),
    ("jwks/rotate-hard", "rotate_hard"),
    ("jwks/flip-flop", "flip_flop"),
    ("jwks/304", "not_modified_keeps_the_set_and_resets_its_age"),
    ("jwks/cache-control-0", "cache_control_is_clamped"),
    ("jwks/cache-control-huge", "cache_control_is_clamped"),
    ("jwks/random-kid-flood", "random_kid_flood"),
    (
        "jwks/random-kid-flood-while-down",
        "random_kid_flood_while_down",
    ),
    ("jwks/bad-sig-flood", "bad_signatures_cause_no_fetch"),
    ("clock/skew+4s", "skew_within_the_leeway"),
    ("clock/skew+10min", "skew_within_the_leeway"),
    ("clock/backwards", "the_wall_clock_may_jump"),
    ("clock/leap", "a_clock_that_stands_still"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = faults::all()
        .into_iter()
        .map(|(name, fault)| {
            Trial::test(name, move || {
                block_on(async {
                    without_keys(&fault).await;
                    with_keys(&fault).await;
                });
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test(STALE_KEEPALIVE, || {
        block_on(stale_keepalive());
        Ok(())
    }));
    let list = needs::vectors("upstream-faults.json");
    trials.extend(needs::trials(
        "the list of faults",
        "vectors",
        list,
        |list| {
            vec![Trial::test("every fault has a test", move || {
                let tested: Vec<_> = faults::all().into_iter().map(|(name, _)| name).collect();
                let elsewhere = include_str!("../behaviour/keys_lifecycle.rs");
                for case in list["cases"].as_array().ok_or("no cases")? {
                    let name = case["name"].as_str().ok_or("no name")?;
                    let ours = name.starts_with("jwks/") || name.starts_with("clock/");
                    let by_clock = ELSEWHERE.iter().any(|(fault, test)| {
                        *fault == name && elsewhere.contains(&format!("async fn {test}("))
                    });
                    if ours && !by_clock && !tested.contains(&name) && name != STALE_KEEPALIVE {
                        return Err(format!("no test for {name}").into());
                    }
                }
                Ok(())
            })]
        },
    ));
    trials
}

async fn without_keys(fault: &Fault) {
    let mut endpoint = Endpoint::start(fault).await;
    endpoint.set_broken(true).await;
    let (descope, clock) = handle(&endpoint);

    let started = Instant::now();
    let error = descope.validate_session(&TOKEN).await.unwrap_err();
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    let pause = retry_after(&error);
    assert_eq!(pause, fault.pause());

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
    let mut endpoint = Endpoint::start(fault).await;
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

const STALE_KEEPALIVE: &str = "jwks/stale-keepalive";

/// The server closes a pooled connection just when the next request arrives on it. No outage: it is sent again.
async fn stale_keepalive() {
    let upstream = Upstream::start(|mut peer| async move {
        if peer.read_request().await {
            peer.write(&keys(&[])).await;
            peer.read_request().await;
        }
    })
    .await;
    let descope = Descope::builder(PROJECT)
        .unwrap()
        .base_url(&upstream.url())
        .unwrap()
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
        .unwrap()
        .base_url(&endpoint.url)
        .unwrap()
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
