//! Counts answers of upstream that show that the clock of this machine is wrong.

use std::sync::atomic::Ordering;

use super::{Issued, Renewer};
use crate::token::{Failure, InvalidToken};

impl Renewer {
    /// Counts an answer whose tokens, by the local clock, have expired or are not valid yet when they arrive.
    pub(super) fn note_times(&self, issued: [&Option<Issued>; 2]) {
        let now = self.verifier.clock.unix();
        let mut claims = issued.into_iter().flatten().map(|it| &it.verified.claims);
        if claims.any(|claims| self.verifier.rules.check_times(claims, now).is_err()) {
            self.skewed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a renewal whose session JWT was refused for its times.
    pub(super) fn note_refused(&self, session: &Result<Option<Issued>, Failure>) {
        if let Err(Failure::Expired | Failure::Invalid(InvalidToken::NotYetValid)) = session {
            self.skewed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn skewed_answers(&self) -> u64 {
        self.skewed.load(Ordering::Relaxed)
    }
}
