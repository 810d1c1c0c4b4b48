//! The store as this replica uses it: outages are noticed before and after each call, and outcomes are encrypted before
//! they are put.

use std::time::Duration;

use super::mailbox::Mailbox;
use super::outage::Outage;
use super::seal::Secret;
use super::{SharedOutcome, SharedStore, StoreKey};
use crate::token::LONGEST_TOKEN;

/// By how much a lease outlives the longest call.
const MARGIN: Duration = Duration::from_secs(5);
/// Longest renewal that others wait for, whatever the deadline is. Keeps sums of times from overflowing.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What all clones of [`Replicas`](super::Replicas) share.
pub(super) struct Link {
    pub(super) store: Box<dyn SharedStore>,
    pub(super) outage: Outage,
    pub(super) mailbox: Mailbox,
    pub(super) times: ReplicaTimes,
}

/// How long replicas wait for each other, and what they find of each other for how long.
#[derive(Clone, Copy)]
pub(crate) struct ReplicaTimes {
    /// For how long after their delivery other requests that carry the old refresh JWT still get the new tokens.
    pub(crate) memo: Duration,
    /// Longest duration of a renewal.
    pub(crate) longest_wait: Duration,
    /// For how long the first refusal of a refresh JWT is remembered. Its age is this time without what the store says
    /// is left of it, so the clocks of the replicas need not agree.
    pub(crate) refusal: Duration,
}

impl Link {
    pub(super) fn new(store: Box<dyn SharedStore>, times: ReplicaTimes) -> Self {
        Self {
            store,
            outage: Outage::default(),
            mailbox: Mailbox::default(),
            times: ReplicaTimes {
                memo: times.memo.min(LONGEST_TOKEN),
                longest_wait: times.longest_wait.min(LONGEST_WAIT),
                ..times
            },
        }
    }

    /// Records that the refresh JWT `new` replaced `old`, and deletes the outcome that had brought `old` if a browser
    /// has received it, which its short remaining time tells. `None` if the store failed or its record cannot be read.
    pub(super) async fn replace(&self, old: &Secret, new: &Secret, ttl: Duration) -> Option<()> {
        let Self { store, outage, .. } = self;
        if let Some(sealed) = new.seal(&new.predecessor, old.outcome.as_bytes()) {
            outage
                .ask(store.put(&new.predecessor, &sealed, ttl))
                .await?;
        }
        let Some(note) = outage.ask(store.get(&old.predecessor)).await? else {
            return Some(());
        };
        let older = old.open(&old.predecessor, &note.value)?;
        let older = StoreKey::new(older.try_into().ok()?);
        if let Some(outcome) = outage.ask(store.get(&older)).await?
            && outcome.expires_in <= self.times.memo
        {
            outage.ask(store.shorten(&older, Duration::ZERO)).await?;
        }
        outage
            .ask(store.shorten(&old.predecessor, Duration::ZERO))
            .await
    }

    /// How long the lock of a renewal lasts if it is not released.
    pub(super) fn lease(&self) -> Duration {
        self.times.longest_wait + MARGIN
    }

    /// Encrypts an outcome and puts it. Returns whether the store has it.
    pub(super) async fn put(
        &self,
        secret: &Secret,
        outcome: &SharedOutcome,
        ttl: Duration,
    ) -> bool {
        let name = &secret.outcome;
        let Some(sealed) = outcome.encode().and_then(|plain| secret.seal(name, &plain)) else {
            return false;
        };
        self.outage
            .ask(self.store.put(name, &sealed, ttl.min(LONGEST_TOKEN)))
            .await
            .is_some()
    }

    /// The outcome in the store and, if it is a refusal, its age. The outer `None` is an outage.
    pub(super) async fn found(&self, secret: &Secret) -> Option<Option<(SharedOutcome, Duration)>> {
        let name = &secret.outcome;
        let Some(stored) = self.outage.ask(self.store.get(name)).await? else {
            return Some(None);
        };
        let age = self.times.refusal.saturating_sub(stored.expires_in);
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
