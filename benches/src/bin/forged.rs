//! What 100,000 distinct forged tokens do to the cache, the key endpoint and known sessions, and what they cost.
//!
//! ```sh
//! cd benches && cargo run --release --bin forged
//! ```
//!
//! Half of them claim the project's key and bring a signature of noise, half claim a key that nobody has.

use std::cell::Cell;

use futures_executor::block_on;
use http::StatusCode;
use serde_json::json;
use tower::ServiceExt;
use tower_descope::{Descope, TokenCache};
use tower_descope_benches::fixture::{
    LIVE, Raw, app, cookies, forge, request_with, sign, unix_now,
};
use tower_descope_benches::key_server::KeyServer;
use tower_descope_benches::rounds::{Probe, calls, interleave, median, rounds, thread_time};
use tower_descope_benches::signer::{PROJECT, Signer, encode, jwks};

const FORGED: usize = 100_000;
/// How often each known session comes back before and after a part of the flood.
const PASSES: usize = 20;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let signer = Signer::new("SK1");
    let keys = runtime.block_on(KeyServer::start(jwks([&signer]).to_string()));
    let descope = Descope::builder(PROJECT)
        .base_url(&keys.base_url())
        .token_cache(TokenCache::new())
        .build()
        .expect("a configuration");
    runtime.block_on(descope.ready()).expect("keys");
    let app = app().layer(descope.session_layer());
    let now = unix_now();
    let tokens = sign(&signer, 0..LIVE, now);
    let known = cookies(&tokens);
    // Key look-ups need the runtime.
    let _guard = runtime.enter();
    let ask = |cookie: &_| {
        let request = request_with("/user", cookie);
        runtime
            .block_on(app.clone().oneshot(request))
            .expect("infallible")
            .status()
    };
    let missed = Cell::new(0);
    let pass = || {
        let (began, misses) = (thread_time(), descope.stats().cache_misses);
        for cookie in &known {
            assert_eq!(ask(cookie), StatusCode::OK);
        }
        missed.set(missed.get() + descope.stats().cache_misses - misses);
        thread_time() - began
    };
    // Now they are known.
    pass();
    missed.set(0);

    let rounds = rounds(11);
    let (cached, fetches) = (descope.stats().cached_sessions, keys.asked());
    let (mut same, mut after) = (Vec::new(), Vec::new());
    let mut sent = 0;
    for round in 0..rounds {
        let hits = || (0..PASSES).map(|_| pass().as_secs_f64()).collect();
        let before = median(hits());
        let again = median(hits());
        for n in FORGED * round / rounds..FORGED * (round + 1) / rounds {
            let token = match n % 2 {
                0 => forge(&tokens[n % LIVE], n),
                _ => of_unknown_key(&tokens[n % LIVE], n),
            };
            assert_eq!(ask(&cookies(&[token])[0]), StatusCode::UNAUTHORIZED);
            sent += 1;
        }
        let flooded = median(hits());
        same.push(again / before);
        after.push(flooded / before);
    }
    let stats = descope.stats();
    println!("{sent} forged tokens:");
    println!(
        "  sessions in the cache: {cached} before, {} after",
        stats.cached_sessions
    );
    println!(
        "  key fetches: {} (unknown keys: one in 30 s at most)",
        keys.asked() - fetches
    );
    println!(
        "  look-ups of known sessions that missed: {} of {}",
        missed.get(),
        rounds * PASSES * 3 * LIVE
    );
    println!(
        "  a known session after the flood / before: {:.2} ({:.2} without a flood)",
        median(after),
        median(same)
    );
    cost(&signer, &descope, &tokens, now);
}

/// Each of these is new to the handle.
fn cost(signer: &Signer, descope: &Descope, tokens: &[String], now: i64) {
    const RAW: &str = "raw RSA";
    const EACH: usize = 300;
    let rounds = rounds(11);
    let raw = Raw::new(signer);
    let bad: Vec<String> = (0..calls(EACH, rounds))
        .map(|n| forge(&tokens[n % LIVE], FORGED + n))
        .collect();
    let unknown: Vec<String> = (0..calls(EACH, rounds))
        .map(|n| of_unknown_key(&tokens[n % LIVE], FORGED + n))
        .collect();
    let expired = sign(signer, 0..calls(EACH, rounds), now - 7200);
    let verify = |token: &String| assert!(block_on(descope.validate_session(token)).is_err());
    let figures = interleave(
        rounds,
        vec![
            Probe::each(RAW, EACH, |n| raw.verify(&tokens[n % LIVE])),
            Probe::each("bad signature", EACH, |n| verify(&bad[n])),
            Probe::each("expired", EACH, |n| verify(&expired[n])),
            Probe::each("unknown key", EACH, |n| verify(&unknown[n])),
        ],
    );
    for name in figures.names() {
        println!(
            "{name:<16} {:>8.0} ns {:>8.3} x raw",
            figures.ns(name),
            figures.ratio(name, RAW)
        );
    }
}

/// Genuine but for its key id, which no other one has.
fn of_unknown_key(genuine: &str, n: usize) -> String {
    let (_, rest) = genuine.split_once('.').expect("a token");
    let header = json!({"alg": "RS256", "kid": format!("forged-{n}"), "typ": "JWT"});
    format!("{}.{rest}", encode(header.to_string()))
}
