//! Asking the endpoint: when, by whom, and what becomes of the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::expected::Expected;
use super::{
    FetchFailed, FetchedKeys, Keys, KeysUnavailable, Outcome, Reason, Snapshot, at_least_a_second,
    millis,
};
use crate::single_flight::{self, Flight};
use crate::token::jwk::KeySet;

/// The state of fetches, which is behind a lock.
#[derive(Default)]
pub(super) struct Control {
    under_way: Option<Flight<Outcome>>,
    /// When an unknown kid last caused a fetch, whatever came of it.
    pub(super) last_unknown_kid_fetch: Option<Duration>,
    /// Kids that upstream signs with.
    pub(super) expected: Expected,
    /// Until then the endpoint is left alone: it failed, or asked for a pause.
    pub(super) not_before: Option<Duration>,
}

impl Control {
    pub(super) fn is_under_way(&self) -> bool {
        self.flight().is_some()
    }

    /// The fetch under way, unless its runtime went away before it was done.
    fn flight(&self) -> Option<&Flight<Outcome>> {
        self.under_way.as_ref().filter(|flight| flight.is_alive())
    }
}

enum Join {
    Done(Outcome),
    Wait {
        flight: Flight<Outcome>,
        /// Somebody else had started it.
        joined: bool,
    },
}

impl Keys {
    /// Brings the keys up to date if that is due, sharing a fetch that is under way.
    ///
    /// `Ok` says that there are keys to look at, not that a wanted one is among them. For an unknown kid it says
    /// that the endpoint was asked, now or within the cool-down.
    pub(crate) async fn update(self: &Arc<Self>, reason: Reason<'_>) -> Outcome {
        let mut joins = 0;
        let outcome = loop {
            let (flight, joined) = match self.join(reason) {
                Join::Done(outcome) => break outcome,
                Join::Wait { flight, joined } => (flight, joined),
            };
            let outcome = flight.result().await;
            joins += 1;
            // The fetch was started by somebody else, and may have been answered before the caller had reason to ask.
            if joined && joins == 1 && self.is_newer_than_a_fetch(reason) {
                continue;
            }
            // No outcome: the task was dropped with its runtime, or there was none to start it on.
            break outcome.unwrap_or_else(|| Err(self.unavailable(&self.control())));
        };
        // A failed fetch is no failure while the old keys may be used and answer the question.
        outcome.or_else(|failed| {
            let usable = self.usable().ok_or(failed)?;
            match reason {
                Reason::UnknownKid(kid) if usable.set.get(kid).is_none() => Err(failed),
                _ => Ok(()),
            }
        })
    }

    /// Whether a fetch that somebody else had started may have been answered too early for this reason.
    fn is_newer_than_a_fetch(&self, reason: Reason<'_>) -> bool {
        match reason {
            Reason::Age => false,
            Reason::Forced => true,
            Reason::UnknownKid(kid) => self.lacks(kid) && self.is_expected(kid),
        }
    }

    fn join(self: &Arc<Self>, reason: Reason<'_>) -> Join {
        let now = self.clock.monotonic();
        let mut control = self.control();
        if let Some(flight) = control.flight() {
            return Join::Wait {
                flight: flight.clone(),
                joined: true,
            };
        }
        if self.fetch.is_none() {
            return Join::Done(Ok(()));
        }
        let usable = self.usable();
        match (reason, &usable) {
            (Reason::Forced, _) => {}
            (Reason::UnknownKid(kid), Some(snapshot)) if snapshot.set.get(kid).is_none() => {
                let is_expected = control.expected.contains(kid, now);
                if let Some(unavailable) = self.held_back(kid, &control, now) {
                    return Join::Done(if self.has_failed() || is_expected {
                        Err(unavailable)
                    } else {
                        Ok(())
                    });
                }
                // Counted when the fetch starts, so that failed and empty answers count, too.
                if is_expected {
                    control.expected.asked(kid, now);
                } else {
                    control.last_unknown_kid_fetch = Some(now);
                }
            }
            // No keys yet, or keys so old that they should be asked for again.
            _ => {
                if self.is_fresh(now) {
                    // Somebody has fetched since the caller looked.
                    return Join::Done(Ok(()));
                }
                if control.not_before.is_some_and(|moment| now < moment) {
                    return Join::Done(match usable {
                        Some(_) => Ok(()),
                        None => Err(self.unavailable(&control)),
                    });
                }
            }
        }
        Join::Wait {
            flight: self.start(&mut control),
            joined: false,
        }
    }

    pub(super) fn refresh_in_background(self: &Arc<Self>, snapshot: &Snapshot, now: Duration) {
        // The request that moves the mark starts the refresh; the others go on.
        let due = snapshot.refresh_at.load(Ordering::Relaxed);
        let next = millis(now.saturating_add(self.times.unknown_kid_cooldown));
        if millis(now) < due
            || snapshot
                .refresh_at
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let mut control = self.control();
        let paused = control.not_before.is_some_and(|moment| now < moment);
        if !paused && !control.is_under_way() {
            self.start(&mut control);
        }
    }

    /// Starts a fetch on its own task, so that a caller who goes away cancels it for nobody.
    fn start(self: &Arc<Self>, control: &mut Control) -> Flight<Outcome> {
        let (landing, flight) = single_flight::flight();
        let (Some(fetch), Ok(runtime)) = (&self.fetch, tokio::runtime::Handle::try_current())
        else {
            // Outside a runtime nothing can be fetched: `landing` is dropped, and the waiter uses what is at hand.
            return flight;
        };
        control.under_way = Some(flight.clone());
        let fetched = fetch();
        let keys = Arc::downgrade(self);
        runtime.spawn(async move {
            let result = fetched.await;
            if let Some(keys) = keys.upgrade() {
                landing.finish(keys.finish(result));
            }
        });
        flight
    }

    fn finish(&self, result: Result<FetchedKeys, FetchFailed>) -> Outcome {
        let outcome = match result.and_then(|fetched| self.read(fetched)) {
            Ok((set, max_age)) => {
                tracing::debug!(keys = set.len(), "key set loaded");
                self.store(set, max_age);
                Ok(())
            }
            Err(failed) => Err(self.note_failure(failed)),
        };
        self.control().under_way = None;
        outcome
    }

    fn read(&self, fetched: FetchedKeys) -> Result<(Arc<KeySet>, Option<Duration>), FetchFailed> {
        let failed = FetchFailed { retry_after: None };
        match fetched {
            FetchedKeys::Unchanged => {
                let snapshot = self.usable().ok_or(failed)?;
                Ok((snapshot.set.clone(), None))
            }
            FetchedKeys::Set {
                body,
                max_age,
                from_loopback,
            } => {
                let mut set = KeySet::from_json(&body, &self.algorithms).map_err(|_| failed)?;
                if !from_loopback {
                    set = set.without_publicly_known();
                }
                if set.is_empty() {
                    tracing::error!(
                        "key endpoint answered without a usable key; keeping the keys at hand"
                    );
                    return Err(failed);
                }
                Ok((set.into(), max_age))
            }
        }
    }

    fn note_failure(&self, failed: FetchFailed) -> KeysUnavailable {
        let wait = failed
            .retry_after
            .unwrap_or(self.times.retry_after)
            .clamp(self.times.retry_after, LONGEST_PAUSE);
        tracing::warn!(
            has_keys = self.usable().is_some(),
            retry_in = ?wait,
            "keys could not be fetched; sessions are verified with the keys at hand, if there are any"
        );
        let now = self.clock.monotonic();
        self.failed_at.store(millis(now), Ordering::Relaxed);
        self.control().not_before = Some(now + wait);
        KeysUnavailable {
            retry_after: at_least_a_second(wait),
        }
    }
}

/// Longest pause after a failure, whatever `Retry-After` says: one answer must not stop fetches for an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
