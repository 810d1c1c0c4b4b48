//! Renewals and revocations of several replicas that share a store.

use std::sync::Arc;
use std::time::Duration;

use super::task::{Finished, Task};
use super::{
    DEFAULT_RETRY_AFTER, Kept, Outcome, Presented, REMEMBER_REFUSAL, Renewer, Tokens, unavailable,
};
use crate::store::{
    Lease, Listener, Notice, ReplicaTimes, Replicas, SharedOutcome, SharedStore, SharedTokens, Turn,
};
use crate::token::{Failure, LONGEST_TOKEN, MAX_LEEWAY, Name, Times, Unverified};
use crate::wire::JwtResponse;

/// By how much the clocks of two replicas may differ. A revocation that is dated further into the future is dated by
/// the clock of the replica that hears it.
const LARGEST_SKEW: Duration = Duration::from_secs(60);

impl Renewer {
    /// Shares renewals and revocations with other replicas.
    pub(crate) fn share(&mut self, store: Box<dyn SharedStore>) {
        self.replicas = Some(Replicas::new(
            store,
            ReplicaTimes {
                memo: self.memo,
                longest_wait: self.longest_wait,
                refusal: REMEMBER_REFUSAL,
            },
        ));
    }

    /// Starts the task that reads what other replicas have ended, unless it runs already, which costs next to nothing.
    /// Without a runtime nothing is started, and the next caller tries again.
    pub(crate) fn listen(self: &Arc<Self>) {
        if let Some(replicas) = &self.replicas {
            replicas.listen(self);
        }
    }

    /// Waits until this replica has read what other replicas have ended, but for a second at most.
    pub(crate) async fn caught_up(self: &Arc<Self>) {
        self.listen();
        if let Some(replicas) = &self.replicas {
            replicas.caught_up().await;
        }
    }

    /// Waits until what this replica has ended is in the store, but for a second at most.
    pub(crate) async fn announced(self: &Arc<Self>) {
        self.listen();
        if let Some(replicas) = &self.replicas {
            replicas.published().await;
        }
    }

    /// Waits until the present second of the clock is over, where replicas share a store; elsewhere not at all.
    ///
    /// Replicas tell a token that is newer than the revocation of its user by `iat` alone, which has seconds only.
    /// This process also knows which tokens it has received since, but it cannot tell the other replicas so: whoever
    /// can write to the store could say the same of a stolen token.
    pub(crate) fn second_over(&self) -> impl Future<Output = ()> + use<> {
        let rest = self.replicas.as_ref().map(|_| {
            let now = self.verifier.clock.unix().subsec_nanos();
            let rest = Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.into()));
            tokio::time::Instant::now() + rest
        });
        async move {
            if let Some(rest) = rest {
                tokio::time::sleep_until(rest).await;
            }
        }
    }

    /// The outcome of a renewal that another replica has made with this token, if there is one.
    pub(super) async fn found_elsewhere(
        self: &Arc<Self>,
        token: &Presented,
    ) -> Option<Arc<Outcome>> {
        let replicas = self.replicas.as_ref()?;
        if replicas.has_renewed(&token.jwt).await {
            // Takes the outcome from the store. If it expires at this very moment, a renewal of our own serves as well.
            Some(self.renew(token).await)
        } else {
            None
        }
    }

    pub(super) fn announce(&self, notice: &Notice) {
        let Some(replicas) = &self.replicas else {
            return;
        };
        let ttl = match notice {
            // Longer than the token lives, because replicas may accept it for the leeway after its expiry.
            Notice::Token { exp, .. } | Notice::Session { exp, .. } => {
                let left = self.verifier.until(*exp);
                left.saturating_add(MAX_LEEWAY)
            }
            Notice::Renewal { .. } => self.longest_wait.saturating_add(self.memo),
            Notice::Subject { .. } => LONGEST_TOKEN,
        };
        replicas.publish(notice, ttl);
    }

    /// Judges an outcome that was found in the store like an answer of upstream, times included: whoever writes to the
    /// store may have put it there.
    ///
    /// A session that has run out is of use only with the new refresh JWT that came with it: a client that hung up and
    /// returns late is renewed with that one, and the session is not served (see `outlived`). Without one, the answer
    /// is `None`: the renewal has to be made as if nothing had been found.
    async fn adopt(
        &self,
        token: &Presented,
        outcome: SharedOutcome,
        refused_before: bool,
    ) -> Option<Outcome> {
        Some(match outcome {
            SharedOutcome::Tokens(tokens) => {
                let mut response = JwtResponse {
                    session_jwt: tokens.session_jwt,
                    refresh_jwt: tokens.refresh_jwt,
                    ..JwtResponse::default()
                };
                if let Some(seconds) = tokens.next_refresh_seconds {
                    let name = "nextRefreshSeconds".to_owned();
                    response.other.insert(name, seconds.into());
                }
                // With `Times::Check` a session that has run out is refused before its signature was looked at, and
                // would not tell whether the refresh JWT beside it belongs to a renewal.
                let outcome = self.judge(token, &response, Times::Ignore, None).await;
                return self.with_times(outcome);
            }
            SharedOutcome::Refused => Outcome::Refused {
                clear: refused_before,
            },
            SharedOutcome::RefusedAgain => Outcome::Refused { clear: true },
            // The response that ended the session has written the cookies, so they are not deleted here.
            SharedOutcome::Ended => Outcome::Refused { clear: false },
            SharedOutcome::Unavailable {
                retry_after_seconds,
            } => unavailable(Some(Duration::from_secs(retry_after_seconds))),
        })
    }

    /// Checks the times of the session JWT of an outcome of which everything else was judged.
    fn with_times(&self, outcome: Outcome) -> Option<Outcome> {
        let Outcome::Renewed(Tokens {
            session: Some(session),
            refresh,
            ..
        }) = &outcome
        else {
            return Some(outcome);
        };
        let now = self.verifier.clock.unix();
        match self
            .verifier
            .rules
            .check_times(&session.verified.claims, now)
        {
            Ok(()) => Some(outcome),
            Err(Failure::Expired) => {
                let refresh = refresh.as_ref()?;
                let lives = !self.verifier.is_expired(&refresh.verified.claims);
                lives.then_some(outcome)
            }
            // As for an answer of upstream whose session cannot be used yet.
            Err(_) => Some(Outcome::Unavailable {
                retry_after: DEFAULT_RETRY_AFTER,
                rescued: refresh.clone(),
                undecided: None,
            }),
        }
    }

    fn unix_seconds_in(&self, time: Duration) -> i64 {
        let then = self.verifier.clock.unix().saturating_add(time).as_secs();
        i64::try_from(then).unwrap_or(i64::MAX)
    }

    /// The outcome in the form that is put into the store, and for how long.
    fn to_share(&self, token: &Presented, outcome: &Outcome) -> (SharedOutcome, Duration) {
        match outcome {
            Outcome::Refused { clear: false } => (SharedOutcome::Refused, self.memo),
            Outcome::Refused { clear: true } => {
                let left = self.verifier.remaining(&token.verified.claims);
                (SharedOutcome::RefusedAgain, left.max(self.memo))
            }
            Outcome::Unavailable {
                undecided: Some(undecided),
                ..
            } => {
                let now = self.verifier.clock.monotonic();
                let text = |token: &Option<Unverified>| {
                    token
                        .as_ref()
                        .map_or_else(String::new, |token| token.jwt().to_owned())
                };
                let tokens = SharedTokens {
                    session_jwt: text(&undecided.session),
                    refresh_jwt: text(&undecided.refresh),
                    next_refresh_seconds: undecided.next_refresh,
                };
                let ttl = undecided.give_up.saturating_sub(now).max(self.memo);
                (SharedOutcome::Tokens(tokens), ttl)
            }
            Outcome::Unavailable {
                retry_after,
                rescued: None,
                ..
            } => {
                let retry_after_seconds = retry_after.as_secs();
                let outcome = SharedOutcome::Unavailable {
                    retry_after_seconds,
                };
                (outcome, self.memo)
            }
            Outcome::Renewed(_) | Outcome::Unavailable { .. } => {
                let tokens = outcome.tokens();
                let ttl = self.usefulness(&tokens);
                let Tokens {
                    session,
                    refresh,
                    next_refresh,
                } = tokens;
                let text = |jwt: Option<Box<str>>| jwt.map_or_else(String::new, String::from);
                let tokens = SharedTokens {
                    session_jwt: text(session.map(|issued| issued.jwt)),
                    refresh_jwt: text(refresh.map(|issued| issued.jwt)),
                    next_refresh_seconds: next_refresh,
                };
                (SharedOutcome::Tokens(tokens), ttl.max(self.memo))
            }
        }
    }
}

impl Listener for Renewer {
    fn hear(&self, notice: Notice) {
        match notice {
            Notice::Token { id, exp } => {
                self.deny(id, exp.min(self.unix_seconds_in(LONGEST_TOKEN)))
            }
            Notice::Session { id, digest, exp } => {
                let exp = exp.min(self.unix_seconds_in(LONGEST_TOKEN));
                self.end_here(digest, &id, exp);
            }
            Notice::Renewal { digest } => self.flights().end(&digest),
            Notice::Subject {
                sub,
                id_only,
                issued_until,
            } => {
                // A date in the future would refuse the user's next sign-ins as well.
                let latest = self.unix_seconds_in(LARGEST_SKEW);
                let issued_until = issued_until.min(latest);
                let name = if id_only { Name::Id } else { Name::IdOrSub };
                self.verifier.revoked.subject(&sub, name, issued_until);
            }
        }
    }
}

impl Task {
    /// Renews if this replica gets the lock, or takes the outcome of a renewal that another replica has made.
    pub(super) async fn run_in_turn(mut self, replicas: &Replicas) {
        let renewer = self.renewer.clone();
        let refused_before = self.refused_before;
        let token = self.token.clone();
        let adopt = |outcome| renewer.adopt(&token, outcome, refused_before);
        let finished = match replicas.turn(&token.jwt, adopt).await {
            Turn::Alone => {
                let outcome = self.outcome().await;
                self.finish(outcome, Kept::Here)
            }
            Turn::Busy => {
                let outcome = self.interrupted();
                self.finish(outcome, Kept::Here)
            }
            Turn::Found(outcome) => self.finish(outcome, Kept::Elsewhere),
            Turn::Lead {
                lease,
                refused_before,
            } => {
                self.refused_before |= refused_before;
                let finished = self.lead(&lease, replicas).await;
                lease.unlock().await;
                finished
            }
        };
        self.end_orphan(finished).await;
    }

    async fn lead(&mut self, lease: &Lease, replicas: &Replicas) -> Finished {
        let renewer = self.renewer.clone();
        let outcome = self.outcome().await;
        match (lease.meanwhile().await, &outcome) {
            (Some(SharedOutcome::Ended), _) => {
                renewer.flights().end(&self.token.key);
                return self.finish(outcome, Kept::Here);
            }
            (Some(tokens @ SharedOutcome::Tokens(_)), Outcome::Refused { .. }) => {
                // This process was paused for longer than its lease, and another replica renewed meanwhile.
                if let Some(outcome) = renewer.adopt(&self.token, tokens, false).await {
                    return self.finish(outcome, Kept::Elsewhere);
                }
            }
            _ => {}
        }
        let (shared, ttl) = renewer.to_share(&self.token, &outcome);
        // An outage that is put into the store would replace the earlier refusal, which other replicas must still find.
        let worth_sharing =
            !(self.refused_before && matches!(shared, SharedOutcome::Unavailable { .. }));
        // If the runtime shuts down at this point, those who wait in this process still get the outcome.
        self.in_hand = Some(outcome);
        let kept = if worth_sharing && lease.put(&shared, ttl).await {
            Kept::Elsewhere
        } else {
            Kept::Here
        };
        let outcome = self.interrupted();
        let finished = self.finish(outcome, kept);
        match shared {
            _ if finished.ended => replicas.end(&self.token.jwt),
            SharedOutcome::Tokens(tokens)
                if kept == Kept::Elsewhere && !tokens.refresh_jwt.is_empty() =>
            {
                replicas
                    .replaced(&self.token.jwt, &tokens.refresh_jwt, ttl)
                    .await;
            }
            _ => {}
        }
        finished
    }
}
