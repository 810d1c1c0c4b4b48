//! What this replica has to tell the others, until the listener's task carries it to the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

/// Longest wait of a caller for the task.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Notices that wait for the end of an outage.
const CAPACITY: usize = 100_000;

/// Notices on their way out, and the state of the task that carries them.
pub(super) struct Mailbox {
    outbox: Mutex<VecDeque<Outgoing>>,
    wake: Notify,
    carried: AtomicBool,
    caught_up: watch::Sender<bool>,
}

/// A notice on its way out, or a mark between notices.
pub(super) enum Outgoing {
    Notice {
        bytes: Vec<u8>,
        expires: Instant,
    },
    /// Its sender is told when all notices before it are in the store.
    Mark(oneshot::Sender<()>),
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            outbox: Mutex::default(),
            wake: Notify::new(),
            carried: AtomicBool::new(false),
            caught_up: watch::Sender::new(false),
        }
    }
}

impl Mailbox {
    /// Queues a notice for the other replicas. When too many wait, the oldest is dropped.
    pub(super) fn post(&self, bytes: Vec<u8>, ttl: Duration) {
        let expires = Instant::now() + ttl;
        let dropped = {
            let mut outbox = self.outbox();
            outbox.push_back(Outgoing::Notice { bytes, expires });
            outbox.len() > CAPACITY && matches!(outbox.pop_front(), Some(Outgoing::Notice { .. }))
        };
        if dropped {
            tracing::warn!("a revocation will not reach the other replicas: too many are waiting");
        }
        self.wake.notify_one();
    }

    /// Waits until all notices so far are in the store, but for a second at most.
    pub(super) async fn emptied(&self) {
        let (sender, receiver) = oneshot::channel();
        self.outbox().push_back(Outgoing::Mark(sender));
        self.wake.notify_one();
        let _ = tokio::time::timeout(TIMEOUT, receiver).await;
    }

    /// Waits until the notices of the other replicas were read once, but for a second at most.
    pub(super) async fn caught_up(&self) {
        let mut caught_up = self.caught_up.subscribe();
        let _ = tokio::time::timeout(TIMEOUT, caught_up.wait_for(|done| *done)).await;
    }

    /// Whether a task carries notices at this moment.
    pub(super) fn is_carried(&self) -> bool {
        self.carried.load(Ordering::Acquire)
    }

    /// Marks the task as running. False if one runs already.
    pub(super) fn claim(&self) -> bool {
        !self.carried.swap(true, Ordering::AcqRel)
    }

    /// Marks the task as ended.
    pub(super) fn release(&self) {
        self.carried.store(false, Ordering::Release);
    }

    /// Waits for something to carry.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The task has read all that there was.
    pub(super) fn set_caught_up(&self) {
        self.caught_up.send_replace(true);
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, VecDeque<Outgoing>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_too_many_wait_the_oldest_goes() {
        let mailbox = Mailbox::default();
        for number in 0..CAPACITY + 1 {
            mailbox.post(number.to_be_bytes().into(), Duration::from_secs(60));
        }
        let mut outbox = mailbox.outbox();
        assert_eq!(outbox.len(), CAPACITY);
        let first = outbox.pop_front();
        let is_second = |bytes: &[u8]| bytes == 1_usize.to_be_bytes();
        assert!(matches!(first, Some(Outgoing::Notice { bytes, .. }) if is_second(&bytes)));
    }

    #[test]
    fn one_task_at_a_time_carries() {
        let mailbox = Mailbox::default();
        assert!(!mailbox.is_carried());
        assert!(mailbox.claim() && mailbox.is_carried() && !mailbox.claim());
        mailbox.release();
        assert!(!mailbox.is_carried() && mailbox.claim());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_goes_on_when_the_task_has_read_or_after_a_second() {
        let mailbox = Mailbox::default();
        let began = Instant::now();
        mailbox.caught_up().await;
        assert_eq!(began.elapsed().as_secs(), 1);
        mailbox.set_caught_up();
        mailbox.caught_up().await;
        assert_eq!(began.elapsed().as_secs(), 1);
        // Nothing to carry: the task sleeps.
        let sleeps = tokio::time::timeout(Duration::from_secs(5), mailbox.woken());
        assert!(sleeps.await.is_err());
        mailbox.post(Vec::new(), Duration::ZERO);
        mailbox.woken().await;
    }
}
