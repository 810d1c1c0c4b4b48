//! Which of several refresh cookies counts.
//!
//! A sibling host can set cookies of our names, also such that browsers send them first. Whoever has an account of the
//! same project has a refresh JWT that verifies. If it were renewed, the tokens that come of it would overwrite the
//! user's own cookies, and the user would go on in somebody else's account.

use std::sync::Arc;

use super::source::Candidates;
use crate::refresh::Presented;
use crate::token::{Verified, Verifier};

/// The refresh JWTs of a request that verify, in the order in which they count.
#[derive(Default)]
pub(crate) struct Choice<'a>(Vec<(&'a [u8], Arc<Verified>)>);

/// Why none is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchosen {
    /// None verifies.
    Missing,
    /// There are some, and nothing says which of them is the user's.
    Unclear(Unclear),
}

/// Why a refresh cookie that verifies is not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// They name different users, and no session says which of them counts.
    DifferentUsers,
    /// The session, which is over, is of a user whom none of them names.
    OtherUser,
}

impl Unclear {
    /// Tells the operator. To be called once for a request.
    pub(crate) fn log(self) {
        match self {
            Self::DifferentUsers => tracing::warn!(
                "a request carries refresh cookies of different users and no session that tells which of them is \
                 meant; nothing is renewed. A sibling host may have set one, or an earlier cookie domain or path left \
                 it behind"
            ),
            Self::OtherUser => tracing::warn!(
                "a request carries an expired session and a refresh cookie of another user; nothing is renewed. A \
                 sibling host may have set one of them"
            ),
        }
    }
}

impl<'a> Choice<'a> {
    pub(crate) fn add(&mut self, jwt: &'a [u8], verified: Arc<Verified>) {
        self.0.push((jwt, verified));
    }

    /// All of them, for a sign-out.
    #[cfg(feature = "routes")]
    pub(crate) fn all(self) -> impl Iterator<Item = Presented> {
        self.0.into_iter().map(presented)
    }

    /// The first one of a user who is known already.
    pub(crate) fn of_user(self, id: &str) -> Option<Presented> {
        let mut all = self.0.into_iter();
        all.find(|(_, verified)| verified.claims.id() == id)
            .map(presented)
    }

    /// The one that a session is renewed with: of the user whom the expired session names, if its signature
    /// verifies; without such a session the first, provided that all name the same user. Sessions that name different
    /// users count as none.
    ///
    /// Signatures of sessions are looked at only where the verdict depends on them. With one refresh cookie, beside
    /// an expired session that claims to be of the same user, it does not: a forged session could only agree.
    pub(crate) fn of_sessions(
        self,
        verifier: &Verifier,
        sessions: &Candidates<'_>,
    ) -> Result<Presented, Unchosen> {
        let Some((_, first)) = self.0.first() else {
            return Err(Unchosen::Missing);
        };
        let id = first.claims.id();
        let one_user = self.0.iter().all(|(_, other)| other.claims.id() == id);
        if one_user && sessions.iter().all(|jwt| verifier.claims_user(jwt, id)) {
            return self.first();
        }
        let mut owners = sessions.iter().filter_map(|jwt| verifier.signed(jwt));
        match owners.next() {
            Some(owner) if owners.all(|other| other.claims.id() == owner.claims.id()) => self
                .of_user(owner.claims.id())
                .ok_or(Unchosen::Unclear(Unclear::OtherUser)),
            _ if one_user => self.first(),
            _ => Err(Unchosen::Unclear(Unclear::DifferentUsers)),
        }
    }

    fn first(self) -> Result<Presented, Unchosen> {
        let first = self.0.into_iter().next();
        first.map(presented).ok_or(Unchosen::Missing)
    }
}

fn presented((jwt, verified): (&[u8], Arc<Verified>)) -> Presented {
    // A token that verified is ASCII.
    Presented::new(&String::from_utf8_lossy(jwt), verified)
}
