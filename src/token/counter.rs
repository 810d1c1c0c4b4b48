//! A counter that many cores may write without waiting for each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Number of partial counts. Where there are more threads than this, some of them share one.
const STRIPES: usize = 16;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct StripedCounter([Stripe; STRIPES]);

/// A partial count with a pair of cache lines of its own, because processors fetch cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl StripedCounter {
    pub(super) fn add_one(&self) {
        // A thread that is about to end has lost its stripe, and counts in the first one.
        let stripe = MINE.try_with(|mine| *mine).unwrap_or_default();
        self.0[stripe].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        let stripes = self.0.iter();
        stripes.map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let counter = StripedCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..STRIPES + 1 {
                scope.spawn(|| (0..1000).for_each(|_| counter.add_one()));
            }
        });
        assert_eq!(counter.sum(), (STRIPES as u64 + 1) * 1000);
    }
}
