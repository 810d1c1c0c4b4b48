//! Two threads over one, each with a router of its own and all with one handle, against what the floor gains.
//!
//! ```sh
//! cd benches && cargo run --release --bin threads
//! ```
//!
//! A core that a neighbour takes away during a burst is lost to that burst, and on a busy machine that is the rule.
//! Bursts are therefore short, begin together, and are repeated until every thread had its core to itself; the
//! output says how many were not to be had that way. The floor runs twice: its second run against the first is noise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use futures_executor::block_on;
use http::HeaderValue;
use rustix::thread::{CpuSet, sched_setaffinity};
use tower::ServiceExt;
use tower_descope::{Descope, TokenCache};
use tower_descope_benches::fixture::{
    LIVE, app, cookies, descope, floor, request_with, sign, unix_now,
};
use tower_descope_benches::rounds::{median, rounds, thread_time};
use tower_descope_benches::signer::Signer;

/// Requests of a thread in a burst: a few milliseconds, which is what the kernel gives in one piece.
const BURST: usize = 3_000;
/// Attempts at a burst that nobody disturbs.
const ATTEMPTS: usize = 40;
/// How much of its time a thread may spend off its core, or begin after the other, without being disturbed.
const TOLERANCE: f64 = 0.03;

/// What the threads of a burst do.
struct Case<'a> {
    name: &'static str,
    descope: Option<&'a Descope>,
    cookies: &'a [HeaderValue],
}

/// What one thread did in a burst.
struct Run {
    began: Instant,
    ended: Instant,
    /// What it had of its core in between.
    cpu: Duration,
}

fn main() {
    let signer = Signer::new("SK1");
    let known = cookies(&sign(&signer, 0..LIVE, unix_now()));
    let descope = descope(&signer, TokenCache::new());
    let case = |name, descope, cookies| Case {
        name,
        descope,
        cookies,
    };
    let many = &known[..];
    let hot = &known[..1];
    // Each pair is compared with the floor before it.
    let cases = [
        case("floor, 1,000 tokens", None, many),
        case("floor again", None, many),
        case("known sessions, 1,000 tokens", Some(&descope), many),
        case("floor, one hot token", None, hot),
        case("floor again", None, hot),
        case("known session, one hot token", Some(&descope), hot),
    ];
    let rounds = rounds(101);
    let mut gains = vec![Vec::new(); cases.len()];
    let mut rates = vec![(Vec::new(), Vec::new()); cases.len()];
    let mut disturbed = 0;
    for round in 0..=rounds {
        for (n, case) in cases.iter().enumerate() {
            let mut rate = |threads| {
                let rate = case.rate(threads);
                disturbed += usize::from(rate.is_none());
                // Spreads to every ratio it would have a part in.
                rate.unwrap_or(f64::NAN)
            };
            let (one, two) = (rate(1), rate(2));
            // The first round warms up.
            if round > 0 {
                gains[n].push(two / one);
                rates[n].0.push(one);
                rates[n].1.push(two);
            }
        }
    }
    println!(
        "{:<32} {:>10} {:>10} {:>6} {:>9}",
        "", "1T req/s", "2T req/s", "2T/1T", "/ floor's"
    );
    for (n, case) in cases.iter().enumerate() {
        println!(
            "{:<32} {:>10.0} {:>10.0} {:>6.2} {:>9.2}",
            case.name,
            middle(&rates[n].0),
            middle(&rates[n].1),
            middle(&gains[n]),
            over(&gains[n], &gains[n / 3 * 3]),
        );
    }
    println!(
        "left out as disturbed: {disturbed} of {} bursts",
        2 * cases.len() * (rounds + 1)
    );
}

/// The median of the ratios within a round.
fn over(gains: &[f64], floor: &[f64]) -> f64 {
    middle(
        &gains
            .iter()
            .zip(floor)
            .map(|(a, b)| a / b)
            .collect::<Vec<_>>(),
    )
}

/// The median of what was measured.
fn middle(figures: &[f64]) -> f64 {
    let measured: Vec<f64> = figures
        .iter()
        .copied()
        .filter(|figure| !figure.is_nan())
        .collect();
    assert!(!measured.is_empty(), "the machine is too busy");
    median(measured)
}

impl Case<'_> {
    /// Requests a second on so many threads, if they were left alone.
    fn rate(&self, threads: usize) -> Option<f64> {
        (0..ATTEMPTS).find_map(|_| {
            let runs = self.burst(threads);
            let first = runs.iter().map(|run| run.began).min()?;
            let last = runs.iter().map(|run| run.ended).max()?;
            let quiet = runs.iter().all(|run| {
                let wall = run.ended - run.began;
                let lost = wall.saturating_sub(run.cpu) + (run.began - first);
                lost.as_secs_f64() < TOLERANCE * wall.as_secs_f64()
            });
            quiet.then(|| (threads * BURST) as f64 / (last - first).as_secs_f64())
        })
    }

    fn burst(&self, threads: usize) -> Vec<Run> {
        let waiting = &AtomicUsize::new(threads);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|core| scope.spawn(move || self.run(core, waiting)))
                .collect();
            let running = running.into_iter();
            running.map(|thread| thread.join().expect("done")).collect()
        })
    }

    fn run(&self, core: usize, waiting: &AtomicUsize) -> Run {
        // The kernel would now and then start both on one core.
        let mut cores = CpuSet::new();
        cores.set(core);
        sched_setaffinity(None, &cores).expect("a core for each thread");
        let (app, path): (Router, _) = match self.descope {
            Some(descope) => (app().layer(descope.session_layer()), "/user"),
            None => (floor(), "/plain"),
        };
        let request = |n: usize| {
            let request = request_with(path, &self.cookies[n % self.cookies.len()]);
            block_on(app.clone().oneshot(request)).expect("infallible")
        };
        for n in 0..LIVE {
            assert_eq!(request(n).status(), 200);
        }
        // Not a `Barrier`: to be woken takes long compared with a burst.
        waiting.fetch_sub(1, Ordering::SeqCst);
        while waiting.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
        let (began, cpu) = (Instant::now(), thread_time());
        for n in 0..BURST {
            request(n);
        }
        Run {
            cpu: thread_time() - cpu,
            ended: Instant::now(),
            began,
        }
    }
}
