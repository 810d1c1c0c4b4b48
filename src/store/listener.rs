//! Reads what other replicas have ended, and tells them what this one has ended.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use super::mailbox::Outgoing;
use super::{Cursor, Notice, StoreKey};

/// Time between two looks at the store, and between two attempts to reach it.
const INTERVAL: Duration = Duration::from_millis(250);
/// If this replica has read no notices for longer than this, it reads all of them again: the store may have dropped
/// those that were new then.
const GAP: Duration = Duration::from_secs(10);

/// Applies the notices of other replicas. A notice may come more than once.
pub(crate) trait Listener: Send + Sync + 'static {
    fn hear(&self, notice: Notice);
}

/// The right to be the one task that carries notices. When the task's runtime goes away, another one may take it.
pub(super) struct Place(Arc<Link>);

impl Place {
    /// `None` if a task runs already.
    pub(super) fn take(link: &Arc<Link>) -> Option<Self> {
        link.mailbox.claim().then(|| Self(link.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.mailbox.release();
    }
}

/// Carries notices in both directions for as long as there is a listener.
pub(super) async fn listen<L: Listener>(place: Place, listener: Weak<L>) {
    let link = &*place.0;
    let mut cursor = None;
    let mut heard = Instant::now();
    loop {
        if heard.elapsed() > GAP {
            cursor = None;
        }
        let sent = !link.outage.is_down() || link.is_writable().await;
        if sent && link.send().await && link.hear(&mut cursor, &listener).await {
            heard = Instant::now();
            link.outage.recovered();
            link.mailbox.set_caught_up();
        } else {
            // After an outage another server may answer, whose sequence of notices is not the same.
            cursor = None;
        }
        if listener.strong_count() == 0 {
            return;
        }
        // Waits for the interval, or until there is something to send.
        let _ = tokio::time::timeout(INTERVAL, link.mailbox.woken()).await;
    }
}

impl Link {
    /// Whether the store takes writes. A server that can only be read from, after a failover say, is of no use.
    async fn is_writable(&self) -> bool {
        let probe = StoreKey::new([0; 32]);
        let call = self
            .store
            .lock(&probe, b"probe", Duration::from_millis(100));
        self.outage.probe(call).await.is_some()
    }

    async fn send(&self) -> bool {
        loop {
            let front = self.mailbox.outbox().pop_front();
            match front {
                None => return true,
                Some(Outgoing::Mark(sender)) => {
                    // Fails if the caller has stopped waiting, which is no error.
                    let _ = sender.send(());
                }
                Some(Outgoing::Notice { bytes, expires }) => {
                    let left = expires.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        continue;
                    }
                    let call = self.store.publish(&bytes, left);
                    if self.outage.probe(call).await.is_none() {
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
            let Some(found) = self.outage.probe(call).await else {
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::link::ReplicaTimes;
    use crate::store::{Notices, SharedStore, StoreFuture, Stored};

    /// A store without notices that records the cursors with which it was asked for them.
    #[derive(Clone, Default)]
    struct Asked(Arc<Mutex<Vec<Option<String>>>>);

    impl Asked {
        fn take(&self) -> Vec<Option<String>> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl SharedStore for Asked {
        fn lock<'a>(&'a self, _: &'a StoreKey, _: &'a [u8], _: Duration) -> StoreFuture<'a, bool> {
            Box::pin(async { Ok(true) })
        }
        fn unlock<'a>(&'a self, _: &'a StoreKey, _: &'a [u8]) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn get<'a>(&'a self, _: &'a StoreKey) -> StoreFuture<'a, Option<Stored>> {
            Box::pin(async { Ok(None) })
        }
        fn put<'a>(&'a self, _: &'a StoreKey, _: &'a [u8], _: Duration) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn shorten<'a>(&'a self, _: &'a StoreKey, _: Duration) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn publish<'a>(&'a self, _: &'a [u8], _: Duration) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
        fn notices<'a>(&'a self, since: Option<&'a Cursor>) -> StoreFuture<'a, Notices> {
            let since = since.map(|cursor| cursor.0.clone());
            self.0.lock().unwrap().push(since);
            Box::pin(async {
                Ok(Notices {
                    notices: Vec::new(),
                    cursor: Cursor("1".to_owned()),
                    more: false,
                })
            })
        }
    }

    struct Deaf;

    impl Listener for Deaf {
        fn hear(&self, _: Notice) {}
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_gap_everything_is_read_again_and_another_task_may_take_the_place() {
        let store = Asked::default();
        let times = ReplicaTimes {
            memo: Duration::from_secs(10),
            longest_wait: Duration::from_secs(10),
            refusal: Duration::from_secs(10),
        };
        let link = Arc::new(Link::new(Box::new(store.clone()), times));
        let place = Place::take(&link).unwrap();
        assert!(Place::take(&link).is_none(), "one task at a time");
        let listener = Arc::new(Deaf);
        let task = tokio::spawn(listen(place, Arc::downgrade(&listener)));
        tokio::time::sleep(INTERVAL).await;
        let known = Some("1".to_owned());
        let asked = store.take();
        assert_eq!(asked[0], None);
        assert!(asked[1..].iter().all(|since| *since == known));

        // The machine sleeps.
        for (gap, since) in [
            (GAP - 2 * INTERVAL, known.clone()),
            (GAP + Duration::from_millis(1), None),
            (2 * GAP, None),
        ] {
            store.take();
            tokio::time::advance(gap).await;
            while store.0.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(store.take(), [since], "{gap:?}");
        }
        task.abort();
        let _ = task.await;
        assert!(Place::take(&link).is_some());
    }
}
