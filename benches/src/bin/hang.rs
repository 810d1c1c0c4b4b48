//! 100 valid requests while the key endpoint hangs for two seconds, against the same with a healthy one.
//!
//! ```sh
//! cd benches && cargo run --release --bin hang
//! ```
//!
//! A token of an unknown key makes the handle ask. The hundred come one after another, all of them new sessions and
//! then all of them known ones.

use std::time::{Duration, Instant};

use axum::Router;
use http::{HeaderValue, StatusCode};
use tower::ServiceExt;
use tower_descope::Descope;
use tower_descope_benches::fixture::{app, claims, cookies, request_with, sign, unix_now};
use tower_descope_benches::key_server::{HANG, KeyServer};
use tower_descope_benches::rounds::{median, rounds};
use tower_descope_benches::signer::{PROJECT, Signer, jwks};

const REQUESTS: usize = 100;

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(run());
}

async fn run() {
    let signer = Signer::new("SK1");
    let keys = KeyServer::start(jwks([&signer]).to_string()).await;
    let now = unix_now();
    let valid = cookies(&sign(&signer, 0..3 * REQUESTS, now));
    let unknown = Signer::new("SK2").sign(&claims(0, now));
    let unknown = cookies(&[unknown]).remove(0);

    // By what the requests are: ratios of the hang, and of a second healthy run (A/A).
    let (mut new, mut known) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds(11) {
        keys.set_hanging(false);
        let descope = handle(&keys);
        descope.ready().await.expect("keys");
        let app = app().layer(descope.session_layer());
        let (first, rest) = valid.split_at(REQUESTS);
        let (second, third) = rest.split_at(REQUESTS);

        let healthy_new = hundred(&app, first).await;
        let again_new = hundred(&app, second).await;
        // They are known by now; this pass pays for what else is cold.
        hundred(&app, first).await;
        let healthy_known = hundred(&app, first).await;
        let again_known = hundred(&app, first).await;

        keys.set_hanging(true);
        let (asked, answered) = (keys.asked(), keys.answered());
        let began = Instant::now();
        let waiting = tokio::spawn(ask(app.clone(), unknown.clone()));
        while keys.asked() == asked {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let hung_new = hundred(&app, third).await;
        let hung_known = hundred(&app, first).await;
        assert_eq!(keys.answered(), answered, "the hang is over already");
        assert_eq!(waiting.await.expect("an answer"), StatusCode::UNAUTHORIZED);
        assert!(began.elapsed() >= HANG);

        slowest = slowest.max(hung_new.slowest).max(hung_known.slowest);
        new.0.push(hung_new.over(&healthy_new));
        new.1.push(again_new.over(&healthy_new));
        known.0.push(hung_known.over(&healthy_known));
        known.1.push(again_known.over(&healthy_known));
    }
    println!(
        "{REQUESTS} valid requests, during a hang of {HANG:?} / healthy (A/A: healthy again / healthy)"
    );
    println!(
        "  new sessions:   {:.2} ({:.2})",
        median(new.0),
        median(new.1)
    );
    println!(
        "  known sessions: {:.2} ({:.2})",
        median(known.0),
        median(known.1)
    );
    println!("  the slowest request during any hang: {slowest:?}");
}

fn handle(keys: &KeyServer) -> Descope {
    Descope::builder(PROJECT)
        .base_url(&keys.base_url())
        .build()
        .expect("a configuration")
}

struct Times {
    all: Duration,
    slowest: Duration,
}

impl Times {
    fn over(&self, base: &Self) -> f64 {
        self.all.as_secs_f64() / base.all.as_secs_f64()
    }
}

async fn hundred(app: &Router, cookies: &[HeaderValue]) -> Times {
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for cookie in cookies {
        let due = Instant::now();
        assert_eq!(ask(app.clone(), cookie.clone()).await, StatusCode::OK);
        slowest = slowest.max(due.elapsed());
    }
    Times {
        all: began.elapsed(),
        slowest,
    }
}

async fn ask(app: Router, cookie: HeaderValue) -> StatusCode {
    let request = request_with("/user", &cookie);
    app.oneshot(request).await.expect("infallible").status()
}
