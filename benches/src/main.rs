//! What an authenticated request costs, as ratios that are measured side by side in one run.
//!
//! ```sh
//! cd benches && cargo run --release
//! ```
//!
//! Every figure is the median over interleaved rounds; every ratio is the median of the ratios within a round, so
//! that what else the machine does cancels out. `ROUNDS` (default 11) sets their number.

#[path = "../../tests/support/signer.rs"]
mod signer;

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_executor::block_on;
use http::Request;
use serde_json::json;
use signer::{PROJECT, Signer, jwks, session};
use tower::{Layer, ServiceExt};
use tower_descope::{Descope, TokenCache, User};

const LIVE: usize = 1_000;

/// A named piece of work and how often it runs in one round.
struct Probe<'a> {
    name: &'static str,
    times: usize,
    work: Box<dyn FnMut(usize) + 'a>,
}

fn main() {
    let rounds: usize = std::env::var("ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(11);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs() as i64;
    let signer = Signer::new("SK1");
    let claims = |n: usize, now: i64| {
        let mut claims = session(&format!("U2abcdefghijklmnopqrst{n:06}"), now);
        claims["rexp"] = json!("2026-12-20T10:36:36Z");
        claims["permissions"] = json!(["doc.read", "doc.write"]);
        claims["roles"] = json!(["editor"]);
        claims["tenants"] = json!({
            "T2aaaaaaaaaaaaaaaaaaaaaaaaaaa": {"roles": ["owner"], "permissions": ["bill"]},
            "T2bbbbbbbbbbbbbbbbbbbbbbbbbbb": {"roles": ["member"], "permissions": []},
        });
        claims
    };
    let tokens: Vec<String> = (0..LIVE).map(|n| signer.sign(&claims(n, now))).collect();
    let expired = signer.sign(&claims(0, now - 7200));
    let mut bad_signature = tokens[0].clone();
    bad_signature.replace_range(bad_signature.len() - 12..bad_signature.len() - 8, "AAAA");
    let unknown_kid = Signer::new("SK2").sign(&claims(0, now));
    let huge = format!("eyJ{}.e30.AAAA", "A".repeat(10_000_000));

    let handle = |cache: TokenCache| {
        Descope::builder(PROJECT)
            .expect("a project id")
            .public_key(jwks([&signer]).to_string())
            .token_cache(cache)
            .build()
            .expect("a configuration")
    };
    let cached = handle(TokenCache::new());
    let uncached = handle(TokenCache::disabled());
    let raw_key = parsed_key(&signer);

    let app = Router::new().route("/plain", get(async || "hello")).route(
        "/user",
        get(async |user: User| {
            black_box(user.id());
            "hello"
        }),
    );
    let floor: Router = Router::new().route("/plain", get(async || "hello"));
    let layered = app.clone().layer(cached.session_layer());
    let outside = cached.session_layer().layer(app);

    let request = |path: &str, token: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("cookie", format!("DS={token}"));
        }
        request.body(Body::empty()).expect("a request")
    };

    let mut probes: Vec<Probe<'_>> = vec![
        probe("raw RSA-2048, parsed key", 300, |n| {
            let (input, signature) = tokens[n % LIVE].rsplit_once('.').expect("a token");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            raw_key
                .verify_sig(input.as_bytes(), &signature)
                .expect("a good signature");
        }),
        probe("new session, verification", 300, |n| {
            block_on(uncached.validate_session(&tokens[n % LIVE])).expect("valid");
        }),
        probe("known session, verification, 1,000 tokens", 20_000, |n| {
            block_on(cached.validate_session(&tokens[n % LIVE])).expect("valid");
        }),
        probe("expired", 300, |_| {
            drop(block_on(uncached.validate_session(&expired)))
        }),
        probe("bad signature", 300, |_| {
            drop(block_on(uncached.validate_session(&bad_signature)))
        }),
        probe("unknown key id", 5_000, |_| {
            drop(block_on(uncached.validate_session(&unknown_kid)))
        }),
        probe("garbage", 20_000, |_| {
            drop(block_on(uncached.validate_session("garbage")))
        }),
        probe("10 MB", 2_000, |_| {
            drop(block_on(uncached.validate_session(&huge)))
        }),
        probe("floor: axum without sign-in", 5_000, |_| {
            block_on(floor.clone().oneshot(request("/plain", None))).expect("infallible");
        }),
        probe("floor with the cookie header", 5_000, |n| {
            block_on(
                floor
                    .clone()
                    .oneshot(request("/plain", Some(&tokens[n % LIVE]))),
            )
            .expect("infallible");
        }),
        probe("Router::layer, handler without User", 5_000, |n| {
            block_on(
                layered
                    .clone()
                    .oneshot(request("/plain", Some(&tokens[n % LIVE]))),
            )
            .expect("infallible");
        }),
        probe("Router::layer, handler with User", 5_000, |n| {
            block_on(
                layered
                    .clone()
                    .oneshot(request("/user", Some(&tokens[n % LIVE]))),
            )
            .expect("infallible");
        }),
        probe("service around the router, with User", 5_000, |n| {
            block_on(
                outside
                    .clone()
                    .oneshot(request("/user", Some(&tokens[n % LIVE]))),
            )
            .expect("infallible");
        }),
    ];

    // Nanoseconds, by probe and round.
    let mut figures = vec![Vec::new(); probes.len()];
    for round in 0..=rounds {
        for (probe, figures) in probes.iter_mut().zip(&mut figures) {
            let began = Instant::now();
            for n in 0..probe.times {
                (probe.work)(n);
            }
            let each = began.elapsed().as_nanos() as f64 / probe.times as f64;
            // The first round warms up.
            if round > 0 {
                figures.push(each);
            }
        }
    }

    let raw = 0;
    let bare = 9;
    println!(
        "{:<44} {:>12} {:>10} {:>10}",
        "", "ns", "/ raw RSA", "/ floor"
    );
    for (probe, row) in probes.iter().zip(&figures) {
        println!(
            "{:<44} {:>12.0} {:>10.3} {:>10.2}",
            probe.name,
            median(row.clone()),
            ratio(row, &figures[raw]),
            ratio(row, &figures[bare]),
        );
    }
    let added = figures[11]
        .iter()
        .zip(&figures[10])
        .map(|(with, without)| with - without)
        .collect();
    println!("\nUser in the handler adds {:.0} ns", median(added));
}

fn probe<'a>(name: &'static str, times: usize, work: impl FnMut(usize) + 'a) -> Probe<'a> {
    Probe {
        name,
        times,
        work: Box::new(work),
    }
}

fn ratio(row: &[f64], base: &[f64]) -> f64 {
    median(row.iter().zip(base).map(|(a, b)| a / b).collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn parsed_key(signer: &Signer) -> ParsedPublicKey {
    let jwk = signer.jwk();
    let integer = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(jwk[name].as_str().expect("a member"))
            .expect("base64url")
    };
    PublicKeyComponents {
        n: integer("n"),
        e: integer("e"),
    }
    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
    .expect("a good key")
}
