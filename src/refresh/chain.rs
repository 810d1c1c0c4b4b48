//! Chains of renewals: a refresh JWT that a renewal brought was itself renewed, before a browser had received it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::flight::Joined;
use super::{Issued, Outcome, Presented, Renewer, Tokens};
use crate::client::ClientError;

/// Most links of a chain of renewals that are followed. No real chain is as long; the limit bounds a loop that should
/// end by itself.
pub(super) const LONGEST_CHAIN: usize = 10_000;

impl Renewer {
    /// The outcome of a renewal that is under way or was just made, or of the last one in its chain. Starts no renewal.
    pub(crate) async fn follow(self: &Arc<Self>, token: &Presented) -> Option<Arc<Outcome>> {
        let (sender, receiver) = oneshot::channel();
        let now = self.verifier.clock.monotonic();
        let joined = self.flights().follow(&token.key, sender, now);
        let outcome = match joined {
            // The call was made before. `renew_once` judges its answer again and makes no other call.
            Some(Joined::Ready(outcome)) if outcome.undecided().is_some() => {
                self.renew_once(token).await
            }
            Some(Joined::Ready(outcome)) => outcome,
            Some(_) => self.wait(receiver).await,
            None => self.found_elsewhere(token).await?,
        };
        Some(self.newest(outcome))
    }

    /// Follows a chain: as long as the new refresh JWT of an outcome was itself renewed, goes on to the outcome of that
    /// renewal. Answers the last one.
    pub(super) fn newest(&self, mut outcome: Arc<Outcome>) -> Arc<Outcome> {
        let now = self.verifier.clock.monotonic();
        let mut first = None;
        for _ in 0..LONGEST_CHAIN {
            let Some(refresh) = outcome.tokens().refresh else {
                break;
            };
            let next = Presented::new(&refresh.jwt, refresh.verified);
            // Upstream could issue refresh JWTs that replace each other in a circle.
            if first == Some(next.key) {
                break;
            }
            first.get_or_insert(next.key);
            match self.flights().peek(&next.key, now) {
                Some(newer) if newer.tokens().refresh.is_some() => outcome = newer,
                _ => break,
            }
        }
        outcome
    }

    /// The refresh JWT to repeat a call with, if Descope refused the call because a renewal had just replaced the
    /// refresh JWT that was sent. A refused call was not carried out, so it may be repeated.
    pub(crate) async fn replaced(
        self: &Arc<Self>,
        sent: &Presented,
        error: &ClientError,
    ) -> Option<Presented> {
        if !error.is_definite_refusal() {
            return None;
        }
        let Issued { jwt, verified } = self.follow(sent).await?.tokens().refresh?;
        Some(Presented::new(&jwt, verified))
    }

    /// The outcome of a renewal that was just made, without waiting for one that is under way.
    pub(crate) async fn remembered(self: &Arc<Self>, token: &Presented) -> Option<Arc<Outcome>> {
        let now = self.verifier.clock.monotonic();
        let here = self.flights().peek(&token.key, now);
        let outcome = match here {
            Some(outcome) => outcome,
            None => self.found_elsewhere(token).await?,
        };
        Some(self.newest(outcome))
    }

    /// Notes that the tokens `written` were written onto the response to a request that carried `token`.
    ///
    /// The tokens may be those of a later link of a chain. Then every outcome up to that link counts as delivered, and
    /// later outcomes do not.
    pub(crate) fn delivered(&self, token: &Presented, written: &Tokens) {
        let is_same = |one: &Option<Issued>, other: &Option<Issued>| match (one, other) {
            (Some(one), Some(other)) => one.jwt == other.jwt,
            _ => false,
        };
        let now = self.verifier.clock.monotonic();
        let mut links = Vec::new();
        let mut delivered = 0;
        let mut next = Some(token.clone());
        while let Some(token) = next.filter(|_| links.len() < LONGEST_CHAIN) {
            let Some(outcome) = self.flights().peek(&token.key, now) else {
                break;
            };
            links.push(token);
            let tokens = outcome.tokens();
            if is_same(&tokens.session, &written.session)
                || is_same(&tokens.refresh, &written.refresh)
            {
                delivered = links.len();
            }
            let refresh = tokens.refresh;
            next = refresh.map(|refresh| Presented::new(&refresh.jwt, refresh.verified));
        }
        for token in &links[..delivered] {
            self.delivered_once(token);
        }
    }

    fn delivered_once(&self, token: &Presented) {
        let now = self.verifier.clock.monotonic();
        let first = self.flights().delivered(&token.key, now);
        #[cfg(feature = "shared-store")]
        if let (true, Some(replicas)) = (first, &self.replicas) {
            replicas.delivered(&token.jwt);
        }
        #[cfg(not(feature = "shared-store"))]
        let _ = first;
    }
}
