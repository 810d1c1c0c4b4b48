//! The verdicts of the verifier on the tokens of one request.
//!
//! Every decision about a request is made by a function that does no I/O. Where it lacks a key it returns which token
//! it needs a verdict on; the caller waits for that one and asks again, see [`Verdicts::wait`]. Each round adds one
//! verdict, so there are at most as many rounds as the request has tokens.

use std::sync::Arc;

use crate::error::{AuthError, AuthErrorKind};
use crate::token::{Failure, Times, TokenKind, Verified, Verifier};

pub(super) type Verdict = Result<Arc<Verified>, Failure>;

/// A token on which there is no verdict, because the key that signed it is not at hand.
#[derive(Clone, Copy)]
pub(super) struct Undecided<'a> {
    token: &'a [u8],
    kind: TokenKind,
}

/// The verdicts on the tokens of one request: those that need no I/O, and those that were waited for.
pub(super) struct Verdicts<'a> {
    verifier: &'a Verifier,
    waited_for: Vec<(Undecided<'a>, Verdict)>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(verifier: &'a Verifier) -> Self {
        Self {
            verifier,
            waited_for: Vec::new(),
        }
    }

    /// The verdict on a token; an error if the verdict has to be waited for.
    pub(super) fn on(&self, token: &'a [u8], kind: TokenKind) -> Result<Verdict, Undecided<'a>> {
        let mut known = self.waited_for.iter();
        if let Some((_, verdict)) = known.find(|(of, _)| of.token == token && of.kind == kind) {
            return Ok(verdict.clone());
        }
        let verdict = self.verifier.verify_now(token, kind);
        verdict.ok_or(Undecided { token, kind })
    }

    /// Fetches the missing key, verifies the token, and keeps the verdict for the next round.
    pub(super) async fn wait(&mut self, undecided: Undecided<'a>) {
        let Undecided { token, kind } = undecided;
        let verdict = self.verifier.verify(token, kind, Times::Check).await;
        self.waited_for.push((undecided, verdict));
    }
}

/// The failure to report where several cookies fail. A missing key comes first, because the token may be good. An
/// expired token comes second, because it was most likely good once (its signature may not have been checked).
#[derive(Default)]
pub(super) struct Worst(Option<Failure>);

impl Worst {
    pub(super) fn add(&mut self, failure: Failure) {
        let rank = |failure: &Failure| match failure {
            Failure::Invalid(_) => 0,
            Failure::Expired => 1,
            Failure::Unavailable(_) => 2,
        };
        if self
            .0
            .as_ref()
            .is_none_or(|known| rank(known) < rank(&failure))
        {
            self.0 = Some(failure);
        }
    }

    pub(super) fn into_error(self) -> AuthError {
        self.0
            .map_or(AuthErrorKind::MissingCredentials.into(), AuthError::from)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::InvalidToken;
    use crate::token::keys::KeysUnavailable;

    #[test]
    fn the_most_telling_failure_counts_and_of_two_alike_the_first() {
        let unavailable = |seconds| {
            let retry_after = Duration::from_secs(seconds);
            Failure::Unavailable(KeysUnavailable { retry_after })
        };
        let invalid = || Failure::Invalid(InvalidToken::Malformed);
        let worst = |failures: Vec<Failure>| {
            let mut worst = Worst::default();
            for failure in failures {
                worst.add(failure);
            }
            worst.into_error()
        };
        let error = worst(vec![invalid(), Failure::Expired, invalid()]);
        assert_eq!(*error.kind(), AuthErrorKind::ExpiredToken);
        let error = worst(vec![
            Failure::Expired,
            unavailable(7),
            unavailable(9),
            invalid(),
        ]);
        assert!(
            matches!(error.kind(), AuthErrorKind::Unavailable { retry_after } if retry_after.as_secs() == 7)
        );
        assert_eq!(*worst(Vec::new()).kind(), AuthErrorKind::MissingCredentials);
    }
}
