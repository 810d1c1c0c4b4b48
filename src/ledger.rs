//! A bounded map for entries whose loss matters, such as revocations. It is written seldom and read with every request,
//! and it reports when an entry was removed before its end.
//!
//! * A new entry is always taken. When the map is full, the entry that was written longest ago is removed. This is
//!   counted, and the caller is told.
//! * Writing an entry again can only move its end to a later time.
//! * Reading a key that is not in the map costs a hash and one load, unless the key shares its place in a small table
//!   of counters with a key that is in the map. Only then is a lock taken, for reading, on one of up to 64 parts of the
//!   map.
//! * A writer holds the lock of one part for a few look-ups in the trees of that part.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::bounded::Bounded;

/// Most parts that a map has. Each part has a lock of its own.
const PARTS: usize = 64;
/// Least capacity of a part where a map has several.
const LEAST_PART: usize = 4096;
/// Counters in the table by which readers see that a key is missing, without a lock. The table takes 16 KiB.
const COUNTERS: usize = 4096;
/// Most ended entries that one write removes: more than the one that it adds, and so few that other writers do not wait
/// long.
const SWEEP: usize = 16;

/// See the module's documentation.
pub(crate) struct Ledger<K, V> {
    parts: Box<[RwLock<Bounded<K, V>>]>,
    hasher: RandomState,
    /// For each remainder of a hash by the number of counters: how many keys in the map have such a hash.
    counters: Box<[AtomicU32]>,
    held: AtomicUsize,
    forgotten: AtomicU64,
}

impl<K: Clone + Eq + Hash, V: Clone> Ledger<K, V> {
    /// Makes a map for about `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        let parts = (capacity / LEAST_PART).clamp(1, PARTS);
        let part = || RwLock::new(Bounded::new(capacity.div_ceil(parts)));
        Self {
            parts: (0..parts).map(|_| part()).collect(),
            hasher: RandomState::new(),
            counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            held: AtomicUsize::new(0),
            forgotten: AtomicU64::new(0),
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        if self.counter(hash).load(Ordering::Acquire) == 0 {
            return None;
        }
        let part = self.part(hash).read();
        part.unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    pub(crate) fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// When the entry of a key ends.
    pub(crate) fn end<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
    {
        let part = self.part(self.hasher.hash_one(key)).read();
        part.unwrap_or_else(PoisonError::into_inner).end(key)
    }

    /// Writes the value that `change` makes of the present one, in one atomic step. The entry ends at `end` or at its
    /// former end, whichever is later. Returns whether another entry was removed before its end.
    pub(crate) fn write(
        &self,
        key: K,
        end: Duration,
        now: Duration,
        change: impl FnOnce(Option<&V>) -> V,
    ) -> bool {
        let hash = self.hasher.hash_one(&key);
        let part = self.part(hash).write();
        // Nothing that can panic half-way runs under the lock.
        let mut part = part.unwrap_or_else(PoisonError::into_inner);
        for _ in 0..SWEEP {
            let Some(ended) = part.expire(now) else { break };
            self.uncount(&ended);
        }
        let known = part.get(&key);
        let is_new = known.is_none();
        let value = change(known);
        let end = part.end(&key).map_or(end, |former| former.max(end));
        let evicted = part.make_room(&key);
        if let Some(evicted) = &evicted {
            self.uncount(evicted);
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        if is_new {
            // The key is counted before the entry is written, so that no reader misses an entry whose writer has
            // returned.
            self.counter(hash).fetch_add(1, Ordering::AcqRel);
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        part.put(key, value, end);
        evicted.is_some()
    }

    /// The number of entries in the map. Some of them may have ended.
    pub(crate) fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many entries were removed before their end.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn uncount(&self, key: &K) {
        let hash = self.hasher.hash_one(key);
        self.counter(hash).fetch_sub(1, Ordering::AcqRel);
        self.held.fetch_sub(1, Ordering::Relaxed);
    }

    fn counter(&self, hash: u64) -> &AtomicU32 {
        &self.counters[hash as usize % self.counters.len()]
    }

    fn part(&self, hash: u64) -> &RwLock<Bounded<K, V>> {
        // The part is chosen by other bits of the hash than the counter.
        &self.parts[(hash >> 32) as usize % self.parts.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_newest_entries_hold_whatever_their_end_is() {
        let ledger = Ledger::new(1000);
        for n in 0..5000u64 {
            // Entries that are written later end earlier.
            let evicts = ledger.write(n, at(10_000 - n), at(0), |_| n);
            assert_eq!(evicts, n >= 1000);
        }
        assert_eq!((ledger.len(), ledger.forgotten()), (1000, 4000));
        assert!((0..4000).all(|n| !ledger.contains(&n)));
        assert!((4000..5000).all(|n| ledger.get(&n) == Some(n)));
    }

    #[test]
    fn what_has_ended_goes_first_and_is_not_counted() {
        let ledger = Ledger::new(1000);
        for n in 0..1000u64 {
            ledger.write(n, at(60), at(0), |_| ());
        }
        for n in 1000..2000u64 {
            assert!(!ledger.write(n, at(120), at(60), |_| ()));
        }
        assert_eq!((ledger.len(), ledger.forgotten()), (1000, 0));
    }

    #[test]
    fn an_entry_only_ever_lives_longer() {
        let ledger = Ledger::new(10);
        for end in [0, 600, 0] {
            ledger.write("a", at(end), at(0), |_| ());
        }
        ledger.write("b", at(600), at(599), |_| ());
        assert!(ledger.contains("a"));
        ledger.write("b", at(600), at(600), |_| ());
        assert!(!ledger.contains("a"));
    }

    // What the documentation of the deny set says.
    #[test]
    fn an_entry_takes_no_more_than_256_bytes() {
        let entries = 250_000;
        let memory = allocation_counter::measure(|| {
            let ledger = Ledger::<[u8; 32], ()>::new(entries);
            for n in 0..entries as u64 + 25_000 {
                let mut id = [0; 32];
                id[..8].copy_from_slice(&n.to_be_bytes());
                ledger.write(id, at(600 + n % 4 * 1000), at(0), |_| ());
            }
        });
        let each = memory.bytes_max / entries as u64;
        assert!(each <= 256, "{each} bytes");
    }

    #[test]
    fn nothing_is_lost_between_many_writers() {
        let ledger = Ledger::new(100_000);
        let threads = 4;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let ledger = &ledger;
                scope.spawn(move || {
                    for n in 0..10_000u32 {
                        ledger.write(n % 5000, at(60), at(0), |known: Option<&u32>| {
                            known.map_or(1, |times| times + 1)
                        });
                        let own = 1_000_000 + 10_000 * thread + n;
                        ledger.write(own, at(60), at(0), |_| 1);
                        assert!(ledger.contains(&own));
                    }
                });
            }
        });
        assert!((0..5000).all(|n| ledger.get(&n) == Some(2 * threads)));
        assert_eq!(ledger.len(), 5000 + 40_000);
        assert_eq!(ledger.forgotten(), 0);
    }
}
