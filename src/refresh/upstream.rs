//! The call of upstream that renews a session, and how its answer is judged.

use std::sync::Arc;
use std::time::Duration;

use super::circuit_breaker::Report;
use super::{
    DEFAULT_RETRY_AFTER, Issued, Outcome, Presented, Renewer, Tokens, Undecided, not_yet,
    unavailable,
};
use crate::client::{ClientError, ClientErrorKind, UnavailableReason};
use crate::token::keys::{KeysUnavailable, LONGEST_EXPECTED};
use crate::token::{
    Claims, Expected, Failure, InvalidToken, RevocationMark, Times, TokenKind, Unverified, Verified,
};
use crate::wire::JwtResponse;

impl Renewer {
    /// One call upstream, and the verdict on its answer.
    pub(super) async fn call(&self, token: &Presented, refused_before: bool) -> Outcome {
        let caller = token.caller();
        let now = self.verifier.clock.monotonic();
        if let Err(wait) = self.breaker().enter(caller, now) {
            tracing::debug!(
                event = "renewal.paused",
                seconds = wait.as_secs(),
                "the session is not renewed now, because renewals have failed"
            );
            // `Retry-After` has whole seconds. Rounded up, so that a client that comes back then is not too early.
            let started = u64::from(wait.subsec_nanos() > 0);
            return unavailable(Some(Duration::from_secs(wait.as_secs() + started)));
        }
        let began = self.verifier.revoked.mark();
        let result = match token.to_token() {
            Ok(refresh) => self.client.session().refresh(&refresh).await,
            Err(error) => Err(error),
        };
        let report = result.as_ref().map_or_else(report_of, |_| Report::Answered);
        let now = self.verifier.clock.monotonic();
        let held = self.breaker().report(caller, report, now);
        if let Some(held) = held {
            tracing::warn!(
                event = "renewal.circuit_open",
                seconds = held.as_secs(),
                "upstream fails whoever asks; no session is renewed for so long"
            );
        }
        match result {
            Ok(response) => {
                // The refresh JWT was revoked during the call. The new tokens may be dated after the revocation, and
                // must not escape it.
                if self.is_denied(&token.verified) {
                    self.flights().end(&token.key);
                }
                self.expect(&response);
                let mark = self.newer_than(began, Some(&token.verified));
                let outcome = self.judge(token, &response, Times::Check, mark).await;
                if outcome.undecided().is_some() {
                    tracing::warn!(
                        "a session was renewed with tokens whose key is missing; they are kept and verified when \
                         the key is there"
                    );
                }
                outcome
            }
            Err(error) if error.is_definite_refusal() => {
                tracing::debug!(event = "renewal.refused", %error, "refresh token refused");
                Outcome::Refused {
                    clear: refused_before,
                }
            }
            Err(error) => {
                tracing::warn!(event = "renewal.failed", %error, "session could not be renewed");
                unavailable(error.retry_after())
            }
        }
    }

    /// Judges an answer of upstream. `times`: whether the times of the session JWT are checked.
    pub(super) async fn judge(
        &self,
        token: &Presented,
        response: &JwtResponse,
        times: Times,
        mark: Option<RevocationMark>,
    ) -> Outcome {
        let user = &token.verified.claims;
        // The refresh JWT that was sent is not a new one: it would be remembered as its own successor.
        let refresh_jwt = match &*response.refresh_jwt {
            same if *same == *token.jwt => "",
            jwt => jwt,
        };
        let [as_session, as_refresh] = [
            (TokenKind::Session, times),
            (TokenKind::Refresh, Times::Ignore),
        ]
        .map(|(kind, times)| Expected { kind, times, mark });
        let session = self.renewed(&response.session_jwt, as_session, user).await;
        let refresh = self.renewed(refresh_jwt, as_refresh, user).await;
        let refresh = match refresh {
            Ok(refresh) => refresh,
            Err(Failure::Unavailable(keys)) => {
                return self.undecided(token, response, mark, keys);
            }
            Err(failure) => {
                tracing::error!(
                    ?failure,
                    "upstream renewed with a refresh token that does not verify"
                );
                return unavailable(None);
            }
        };
        match session {
            Ok(Some(session)) => {
                self.record(Some(&token.verified), Some(&session), refresh.as_ref());
                Outcome::Renewed(Tokens {
                    session: Some(session),
                    refresh,
                    next_refresh: next_refresh(response),
                })
            }
            Err(Failure::Unavailable(keys)) if refresh.is_none() => {
                self.undecided(token, response, mark, keys)
            }
            failed => {
                self.note_refused(&failed);
                let retry_after = match &failed {
                    Err(Failure::Unavailable(keys)) => keys.retry_after,
                    _ => DEFAULT_RETRY_AFTER,
                };
                tracing::error!(
                    failure = ?failed.err(),
                    "upstream renewed without a session token that can be verified; a refresh token that came with \
                     it goes to the browser all the same"
                );
                // If a new refresh JWT came, the old one is spent, and the new one must reach the browser all the same.
                self.record(Some(&token.verified), None, refresh.as_ref());
                Outcome::Unavailable {
                    retry_after,
                    rescued: refresh,
                    undecided: None,
                }
            }
        }
    }

    /// Keeps an answer whose key is missing, if nothing else speaks against it.
    fn undecided(
        &self,
        token: &Presented,
        response: &JwtResponse,
        mark: Option<RevocationMark>,
        keys: KeysUnavailable,
    ) -> Outcome {
        let inspect = |jwt: &str, kind| {
            let unverified = self.verifier.inspect(jwt, kind).ok()?;
            let is_good = unverified.claims_user(&token.verified.claims)
                && !self.verifier.remaining_of(&unverified).is_zero();
            is_good.then_some(unverified)
        };
        let session = inspect(&response.session_jwt, TokenKind::Session);
        let refresh = inspect(&response.refresh_jwt, TokenKind::Refresh)
            .filter(|refresh| *refresh.jwt() != *token.jwt);
        let Some(kept) = refresh.as_ref().or(session.as_ref()) else {
            tracing::error!("upstream renewed with tokens that cannot be those of this session");
            return unavailable(None);
        };
        let longest = self.verifier.remaining_of(kept).min(LONGEST_EXPECTED);
        let undecided = Undecided {
            give_up: self.verifier.clock.monotonic().saturating_add(longest),
            session,
            refresh,
            next_refresh: next_refresh(response),
            mark,
        };
        not_yet(undecided.into(), Some(keys.retry_after))
    }

    /// Judges an answer that could not be verified when it came.
    pub(super) async fn judge_again(
        &self,
        token: &Presented,
        undecided: &Arc<Undecided>,
    ) -> Outcome {
        // As in `call`: the new tokens may be dated after the revocation, and must not escape it.
        if self.is_denied(&token.verified) {
            self.flights().end(&token.key);
        }
        let text = |token: &Option<Unverified>| {
            token
                .as_ref()
                .map_or_else(String::new, |token| token.jwt().to_owned())
        };
        let mut response = JwtResponse {
            session_jwt: text(&undecided.session),
            refresh_jwt: text(&undecided.refresh),
            ..JwtResponse::default()
        };
        if let Some(seconds) = undecided.next_refresh {
            let name = "nextRefreshSeconds".to_owned();
            response.other.insert(name, seconds.into());
        }
        // A session JWT that expired while the answer was kept is accepted if a refresh JWT came with it: the session
        // is then renewed at once with that refresh JWT.
        let is_over = |session: &Unverified| self.verifier.remaining_of(session).is_zero();
        let times = match &undecided.session {
            Some(session) if is_over(session) && undecided.refresh.is_some() => Times::Ignore,
            _ => Times::Check,
        };
        let outcome = self.judge(token, &response, times, undecided.mark).await;
        match outcome {
            Outcome::Unavailable {
                retry_after,
                undecided: Some(_),
                ..
            } => not_yet(undecided.clone(), Some(retry_after)),
            outcome => outcome,
        }
    }

    pub(super) async fn renewed(
        &self,
        jwt: &str,
        expected: Expected,
        user: &Claims,
    ) -> Result<Option<Issued>, Failure> {
        let issued = self.issued(jwt, expected).await?;
        let is_other = |issued: &Issued| !issued.verified.claims.same_user(user);
        if issued.as_ref().is_some_and(is_other) {
            return Err(InvalidToken::Subject.into());
        }
        Ok(issued)
    }

    /// Notes that upstream has issued these tokens over our own connection, so that their keys may be asked for at
    /// once.
    pub(super) fn expect(&self, response: &JwtResponse) {
        self.verifier
            .expect(&response.session_jwt, TokenKind::Session);
        self.verifier
            .expect(&response.refresh_jwt, TokenKind::Refresh);
    }

    /// The moment `began`, at which the call that issued tokens began, if the tokens count as newer than revocations of
    /// their user before that moment. `None` if `parent`, which the call was made with, is revoked by now. `None` also
    /// where replicas share a store: other replicas would go on refusing the tokens, which is worse than a sign-in that
    /// has to be repeated (see `second_over`).
    pub(super) fn newer_than(
        &self,
        began: RevocationMark,
        parent: Option<&Verified>,
    ) -> Option<RevocationMark> {
        #[cfg(feature = "shared-store")]
        if self.replicas.is_some() {
            return None;
        }
        let is_over = parent.is_some_and(|token| self.is_denied(token));
        (!is_over).then_some(began)
    }

    pub(super) async fn issued(
        &self,
        jwt: &str,
        expected: Expected,
    ) -> Result<Option<Issued>, Failure> {
        if jwt.is_empty() {
            return Ok(None);
        }
        let verified = self
            .verifier
            .verify_issued(jwt.as_bytes(), expected)
            .await?;
        Ok(Some(Issued {
            jwt: jwt.into(),
            verified,
        }))
    }

    pub(super) fn record(
        &self,
        parent: Option<&Verified>,
        session: Option<&Issued>,
        refresh: Option<&Issued>,
    ) {
        self.lineage.record(
            parent,
            session.map(|session| &*session.verified),
            refresh.map(|refresh| &*refresh.verified),
            self.verifier.clock.unix(),
        );
    }
}

/// How a failed call is reported to the circuit breaker.
fn report_of(error: &ClientError) -> Report {
    match error.kind() {
        ClientErrorKind::Api => Report::Answered,
        ClientErrorKind::InvalidRequest => Report::Unsent,
        ClientErrorKind::RateLimited | ClientErrorKind::Unavailable => {
            match (error.retry_after(), error.unavailable_reason()) {
                (Some(wait), _) => Report::Throttled(wait),
                (None, Some(UnavailableReason::NotConnected)) => Report::Unreachable,
                (None, _) => Report::Failed,
            }
        }
    }
}

fn next_refresh(response: &JwtResponse) -> Option<u32> {
    let seconds = response.other.get("nextRefreshSeconds")?.as_u64()?;
    u32::try_from(seconds).ok()
}
