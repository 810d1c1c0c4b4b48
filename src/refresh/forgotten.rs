//! Counts outcomes that were forgotten to make room for newer ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{CAPACITY, REFUSALS};
use crate::seldom::Seldom;

/// Counts since the start.
#[derive(Default)]
pub(super) struct Forgotten {
    /// Outcomes with a new refresh JWT that no response had carried, or with an answer that could not be verified yet.
    undelivered: AtomicU64,
    refusals: AtomicU64,
    warning: Seldom,
}

impl Forgotten {
    /// Counts what was dropped to make room for a new outcome, and logs a warning once a minute at most.
    pub(super) fn add(&self, undelivered: bool, refusal: bool, now: Duration) {
        if refusal {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        if undelivered {
            self.undelivered.fetch_add(1, Ordering::Relaxed);
        }
        if (undelivered || refusal) && self.warning.is_due(now) {
            tracing::warn!(
                most_outcomes = CAPACITY,
                most_refusals = REFUSALS,
                undelivered = self.undelivered(),
                refusals = self.refusals(),
                "outcomes of renewals are forgotten because there are too many: renewed refresh tokens that no \
                 response has carried yet, or refusals"
            );
        }
    }

    pub(super) fn undelivered(&self) -> u64 {
        self.undelivered.load(Ordering::Relaxed)
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seldom::tests::Log;

    #[test]
    fn each_kind_is_counted_and_both_are_told_once_a_minute() {
        let forgotten = Forgotten::default();
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        for (undelivered, refusal, seconds, lines) in [
            (false, false, 0, 0),
            (true, false, 0, 1),
            (true, true, 30, 1),
            (false, true, 60, 2),
            (true, false, 120, 3),
        ] {
            forgotten.add(undelivered, refusal, Duration::from_secs(seconds));
            assert_eq!(log.lines(), lines, "{seconds}");
        }
        drop(guard);
        assert_eq!((forgotten.undelivered(), forgotten.refusals()), (3, 2));
    }
}
