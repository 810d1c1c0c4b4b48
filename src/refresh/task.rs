//! A renewal under way, on a task of its own.

use std::sync::Arc;

use super::{Kept, Outcome, Presented, Renewer, Undecided, not_yet, unavailable};
use crate::client::RefreshToken;

/// What is left to do after the outcome was reported.
pub(super) struct Finished {
    /// The session was ended while it was being renewed.
    #[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
    pub(super) ended: bool,
    /// The new refresh JWT of a session that was ended meanwhile. No browser gets it, so it is signed out upstream.
    pub(super) orphan: Option<Box<str>>,
}

/// A renewal under way. If it is dropped before it is finished (a panic, a runtime that shuts down), those who wait for
/// it still get an outcome.
pub(super) struct Task {
    pub(super) renewer: Arc<Renewer>,
    pub(super) token: Presented,
    pub(super) refused_before: bool,
    /// The answer to a call that was made before, to be judged again.
    pub(super) undecided: Option<Arc<Undecided>>,
    /// The outcome, while it is being written to the shared store.
    pub(super) in_hand: Option<Outcome>,
    done: bool,
}

impl Task {
    pub(super) fn new(
        renewer: &Arc<Renewer>,
        token: &Presented,
        refused_before: bool,
        undecided: Option<Arc<Undecided>>,
    ) -> Self {
        renewer.under_way.send_modify(|tasks| *tasks += 1);
        Self {
            renewer: renewer.clone(),
            token: token.clone(),
            refused_before,
            undecided,
            in_hand: None,
            done: false,
        }
    }

    pub(super) async fn run(mut self) {
        #[cfg(feature = "shared-store")]
        if let Some(replicas) = self.renewer.replicas.clone() {
            return self.run_in_turn(&replicas).await;
        }
        let outcome = self.outcome().await;
        let finished = self.finish(outcome, Kept::Here);
        self.end_orphan(finished).await;
    }

    /// Makes the call, or judges the answer to an earlier call again.
    pub(super) async fn outcome(&self) -> Outcome {
        match &self.undecided {
            Some(undecided) => self.renewer.judge_again(&self.token, undecided).await,
            None => self.renewer.call(&self.token, self.refused_before).await,
        }
    }

    /// The outcome in hand; else the kept answer, which is still undecided; else "unavailable".
    pub(super) fn interrupted(&mut self) -> Outcome {
        match (self.in_hand.take(), self.undecided.take()) {
            (Some(outcome), _) => outcome,
            (None, Some(undecided)) => not_yet(undecided, None),
            (None, None) => unavailable(None),
        }
    }

    pub(super) async fn end_orphan(&self, finished: Finished) {
        // The sign-out could not name this refresh JWT, which had not arrived yet.
        if let Some(jwt) = finished.orphan
            && let Ok(token) = RefreshToken::new(&*jwt)
            && let Err(error) = self.renewer.client.session().logout(&token).await
        {
            tracing::debug!(%error, "a session that was renewed during its sign-out lives on upstream");
        }
    }

    /// Remembers the outcome and hands it to those who wait.
    pub(super) fn finish(&mut self, outcome: Outcome, kept: Kept) -> Finished {
        self.done = true;
        let renewer = &self.renewer;
        let retain = renewer.retain(&self.token, &outcome, kept);
        let now = renewer.verifier.clock.monotonic();
        let tokens = outcome.tokens();
        let unverified = outcome.unverified().map(|token| Box::from(token.jwt()));
        let mut outcome = Arc::new(outcome);
        let completed = renewer
            .flights()
            .complete(self.token.key, outcome.clone(), retain, now);
        let mut orphan = None;
        if completed.ended {
            // The session was ended during its renewal: the new tokens must not become usable.
            for issued in [&tokens.session, &tokens.refresh].into_iter().flatten() {
                renewer.revoke(&issued.verified);
            }
            orphan = tokens.refresh.map(|issued| issued.jwt).or(unverified);
            // The response that ended the session has written the cookies. The cookies that the browser holds now may
            // be those of another session, so they are not deleted.
            outcome = Arc::new(Outcome::Refused { clear: false });
        }
        renewer
            .forgotten
            .add(completed.evicted, completed.refusal_evicted, now);
        for waiter in completed.waiters {
            // Fails if the client of this waiter hung up, which is no error.
            let _ = waiter.send(outcome.clone());
        }
        renewer.renewals.wake(&self.token.key);
        Finished {
            ended: completed.ended,
            orphan,
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.done {
            let outcome = self.interrupted();
            self.finish(outcome, Kept::Here);
        }
        self.renewer.under_way.send_modify(|tasks| *tasks -= 1);
    }
}
