//! What a flood of forged tokens with random key ids does to good requests.
//!
//! ```sh
//! cd benches && cargo run --release --bin flood
//! ```
//!
//! Good requests start on a fixed schedule, whether or not the ones before have ended (open loop), and are timed
//! from the moment at which they were due. Each round has a run without the flood, one more (the A/A ratio says what
//! the machine does by itself) and one with 10,000 forged tokens a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use tower::ServiceExt;
use tower_descope::client::{Transport, TransportFuture};
use tower_descope::{Descope, User};
use tower_descope_benches::rounds::median;
use tower_descope_benches::signer::{PROJECT, Signer, encode, jwks, session};

const ROUNDS: usize = 5;
const GOOD_PER_SECOND: u32 = 2_000;
const FORGED_PER_SECOND: u32 = 10_000;
const RUN: Duration = Duration::from_secs(3);

/// The key endpoint, in memory, and how often it was asked.
struct Keys {
    set: String,
    fetches: Arc<AtomicUsize>,
}

impl Transport for Keys {
    fn send(&self, _: Request<Bytes>, _: usize) -> TransportFuture<'_> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(self.set.clone());
        Box::pin(async move { Ok(Response::new(body)) })
    }
}

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(run());
}

async fn run() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs() as i64;
    let signer = Signer::new("SK1");
    let fetches = Arc::new(AtomicUsize::new(0));
    let descope = Descope::builder(PROJECT)
        .transport(Keys {
            set: jwks([&signer]).to_string(),
            fetches: fetches.clone(),
        })
        .build()
        .expect("a configuration");
    let app = Router::new()
        .route("/", get(async |user: User| user.id().to_owned()))
        .layer(descope.session_layer());
    let good: Arc<Vec<String>> = Arc::new(
        (0..1_000)
            .map(|n| signer.sign(&session(&format!("U{n}"), now)))
            .collect(),
    );
    let payload = encode(session("U", now).to_string());
    let signature = "A".repeat(342);
    let forged: Arc<Vec<String>> = Arc::new(
        (0..10_000)
            .map(|n| {
                let header = encode(format!(r#"{{"alg":"RS256","kid":"forged-{n}"}}"#));
                format!("{header}.{payload}.{signature}")
            })
            .collect(),
    );
    descope.ready().await.expect("keys");
    let _ = load(&app, &good, GOOD_PER_SECOND, RUN, 200).await;

    let mut memory_before = 0;
    let (mut same, mut flooded) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let base = load(&app, &good, GOOD_PER_SECOND, RUN, 200).await;
        let again = load(&app, &good, GOOD_PER_SECOND, RUN, 200).await;
        let flood = tokio::spawn({
            let (app, forged) = (app.clone(), forged.clone());
            async move { load(&app, &forged, FORGED_PER_SECOND, RUN, 401).await }
        });
        let under = load(&app, &good, GOOD_PER_SECOND, RUN, 200).await;
        flood.await.expect("the flood");
        println!("round {round}: p99 {base:?}, again {again:?}, with the flood {under:?}");
        if round == 1 {
            // What one flood takes in tasks and buffers is there by now; what grows from here on is a leak.
            memory_before = resident();
        }
        same.push(again.as_secs_f64() / base.as_secs_f64());
        flooded.push(under.as_secs_f64() / base.as_secs_f64());
    }
    println!(
        "\nmedian of the p99 ratios: {:.2} with the flood, {:.2} without (A/A)",
        median(flooded),
        median(same)
    );
    println!(
        "key fetches: 1 at the start, {} for {} forged tokens in about {} s (cool-down 30 s)",
        fetches.load(Ordering::Relaxed) - 1,
        ROUNDS as u32 * FORGED_PER_SECOND * RUN.as_secs() as u32,
        3 * ROUNDS as u64 * RUN.as_secs()
    );
    println!(
        "resident memory: {} kB after the first round, {} kB after the last",
        memory_before,
        resident()
    );
}

/// The p99 of the time from when a request was due until it was answered.
async fn load(
    app: &Router,
    tokens: &Arc<Vec<String>>,
    rate: u32,
    length: Duration,
    want: u16,
) -> Duration {
    let count = (rate * length.as_secs() as u32) as usize;
    let began = Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    for n in 0..count {
        let due = began + Duration::from_secs(1) * n as u32 / rate;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            tokio::time::sleep(early).await;
        }
        let (app, tokens) = (app.clone(), tokens.clone());
        requests.spawn(async move {
            let token = &tokens[n % tokens.len()];
            let request = Request::get("/")
                .header("authorization", format!("Bearer {token}"))
                .body(Body::empty())
                .expect("a request");
            let response = app.oneshot(request).await.expect("infallible");
            assert_eq!(response.status().as_u16(), want);
            due.elapsed()
        });
    }
    let mut times = requests.join_all().await;
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
