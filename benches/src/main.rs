//! What an authenticated request costs, as ratios that are measured side by side in one run.
//!
//! ```sh
//! cd benches && cargo run --release
//! ```
//!
//! Every figure is the median over interleaved rounds; every ratio is the median of the ratios within a round, so
//! that what else the machine does cancels out. `ROUNDS` (default 101) sets their number, `FULL` (default 10,000) the
//! size of the cache that is full.

use futures_executor::block_on;
use http::HeaderValue;
use tower::{Layer, ServiceExt};
use tower_descope::__fuzzing::verifies_now;
use tower_descope::{Descope, TokenCache};
use tower_descope_benches::fixture::{
    LIVE, Raw, app, claims, cookies, descope, floor, forge, request, request_with, sign, unix_now,
};
use tower_descope_benches::rounds::{Probe, calls, interleave, rounds, thread_time};
use tower_descope_benches::signer::Signer;

const RAW: &str = "raw RSA-2048, parsed key";
const FLOOR: &str = "floor with the cookie header";
const WITHOUT_USER: &str = "Router::layer, handler without User";
const WITH_METHOD: &str = "Router::layer, handler with axum's Method";
const WITH_USER: &str = "Router::layer, handler with User";

/// Probes that cost a signature run less often in a round.
const DEAR: usize = 300;
fn main() {
    let rounds = rounds(101);
    let now = unix_now();
    let signer = Signer::new("SK1");
    let tokens = sign(&signer, 0..LIVE, now);
    let known = cookies(&tokens);
    let expired = sign(&signer, 0..LIVE, now - 7200);
    let unknown_kid = Signer::new("SK2").sign(&claims(0, now));
    let huge = format!("eyJ{}.e30.AAAA", "A".repeat(10_000_000));
    let forged: Vec<String> = (0..LIVE).map(|n| forge(&tokens[n], n)).collect();
    let new = calls(DEAR, rounds);
    let fresh = cookies(&sign(&signer, LIVE..LIVE + new, now));

    let cached = descope(&signer, TokenCache::new());
    let uncached = descope(&signer, TokenCache::disabled());
    // By default that of the default cache, more than fits into a core's own one: each insert drops an entry that
    // is cold by then, and gets its memory.
    let entries = std::env::var("FULL").map_or(10_000, |text| text.parse().expect("a number"));
    let full = filled(entries, &signer, now);
    let raw_key = Raw::new(&signer);

    let floor = floor();
    let layered = app().layer(cached.session_layer());
    let outside = cached.session_layer().layer(app());
    let layered_uncached = app().layer(uncached.session_layer());

    let probes = vec![
        Probe::each(RAW, DEAR, |n| raw_key.verify(&tokens[n % LIVE])),
        Probe::each("new session, verification", DEAR, |n| {
            assert!(verifies_now(&uncached, tokens[n % LIVE].as_bytes()));
        }),
        Probe::each("new session, request, no cache", DEAR, |n| {
            let request = request_with("/user", &known[n % LIVE]);
            block_on(layered_uncached.clone().oneshot(request)).expect("infallible");
        }),
        inserting("new session, request, into a full cache", &full, &fresh),
        Probe::each("known session, verification, 1,000 tokens", 20_000, |n| {
            assert!(verifies_now(&cached, tokens[n % LIVE].as_bytes()));
        }),
        Probe::each("expired", DEAR, |n| {
            assert!(!verifies_now(&uncached, expired[n % LIVE].as_bytes()));
        }),
        Probe::each("bad signature", DEAR, |n| {
            assert!(!verifies_now(&uncached, forged[n % LIVE].as_bytes()));
        }),
        Probe::each("unknown key id", 5_000, |_| {
            assert!(!verifies_now(&uncached, unknown_kid.as_bytes()));
        }),
        Probe::each("garbage", 20_000, |_| {
            assert!(!verifies_now(&uncached, b"garbage"));
        }),
        Probe::each("10 MB", 2_000, |_| {
            assert!(!verifies_now(&uncached, huge.as_bytes()));
        }),
        Probe::each("floor: axum without sign-in", 5_000, |_| {
            block_on(floor.clone().oneshot(request("/plain"))).expect("infallible");
        }),
        Probe::each(FLOOR, 5_000, |n| {
            let request = request_with("/plain", &known[n % LIVE]);
            block_on(floor.clone().oneshot(request)).expect("infallible");
        }),
        Probe::each(WITHOUT_USER, 5_000, |n| {
            let request = request_with("/plain", &known[n % LIVE]);
            block_on(layered.clone().oneshot(request)).expect("infallible");
        }),
        Probe::each(WITH_METHOD, 5_000, |n| {
            let request = request_with("/method", &known[n % LIVE]);
            block_on(layered.clone().oneshot(request)).expect("infallible");
        }),
        Probe::each(WITH_USER, 5_000, |n| {
            let request = request_with("/user", &known[n % LIVE]);
            block_on(layered.clone().oneshot(request)).expect("infallible");
        }),
        Probe::each("service around the router, with User", 5_000, |n| {
            let request = request_with("/user", &known[n % LIVE]);
            block_on(outside.clone().oneshot(request)).expect("infallible");
        }),
    ];
    let figures = interleave(rounds, probes);
    // Every one of them was new, and the cache was full all the time.
    assert_eq!(full.stats().cache_misses as usize, entries + new);
    assert!(full.stats().cached_sessions > entries * 9 / 10);

    println!("Tokens of {} bytes.\n", tokens[0].len());
    println!(
        "{:<50} {:>12} {:>10} {:>10}",
        "", "ns", "/ raw RSA", "/ floor"
    );
    for name in figures.names() {
        println!(
            "{name:<50} {:>12.0} {:>10.3} {:>10.2}",
            figures.ns(name),
            figures.ratio(name, RAW),
            figures.ratio(name, FLOOR),
        );
    }
    println!(
        "\nUser in the handler adds {:.0} ns, axum's Method {:.0} ns",
        figures.added(WITH_USER, WITHOUT_USER),
        figures.added(WITH_METHOD, WITHOUT_USER)
    );
}

/// A handle whose cache has no room left.
fn filled(entries: usize, signer: &Signer, now: i64) -> Descope {
    let descope = descope(signer, TokenCache::new().entries(entries));
    // Numbers that no other session has.
    for token in sign(signer, 500_000..500_000 + entries, now) {
        block_on(descope.validate_session(&token)).expect("valid");
    }
    descope
}

/// Whole requests of sessions that the handle has never seen.
fn inserting<'a>(name: &str, full: &Descope, fresh: &'a [HeaderValue]) -> Probe<'a> {
    let app = app().layer(full.session_layer());
    let mut fresh = fresh.iter();
    Probe::batch(name, DEAR, move |times| {
        // A server has just read them; here that is not part of what is timed.
        let read: Vec<_> = fresh
            .by_ref()
            .take(times)
            .map(|cookie| HeaderValue::from_bytes(cookie.as_bytes()).expect("a value"))
            .collect();
        let began = thread_time();
        for cookie in &read {
            let request = request_with("/user", cookie);
            block_on(app.clone().oneshot(request)).expect("infallible");
        }
        thread_time() - began
    })
}
