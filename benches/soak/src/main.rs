//! Hours of browsers in minutes: renewals all the time, and one upstream call in a hundred goes wrong.
//!
//! ```sh
//! cd benches/soak && cargo run --release          # a quarter of an hour
//! MINUTES=60 RATE=500 cargo run --release
//! ```
//!
//! 200 browsers, each with cookies of its own, send `RATE` requests a second over real sockets to an app with the
//! session layer and the mounted routes. Sessions live for six seconds, refresh JWTs are good for one use, and all
//! other settings of the library are its defaults, except that the early window shrinks with the sessions (a third of
//! their life) and that the cache of verified tokens is small enough to be full before anything is measured. The emulator is a process of its own; what is measured is the app (and the browsers with it).
//!
//! # Verdict
//!
//! Exit code 0 if all of this holds, else 1:
//!
//! * **Success**: of the requests that upstream allowed to succeed 99.99 % did. It did not allow those
//!   - that waited for a call which an injected fault answered,
//!   - whose refresh JWT was held back for as long as upstream had asked for with a 429 or 503,
//!   - that came while all calls were held back after three failures in a row, until upstream answered again,
//!   - whose refresh JWT was spent by a call whose answer was lost. No client can survive that: upstream has rotated
//!     the token, the successor is gone with the connection, and a repetition would look like theft. It shows as a
//!     503, then as 401. These sessions are counted as `lost upstream`: upstream refused a token after a call with
//!     that very token had failed.
//! * **Failures only 503**: what a fault did to a request is a 503, and nothing else.
//! * **Nobody signed out**: no 401 and no deleted cookie, except for sessions that were lost upstream or signed out.
//! * **No token spent twice**: upstream never refuses a token that no failed call has carried before.
//! * **Nothing grows**: the medians of resident memory and of open files in the last quarter are at most 5 % (or
//!   2 MB, 8 files) above those of the first quarter after the warm-up, a fifth of the run.
//! * **No panics**.

mod app;
mod browser;
mod fleet;
mod measure;
mod upstream;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::fleet::Fleet;
use crate::measure::Samples;
use crate::upstream::Upstream;

/// How long a session JWT lives.
const SESSION: Duration = Duration::from_secs(6);
const BROWSERS: usize = 200;
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

static PANICS: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if std::env::args().nth(1).as_deref() == Some(upstream::ROLE) {
        runtime.block_on(upstream::serve());
        return ExitCode::SUCCESS;
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        report(panic);
    }));
    match runtime.block_on(soak()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

async fn soak() -> bool {
    let minutes = setting("MINUTES", 15.0);
    let rate = setting("RATE", 300.0);
    let fault_share = setting("FAULTS", 0.01);

    let upstream = Upstream::start(fault_share).await;
    let app = App::start(&upstream).await;
    let fleet = Arc::new(Fleet::new(BROWSERS, &app, upstream.clone()));
    fleet.sign_in_all().await;
    println!(
        "{BROWSERS} browsers signed in; {rate} requests/s for {minutes} min, {fault_share} of renewals fail"
    );

    let began = Instant::now();
    let ends = began + Duration::from_secs_f64(60.0 * minutes);
    let load = tokio::spawn(fleet.clone().run(rate, ends));
    let mut samples = Samples::default();
    let mut ticks = tokio::time::interval_at((began + SAMPLE_EVERY).into(), SAMPLE_EVERY);
    while Instant::now() + SAMPLE_EVERY / 2 < ends {
        ticks.tick().await;
        let sample = samples.take(began.elapsed());
        println!(
            "{sample}; {}; {}; {}",
            fleet.line(),
            upstream.line(),
            app.line()
        );
    }
    // A generator that died would otherwise look like an app without failures.
    load.await.expect("the load ran to its end");

    println!();
    let panics = PANICS.load(Ordering::Relaxed);
    let verdicts = [
        fleet.verdict(rate * 60.0 * minutes),
        upstream.verdict(),
        samples.verdict(),
        (panics == 0, format!("{panics} panics")),
    ];
    for (good, text) in &verdicts {
        println!("{} {text}", if *good { "ok    " } else { "FAILED" });
    }
    verdicts.iter().all(|(good, _)| *good)
}
