//! The life-cycle of the project's public keys.
//!
//! * Reading is wait-free: a snapshot behind an atomic pointer.
//! * Past [`KeyTimes::refresh_after`] a request starts a refresh beside itself and goes on with the keys at hand.
//! * Past [`KeyTimes::fresh_for`] (an idle service) a request waits for the refresh. If it fails, the keys at hand
//!   serve on, up to [`KeyTimes::stale_for`], and nobody waits again while the endpoint keeps failing.
//! * An unknown kid causes one fetch per cool-down, whatever the outcome. A bad signature causes none. While the
//!   endpoint fails, an unknown kid is undecided and not refused: it may be a new key.
//! * A kid in a token that upstream itself has just issued ([`Keys::expect`]) is asked for beside that cool-down, and
//!   is undecided until its key is there.
//! * An empty, broken or failed answer never replaces keys. Keys that left the set stop verifying at once.
//! * At most one fetch is under way; everybody who needs it shares its outcome.

mod expected;
mod update;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;

pub(crate) use self::expected::LONGEST as LONGEST_EXPECTED;
use self::update::Control;
use super::algorithm::SignatureAlgorithm;
use super::crypto::PublicKey;
use super::jwk::KeySet;
use crate::clock::Clock;

/// The intervals of the life-cycle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyTimes {
    /// Age at which a refresh starts in the background.
    pub(crate) refresh_after: Duration,
    /// Age up to which keys are used without asking first.
    pub(crate) fresh_for: Duration,
    /// Age up to which keys are used while the endpoint fails.
    pub(crate) stale_for: Duration,
    /// Least time between two fetches for unknown kids, and between two refreshes in the background.
    pub(crate) unknown_kid_cooldown: Duration,
    /// Least time between two fetches while no keys are held or the last fetch failed.
    pub(crate) retry_after: Duration,
}

impl Default for KeyTimes {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(10 * 60),
            fresh_for: Duration::from_secs(60 * 60),
            stale_for: Duration::from_secs(24 * 60 * 60),
            unknown_kid_cooldown: Duration::from_secs(30),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// What the endpoint answered.
pub(crate) enum FetchedKeys {
    /// A key set, not yet parsed.
    Set {
        body: Bytes,
        /// `max-age` of the answer.
        max_age: Option<Duration>,
        /// Whether the endpoint is on this machine and may thus serve the emulator's development key.
        from_loopback: bool,
    },
    /// The keys at hand are the current ones (304).
    Unchanged,
}

/// The endpoint gave no keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchFailed {
    pub(crate) retry_after: Option<Duration>,
}

pub(crate) type FetchFuture =
    Pin<Box<dyn Future<Output = Result<FetchedKeys, FetchFailed>> + Send>>;

/// Asks the endpoint once. Owns what it needs, so that a fetch keeps no [`Keys`] alive.
pub(crate) type Fetch = Box<dyn Fn() -> FetchFuture + Send + Sync>;

/// There are no keys to decide with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeysUnavailable {
    pub(crate) retry_after: Duration,
}

/// What a look-up found.
pub(crate) enum Lookup<R> {
    /// The kid is known; what the caller made of the key.
    Known(R),
    /// The kid is not in the set, and the endpoint need not be asked again now.
    Unknown,
    /// The kid is not in the set. It may be new: ask the endpoint ([`Keys::update`]).
    UnknownKid,
    /// The kid is not in the set, and the endpoint could not be asked whether it is new.
    Undecided(KeysUnavailable),
    /// There are no keys, or they are too old. Ask the endpoint first.
    Outdated,
}

/// A set and its age.
struct Snapshot {
    set: Arc<KeySet>,
    /// Changes when a key has left the set or was replaced under its kid; what a former key verified is then void.
    generation: u64,
    /// Monotonic.
    fetched_at: Duration,
    /// Monotonic milliseconds; moved on by whoever starts a refresh.
    refresh_at: AtomicU64,
}

/// See the module's documentation.
pub(crate) struct Keys {
    snapshot: ArcSwapOption<Snapshot>,
    /// `None`: the keys are fixed.
    fetch: Option<Fetch>,
    algorithms: Box<[SignatureAlgorithm]>,
    times: KeyTimes,
    clock: Arc<dyn Clock>,
    /// Monotonic milliseconds of the last failure, [`NEVER`] once a fetch succeeds. Apart from `control`, so that
    /// serving stale keys takes no lock.
    failed_at: AtomicU64,
    control: Mutex<Control>,
    /// The snapshot's generation, for those who need no key; 0 before the first load.
    generation: AtomicU64,
    /// Unix second in which the age of the snapshot was last looked at.
    looked_at: AtomicU64,
}

type Outcome = Result<(), KeysUnavailable>;

/// Why an update is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Reason<'a> {
    /// There are no keys, or they are too old.
    Age,
    /// A token needs this kid.
    UnknownKid(&'a str),
    /// The application asks.
    Forced,
}

impl Keys {
    /// Keys that are given and never fetched.
    pub(crate) fn fixed(set: KeySet, clock: Arc<dyn Clock>) -> Self {
        let keys = Self::new(None, &[], KeyTimes::default(), clock);
        keys.store(set.into(), None);
        keys
    }

    /// Keys that are fetched when they are first needed.
    pub(crate) fn remote(
        fetch: Fetch,
        algorithms: &[SignatureAlgorithm],
        times: KeyTimes,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::new(Some(fetch), algorithms, times, clock)
    }

    fn new(
        fetch: Option<Fetch>,
        algorithms: &[SignatureAlgorithm],
        times: KeyTimes,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            fetch,
            algorithms: algorithms.into(),
            times: KeyTimes {
                // If the limit for stale keys is shorter, it bounds fresh keys, too.
                fresh_for: times.fresh_for.min(times.stale_for),
                ..times
            },
            clock,
            failed_at: AtomicU64::new(NEVER),
            control: Mutex::default(),
            generation: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
        }
    }

    /// The generation of keys that may be used now without asking first. Looks at their age once a second, so that
    /// the many requests of a second do not each read the clock.
    pub(crate) fn generation(self: &Arc<Self>, unix: Duration) -> Option<u64> {
        let second = unix.as_secs();
        if self.fetch.is_some()
            // Read first: a write would make the cores wait for each other at every request.
            && self.looked_at.load(Ordering::Relaxed) != second
            && self.looked_at.swap(second, Ordering::Relaxed) != second
            && self.with_snapshot(|_, _| ()).is_none()
        {
            // Look again at the next request.
            self.looked_at.store(0, Ordering::Relaxed);
            return None;
        }
        match self.generation.load(Ordering::Acquire) {
            0 => None,
            generation => Some(generation),
        }
    }

    /// Gives the key of this kid, and the generation of its set, to `found`, if the keys at hand may be used.
    pub(crate) fn with_key<R>(
        self: &Arc<Self>,
        kid: &str,
        found: impl FnOnce(&PublicKey, u64) -> R,
    ) -> Lookup<R> {
        let looked_up = self.with_snapshot(|snapshot, now| match snapshot.set.get(kid) {
            Some(key) => Lookup::Known(found(key, snapshot.generation)),
            None if self.fetch.is_none() => Lookup::Unknown,
            None => self.about_unknown_kid(kid, snapshot, now),
        });
        looked_up.unwrap_or(Lookup::Outdated)
    }

    /// Gives the keys to `read` if they may be used without asking first, and starts a refresh that is due.
    fn with_snapshot<R>(
        self: &Arc<Self>,
        read: impl FnOnce(&Snapshot, Duration) -> R,
    ) -> Option<R> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_deref()?;
        let now = self.clock.monotonic();
        if self.fetch.is_some() {
            let age = now.saturating_sub(snapshot.fetched_at);
            if age >= self.times.stale_for
                || (age >= self.times.fresh_for && !self.has_failed_lately(now))
            {
                return None;
            }
            if millis(now) >= snapshot.refresh_at.load(Ordering::Relaxed) {
                self.refresh_in_background(snapshot, now);
            }
        }
        Some(read(snapshot, now))
    }

    /// How old the keys are; `None` before the first load and for fixed keys.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.fetch.as_ref()?;
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_deref()?;
        Some(self.clock.monotonic().saturating_sub(snapshot.fetched_at))
    }

    /// Whether there is no key of this kid now, while there may be one later.
    pub(crate) fn lacks(&self, kid: &str) -> bool {
        let has_key = |snapshot: Arc<Snapshot>| snapshot.set.get(kid).is_some();
        self.fetch.is_some() && !self.usable().is_some_and(has_key)
    }

    /// Upstream has issued a token with this kid, over our own connection. Its key may be asked for beside the
    /// cool-down, and its tokens are undecided rather than refused while the key is missing, for a day.
    ///
    /// Not to be called for anything that came from a client.
    pub(crate) fn expect(&self, kid: &str) {
        let now = self.clock.monotonic();
        self.control().expected.add(kid, now);
    }

    pub(crate) fn is_expected(&self, kid: &str) -> bool {
        let now = self.clock.monotonic();
        self.control().expected.contains(kid, now)
    }

    /// The result of a look-up for a kid that `snapshot` lacks.
    fn about_unknown_kid<R>(&self, kid: &str, snapshot: &Snapshot, now: Duration) -> Lookup<R> {
        let control = self.control();
        let held_back = self.held_back(kid, &control, now);
        if held_back.is_none() || control.is_under_way() || !self.is_current(snapshot) {
            // This is also so if a fetch has ended since the snapshot was taken: its answer may hold the kid, and the
            // cool-down that it began must not count against the kid.
            return Lookup::UnknownKid;
        }
        match held_back {
            Some(unavailable) if self.has_failed() || control.expected.contains(kid, now) => {
                Lookup::Undecided(unavailable)
            }
            _ => Lookup::Unknown,
        }
    }

    fn is_current(&self, snapshot: &Snapshot) -> bool {
        let current = self.snapshot.load();
        current
            .as_deref()
            .is_some_and(|current| std::ptr::eq(current, snapshot))
    }

    /// For how long a fetch for an unknown kid is held back, if it is.
    fn held_back(&self, kid: &str, control: &Control, now: Duration) -> Option<KeysUnavailable> {
        let window = self.times.unknown_kid_cooldown;
        let cool_down = match control.expected.contains(kid, now) {
            true => control.expected.not_before(kid, window),
            false => control
                .last_unknown_kid_fetch
                .map(|moment| moment.saturating_add(window)),
        };
        let until = cool_down.max(control.not_before)?;
        (now < until).then(|| KeysUnavailable {
            retry_after: at_least_a_second(until - now),
        })
    }

    fn unavailable(&self, control: &Control) -> KeysUnavailable {
        let wait = control.not_before.map_or(self.times.retry_after, |moment| {
            moment.saturating_sub(self.clock.monotonic())
        });
        KeysUnavailable {
            retry_after: at_least_a_second(wait),
        }
    }

    fn store(&self, set: Arc<KeySet>, max_age: Option<Duration>) {
        let now = self.clock.monotonic();
        // A server may ask for more or less frequent refreshes, within reason.
        let base = max_age.map_or(self.times.refresh_after, |max_age| {
            max_age.max(LEAST_REFRESH)
        });
        let refresh_at = now + jitter(base.min(self.times.fresh_for));
        let generation = match self.snapshot.load().as_deref() {
            Some(before) if set.keeps_all_of(&before.set) => before.generation,
            Some(before) => before.generation + 1,
            None => 1,
        };
        self.snapshot.store(Some(Arc::new(Snapshot {
            set,
            generation,
            fetched_at: now,
            refresh_at: AtomicU64::new(millis(refresh_at)),
        })));
        self.generation.store(generation, Ordering::Release);
        self.failed_at.store(NEVER, Ordering::Relaxed);
        self.control().not_before = None;
    }

    /// The keys that may be used now, however old.
    fn usable(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.load_full()?;
        let age = self.clock.monotonic().saturating_sub(snapshot.fetched_at);
        (self.fetch.is_none() || age < self.times.stale_for).then_some(snapshot)
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.snapshot
            .load()
            .as_deref()
            .is_some_and(|snapshot| now.saturating_sub(snapshot.fetched_at) < self.times.fresh_for)
    }

    /// Whether the last fetch failed.
    fn has_failed(&self) -> bool {
        self.failed_at.load(Ordering::Relaxed) != NEVER
    }

    /// Whether the last fetch failed, so recently that nobody should wait for another one. Under traffic an outage
    /// stays "lately" until it ends; a service that was idle asks first again.
    fn has_failed_lately(&self, now: Duration) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        failed_at != NEVER
            && millis(now).saturating_sub(failed_at) < millis(self.times.refresh_after)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        // Nothing that can panic runs under the lock, and the state is valid at every step.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().min(u128::from(NEVER - 1)) as u64
}

/// `Retry-After` counts whole seconds.
fn at_least_a_second(wait: Duration) -> Duration {
    wait.max(Duration::from_secs(1))
}

/// Between 80 and 100 percent, so that replicas do not ask in step.
fn jitter(base: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // A randomly seeded hash is randomness enough to spread load.
    let random = RandomState::new().hash_one(0) % 1024;
    base.mul_f64(0.8 + 0.2 * random as f64 / 1024.0)
}

const NEVER: u64 = u64::MAX;
/// Least age at which keys are refreshed, however short the server's `max-age` is.
const LEAST_REFRESH: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_look_at_a_former_set_decides_nothing() {
        let fetch: Fetch = Box::new(|| Box::pin(async { Ok(FetchedKeys::Unchanged) }));
        let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
        let keys = Keys::remote(fetch, &[], KeyTimes::default(), clock);
        keys.store(KeySet::default().into(), None);
        let former = keys.snapshot.load_full().unwrap();

        // Meanwhile a token with a new kid has made somebody fetch.
        keys.control().last_unknown_kid_fetch = Some(Duration::ZERO);
        let verdict =
            |snapshot: &Snapshot| keys.about_unknown_kid::<()>("K", snapshot, Duration::ZERO);
        assert!(matches!(verdict(&former), Lookup::Unknown));
        keys.store(KeySet::default().into(), None);
        assert!(matches!(verdict(&former), Lookup::UnknownKid));
        let current = keys.snapshot.load_full().unwrap();
        assert!(matches!(verdict(&current), Lookup::Unknown));
    }

    // A fetch that began before the kid was issued may have been answered before the key was published.
    #[tokio::test]
    async fn a_fetch_from_before_it_was_issued_does_not_answer_for_an_expected_kid() {
        for (expected, calls) in [(true, 2), (false, 1)] {
            let asked = Arc::new(AtomicU64::new(0));
            let answer = Arc::new(tokio::sync::Notify::new());
            let (count, gate) = (asked.clone(), answer.clone());
            let fetch: Fetch = Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
                let gate = gate.clone();
                Box::pin(async move {
                    gate.notified().await;
                    Ok(FetchedKeys::Unchanged)
                })
            });
            let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
            let keys = Arc::new(Keys::remote(fetch, &[], KeyTimes::default(), clock));
            keys.store(KeySet::default().into(), None);
            let update = |kid: &'static str| {
                let keys = keys.clone();
                tokio::spawn(async move { keys.update(Reason::UnknownKid(kid)).await })
            };
            let earlier = update("forged");
            tokio::task::yield_now().await;
            if expected {
                keys.expect("issued");
            }
            let later = update("issued");
            for _ in 0..20 {
                answer.notify_one();
                tokio::task::yield_now().await;
            }
            earlier.await.unwrap().unwrap();
            later.await.unwrap().unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), calls);
        }
    }

    #[test]
    fn replicas_do_not_ask_in_step() {
        let base = Duration::from_secs(1000);
        let spread: Vec<_> = (0..1000).map(|_| jitter(base).as_secs()).collect();
        assert!(spread.iter().all(|wait| (800..=1000).contains(wait)));
        for part in [800..850, 850..900, 900..950, 950..1001] {
            assert!(spread.iter().any(|wait| part.contains(wait)), "{part:?}");
        }
    }

    /// Two keys of the test data, under kids of one's choice.
    fn key_set(keys: &[(&str, usize)]) -> Vec<u8> {
        let data = include_str!("../../../tests/data/rsa_sizes.json");
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let keys: Vec<_> = keys
            .iter()
            .map(|(kid, which)| {
                // The first and the last are of sizes that are refused.
                let mut jwk = data[which + 1]["jwk"].clone();
                jwk["kid"] = (*kid).into();
                jwk
            })
            .collect();
        serde_json::json!({ "keys": keys }).to_string().into()
    }

    fn set(keys: &[(&str, usize)]) -> KeySet {
        let set = KeySet::from_json(&key_set(keys), &SignatureAlgorithm::ALL).unwrap();
        assert_eq!(set.len(), keys.len());
        set
    }

    fn without_endpoint() -> Keys {
        let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
        let fetch: Fetch = Box::new(|| Box::pin(async { Ok(FetchedKeys::Unchanged) }));
        Keys::remote(fetch, &[], KeyTimes::default(), clock)
    }

    #[test]
    fn what_a_former_key_verified_is_void_and_nothing_else() {
        let keys = without_endpoint();
        for (now, generation) in [
            (&[("a", 0)][..], 1),
            (&[("a", 0)], 1),
            (&[("b", 1), ("a", 0)], 1),
            (&[("a", 0), ("b", 1)], 1),
            // A key has left the set.
            (&[("a", 0)], 2),
            // Another key has its kid.
            (&[("a", 1)], 3),
            // The key has another kid.
            (&[("b", 1)], 4),
            (&[], 5),
        ] {
            keys.store(set(now).into(), None);
            assert_eq!(
                keys.generation.load(Ordering::Relaxed),
                generation,
                "{now:?}"
            );
        }
    }

    /// Keys whose endpoint waits for `gate`, and a count of those who asked it.
    fn gated(
        retry_after: Option<Duration>,
    ) -> (
        Arc<Keys>,
        Arc<ManualClock>,
        Arc<AtomicU64>,
        Arc<tokio::sync::Notify>,
    ) {
        let (asked, gate) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(tokio::sync::Notify::new()),
        );
        let (count, wait) = (asked.clone(), gate.clone());
        let fetch: Fetch = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let wait = wait.clone();
            Box::pin(async move {
                wait.notified().await;
                match retry_after {
                    Some(_) => Err(FetchFailed { retry_after }),
                    None => Ok(FetchedKeys::Unchanged),
                }
            })
        });
        let clock = Arc::new(ManualClock::at_unix_seconds(1_800_000_000));
        let keys = Keys::remote(fetch, &[], KeyTimes::default(), clock.clone());
        keys.store(set(&[("a", 0)]).into(), None);
        (Arc::new(keys), clock, asked, gate)
    }

    #[tokio::test]
    async fn another_new_kid_waits_for_the_fetch_that_is_under_way() {
        let (keys, _, asked, gate) = gated(None);
        let update = |kid: &'static str| {
            let keys = keys.clone();
            tokio::spawn(async move { keys.update(Reason::UnknownKid(kid)).await })
        };
        let look = |kid| keys.with_key(kid, |_, _| ());
        let first = update("b");
        tokio::task::yield_now().await;
        // The cool-down has begun, and yet the answer may hold this kid.
        assert!(matches!(look("c"), Lookup::UnknownKid));
        let second = update("c");
        tokio::task::yield_now().await;
        gate.notify_one();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert!(matches!(look("c"), Lookup::Unknown));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_refresh_begins_in_a_pause_that_the_endpoint_asked_for() {
        let (keys, clock, asked, gate) = gated(Some(Duration::from_secs(60)));
        let look = || assert!(matches!(keys.with_key("a", |_, _| ()), Lookup::Known(())));
        clock.advance(Duration::from_secs(600));
        let calls = || asked.load(Ordering::Relaxed);
        look();
        // While a fetch is under way there is no second one.
        clock.advance(Duration::from_secs(31));
        look();
        assert_eq!(calls(), 1);
        gate.notify_one();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        for (seconds, expected) in [(31, 1), (31, 2)] {
            clock.advance(Duration::from_secs(seconds));
            look();
            assert_eq!(calls(), expected);
        }
    }
}
