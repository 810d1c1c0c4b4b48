//! Turns at renewing, and the way of an outcome from one replica to the others.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::Generate;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::attend::{Mailbox, attend};
use super::guard::Guard;
use super::seal::Secret;
use super::{Count, Listener, Notice, SharedOutcome, SharedStore, StoreKey};
use crate::token::LONGEST_TOKEN;

/// How long it is known that a refresh JWT was refused once. The age of a refusal is told by what is left of it, so that
/// the clocks of the replicas do not matter.
const REMEMBER_REFUSAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an indefinite outcome is found, by those who wait for it.
const PASS_ON: Duration = Duration::from_secs(2);
/// By how much a lease outlives the longest call.
const MARGIN: Duration = Duration::from_secs(5);
/// Longest renewal that others wait for, whatever the deadline is. Keeps sums of times from overflowing.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Between two looks at a renewal of another replica; doubled up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// What the replicas of this app share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Replicas {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) store: Box<dyn SharedStore>,
    pub(super) guard: Guard,
    pub(super) mailbox: Mailbox,
    memo: Duration,
    /// Longest duration of a renewal.
    patience: Duration,
}

/// Who renews. `T` is an outcome that another replica has put and this one has judged.
pub(crate) enum Turn<T> {
    /// The store cannot be reached: do as if there were none.
    Alone,
    /// This replica.
    Lead {
        lease: Lease,
        /// Another replica was refused with this token before, and the memo window is over.
        refused_before: bool,
    },
    /// Another replica did.
    Found(T),
    /// Another replica does, and takes too long.
    Busy,
}

/// The right to renew with one refresh JWT. Ends by itself if it is not given back.
pub(crate) struct Lease {
    shared: Arc<Shared>,
    secret: Secret,
    owner: [u8; 16],
}

impl Replicas {
    pub(crate) fn new(store: Box<dyn SharedStore>, memo: Duration, patience: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                guard: Guard::default(),
                mailbox: Mailbox::default(),
                memo: memo.min(LONGEST_TOKEN),
                patience: patience.min(LONGEST_PATIENCE),
            }),
        }
    }

    /// Waits for this replica's turn, or for the outcome of another one's. `adopt` judges what was found; what it
    /// answers with `None` counts as not there.
    pub(crate) async fn turn<T, F>(&self, jwt: &str, adopt: impl Fn(SharedOutcome) -> F) -> Turn<T>
    where
        F: Future<Output = Option<T>>,
    {
        let Ok(owner) = Generate::try_generate() else {
            return Turn::Alone;
        };
        let lease = Lease {
            shared: self.shared.clone(),
            secret: Secret::of(jwt),
            owner,
        };
        let until = Instant::now() + self.shared.patience;
        let mut pause = FIRST_PAUSE;
        let mut waited = false;
        loop {
            // In this order: between a look and a lock another replica might put its outcome and unlock.
            let Some(locked) = lease.lock().await else {
                return Turn::Alone;
            };
            let Some(found) = self.shared.found(&lease.secret).await else {
                return Turn::Alone;
            };
            let mut refused_before = false;
            match found {
                Some((SharedOutcome::Refused, age)) if age >= self.shared.memo => {
                    refused_before = true;
                }
                // Nobody else's business.
                Some((SharedOutcome::Unavailable { .. }, _)) if !waited => {}
                Some((outcome, _)) => {
                    if let Some(adopted) = adopt(outcome).await {
                        if locked {
                            lease.unlock().await;
                        }
                        return Turn::Found(adopted);
                    }
                }
                None => {}
            }
            if locked {
                return Turn::Lead {
                    lease,
                    refused_before,
                };
            }
            if Instant::now() >= until {
                return Turn::Busy;
            }
            waited = true;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether another replica has renewed with this token.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) async fn has_renewed(&self, jwt: &str) -> bool {
        let secret = Secret::of(jwt);
        let found = self.shared.found(&secret).await;
        matches!(found, Some(Some((SharedOutcome::Tokens(_), _))))
    }

    /// The outcome was written onto a response: from now on it is found by late twins only.
    pub(crate) fn delivered(&self, jwt: &str) {
        self.shorten(jwt, self.shared.memo);
    }

    /// The outcome must not be found any more.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) fn forget(&self, jwt: &str) {
        self.shorten(jwt, Duration::ZERO);
    }

    /// The session has ended, which a replica that renews it at this moment has to find out in time.
    pub(crate) fn end(&self, jwt: &str) {
        if let Ok(runtime) = Handle::try_current() {
            let shared = self.shared.clone();
            let secret = Secret::of(jwt);
            runtime.spawn(async move {
                shared
                    .put(&secret, &SharedOutcome::Ended, shared.lease())
                    .await;
            });
        }
    }

    fn shorten(&self, jwt: &str, ttl: Duration) {
        // Should it fail: the outcome is dropped when its successor is renewed, and expires with it.
        if let Ok(runtime) = Handle::try_current() {
            let shared = self.shared.clone();
            let name = Secret::of(jwt).outcome;
            runtime.spawn(async move {
                let call = shared.store.shorten(&name, ttl);
                shared.guard.ask(call).await;
            });
        }
    }

    /// Notes that `new` replaced `old`, and drops the outcome that had brought `old`: the grace covers the immediate
    /// predecessor only. Unless nobody has received that outcome yet, which its remaining time tells.
    pub(crate) async fn replaced(&self, old: &str, new: &str, ttl: Duration) {
        let (old, new) = (Secret::of(old), Secret::of(new));
        let shared = &*self.shared;
        if shared.replace(&old, &new, ttl).await.is_none() {
            tracing::debug!("the outcome before the last is found for as long as its token lives");
        }
    }

    /// Counts an event for all replicas. `None` when they cannot be asked.
    pub(crate) async fn count(&self, key: &StoreKey, window: Duration) -> Option<Count> {
        let Shared { store, guard, .. } = &*self.shared;
        guard.ask(store.count(key, window)).await
    }

    /// Tells every replica, now or as soon as the store can be reached.
    pub(crate) fn publish(&self, notice: &Notice, ttl: Duration) {
        if let Some(bytes) = notice.encode() {
            self.shared.mailbox.post(bytes, ttl.min(LONGEST_TOKEN));
        }
    }

    /// Waits until everything so far is published, but not for an outage to end.
    pub(crate) async fn published(&self) {
        if !self.shared.guard.is_down() {
            self.shared.mailbox.emptied().await;
        }
    }

    /// Listens to the other replicas, on a task of its own that ends with the listener. Costs one load when the task
    /// is there.
    pub(crate) fn attend<L: Listener>(&self, listener: &Arc<L>) {
        if self.shared.mailbox.is_attended() {
            return;
        }
        if let (Ok(runtime), Some(attendance)) =
            (Handle::try_current(), Mailbox::enter(&self.shared))
        {
            runtime.spawn(attend(attendance, Arc::downgrade(listener)));
        }
    }

    /// Waits for the first look at what other replicas have ended; not longer than for an answer.
    pub(crate) async fn caught_up(&self) {
        self.shared.mailbox.caught_up().await;
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas")
            .field("guard", &self.shared.guard)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// What another replica has put here meanwhile: that the session was ended, or what it was given itself, if this
    /// one overran its lease.
    pub(crate) async fn meanwhile(&self) -> Option<SharedOutcome> {
        let found = self.shared.found(&self.secret).await;
        found.flatten().map(|(outcome, _)| outcome)
    }

    /// Puts an outcome. Answers whether the store has it.
    pub(crate) async fn put(&self, outcome: &SharedOutcome, ttl: Duration) -> bool {
        let ttl = match outcome {
            SharedOutcome::Refused => REMEMBER_REFUSAL,
            SharedOutcome::Unavailable { .. } => PASS_ON,
            SharedOutcome::Tokens(_) | SharedOutcome::RefusedAgain | SharedOutcome::Ended => ttl,
        };
        self.shared.put(&self.secret, outcome, ttl).await
    }

    /// Gives the turn to the next.
    pub(crate) async fn unlock(&self) {
        let Shared { store, guard, .. } = &*self.shared;
        guard
            .ask(store.unlock(&self.secret.outcome, &self.owner))
            .await;
    }

    async fn lock(&self) -> Option<bool> {
        let Shared { store, guard, .. } = &*self.shared;
        guard
            .ask(store.lock(&self.secret.outcome, &self.owner, self.shared.lease()))
            .await
    }
}

impl Shared {
    async fn replace(&self, old: &Secret, new: &Secret, ttl: Duration) -> Option<()> {
        let Self { store, guard, .. } = self;
        if let Some(sealed) = new.seal(&new.predecessor, old.outcome.as_bytes()) {
            guard.ask(store.put(&new.predecessor, &sealed, ttl)).await?;
        }
        let Some(note) = guard.ask(store.get(&old.predecessor)).await? else {
            return Some(());
        };
        let older = old.open(&old.predecessor, &note.value)?;
        let older = StoreKey::new(older.try_into().ok()?);
        if let Some(outcome) = guard.ask(store.get(&older)).await?
            && outcome.expires_in <= self.memo
        {
            guard.ask(store.shorten(&older, Duration::ZERO)).await?;
        }
        guard
            .ask(store.shorten(&old.predecessor, Duration::ZERO))
            .await
    }

    fn lease(&self) -> Duration {
        self.patience + MARGIN
    }

    async fn put(&self, secret: &Secret, outcome: &SharedOutcome, ttl: Duration) -> bool {
        let name = &secret.outcome;
        let Some(sealed) = outcome.encode().and_then(|plain| secret.seal(name, &plain)) else {
            return false;
        };
        self.guard
            .ask(self.store.put(name, &sealed, ttl.min(LONGEST_TOKEN)))
            .await
            .is_some()
    }

    /// The outcome and, of a refusal, its age. The outer `None` is an outage.
    async fn found(&self, secret: &Secret) -> Option<Option<(SharedOutcome, Duration)>> {
        let name = &secret.outcome;
        let Some(stored) = self.guard.ask(self.store.get(name)).await? else {
            return Some(None);
        };
        let age = REMEMBER_REFUSAL.saturating_sub(stored.expires_in);
        let outcome = secret
            .open(name, &stored.value)
            .and_then(|plain| SharedOutcome::decode(&plain));
        if outcome.is_none() {
            // Written by a later version, or by somebody who should not be able to.
            tracing::debug!("what the shared store holds for this renewal cannot be read");
        }
        Some(outcome.map(|outcome| (outcome, age)))
    }
}
