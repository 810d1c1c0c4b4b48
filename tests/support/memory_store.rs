//! A shared store in memory, written as another crate would write one.
#![allow(dead_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde_json::Value;
use sha2::Sha256;
use tower_descope::clock::{Clock, ManualClock};
use tower_descope::store::{
    Cursor, Notices, SharedStore, StoreError, StoreFuture, StoreKey, Stored,
};

/// Clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<ManualClock>,
    down: AtomicBool,
    lawless: AtomicBool,
    read_only: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Owner and end.
    locks: HashMap<StoreKey, (Vec<u8>, Duration)>,
    values: HashMap<StoreKey, (Vec<u8>, Duration)>,
    notices: Vec<(Vec<u8>, Duration)>,
}

impl MemoryStore {
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                down: AtomicBool::new(false),
                lawless: AtomicBool::new(false),
                read_only: AtomicBool::new(false),
                state: Mutex::default(),
            }),
        }
    }

    /// An outage, or its end.
    pub fn set_down(&self, down: bool) {
        self.inner.down.store(down, Ordering::SeqCst);
    }

    /// Answers reads and refuses writes, like a server after a failover.
    pub fn set_read_only(&self, read_only: bool) {
        self.inner.read_only.store(read_only, Ordering::SeqCst);
    }

    /// The notices that replicas have published.
    pub fn notices_so_far(&self) -> Vec<Value> {
        let state = self.state();
        let notices = state.notices.iter();
        notices
            .map(|(notice, _)| serde_json::from_slice(notice).unwrap())
            .collect()
    }

    /// From now on locks keep nobody out, as for a process that stood still for longer than its lease.
    pub fn break_locks(&self) {
        self.inner.lawless.store(true, Ordering::SeqCst);
    }

    /// Everything that an intruder would find.
    pub fn dump(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let names = state.values.keys().chain(state.locks.keys());
        names
            .map(|name| name.as_bytes().to_vec())
            .chain(state.values.values().map(|(value, _)| value.clone()))
            .chain(state.notices.iter().map(|(notice, _)| notice.clone()))
            .collect()
    }

    /// What somebody can do who writes to the store and has this refresh JWT: puts an outcome of its renewal, sealed
    /// as the documentation of the store says.
    pub fn put_outcome(&self, refresh: &str, outcome: &Value, ttl: Duration) {
        let hkdf = Hkdf::<Sha256>::new(None, refresh.as_bytes());
        let derive = |label: &[u8]| {
            let mut bytes = [0; 32];
            hkdf.expand(label, &mut bytes).unwrap();
            bytes
        };
        let name = derive(b"tower-descope v1 outcome name");
        let key = derive(b"tower-descope v1 key");
        let plain = outcome.to_string();
        let payload = Payload {
            msg: plain.as_bytes(),
            aad: &[&[1], &name[..]].concat(),
        };
        let nonce = [7; 24];
        let sealed = XChaCha20Poly1305::new(&key.into())
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap();
        let value = [&[1], &nonce[..], &sealed].concat();
        let until = self.now() + ttl;
        let name = StoreKey::new(name);
        self.state().values.insert(name, (value, until));
    }

    /// What anybody can do who writes to the store: tells all replicas something.
    pub fn put_notice(&self, notice: &Value) {
        let until = self.now() + Duration::from_secs(24 * 60 * 60);
        let notice = notice.to_string().into_bytes();
        self.state().notices.push((notice, until));
    }

    /// Values that are kept now.
    pub fn values(&self) -> usize {
        let now = self.now();
        let mut state = self.state();
        state.values.retain(|_, (_, until)| *until > now);
        state.values.len()
    }

    fn now(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }

    fn ask<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut State, Duration) -> T,
    ) -> StoreFuture<'_, T> {
        let answer = if self.inner.down.load(Ordering::SeqCst) {
            Err(StoreError::new("switched off"))
        } else {
            let now = self.now();
            Ok(operation(&mut self.state(), now))
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            answer
        })
    }
}

impl MemoryStore {
    fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut State, Duration) -> T,
    ) -> StoreFuture<'_, T> {
        if self.inner.read_only.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new("can only be read from")) });
        }
        self.ask(operation)
    }
}

impl SharedStore for MemoryStore {
    fn lock<'a>(
        &'a self,
        key: &'a StoreKey,
        owner: &'a [u8],
        lease: Duration,
    ) -> StoreFuture<'a, bool> {
        let lawless = self.inner.lawless.load(Ordering::SeqCst);
        self.write(move |state, now| {
            let held = state.locks.get(key);
            let free = lawless || held.is_none_or(|(_, until)| *until <= now);
            if free {
                state.locks.insert(*key, (owner.to_vec(), now + lease));
            }
            free
        })
    }

    fn unlock<'a>(&'a self, key: &'a StoreKey, owner: &'a [u8]) -> StoreFuture<'a, ()> {
        self.write(|state, _| {
            if state.locks.get(key).is_some_and(|(held, _)| held == owner) {
                state.locks.remove(key);
            }
        })
    }

    fn get<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<Stored>> {
        self.ask(|state, now| {
            let (value, until) = state.values.get(key)?;
            (*until > now).then(|| Stored::new(value.clone(), *until - now))
        })
    }

    fn put<'a>(&'a self, key: &'a StoreKey, value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        self.write(|state, now| {
            state.values.insert(*key, (value.to_vec(), now + ttl));
        })
    }

    fn shorten<'a>(&'a self, key: &'a StoreKey, ttl: Duration) -> StoreFuture<'a, ()> {
        self.write(|state, now| {
            if let Some((_, until)) = state.values.get_mut(key) {
                *until = (now + ttl).min(*until);
            }
        })
    }

    fn publish<'a>(&'a self, notice: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        self.write(|state, now| state.notices.push((notice.to_vec(), now + ttl)))
    }

    fn notices<'a>(&'a self, since: Option<&'a Cursor>) -> StoreFuture<'a, Notices> {
        let since = since.map_or(0, |cursor| cursor.0.parse().unwrap());
        self.ask(move |state, now| {
            let new = state.notices.iter().skip(since);
            let live = new.filter(|(_, until)| *until > now);
            let live = live.map(|(notice, _)| notice.clone()).collect();
            Notices::new(live, Cursor(state.notices.len().to_string()))
        })
    }
}
