//! How replicas take turns at renewing, and how an outcome gets from one replica to the others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::Generate;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::link::{Link, ReplicaTimes};
use super::listener::{Place, listen};
use super::seal::Secret;
use super::{Listener, Notice, SharedOutcome, SharedStore};
use crate::token::LONGEST_TOKEN;

/// How long an outcome without a definite answer is found, by replicas that wait for it.
const PASS_ON: Duration = Duration::from_secs(2);
/// First pause between two looks at a renewal of another replica. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// What the replicas of this app share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Replicas {
    link: Arc<Link>,
}

/// Which replica renews. `T` is an outcome that another replica has put and this one has judged.
pub(crate) enum Turn<T> {
    /// The store cannot be reached: renew as if there were no store.
    Alone,
    /// This replica renews.
    Lead {
        lease: Lease,
        /// Upstream refused this token before, to some replica, and the memo window is over.
        refused_before: bool,
    },
    /// Another replica has renewed.
    Found(T),
    /// Another replica renews, and takes too long.
    Busy,
}

/// The lock for renewals with one refresh JWT. It expires if it is not released.
pub(crate) struct Lease {
    link: Arc<Link>,
    secret: Secret,
    owner: [u8; 16],
}

impl Replicas {
    pub(crate) fn new(store: Box<dyn SharedStore>, times: ReplicaTimes) -> Self {
        Self {
            link: Arc::new(Link::new(store, times)),
        }
    }

    /// Waits for the lock, or for the outcome of a renewal by another replica. `adopt` judges an outcome that was
    /// found; if it returns `None`, the outcome counts as not there.
    pub(crate) async fn turn<T, F>(&self, jwt: &str, adopt: impl Fn(SharedOutcome) -> F) -> Turn<T>
    where
        F: Future<Output = Option<T>>,
    {
        let Ok(owner) = Generate::try_generate() else {
            return Turn::Alone;
        };
        let lease = Lease {
            link: self.link.clone(),
            secret: Secret::of(jwt),
            owner,
        };
        let until = Instant::now() + self.link.times.longest_wait;
        let mut pause = FIRST_PAUSE;
        let mut waited = false;
        loop {
            // The lock comes first: between a look and a lock another replica might put its outcome and unlock.
            let Some(locked) = lease.lock().await else {
                return Turn::Alone;
            };
            let Some(found) = self.link.found(&lease.secret).await else {
                return Turn::Alone;
            };
            let mut refused_before = false;
            match found {
                Some((SharedOutcome::Refused, age)) if age >= self.link.times.memo => {
                    refused_before = true;
                }
                // This outcome is meant only for replicas that were waiting when it was put.
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
    pub(crate) async fn has_renewed(&self, jwt: &str) -> bool {
        let secret = Secret::of(jwt);
        let found = self.link.found(&secret).await;
        matches!(found, Some(Some((SharedOutcome::Tokens(_), _))))
    }

    /// The outcome was written onto a response: from now on it is found for the memo window only.
    pub(crate) fn delivered(&self, jwt: &str) {
        self.shorten(jwt, self.link.times.memo);
    }

    /// The outcome must not be found any more.
    pub(crate) fn forget(&self, jwt: &str) {
        self.shorten(jwt, Duration::ZERO);
    }

    /// Notes that the session has ended, so that a replica that renews it at this moment finds out before it uses the
    /// tokens.
    pub(crate) fn end(&self, jwt: &str) {
        if let Ok(runtime) = Handle::try_current() {
            let link = self.link.clone();
            let secret = Secret::of(jwt);
            runtime.spawn(async move {
                link.put(&secret, &SharedOutcome::Ended, link.lease()).await;
            });
        }
    }

    fn shorten(&self, jwt: &str, ttl: Duration) {
        // If this fails, the outcome is dropped when its new refresh JWT is renewed in turn, or expires.
        if let Ok(runtime) = Handle::try_current() {
            let link = self.link.clone();
            let name = Secret::of(jwt).outcome;
            runtime.spawn(async move {
                let call = link.store.shorten(&name, ttl);
                link.outage.ask(call).await;
            });
        }
    }

    /// Notes that `new` replaced `old`, and drops the outcome that had brought `old`, because only the immediate
    /// predecessor is still served. The outcome stays if nobody has received it yet, which its remaining time tells.
    pub(crate) async fn replaced(&self, old: &str, new: &str, ttl: Duration) {
        let (old, new) = (Secret::of(old), Secret::of(new));
        let link = &*self.link;
        if link.replace(&old, &new, ttl).await.is_none() {
            tracing::debug!("the outcome before the last is found for as long as its token lives");
        }
    }

    /// Sends a notice to every replica, now or as soon as the store can be reached.
    pub(crate) fn publish(&self, notice: &Notice, ttl: Duration) {
        if let Some(bytes) = notice.encode() {
            self.link.mailbox.post(bytes, ttl.min(LONGEST_TOKEN));
        }
    }

    /// Waits until all notices so far are in the store, but not for an outage to end.
    pub(crate) async fn published(&self) {
        if !self.link.outage.is_down() {
            self.link.mailbox.emptied().await;
        }
    }

    /// Listens to the other replicas on a task of its own, which ends when the listener is dropped. Costs one atomic
    /// load if the task runs already.
    pub(crate) fn listen<L: Listener>(&self, listener: &Arc<L>) {
        if self.link.mailbox.is_carried() {
            return;
        }
        if let (Ok(runtime), Some(place)) = (Handle::try_current(), Place::take(&self.link)) {
            runtime.spawn(listen(place, Arc::downgrade(listener)));
        }
    }

    /// Waits until the notices of other replicas were read once, but for a second at most.
    pub(crate) async fn caught_up(&self) {
        self.link.mailbox.caught_up().await;
    }
}

impl Lease {
    /// What another replica has put meanwhile: that the session was ended, or its own outcome, if this replica overran
    /// its lease.
    pub(crate) async fn meanwhile(&self) -> Option<SharedOutcome> {
        let found = self.link.found(&self.secret).await;
        found.flatten().map(|(outcome, _)| outcome)
    }

    /// Puts an outcome. Answers whether the store has it.
    pub(crate) async fn put(&self, outcome: &SharedOutcome, ttl: Duration) -> bool {
        let ttl = match outcome {
            SharedOutcome::Refused => self.link.times.refusal,
            SharedOutcome::Unavailable { .. } => PASS_ON,
            SharedOutcome::Tokens(_) | SharedOutcome::RefusedAgain | SharedOutcome::Ended => ttl,
        };
        self.link.put(&self.secret, outcome, ttl).await
    }

    /// Releases the lock.
    pub(crate) async fn unlock(&self) {
        let Link { store, outage, .. } = &*self.link;
        outage
            .ask(store.unlock(&self.secret.outcome, &self.owner))
            .await;
    }

    async fn lock(&self) -> Option<bool> {
        let Link { store, outage, .. } = &*self.link;
        outage
            .ask(store.lock(&self.secret.outcome, &self.owner, self.link.lease()))
            .await
    }
}
