//! Renewal: one call for however many requests carry the same refresh JWT.

mod chain;
mod circuit_breaker;
mod clock_skew;
mod ending;
mod flight;
mod forgotten;
mod lineage;
mod outcome;
#[cfg(feature = "shared-store")]
mod replicated;
mod sign_in;
mod task;
mod upstream;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};

use self::chain::LONGEST_CHAIN;
use self::circuit_breaker::CircuitBreaker;
use self::flight::{Flights, Joined, Retain};
use self::forgotten::Forgotten;
use self::lineage::Lineage;
use self::outcome::Undecided;
pub(crate) use self::outcome::{Accepted, Issued, Outcome, Presented, Tokens};
use self::task::Task;
use crate::client::Client;
#[cfg(feature = "shared-store")]
use crate::store::Replicas;
use crate::token::Verifier;
use crate::wakeups::Wakeups;

/// How long callers are told to wait, when upstream did not say how long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// For how long the first refusal of a refresh JWT is remembered. A second one is remembered until the token expires.
const REMEMBER_REFUSAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Most outcomes that are remembered, without refusals.
const CAPACITY: usize = 100_000;
/// Refusals that are remembered, with up to 400 bytes for each: 40 MB. When there are more, the oldest is forgotten;
/// that costs another call at worst.
const REFUSALS: usize = 100_000;

/// Renews sessions of one project.
pub(crate) struct Renewer {
    client: Client,
    verifier: Arc<Verifier>,
    flights: Mutex<Flights<Arc<Outcome>, oneshot::Sender<Arc<Outcome>>>>,
    breaker: Mutex<CircuitBreaker>,
    lineage: Lineage,
    forgotten: Forgotten,
    skewed: AtomicU64,
    /// Those who wait for the next renewal of a refresh JWT without having asked for it.
    renewals: Wakeups,
    /// Tasks that have not ended yet.
    under_way: watch::Sender<usize>,
    /// Longest time that a request waits for a renewal, whether it started the renewal or joined it.
    longest_wait: Duration,
    #[cfg(feature = "shared-store")]
    memo: Duration,
    #[cfg(feature = "shared-store")]
    replicas: Option<Replicas>,
}

/// How much is remembered about renewals, and how much was forgotten to make room.
pub(crate) struct Counts {
    /// Renewals that are under way and outcomes that are remembered, without refusals.
    pub(crate) renewals: usize,
    pub(crate) refusals: usize,
    pub(crate) undelivered_forgotten: u64,
    pub(crate) refusals_forgotten: u64,
    pub(crate) lineages_forgotten: u64,
}

/// Where an outcome is kept until it is delivered to a browser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Here,
    /// In the store that the replicas share.
    #[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
    Elsewhere,
}

impl Renewer {
    pub(crate) fn new(
        client: Client,
        verifier: Arc<Verifier>,
        memo: Duration,
        deadline: Duration,
    ) -> Self {
        Self {
            client,
            verifier,
            flights: Mutex::new(Flights::new(memo, CAPACITY, REFUSALS)),
            breaker: Mutex::default(),
            lineage: Lineage::default(),
            forgotten: Forgotten::default(),
            skewed: AtomicU64::new(0),
            renewals: Wakeups::default(),
            under_way: watch::Sender::new(0),
            // The call of upstream ends within the deadline, and so does a fetch of keys to verify its answer.
            longest_wait: deadline.saturating_mul(2),
            #[cfg(feature = "shared-store")]
            memo,
            #[cfg(feature = "shared-store")]
            replicas: None,
        }
    }

    /// Renews the session of this refresh JWT, or takes the outcome of a renewal that is under way or was just made.
    pub(crate) async fn renew(self: &Arc<Self>, token: &Presented) -> Arc<Outcome> {
        let mut outcome = self.renew_once(token).await;
        for _ in 0..LONGEST_CHAIN {
            // The outcome may be a remembered one, and its tokens may have been revoked since.
            if self.is_revoked(&outcome) {
                return Arc::new(Outcome::Refused { clear: false });
            }
            let Some(next) = self.outlived(&outcome) else {
                return outcome;
            };
            outcome = self.renew_once(&next).await;
            if let Outcome::Renewed(tokens) = &*outcome
                && tokens.refresh.is_none()
            {
                // Upstream issued no newer refresh JWT, and the browser has not received `next` yet: deliver `next` as
                // well.
                outcome = Arc::new(Outcome::Renewed(Tokens {
                    refresh: Some(next.into()),
                    ..tokens.clone()
                }));
            }
        }
        Arc::new(unavailable(None))
    }

    /// The new refresh JWT of an outcome whose session JWT has expired meanwhile: the session has to be renewed with
    /// it. An outcome can be that old because a client that hung up may return at any time.
    fn outlived(&self, outcome: &Outcome) -> Option<Presented> {
        let Outcome::Renewed(Tokens {
            session: Some(session),
            refresh: Some(refresh),
            ..
        }) = outcome
        else {
            return None;
        };
        let is_over = self.verifier.is_expired(&session.verified.claims);
        is_over.then(|| Presented::new(&refresh.jwt, refresh.verified.clone()))
    }

    async fn renew_once(self: &Arc<Self>, token: &Presented) -> Arc<Outcome> {
        let receiver = match self.join(token) {
            Ok(receiver) => receiver,
            Err(outcome) => return outcome,
        };
        self.wait(receiver).await
    }

    /// Starts a renewal without waiting for it.
    pub(crate) fn begin(self: &Arc<Self>, token: &Presented) {
        // Nobody waits here. Requests that ask later find the outcome.
        let _ = self.join(token);
    }

    fn join(
        self: &Arc<Self>,
        token: &Presented,
    ) -> Result<oneshot::Receiver<Arc<Outcome>>, Arc<Outcome>> {
        let (sender, receiver) = oneshot::channel();
        let now = self.verifier.clock.monotonic();
        let joined = self.flights().join(token.key, sender, now);
        match joined {
            Joined::Ready(outcome) => return Err(outcome),
            Joined::Wait => {}
            // The renewal runs on a task of its own, so that it goes on when the client of this request hangs up.
            Joined::Lead {
                refused_before,
                undecided,
            } => {
                let undecided = undecided.and_then(|outcome| outcome.undecided().cloned());
                tokio::spawn(Task::new(self, token, refused_before, undecided).run());
            }
        }
        Ok(receiver)
    }

    #[cfg(not(feature = "shared-store"))]
    pub(crate) async fn second_over(&self) {}

    #[cfg(not(feature = "shared-store"))]
    async fn found_elsewhere(&self, _: &Presented) -> Option<Arc<Outcome>> {
        None
    }

    async fn wait(&self, receiver: oneshot::Receiver<Arc<Outcome>>) -> Arc<Outcome> {
        match tokio::time::timeout(self.longest_wait, receiver).await {
            Ok(Ok(outcome)) => outcome,
            // The renewal goes on in its task, and the next request finds the outcome.
            Ok(Err(_)) | Err(_) => Arc::new(unavailable(None)),
        }
    }

    /// Waits until every renewal has its outcome.
    pub(crate) async fn renewals_finished(&self) {
        let mut under_way = self.under_way.subscribe();
        // Cannot fail, because `self` holds the sender.
        let _ = under_way.wait_for(|tasks| *tasks == 0).await;
    }

    pub(crate) fn counts(&self) -> Counts {
        let flights = self.flights();
        Counts {
            renewals: flights.len(),
            refusals: flights.refusals(),
            undelivered_forgotten: self.forgotten.undelivered(),
            refusals_forgotten: self.forgotten.refusals(),
            lineages_forgotten: self.lineage.forgotten(),
        }
    }

    /// The outcome of the renewal of this token, if it is in memory and its session JWT has not expired. Starts no
    /// renewal and waits for none.
    pub(crate) fn at_hand(&self, token: &Presented) -> Option<Arc<Outcome>> {
        let now = self.verifier.clock.monotonic();
        let outcome = self.flights().peek(&token.key, now)?;
        self.outlived(&outcome).is_none().then_some(outcome)
    }

    /// Resolves when a renewal of this token may have ended, from this call on: call this first, then
    /// [`Self::at_hand`], then wait.
    pub(crate) fn next_renewal(&self, token: &Presented) -> impl Future<Output = ()> + Send {
        self.renewals.wait(&token.key)
    }

    /// How long the outcome of the renewal of this token is remembered.
    fn retain(&self, token: &Presented, outcome: &Outcome, kept: Kept) -> Retain {
        let now = self.verifier.clock.monotonic();
        match outcome {
            Outcome::Renewed(_)
            | Outcome::Unavailable {
                rescued: Some(_), ..
            } => {
                let tokens = outcome.tokens();
                let refresh = tokens.refresh.as_ref();
                let successor = refresh.map(|refresh| Sha256::digest(&*refresh.jwt).into());
                match kept {
                    Kept::Here => Retain::UntilDelivered {
                        successor,
                        expires: now + self.usefulness(&tokens),
                    },
                    Kept::Elsewhere => Retain::Elsewhere { successor },
                }
            }
            Outcome::Refused { clear: false } => Retain::Refusal(now + REMEMBER_REFUSAL),
            Outcome::Refused { clear: true } => {
                Retain::Refused(now + self.verifier.remaining(&token.verified.claims))
            }
            Outcome::Unavailable {
                undecided: Some(undecided),
                ..
            } => Retain::Undecided {
                until: undecided.give_up,
                elsewhere: kept == Kept::Elsewhere,
            },
            Outcome::Unavailable { .. } => Retain::Drop,
        }
    }

    /// For how long these tokens are kept for a browser that has not received them. A new refresh JWT that is lost
    /// cannot be replaced, so it is kept until it expires. A session JWT that came without one can be renewed again, so
    /// it is kept for half of its life: after that a new session JWT serves the browser better.
    fn usefulness(&self, tokens: &Tokens) -> Duration {
        let left = |issued: &Issued| self.verifier.remaining(&issued.verified.claims);
        match (&tokens.refresh, &tokens.session) {
            (Some(refresh), _) => left(refresh),
            (None, Some(session)) => left(session) / 2,
            (None, None) => Duration::ZERO,
        }
    }

    fn flights(&self) -> MutexGuard<'_, Flights<Arc<Outcome>, oneshot::Sender<Arc<Outcome>>>> {
        // Nothing that can panic runs under the lock.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_yet(undecided: Arc<Undecided>, retry_after: Option<Duration>) -> Outcome {
    match unavailable(retry_after) {
        Outcome::Unavailable { retry_after, .. } => Outcome::Unavailable {
            retry_after,
            rescued: None,
            undecided: Some(undecided),
        },
        other => other,
    }
}

fn unavailable(retry_after: Option<Duration>) -> Outcome {
    Outcome::Unavailable {
        retry_after: retry_after
            .unwrap_or(DEFAULT_RETRY_AFTER)
            .clamp(Duration::from_secs(1), Duration::from_secs(3600)),
        rescued: None,
        undecided: None,
    }
}
