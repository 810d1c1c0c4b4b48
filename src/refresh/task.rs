//! A renewal under way, on a task of its own.

use std::sync::Arc;

use super::{Kept, Outcome, Presented, Renewer, Undecided, not_yet, unavailable};
use crate::client::RefreshToken;

/// What is left to do when the outcome is out.
pub(super) struct Finished {
    /// The session was ended meanwhile.
    #[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
    pub(super) ended: bool,
    /// The refresh JWT that nobody will ever get.
    pub(super) orphan: Option<Box<str>>,
}

/// A call under way. Dropped unfinished (a panic, a runtime that shuts down), it still releases those who wait.
pub(super) struct Task {
    pub(super) renewer: Arc<Renewer>,
    pub(super) token: Presented,
    pub(super) refused_before: bool,
    /// The answer to a call that was made before, to be judged again.
    pub(super) undecided: Option<Arc<Undecided>>,
    /// An outcome that is on its way to the other replicas.
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

    /// Makes the call, unless it was made.
    pub(super) async fn outcome(&self) -> Outcome {
        match &self.undecided {
            Some(undecided) => self.renewer.judge_again(&self.token, undecided).await,
            None => self.renewer.call(&self.token, self.refused_before).await,
        }
    }

    /// For those who wait when there will be no better answer.
    pub(super) fn interrupted(&mut self) -> Outcome {
        match (self.in_hand.take(), self.undecided.take()) {
            (Some(outcome), _) => outcome,
            (None, Some(undecided)) => not_yet(undecided, None),
            (None, None) => unavailable(None),
        }
    }

    pub(super) async fn end_orphan(&self, finished: Finished) {
        // The sign-out could not name a token that was on its way to us.
        if let Some(jwt) = finished.orphan
            && let Ok(token) = RefreshToken::new(&*jwt)
            && let Err(error) = self.renewer.client.session().logout(&token).await
        {
            tracing::debug!(%error, "a session that was renewed during its sign-out lives on upstream");
        }
    }

    /// Reports the outcome.
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
            // Signed out meanwhile: nothing of this may come to life.
            for issued in [&tokens.session, &tokens.refresh].into_iter().flatten() {
                renewer.revoke(&issued.verified);
            }
            orphan = tokens.refresh.map(|issued| issued.jwt).or(unverified);
            // Whoever ended the session has written the browser's cookies; by now they may be somebody else's.
            outcome = Arc::new(Outcome::Refused { clear: false });
        }
        renewer
            .forgotten
            .add(completed.evicted, completed.refusal_evicted, now);
        for waiter in completed.waiters {
            // Whoever hung up is not there to hear it.
            let _ = waiter.send(outcome.clone());
        }
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
