//! When not to ask: after a 429 or 503, and while upstream is dead.
//!
//! No runtime and no clock of its own; `now` is monotonic time. Whatever upstream asks for, the path is held for
//! a minute at most, then one request probes it. One garbage header must not stop renewals for an hour.

use std::time::Duration;

/// Longest hold.
const MAX_HOLD: Duration = Duration::from_secs(60);
/// Failures in a row, without a word from upstream about when to return, after which requests fail fast.
const TOLERATED: u32 = 3;
/// First hold of a dead upstream; doubled with each failed probe.
const FIRST_HOLD: Duration = Duration::from_secs(1);

/// The state of the path to upstream.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    until: Option<Duration>,
    failures: u32,
    /// When the probe that is under way began.
    probe: Option<Duration>,
}

/// How a call ended, as far as the path is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Upstream gave an answer of its own, good or bad.
    Answered,
    /// Upstream asked to be left alone.
    Throttled(Duration),
    /// No usable answer.
    Failed,
}

impl Hold {
    /// Leave to call, or how long to wait.
    pub(crate) fn enter(&mut self, now: Duration) -> Result<(), Duration> {
        match self.until {
            None => Ok(()),
            Some(until) if now < until => Err(until - now),
            // A probe that never reported (its runtime went away) does not block the path for ever.
            Some(_) if self.probe.is_some_and(|began| now < began + MAX_HOLD) => Err(FIRST_HOLD),
            Some(_) => {
                self.probe = Some(now);
                Ok(())
            }
        }
    }

    /// Reports the end of a call that was let through.
    pub(crate) fn report(&mut self, report: Report, now: Duration) {
        self.probe = None;
        match report {
            Report::Answered => {
                self.until = None;
                self.failures = 0;
            }
            Report::Throttled(retry_after) => {
                self.until = Some(now + retry_after.min(MAX_HOLD));
            }
            Report::Failed => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= TOLERATED {
                    let doubled =
                        FIRST_HOLD.saturating_mul(1 << (self.failures - TOLERATED).min(6));
                    self.until = Some(now + doubled.min(MAX_HOLD));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_huge_retry_after_holds_for_a_minute_and_then_one_probes() {
        let mut hold = Hold::default();
        hold.enter(at(0)).unwrap();
        hold.report(Report::Throttled(at(3600)), at(0));
        assert_eq!(hold.enter(at(1)), Err(at(59)));
        hold.enter(at(60)).unwrap();
        assert!(hold.enter(at(60)).is_err(), "one probe at a time");
        hold.report(Report::Answered, at(61));
        hold.enter(at(61)).unwrap();
        hold.enter(at(61)).unwrap();
    }

    #[test]
    fn a_dead_upstream_fails_fast_after_a_few_tries() {
        let mut hold = Hold::default();
        for _ in 0..TOLERATED {
            hold.enter(at(0)).unwrap();
            hold.report(Report::Failed, at(0));
        }
        assert_eq!(hold.enter(at(0)), Err(at(1)));
        hold.enter(at(1)).unwrap();
        hold.report(Report::Failed, at(1));
        assert_eq!(hold.enter(at(1)), Err(at(2)));
    }
}
