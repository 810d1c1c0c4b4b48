//! The emulator in a process of its own, and what the app's calls to it met.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tower_descope::Emulator;
use tower_descope::client::{Transport, TransportError, TransportFuture};
use tower_descope::emulator::RefreshRotation;

use crate::SESSION;

pub const ROLE: &str = "emulator";
const REFRESH: &str = "/v1/auth/refresh";
/// Failures in a row after which the library holds calls back.
const TOLERATED: u32 = 3;

/// Serves the emulator until the parent is gone.
pub async fn serve() {
    let emulator = Emulator::builder().start().await.expect("a free port");
    emulator.configure(|config| {
        config.refresh_rotation = RefreshRotation::SingleUse;
        config.session_ttl_seconds = SESSION.as_secs() as u32;
    });
    println!("{} {}", emulator.base_url(), emulator.project_id());
    let _ = tokio::io::stdin().read(&mut [0]).await;
}

/// Which token a call or a request carries, without keeping it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(u64);

impl TokenHash {
    pub fn of(jwt: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        jwt.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    base_url: String,
    project_id: String,
    http: reqwest::Client,
    fault_share: f64,
    next_fault: AtomicUsize,
    renewals: AtomicU64,
    faults: AtomicU64,
    log: Mutex<Log>,
    _child: Child,
}

/// What calls met.
#[derive(Default)]
struct Log {
    /// Tokens with a call that failed, and when it last did.
    failed: HashMap<TokenHash, Instant>,
    /// Tokens that are held back, because upstream asked for that when it was called with them, and until when.
    waiting: HashMap<TokenHash, Instant>,
    /// Those of which nobody knows whether that call has spent them.
    unsettled: HashSet<TokenHash>,
    /// Tokens that somebody has signed out with.
    signed_out: HashMap<TokenHash, Instant>,
    /// Tokens that upstream refused after a call with them had failed: its answer was lost.
    lost: HashMap<TokenHash, Instant>,
    successors: Successors,
    /// Refused although no call with them had failed.
    refused_for_nothing: u64,
    in_a_row: u32,
    /// Calls are held back since then.
    held_since: Option<Instant>,
    /// The last hold that is over.
    last_hold: Option<(Instant, Instant)>,
}

/// Which token replaced which. A browser that was not there to receive a token comes back with the one before it, and
/// what fails or is lost then is a renewal with the newer one.
///
/// Only the latest thousands are kept, so that this does not look like memory that grows.
#[derive(Default)]
struct Successors {
    newer: HashMap<TokenHash, TokenHash>,
    older: HashMap<TokenHash, TokenHash>,
}

impl Successors {
    const KEPT: usize = 4_000;

    fn note(&mut self, old: TokenHash, new: TokenHash) {
        if self.newer.len() >= Self::KEPT {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(old, new);
    }

    /// This token and those that replaced it, one after the other.
    fn of(&self, token: TokenHash) -> impl Iterator<Item = TokenHash> {
        let next = |token: &TokenHash| {
            let known = self.newer.get(token).or_else(|| self.older.get(token));
            known.copied()
        };
        std::iter::successors(Some(token), next).take(100)
    }
}

impl Upstream {
    pub async fn start(fault_share: f64) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("linux"))
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator starts");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .await
            .expect("its address");
        let (base_url, project_id) = line.trim().split_once(' ').expect("its address");
        Self(Arc::new(Inner {
            base_url: base_url.to_owned(),
            project_id: project_id.to_owned(),
            http: client(),
            fault_share,
            next_fault: AtomicUsize::new(0),
            renewals: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            log: Mutex::default(),
            _child: child,
        }))
    }

    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    pub fn project_id(&self) -> &str {
        &self.0.project_id
    }

    /// The code that was sent to this address.
    pub async fn code(&self, address: &str) -> String {
        let url = format!("{}/emulator/v1/messages?to={address}", self.0.base_url);
        let answer = self
            .0
            .http
            .get(url)
            .send()
            .await
            .expect("the emulator answers");
        let body = answer.bytes().await.expect("the emulator answers");
        let body: Value = serde_json::from_slice(&body).expect("json");
        let newest = body["messages"]
            .as_array()
            .and_then(|all| all.last())
            .expect("a message");
        newest["code"].as_str().expect("a code").to_owned()
    }

    /// The transport of the app.
    pub fn watched(&self) -> Watched {
        Watched {
            upstream: self.clone(),
            http: client(),
        }
    }

    /// Whether a fault excuses a failure of a request with this token that ran since then.
    pub fn excuses(&self, token: TokenHash, since: Instant) -> bool {
        let log = self.log();
        log.successors.of(token).any(|token| {
            log.failed.get(&token).is_some_and(|at| *at >= since)
                || log.waiting.get(&token).is_some_and(|until| *until >= since)
        }) || log.held_since.is_some()
            || log.last_hold.is_some_and(|(_, until)| until >= since)
    }

    /// Upstream may refuse this token from now on: a renewal that began beside the sign-out comes too late.
    pub fn signs_out(&self, token: TokenHash) {
        self.log().signed_out.insert(token, Instant::now());
    }

    /// Whether this token's successor was lost on its way.
    pub fn has_lost(&self, token: TokenHash) -> bool {
        let log = self.log();
        log.successors
            .of(token)
            .any(|token| log.lost.contains_key(&token))
    }

    /// Whether it may have been: the only call with it that has an answer is not a renewal.
    pub fn may_have_lost(&self, token: TokenHash) -> bool {
        let log = self.log();
        log.successors
            .of(token)
            .any(|token| log.unsettled.contains(&token))
    }

    pub fn line(&self) -> String {
        format!(
            "{} renewals, {} faults, {} sessions lost upstream",
            self.0.renewals.load(Ordering::Relaxed),
            self.0.faults.load(Ordering::Relaxed),
            self.log().lost.len()
        )
    }

    pub fn verdict(&self) -> (bool, String) {
        let log = self.log();
        let faults = self.0.faults.load(Ordering::Relaxed);
        (
            log.refused_for_nothing == 0 && (faults > 0 || self.0.fault_share == 0.0),
            format!(
                "{} renewals, {faults} faults; {} tokens spent twice; {} sessions lost upstream with an answer",
                self.0.renewals.load(Ordering::Relaxed),
                log.refused_for_nothing,
                log.lost.len()
            ),
        )
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a fault for the next renewal, whoever makes it.
    async fn order_fault(&self) {
        let faults = [
            json!({"status": 500}),
            json!({"kind": "reset", "executed": true}),
            json!({"status": 429, "retryAfter": 1}),
            json!({"kind": "hang"}),
            json!({"kind": "reset"}),
            json!({"status": 503}),
            json!({"kind": "truncate", "executed": true}),
            json!({"kind": "hang", "executed": true}),
            json!({"status": 503, "retryAfter": 2}),
            json!({"kind": "garbage"}),
        ];
        let mut fault =
            faults[self.0.next_fault.fetch_add(1, Ordering::Relaxed) % faults.len()].clone();
        fault["path"] = REFRESH.into();
        let url = format!("{}/emulator/v1/faults", self.0.base_url);
        let order = self
            .0
            .http
            .post(url)
            .header("content-type", "application/json");
        let answer = order
            .body(fault.to_string())
            .send()
            .await
            .expect("the emulator answers");
        assert!(
            answer.status().is_success(),
            "a fault was refused: {}",
            answer.status()
        );
        self.0.faults.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client for the loopback interface.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_certs_only([])
        .pool_idle_timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// Notes how every renewal ended.
pub struct Watched {
    upstream: Upstream,
    http: reqwest::Client,
}

impl Transport for Watched {
    fn send(&self, request: Request<Bytes>, limit: usize) -> TransportFuture<'_> {
        if request.uri().path() != REFRESH {
            return self.http.send(request, limit);
        }
        Box::pin(async move {
            let mut call = Call::begin(&self.upstream, request.headers());
            if rand::random_bool(self.upstream.0.fault_share) {
                self.upstream.order_fault().await;
            }
            let result = self.http.send(request, limit).await;
            call.ended(&result);
            result
        })
    }
}

/// A renewal under way. Dropped without an answer, its deadline was over.
struct Call {
    upstream: Upstream,
    token: TokenHash,
    ended: bool,
}

enum End {
    Answered,
    Refused,
    /// With the seconds of `Retry-After`.
    HeldBack(u64),
    Failed,
}

impl Call {
    fn begin(upstream: &Upstream, headers: &HeaderMap) -> Self {
        upstream.0.renewals.fetch_add(1, Ordering::Relaxed);
        let bearer = headers[AUTHORIZATION].to_str().unwrap_or_default();
        let (_, jwt) = bearer.rsplit_once(':').unwrap_or_default();
        Self {
            upstream: upstream.clone(),
            token: TokenHash::of(jwt),
            ended: false,
        }
    }

    fn ended(&mut self, result: &Result<Response<Bytes>, TransportError>) {
        if let Ok(answer) = result
            && let Ok(body) = serde_json::from_slice::<Value>(answer.body())
            && let Some(new) = body["refreshJwt"].as_str()
        {
            let new = TokenHash::of(new);
            self.upstream.log().successors.note(self.token, new);
        }
        self.note(match result {
            Ok(answer) => match answer.status().as_u16() {
                200 if serde_json::from_slice::<Value>(answer.body()).is_ok() => End::Answered,
                401 | 403 => End::Refused,
                429 | 503 => retry_after(answer).map_or(End::Failed, End::HeldBack),
                _ => End::Failed,
            },
            Err(_) => End::Failed,
        });
    }

    fn note(&mut self, end: End) {
        self.ended = true;
        let now = Instant::now();
        let mut log = self.upstream.log();
        match end {
            End::Answered | End::Refused => {
                log.in_a_row = 0;
                if let Some(since) = log.held_since.take() {
                    log.last_hold = Some((since, now));
                }
            }
            End::HeldBack(_) | End::Failed => {
                log.in_a_row += 1;
                if log.in_a_row >= TOLERATED {
                    log.held_since.get_or_insert(now);
                }
            }
        }
        if let End::HeldBack(seconds) = end {
            // The library hears of it a little later.
            let until = now + Duration::from_secs(seconds) + Duration::from_millis(100);
            log.waiting.insert(self.token, until);
        }
        match end {
            End::Answered => drop(log.unsettled.remove(&self.token)),
            End::HeldBack(_) | End::Failed => {
                log.failed.insert(self.token, now);
                log.unsettled.insert(self.token);
            }
            End::Refused if log.unsettled.contains(&self.token) => {
                log.lost.insert(self.token, now);
            }
            End::Refused if log.signed_out.contains_key(&self.token) => {}
            End::Refused => log.refused_for_nothing += 1,
        }
    }
}

fn retry_after(answer: &Response<Bytes>) -> Option<u64> {
    let value = answer.headers().get("retry-after")?;
    value.to_str().ok()?.parse().ok()
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.note(End::Failed);
        }
    }
}
