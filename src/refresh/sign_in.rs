//! How the tokens of a sign-in are verified and recorded.

use super::{Accepted, Issued, Renewer, Tokens};
use crate::token::{
    Expected, Failure, InvalidToken, RevocationMark, Times, TokenKind, Unverified, Verified,
};
use crate::wire::JwtResponse;

impl Renewer {
    /// Verifies the tokens that upstream has just issued to somebody who signed in or was moved into a tenant.
    ///
    /// Times are not judged: a skewed clock here must not lose the one live refresh JWT. A session that is over
    /// by our clock is left out. So is one whose key is missing, while such a refresh JWT is handed on unverified: the
    /// code that it was given for is spent.
    pub(crate) async fn accept(
        &self,
        response: &JwtResponse,
        parent: Option<&Verified>,
        began: Option<RevocationMark>,
    ) -> Result<Accepted, Failure> {
        // `parent` was revoked during the call. The new tokens may be dated after the revocation, which would not cover
        // them.
        if parent.is_some_and(|token| self.is_denied(token)) {
            return Err(InvalidToken::Revoked.into());
        }
        self.expect(response);
        let mark = began.and_then(|began| self.newer_than(began, parent));
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

    /// Verifies tokens that came from anywhere, such as the body of a request. Nothing is taken on trust: a token whose
    /// key is missing is refused, and so are tokens of two users. A session JWT that has expired is left out if there is
    /// a refresh JWT beside it.
    pub(crate) async fn examine(&self, response: &JwtResponse) -> Result<Accepted, Failure> {
        let (session_jwt, refresh_jwt) = (&*response.session_jwt, &*response.refresh_jwt);
        let [as_session, as_refresh] =
            [TokenKind::Session, TokenKind::Refresh].map(|kind| Expected {
                kind,
                times: Times::Check,
                mark: None,
            });
        let refresh = self.issued(refresh_jwt, as_refresh).await?;
        let session = match self.issued(session_jwt, as_session).await {
            Err(Failure::Expired) if refresh.is_some() => None,
            session => session?,
        };
        if let (Some(session), Some(refresh)) = (&session, &refresh)
            && !session.verified.claims.same_user(&refresh.verified.claims)
        {
            return Err(InvalidToken::Subject.into());
        }
        self.record(None, session.as_ref(), refresh.as_ref());
        Ok(Accepted {
            tokens: Tokens {
                session,
                refresh,
                next_refresh: None,
            },
            unverified: None,
            lacks_session: false,
        })
    }

    /// The token itself if nothing but a key is missing to verify it.
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
