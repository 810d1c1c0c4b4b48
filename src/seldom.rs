//! Limits log lines that could otherwise come by the thousand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Least time between two lines of the same kind.
const PAUSE: Duration = Duration::from_secs(60);

/// Lets one line a minute through.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// When the next line may be written, in milliseconds of monotonic time; 0 before the first line.
    next: AtomicU64,
}

impl Seldom {
    /// Whether a line may be written at this moment of monotonic time. If so, the caller has to write it.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = millis(now.saturating_add(PAUSE));
        millis(now) >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Counts log lines.
    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<AtomicU64>);

    impl Log {
        pub(crate) fn lines(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn one_line_a_minute() {
        let seldom = Seldom::default();
        let due = |seconds| seldom.is_due(Duration::from_secs(seconds));
        assert!(due(0));
        assert!(!due(0) && !due(59));
        assert!(due(60));
        assert!(!due(61));
    }
}
