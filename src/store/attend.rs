//! Hearing what other replicas ended, and telling them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::replicas::Shared;
use super::{Cursor, Notice, StoreKey};

/// Between two looks at the store, and between two attempts to reach it.
const INTERVAL: Duration = Duration::from_millis(250);
/// After a longer gap everything is read again: the store may have dropped what was new then.
const GAP: Duration = Duration::from_secs(10);
/// Longest wait of a caller for the task.
const PATIENCE: Duration = Duration::from_secs(1);
/// Notices that wait for the end of an outage.
const CAPACITY: usize = 100_000;

/// Applies what other replicas say. Repetitions are to be expected.
pub(crate) trait Listener: Send + Sync + 'static {
    fn hear(&self, notice: Notice);
}

/// Notices on their way out, and the state of the task that carries them.
pub(super) struct Mailbox {
    outbox: Mutex<VecDeque<Outgoing>>,
    wake: Notify,
    attended: AtomicBool,
    caught_up: watch::Sender<bool>,
}

enum Outgoing {
    Notice {
        bytes: Vec<u8>,
        expires: Instant,
    },
    /// Told when everything before it is out.
    Mark(oneshot::Sender<()>),
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            outbox: Mutex::default(),
            wake: Notify::new(),
            attended: AtomicBool::new(false),
            caught_up: watch::Sender::new(false),
        }
    }
}

impl Mailbox {
    pub(super) fn post(&self, bytes: Vec<u8>, ttl: Duration) {
        let expires = Instant::now() + ttl;
        let dropped = {
            let mut outbox = self.outbox();
            outbox.push_back(Outgoing::Notice { bytes, expires });
            outbox.len() > CAPACITY && outbox.pop_front().is_some()
        };
        if dropped {
            tracing::warn!("a revocation will not reach the other replicas: too many are waiting");
        }
        self.wake.notify_one();
    }

    pub(super) async fn emptied(&self) {
        let (sender, receiver) = oneshot::channel();
        self.outbox().push_back(Outgoing::Mark(sender));
        self.wake.notify_one();
        let _ = tokio::time::timeout(PATIENCE, receiver).await;
    }

    pub(super) async fn caught_up(&self) {
        let mut caught_up = self.caught_up.subscribe();
        let _ = tokio::time::timeout(PATIENCE, caught_up.wait_for(|done| *done)).await;
    }

    pub(super) fn is_attended(&self) -> bool {
        self.attended.load(Ordering::Acquire)
    }

    /// The right to run [`attend`], unless somebody has it.
    pub(super) fn enter(shared: &Arc<Shared>) -> Option<Attendance> {
        let free = !shared.mailbox.attended.swap(true, Ordering::AcqRel);
        free.then(|| Attendance(shared.clone()))
    }

    fn outbox(&self) -> MutexGuard<'_, VecDeque<Outgoing>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the task. When its runtime goes away, another one may take over.
pub(super) struct Attendance(Arc<Shared>);

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.mailbox.attended.store(false, Ordering::Release);
    }
}

/// Carries notices in both directions for as long as there is a listener.
pub(super) async fn attend<L: Listener>(attendance: Attendance, listener: Weak<L>) {
    let shared = &*attendance.0;
    let mut cursor = None;
    let mut heard = Instant::now();
    loop {
        if heard.elapsed() > GAP {
            cursor = None;
        }
        let sent = !shared.guard.is_down() || shared.is_writable().await;
        if sent && shared.send().await && shared.hear(&mut cursor, &listener).await {
            heard = Instant::now();
            shared.guard.recovered();
            shared.mailbox.caught_up.send_replace(true);
        } else {
            // An outage may end with another server, whose sequence is not the same.
            cursor = None;
        }
        if listener.strong_count() == 0 {
            return;
        }
        // Whichever is first.
        let _ = tokio::time::timeout(INTERVAL, shared.mailbox.wake.notified()).await;
    }
}

impl Shared {
    /// A server that can only be read from, after a failover say, is of no use.
    async fn is_writable(&self) -> bool {
        let probe = StoreKey::new([0; 32]);
        let call = self
            .store
            .lock(&probe, b"probe", Duration::from_millis(100));
        self.guard.probe(call).await.is_some()
    }

    async fn send(&self) -> bool {
        loop {
            let front = self.mailbox.outbox().pop_front();
            match front {
                None => return true,
                Some(Outgoing::Mark(sender)) => {
                    // Whoever waited may have given up.
                    let _ = sender.send(());
                }
                Some(Outgoing::Notice { bytes, expires }) => {
                    let left = expires.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        continue;
                    }
                    let call = self.store.publish(&bytes, left);
                    if self.guard.probe(call).await.is_none() {
                        let unsent = Outgoing::Notice { bytes, expires };
                        self.mailbox.outbox().push_front(unsent);
                        return false;
                    }
                }
            }
        }
    }

    async fn hear<L: Listener>(&self, cursor: &mut Option<Cursor>, listener: &Weak<L>) -> bool {
        loop {
            let call = self.store.notices(cursor.as_ref());
            let Some(found) = self.guard.probe(call).await else {
                return false;
            };
            if !found.notices.is_empty() {
                let Some(listener) = listener.upgrade() else {
                    return true;
                };
                for bytes in found.notices {
                    match Notice::decode(&bytes) {
                        Some(notice) => listener.hear(notice),
                        None => tracing::debug!("a notice that this version does not know"),
                    }
                }
            }
            *cursor = Some(found.cursor);
            if !found.more {
                return true;
            }
        }
    }
}
