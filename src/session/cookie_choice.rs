//! Which of several refresh cookies counts.
//!
//! An attacker on a sibling host can set cookies of our names, also such that browsers send them before the user's own.
//! If the attacker has an account in the same project, the attacker's refresh JWT verifies. If it were renewed, the new
//! tokens would overwrite the user's cookies, and the user would continue in the attacker's account.

use std::sync::Arc;
use std::time::Duration;

use super::verdicts::{Undecided, Verdicts, Worst};
use crate::headers::Candidates;
use crate::refresh::Presented;
use crate::token::{Claims, Failure, TokenKind, Unverified, Verified, Verifier};

/// The refresh JWTs of a request that verify, in the order of their cookies, and those whose key is missing here.
#[derive(Default)]
pub(crate) struct Choice<'a> {
    verified: Vec<(&'a [u8], Arc<Verified>)>,
    /// The refresh JWTs whose key is missing here, and after what time to ask for it again.
    unjudged: Vec<(&'a [u8], Duration)>,
}

/// Why no refresh JWT is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchosen {
    /// No refresh JWT verifies.
    Missing,
    /// Some verify, and nothing says which of them is the user's.
    Unclear(Unclear),
    /// Some verify, and the user's own may be one whose key is missing. Ask again after this time.
    Unjudged(Duration),
}

/// Why no session is renewed although refresh cookies verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// The refresh cookies name different users, and no session says which of the users is meant.
    DifferentUsers,
    /// The session is over, and its user is not named by any refresh cookie that verifies.
    OtherUser,
}

impl Unclear {
    /// Logs the reason for the operator. To be called once for a request.
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
    /// Sorts the refresh cookies by the verdicts on them. Adds to `worst` why any of them does not verify.
    pub(super) fn of(
        verdicts: &Verdicts<'a>,
        candidates: &Candidates<'a>,
        worst: &mut Worst,
    ) -> Result<Self, Undecided<'a>> {
        let mut choice = Self::default();
        for jwt in candidates.iter() {
            match verdicts.on(jwt, TokenKind::Refresh)? {
                Ok(verified) => choice.verified.push((jwt, verified)),
                Err(failure) => {
                    if let Failure::Unavailable(keys) = &failure {
                        choice.unjudged.push((jwt, keys.retry_after));
                    }
                    worst.add(failure);
                }
            }
        }
        Ok(choice)
    }

    /// Like [`Self::of`], and fetches missing keys.
    pub(super) async fn wait_for(verifier: &'a Verifier, candidates: &Candidates<'a>) -> Self {
        let mut verdicts = Verdicts::new(verifier);
        loop {
            match Self::of(&verdicts, candidates, &mut Worst::default()) {
                Ok(choice) => return choice,
                Err(undecided) => verdicts.wait(undecided).await,
            }
        }
    }

    /// The refresh JWTs that verify without I/O. The others are left out.
    pub(super) fn at_hand(verifier: &Verifier, candidates: &Candidates<'a>) -> Self {
        let verified = candidates.iter().filter_map(|jwt| {
            let verdict = verifier.verify_now(jwt, TokenKind::Refresh)?;
            Some((jwt, verdict.ok()?))
        });
        Self {
            verified: verified.collect(),
            unjudged: Vec::new(),
        }
    }

    /// After what time to ask again, if there is a refresh JWT whose key is missing.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.unjudged.last().map(|(_, retry_after)| *retry_after)
    }

    /// Those that cannot be judged now and for which nothing but a key is missing. For a sign-out.
    pub(crate) fn unverified(&self, verifier: &Verifier) -> Vec<Unverified> {
        let unjudged = self.unjudged.iter();
        unjudged
            .filter_map(|(jwt, _)| inspect(verifier, jwt, TokenKind::Refresh))
            .collect()
    }

    /// All of them, for a sign-out.
    pub(crate) fn all(self) -> impl Iterator<Item = Presented> {
        self.verified.into_iter().map(presented)
    }

    /// The first refresh JWT that verifies and names this user.
    pub(crate) fn of_user(self, id: &str) -> Option<Presented> {
        let mut all = self.verified.into_iter();
        all.find(|(_, verified)| verified.claims.id() == id)
            .map(presented)
    }

    /// The refresh JWT to renew a session with. If the signature of an expired session verifies, it is the first
    /// refresh JWT of that session's user. Without such a session it is the first refresh JWT, provided that all of
    /// them name the same user. Sessions that name different users count as no session.
    ///
    /// A refresh cookie whose key is missing may be the user's own. If it claims another user than the refresh JWT that
    /// would be chosen, nothing is renewed, because the new cookies would overwrite it.
    ///
    /// The signatures of the sessions are not checked if all sessions claim the user of the refresh cookies: a forged
    /// session could only confirm the choice.
    pub(crate) fn of_sessions(
        self,
        verifier: &Verifier,
        sessions: &Candidates<'_>,
    ) -> Result<Presented, Unchosen> {
        let Some((_, first)) = self.verified.first() else {
            return Err(Unchosen::Missing);
        };
        let claims = &first.claims;
        let id = claims.id();
        let one_user = self
            .verified
            .iter()
            .all(|(_, other)| other.claims.id() == id);
        if one_user && sessions.iter().all(|jwt| verifier.claims_user(jwt, id)) {
            return match self.unjudged_refresh(verifier, claims, false) {
                Some(retry_after) => Err(Unchosen::Unjudged(retry_after)),
                None => self.first(),
            };
        }
        let mut owners = sessions
            .iter()
            .filter_map(|jwt| verifier.signed(jwt, TokenKind::Session));
        match owners.next() {
            Some(owner) if owners.all(|other| other.claims.id() == owner.claims.id()) => {
                let unjudged = self.unjudged_refresh(verifier, &owner.claims, true);
                self.of_user(owner.claims.id()).ok_or(
                    unjudged.map_or(Unchosen::Unclear(Unclear::OtherUser), Unchosen::Unjudged),
                )
            }
            _ if one_user => {
                let refresh = self.unjudged_refresh(verifier, claims, false);
                match refresh.or_else(|| unjudged_session(verifier, sessions, claims)) {
                    Some(retry_after) => Err(Unchosen::Unjudged(retry_after)),
                    None => self.first(),
                }
            }
            _ => Err(Unchosen::Unclear(Unclear::DifferentUsers)),
        }
    }

    fn first(self) -> Result<Presented, Unchosen> {
        let first = self.verified.into_iter().next();
        first.map(presented).ok_or(Unchosen::Missing)
    }

    /// Looks for a refresh cookie whose key is missing, that has not run out, and that claims this user (`same`) or
    /// another user (not `same`). Answers after what time to ask for its key again.
    fn unjudged_refresh(&self, verifier: &Verifier, user: &Claims, same: bool) -> Option<Duration> {
        let found = self.unjudged.iter().find(|(jwt, _)| {
            inspect(verifier, jwt, TokenKind::Refresh).is_some_and(|token| {
                token.claims_user(user) == same && !verifier.remaining_of(&token).is_zero()
            })
        });
        found.map(|(_, retry_after)| *retry_after)
    }
}

/// Looks for a session cookie whose key is missing and that claims another user. Answers after what time to ask for its
/// key again.
fn unjudged_session(
    verifier: &Verifier,
    sessions: &Candidates<'_>,
    user: &Claims,
) -> Option<Duration> {
    sessions.iter().find_map(|jwt| {
        let token = inspect(verifier, jwt, TokenKind::Session)?;
        match verifier.verify_now(jwt, TokenKind::Session) {
            _ if token.claims_user(user) => None,
            Some(Err(Failure::Unavailable(keys))) => Some(keys.retry_after),
            _ => None,
        }
    })
}

fn inspect(verifier: &Verifier, jwt: &[u8], kind: TokenKind) -> Option<Unverified> {
    verifier.inspect(std::str::from_utf8(jwt).ok()?, kind).ok()
}

fn presented((jwt, verified): (&[u8], Arc<Verified>)) -> Presented {
    // A token that verified is ASCII.
    Presented::new(&String::from_utf8_lossy(jwt), verified)
}
