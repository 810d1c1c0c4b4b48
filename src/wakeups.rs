//! Wakes tasks that wait for something to happen to a named thing, such as the revocation of a token.
//!
//! All names share a fixed number of places, so that a name costs nothing while nobody waits for it, and a task that
//! stops waiting leaves nothing behind. The price is that a task may be woken for another name in the same place, so it
//! has to look again at what it waits for. Of many tasks that wait for different names, one event wakes about one in
//! [`PLACES`].

use std::hash::{BuildHasher, Hash, RandomState};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Places for names. With 10,000 tasks that wait, an event wakes about 40 of them. They take 8 KiB.
const PLACES: usize = 256;

/// See the module's documentation.
pub(crate) struct Wakeups {
    places: Box<[Notify]>,
    hasher: RandomState,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Notify::new()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Wakeups {
    /// Wakes everybody who waits for this name. To be called after the change that they wait for can be seen.
    pub(crate) fn wake<N: Hash + ?Sized>(&self, name: &N) {
        self.place(name).notify_waiters();
    }

    /// Resolves when this name is woken, from this call on, also if the future is not polled before. So whoever calls
    /// this first, then looks whether the change has happened, and only then waits, misses no change.
    pub(crate) fn wait<N: Hash + ?Sized>(&self, name: &N) -> Notified<'_> {
        self.place(name).notified()
    }

    fn place<N: Hash + ?Sized>(&self, name: &N) -> &Notify {
        let hash = self.hasher.hash_one(name);
        &self.places[(hash % PLACES as u64) as usize]
    }
}
