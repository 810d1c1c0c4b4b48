//! A map of bounded size in which each entry has a time at which it ends. It has no lock, no clock and no I/O.
//!
//! A new entry is always taken. When the map is full, the caller first removes the entry that was written longest ago,
//! whatever its end is.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// See the module's documentation.
pub(crate) struct Bounded<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The key of each entry, by the number of the write that wrote the entry.
    written: BTreeMap<u64, K>,
    /// The end of each entry, with the number of its write. Sorted, so that the next entry to end is first.
    ends: BTreeSet<(Duration, u64)>,
    writes: u64,
    capacity: usize,
}

struct Entry<V> {
    value: V,
    end: Duration,
    write: u64,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// Makes a map for `capacity` entries, at least for one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            written: BTreeMap::new(),
            ends: BTreeSet::new(),
            writes: 0,
            capacity: capacity.max(1),
        }
    }

    /// The value of a key. An entry that has ended is still found until [`Self::expire`] removes it.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// When the entry of a key ends.
    pub(crate) fn end<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| entry.end)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Removes one entry that has ended, if there is one, and returns its key.
    pub(crate) fn expire(&mut self, now: Duration) -> Option<K> {
        let &(end, write) = self.ends.first()?;
        (end <= now).then(|| self.remove_write(write)).flatten()
    }

    /// Removes the entry that was written longest ago if the map is full and does not have this key. Returns the key of
    /// the removed entry.
    pub(crate) fn make_room(&mut self, key: &K) -> Option<K> {
        if self.entries.len() < self.capacity || self.entries.contains_key(key) {
            return None;
        }
        let (&write, _) = self.written.first_key_value()?;
        self.remove_write(write)
    }

    /// Writes an entry. The caller has [made room](Self::make_room) for it before.
    pub(crate) fn put(&mut self, key: K, value: V, end: Duration) {
        self.remove(&key);
        let write = self.writes;
        self.writes += 1;
        self.written.insert(write, key.clone());
        self.ends.insert((end, write));
        self.entries.insert(key, Entry { value, end, write });
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(Entry { end, write, .. }) = self.entries.remove(key) {
            self.written.remove(&write);
            self.ends.remove(&(end, write));
        }
    }

    fn remove_write(&mut self, write: u64) -> Option<K> {
        let key = self.written.get(&write)?.clone();
        self.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_entry_that_was_written_longest_ago_makes_room() {
        let mut map = Bounded::new(2);
        map.put("a", 1, at(90));
        map.put("b", 2, at(10));
        assert_eq!(map.make_room(&"a"), None, "a has a place");
        map.put("a", 3, at(20));
        assert_eq!(map.make_room(&"c"), Some("b"));
        map.put("c", 4, at(30));
        assert_eq!((map.get("a"), map.get("b"), map.len()), (Some(&3), None, 2));
        assert_eq!(map.end("a"), Some(at(20)));
    }

    #[test]
    fn entries_end() {
        let mut map = Bounded::new(2);
        map.put("a", 1, at(20));
        map.put("b", 2, at(10));
        assert_eq!(map.expire(at(9)), None);
        assert_eq!(map.expire(at(20)), Some("b"));
        assert_eq!(map.expire(at(20)), Some("a"));
        assert_eq!(map.expire(at(20)), None);
        assert_eq!(map.len(), 0);
        assert!(map.written.is_empty() && map.ends.is_empty());
    }
}
