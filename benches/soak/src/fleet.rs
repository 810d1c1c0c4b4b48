//! All browsers, and what became of their requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use rand::Rng;
use tokio::sync::{RwLock, Semaphore};

use crate::app::App;
use crate::browser::{Answer, Browser};
use crate::upstream::{Upstream, client};

const RUSH_EVERY: Duration = Duration::from_secs(20);
const MOST_IN_FLIGHT: usize = 64;

pub struct Fleet {
    /// Written to while a browser signs in or out, so that no request of its own is under way then.
    browsers: Vec<Arc<RwLock<Browser>>>,
    upstream: Upstream,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    ok: AtomicU64,
    /// 503 that a fault excuses.
    excused: AtomicU64,
    /// 503 that nothing excuses.
    unavailable: AtomicU64,
    /// 401 of sessions that were lost upstream.
    lost: AtomicU64,
    /// 401 and deleted cookies of sessions that were not.
    signed_out_wrongly: AtomicU64,
    /// Signed in as somebody else, or signed out and still somebody.
    wrong_user: AtomicU64,
    others: AtomicU64,
    sign_outs: AtomicU64,
}

impl Fleet {
    pub fn new(count: usize, app: &App, upstream: Upstream) -> Self {
        let http = client();
        let browser = |n| {
            let address = format!("user{n}@example.com");
            Arc::new(RwLock::new(Browser::new(
                address,
                app.origin.clone(),
                http.clone(),
            )))
        };
        Self {
            browsers: (0..count).map(browser).collect(),
            upstream,
            counts: Counts::default(),
        }
    }

    pub async fn sign_in_all(&self) {
        for browser in &self.browsers {
            browser.write().await.sign_in(&self.upstream).await;
        }
    }

    /// Sends at this rate, whether or not what was sent before has been answered. Every twenty seconds there is a rush,
    /// so that the most connections and buffers that are ever needed are needed from the start.
    pub async fn run(self: Arc<Self>, rate: f64, ends: Instant) {
        let began = Instant::now();
        let mut requests = tokio::task::JoinSet::new();
        let in_flight = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
        let mut next_rush = began;
        for n in 0_u64.. {
            let due = began + Duration::from_secs_f64(n as f64 / rate);
            if due >= ends {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            if Instant::now() >= next_rush {
                next_rush += RUSH_EVERY;
                for _ in 0..MOST_IN_FLIGHT {
                    let index = awake(self.browsers.len(), began.elapsed());
                    requests.spawn(self.clone().visit(index, in_flight.clone()));
                }
            }
            let index = awake(self.browsers.len(), began.elapsed());
            requests.spawn(self.clone().visit(index, in_flight.clone()));
            while let Some(ended) = requests.try_join_next() {
                ended.expect("a browser does not panic");
            }
        }
        while let Some(ended) = requests.join_next().await {
            ended.expect("a browser does not panic");
        }
    }

    async fn visit(self: Arc<Self>, index: usize, in_flight: Arc<Semaphore>) {
        let _permit = in_flight.acquire().await.expect("never closed");
        let dice = rand::rng().random_range(0..1000);
        if dice == 0 {
            return self.sign_out(index).await;
        }
        let browser = self.browsers[index].read().await;
        let (method, path) = match dice {
            1..40 => (Method::POST, "/auth/v1/auth/refresh"),
            40..60 => (Method::GET, "/profile"),
            60..80 => (Method::GET, "/auth/v1/auth/me"),
            80..150 => (Method::GET, "/"),
            _ => (Method::GET, "/me"),
        };
        let (token, began) = (browser.token(), Instant::now());
        let answer = browser.send(method, path, None).await;
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        let lost = self.upstream.has_lost(token);
        let count = match answer.status.as_u16() {
            _ if answer.cleared && !lost => &self.counts.signed_out_wrongly,
            // A page for everybody does not fail; it must not forget anybody either.
            200 if path == "/" && answer.body == "false" => {
                if lost {
                    &self.counts.lost
                } else if self.upstream.excuses(token, began) {
                    &self.counts.excused
                } else {
                    &self.counts.signed_out_wrongly
                }
            }
            200 => &self.counts.ok,
            503 if lost => &self.counts.lost,
            503 if self.upstream.excuses(token, began) => &self.counts.excused,
            503 => &self.counts.unavailable,
            401 if lost || self.upstream.may_have_lost(token) => &self.counts.lost,
            401 => &self.counts.signed_out_wrongly,
            _ => &self.counts.others,
        };
        let before = count.fetch_add(1, Ordering::Relaxed);
        if before < 20 && self.counts.is_failure(count) {
            self.report(&browser, path, &answer, began);
        }
        drop(browser);
        if lost {
            // What a person does who finds the login page.
            let browser = self.browsers[index].write().await;
            if browser.token() == token {
                browser.sign_in(&self.upstream).await;
            }
        }
    }

    /// Signs out and, after a look at the closed door, in again.
    async fn sign_out(&self, index: usize) {
        let browser = self.browsers[index].write().await;
        self.upstream.signs_out(browser.token());
        let out = browser
            .send(Method::POST, "/auth/v1/auth/logout", None)
            .await;
        let after = browser.send(Method::GET, "/me", None).await;
        if (out.status.as_u16(), after.status.as_u16()) != (200, 401) {
            self.counts.wrong_user.fetch_add(1, Ordering::Relaxed);
        }
        self.counts.sign_outs.fetch_add(1, Ordering::Relaxed);
        browser.sign_in(&self.upstream).await;
    }

    fn report(&self, browser: &Browser, path: &str, answer: &Answer, began: Instant) {
        println!(
            "    {} {path}: {}{} after {:?}: {}",
            browser.address,
            answer.status,
            if answer.cleared {
                ", cookies deleted,"
            } else {
                ""
            },
            began.elapsed(),
            answer.body
        );
    }

    pub fn line(&self) -> String {
        let counts = &self.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} requests: {} ok, 503 {} excused and {} not, 401 {} of lost sessions and {} wrongly, {} others; \
             {} sign-outs",
            get(&counts.sent),
            get(&counts.ok),
            get(&counts.excused),
            get(&counts.unavailable),
            get(&counts.lost),
            get(&counts.signed_out_wrongly),
            get(&counts.others),
            get(&counts.sign_outs),
        )
    }

    pub fn verdict(&self, wanted: f64) -> (bool, String) {
        let counts = &self.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let ok = get(&counts.ok);
        let allowed = get(&counts.sent) - get(&counts.excused) - get(&counts.lost);
        let share = ok as f64 / allowed as f64;
        let never = get(&counts.signed_out_wrongly) + get(&counts.wrong_user) + get(&counts.others);
        // A generator that could not keep up has tested less than it says.
        let kept_up = get(&counts.sent) as f64 >= 0.99 * wanted;
        (
            share >= 0.9999 && never == 0 && kept_up,
            format!(
                "{:.4} % of {allowed} requests that upstream allowed; {}",
                100.0 * share,
                self.line()
            ),
        )
    }
}

impl Counts {
    fn is_failure(&self, count: &AtomicU64) -> bool {
        [&self.unavailable, &self.signed_out_wrongly, &self.others]
            .into_iter()
            .any(|failure| std::ptr::eq(failure, count))
    }
}

/// Somebody who is at the machine. Browsers are busy for a while and then idle for as long, some for seconds, some for
/// longer than a session lives, so that renewals happen both ahead of time and when it is too late.
fn awake(count: usize, now: Duration) -> usize {
    let mut rng = rand::rng();
    loop {
        let n = rng.random_range(0..count);
        let period = 6.0 + 44.0 * n as f64 / count as f64;
        if (now.as_secs_f64() / period + n as f64 * 0.618).fract() < 0.5 {
            return n;
        }
    }
}
