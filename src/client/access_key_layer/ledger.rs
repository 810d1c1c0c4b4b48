//! What a call may do: go out with the session at hand, wait for another one, or fail. No runtime, no I/O and no clock;
//! `now` is handed in.
//!
//! After a failed exchange the next one has to wait: for 1 s, and twice as long with every further failure, or for as
//! long as Descope asked; 60 s at most, as for renewals. Meanwhile a session that is still good is used, and without
//! one calls fail at once, with the error of the failed exchange. So a key that Descope refuses costs Descope a call a
//! minute, however many calls an app makes.

use std::time::Duration;

use http::HeaderValue;

use super::token::{Age, Moment, Token};
use crate::backoff::{LONGEST, doubled};
use crate::client::ClientError;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ledger {
    token: Option<Token>,
    failed: Option<Failed>,
}

struct Failed {
    error: ClientError,
    /// Failures since the last exchange that succeeded.
    in_a_row: u32,
    /// Monotonic time.
    paused_until: Duration,
}

/// What a call may do.
#[derive(Debug)]
pub(super) enum Step {
    Go {
        bearer: HeaderValue,
        /// An exchange is due, and the call does not wait for it.
        renew: bool,
    },
    /// Wait for an exchange. If it fails, [`Ledger::good`] says whether the session at hand is still good.
    Wait,
    /// There is no session, and the pause after a failure is not over.
    Fail(ClientError),
}

impl Ledger {
    pub(super) fn step(&self, now: Moment) -> Step {
        let paused = self.paused(now);
        let Some(token) = &self.token else {
            return paused.map_or(Step::Wait, |error| Step::Fail(error.clone()));
        };
        let go = |renew| Step::Go {
            bearer: token.bearer.clone(),
            renew,
        };
        match (token.age(now), paused) {
            (Age::Fresh, _) => go(false),
            (Age::Ageing, None) => go(true),
            (Age::Ageing | Age::NearlyOver, Some(_)) => go(false),
            // Exchanges fail at present, perhaps by taking their whole deadline. The session would run out meanwhile.
            (Age::NearlyOver, None) if self.failed.is_some() => go(true),
            (Age::NearlyOver | Age::Over, None) => Step::Wait,
            (Age::Over, Some(error)) => Step::Fail(error.clone()),
        }
    }

    /// The session at hand, unless it is over.
    pub(super) fn good(&self, now: Moment) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        (token.age(now) != Age::Over).then(|| token.bearer.clone())
    }

    pub(super) fn received(&mut self, token: Token) {
        *self = Self {
            token: Some(token),
            failed: None,
        };
    }

    /// Notes that an exchange has failed. Returns the pause before the next one.
    pub(super) fn failed(&mut self, error: ClientError, now: Moment) -> Duration {
        let before = self.failed.as_ref().map_or(0, |failed| failed.in_a_row);
        let asked = error.retry_after().unwrap_or_default();
        let pause = doubled(before).max(asked).min(LONGEST);
        self.failed = Some(Failed {
            error,
            in_a_row: before.saturating_add(1),
            paused_until: now.monotonic.saturating_add(pause),
        });
        pause
    }

    fn paused(&self, now: Moment) -> Option<&ClientError> {
        let failed = self.failed.as_ref()?;
        (now.monotonic < failed.paused_until).then_some(&failed.error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::{at, token};
    use super::*;
    use crate::client::UnavailableReason;

    fn down() -> ClientError {
        ClientError::unavailable(UnavailableReason::NotConnected)
    }

    fn said(ledger: &Ledger, seconds: u64) -> &'static str {
        match ledger.step(at(seconds)) {
            Step::Go { renew: false, .. } => "go",
            Step::Go { renew: true, .. } => "go and renew",
            Step::Wait => "wait",
            Step::Fail(_) => "fail",
        }
    }

    #[test]
    fn a_session_is_used_renewed_and_waited_for() {
        let mut ledger = Ledger::default();
        assert_eq!(said(&ledger, 0), "wait");
        ledger.received(token(600, at(0)));
        for (seconds, step) in [
            (0, "go"),
            (539, "go"),
            (540, "go and renew"),
            (595, "wait"),
            (600, "wait"),
        ] {
            assert_eq!(said(&ledger, seconds), step, "{seconds}");
        }
    }

    #[test]
    fn after_a_failure_a_good_session_is_used_and_nobody_waits() {
        let mut ledger = Ledger::default();
        ledger.received(token(600, at(0)));
        ledger.failed(down(), at(540));
        assert_eq!(said(&ledger, 540), "go");
        assert_eq!(said(&ledger, 541), "go and renew");
        assert_eq!(said(&ledger, 596), "go and renew");
        ledger.failed(down(), at(598));
        assert_eq!(said(&ledger, 599), "go");
        assert!(ledger.good(at(599)).is_some());
        assert!(ledger.good(at(600)).is_none());
        ledger.failed(down(), at(599));
        assert_eq!(said(&ledger, 600), "fail");
        assert_eq!(said(&ledger, 603), "wait");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let mut ledger = Ledger::default();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(ledger.failed(down(), at(0)).as_secs(), pause);
            assert_eq!(said(&ledger, pause - 1), "fail");
            assert_eq!(said(&ledger, pause), "wait");
        }
        ledger.received(token(600, at(0)));
        assert_eq!(ledger.failed(down(), at(540)).as_secs(), 1);
    }

    #[test]
    fn descope_may_ask_for_a_longer_pause_of_a_minute_at_most() {
        for (asked, pause) in [(7, 7), (60, 60), (3600, 60)] {
            let mut ledger = Ledger::default();
            let status = http::StatusCode::SERVICE_UNAVAILABLE;
            let error = ClientError::refused(status, None, Some(Duration::from_secs(asked)));
            assert_eq!(ledger.failed(error, at(0)).as_secs(), pause);
        }
    }
}
