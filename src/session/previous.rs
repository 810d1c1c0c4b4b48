//! The session that a sign-in is about to replace, or a sign-out to end.

use std::sync::Arc;

use super::state::Session;
use crate::refresh::{Issued, Outcome, Presented};
use crate::token::Unverified;

/// The refresh JWTs of a session.
pub(crate) struct Previous {
    /// As the browser sent it.
    pub(crate) presented: Option<Presented>,
    /// The refresh JWT that a renewal has brought in exchange for `presented`, or else `presented` itself. `None` once
    /// Descope has refused it.
    pub(crate) live: Option<Presented>,
    /// What a renewal has brought. The sign-in or sign-out takes its place.
    pub(crate) outcome: Option<Arc<Outcome>>,
    /// The refresh JWT that a renewal has brought and that cannot be verified yet, because its key is missing. Descope
    /// can be told to end it; nothing else may be done with it.
    pub(crate) kept: Option<Box<str>>,
}

impl Previous {
    /// `presented` and `live`, once if they are the same.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Presented> {
        let live = self
            .live
            .iter()
            .filter(|live| self.presented.as_ref().map(|token| &token.jwt) != Some(&live.jwt));
        self.presented.iter().chain(live)
    }

    /// The live refresh JWT, if a renewal on this very request brought it, so that the browser does not have it yet.
    pub(crate) fn undelivered(&self) -> Option<&Presented> {
        let presented = self.presented.as_ref()?;
        self.live.as_ref().filter(|live| live.jwt != presented.jwt)
    }
}

impl Session {
    /// The session that is about to be replaced or ended. Waits for no renewal of another request: such a renewal
    /// finds out by itself that its session was ended.
    pub(crate) async fn previous(&self) -> Previous {
        let presented = self.presented().await.ok().flatten();
        let outcome = match (self.renewal(), &presented) {
            (Some(renewal), _) => Some(renewal.outcome.clone()),
            (None, Some(token)) => self.project().renewer.remembered(token).await,
            (None, None) => None,
        };
        let unverified = outcome.as_deref().and_then(Outcome::unverified);
        let kept = unverified.map(|token: &Unverified| Box::from(token.jwt()));
        let live = match outcome.as_deref() {
            None => presented.clone(),
            // The refresh JWT that was presented is spent.
            Some(_) if kept.is_some() => None,
            Some(outcome) => match (outcome.tokens().refresh, outcome) {
                (Some(Issued { jwt, verified }), _) => Some(Presented::new(&jwt, verified)),
                (None, Outcome::Refused { .. }) => None,
                (None, _) => presented.clone(),
            },
        };
        Previous {
            presented,
            live,
            outcome,
            kept,
        }
    }
}
