//! Sources of time.
//!
//! Everything in this crate that depends on time asks a [`Clock`], so that tests of expiry, clock skew and outages are
//! deterministic. Timers, such as the deadlines of calls, are tokio's, which tests can pause.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// See [`Clock::moved`].
pub type Moved<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A source of wall-clock and of monotonic time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Time since the Unix epoch. May jump, also backwards.
    fn unix(&self) -> Duration;

    /// Time since an arbitrary fixed moment. Never goes backwards; ages of cached things are measured with it.
    fn monotonic(&self) -> Duration;

    /// Resolves when somebody has moved this clock, in a way that a timer of the runtime cannot know of. It counts from
    /// the call of this method, not from the first poll.
    ///
    /// Default: never, which is right for a clock that goes by itself. Whoever waits for a session to expire, see
    /// [`User::ended`](crate::User::ended), then finds out within ten seconds if the wall clock has jumped.
    fn moved(&self) -> Moved<'_> {
        Box::pin(std::future::pending())
    }
}

/// The clock of the operating system. The default.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Makes a clock that shows the system's time. Its monotonic time begins now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn unix(&self) -> Duration {
        // A system clock before 1970 is read as 1970. Every token is then "not yet valid" and is refused.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told to move. For tests.
///
/// ```
/// use std::time::Duration;
/// use tower_descope::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::at_unix_seconds(1_800_000_000);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.unix().as_secs(), 1_800_000_060);
/// clock.jump(-3600); // what an operator or NTP does to the wall clock; ages do not change
/// assert_eq!(clock.monotonic().as_secs(), 60);
/// ```
#[derive(Debug)]
pub struct ManualClock {
    unix_millis: AtomicI64,
    monotonic_millis: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    /// Makes a clock that shows this Unix time, in seconds. Its monotonic time is zero.
    pub fn at_unix_seconds(seconds: i64) -> Self {
        Self {
            unix_millis: AtomicI64::new(seconds.saturating_mul(1000)),
            monotonic_millis: AtomicU64::new(0),
            moved: Notify::new(),
        }
    }

    /// Lets time pass, on the wall clock and on the monotonic one.
    pub fn advance(&self, by: Duration) {
        let millis = by.as_millis().min(i64::MAX as u128);
        self.unix_millis.fetch_add(millis as i64, Ordering::SeqCst);
        self.monotonic_millis
            .fetch_add(millis as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Moves the wall clock alone, forwards or backwards, by whole seconds.
    pub fn jump(&self, seconds: i64) {
        self.unix_millis
            .fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn unix(&self) -> Duration {
        Duration::from_millis(self.unix_millis.load(Ordering::SeqCst).max(0) as u64)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_millis.load(Ordering::SeqCst))
    }

    fn moved(&self) -> Moved<'_> {
        Box::pin(self.moved.notified())
    }
}
