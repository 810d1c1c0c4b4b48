//! How the tokens of a sign-in are verified and recorded.

use super::{Accepted, Issued, Renewer, Tokens};
use crate::token::{
    Expected, Failure, InvalidToken, RevocationMark, Times, TokenKind, Unverified, Verified,
};
use crate::wire::JwtResponse;

impl Renewer {
    /// Verifies the tokens that upstream has just issued to somebody who signed in or was moved into a tenant.
    ///
    /// Times are not checked: a skewed local clock must not lose the only live refresh JWT. A session JWT that has
    /// expired by the local clock is left out, and so is one whose key is missing. A refresh JWT whose key is missing
    /// is handed on unverified, because what it was issued for (a one-time code, say) is spent.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) async fn accept(
        &self,
        response: &JwtResponse,
        parent: Option<&Verified>,
        began: RevocationMark,
    ) -> Result<Accepted, Failure> {
        // `parent` was revoked during the call. The new tokens may be dated after the revocation, which would not cover
        // them.
        if parent.is_some_and(|token| self.is_denied(token)) {
            return Err(InvalidToken::Revoked.into());
        }
        self.expect(response);
        let mark = self.newer_than(began, parent);
        let (session_jwt, refresh_jwt) = (&*response.session_jwt, &*response.refresh_jwt);
        let [as_session, as_refresh] = [
            (TokenKind::Session, Times::Ignore),
            (TokenKind::Refresh, Times::Ignore),
        ]
        .map(|(kind, times)| Expected { kind, times, mark });
        let session = self.issued(session_jwt, as_session).await;
        let (session, unknown_session) =
            self.or_unverified(session, session_jwt, TokenKind::Session)?;
        let refresh = self.issued(refresh_jwt, as_refresh).await;
        let (refresh, unverified) = self.or_unverified(refresh, refresh_jwt, TokenKind::Refresh)?;
        let lacks_session = unknown_session.is_some();
        let nothing_is_left = session.is_none() && refresh.is_none() && unverified.is_none();
        if lacks_session && nothing_is_left && parent.is_none() {
            // A session JWT alone is not handed on unverified, so that nothing of this sign-in can be kept.
            return Err(InvalidToken::UnknownKey.into());
        }
        let issued = [&session, &refresh];
        self.note_times(issued);
        let mut subjects = issued
            .into_iter()
            .flatten()
            .map(|issued| &*issued.verified)
            .chain(parent)
            .map(|token| &token.claims);
        let first = subjects.next();
        if subjects.any(|other| first.is_some_and(|first| !first.same_user(other))) {
            return Err(InvalidToken::Subject.into());
        }
        let all_claim_it = [&unknown_session, &unverified]
            .into_iter()
            .flatten()
            .all(|token| first.is_none_or(|first| token.claims_user(first)));
        let pair = unknown_session.as_ref().zip(unverified.as_ref());
        if !all_claim_it
            || pair.is_some_and(|(session, refresh)| !session.claims_same_user(refresh))
        {
            return Err(InvalidToken::Subject.into());
        }
        drop(subjects);
        if lacks_session || unverified.is_some() {
            tracing::warn!(
                "a sign-in is answered before its tokens can be verified, because their key is missing; they are \
                 verified when they are presented"
            );
        }
        self.record(parent, session.as_ref(), refresh.as_ref());
        let session = session.filter(|session| {
            let over = self.verifier.is_expired(&session.verified.claims);
            if over {
                let skew =
                    self.verifier.clock.unix().as_secs() as i64 - session.verified.claims.exp;
                tracing::warn!(
                    seconds_over = skew,
                    "a session that was issued just now has expired by the local clock; check the clock"
                );
            }
            !over
        });
        Ok(Accepted {
            tokens: Tokens {
                session,
                refresh,
                next_refresh: None,
            },
            unverified,
            lacks_session,
        })
    }

    /// Hands on the token unverified, if it cannot be verified only because its key is missing.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    fn or_unverified(
        &self,
        verdict: Result<Option<Issued>, Failure>,
        jwt: &str,
        kind: TokenKind,
    ) -> Result<(Option<Issued>, Option<Unverified>), Failure> {
        match verdict {
            Ok(issued) => Ok((issued, None)),
            Err(Failure::Unavailable(_)) => {
                let unverified = self.verifier.inspect(jwt, kind)?;
                if kind == TokenKind::Refresh && self.verifier.remaining_of(&unverified).is_zero() {
                    return Err(Failure::Expired);
                }
                Ok((None, Some(unverified)))
            }
            Err(failure) => Err(failure),
        }
    }
}
