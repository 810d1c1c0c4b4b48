//! The call upstream, and what is made of its answer: it is verified like anything else that comes from outside.

use super::hold::Report;
use super::{DEFAULT_RETRY_AFTER, Issued, Outcome, Presented, Renewer, Tokens, unavailable};
use crate::client::ClientErrorKind;
use crate::token::{Failure, InvalidToken, Kind, Mark, Times, Verified};
use crate::wire::JwtResponse;

impl Renewer {
    /// Verifies what upstream has just issued to somebody who signed in, or who was moved into a tenant.
    ///
    /// Times are not judged: a skewed clock here must not lose the one live refresh JWT. A session that is over
    /// by our clock is left out.
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) async fn accept(
        &self,
        response: &JwtResponse,
        parent: Option<&Verified>,
        began: Mark,
    ) -> Result<Tokens, Failure> {
        // Revoked meanwhile: what upstream issued may be dated after that.
        if parent.is_some_and(|token| self.is_denied(token)) {
            return Err(InvalidToken::Revoked.into());
        }
        let mark = self.newer_than(began, parent);
        let session = self
            .issued(&response.session_jwt, Kind::Session, mark)
            .await?;
        let refresh = self
            .issued(&response.refresh_jwt, Kind::Refresh, mark)
            .await?;
        let issued = [&session, &refresh];
        let mut subjects = issued
            .into_iter()
            .flatten()
            .map(|issued| &*issued.verified)
            .chain(parent)
            .map(|token| token.claims.sub());
        let first = subjects.next();
        if subjects.any(|other| Some(other) != first) {
            return Err(InvalidToken::Subject.into());
        }
        drop(subjects);
        self.record(parent, session.as_ref(), refresh.as_ref());
        let session = session.filter(|session| {
            let over = self.verifier.is_expired(&session.verified.claims);
            if over {
                let skew =
                    self.verifier.clock.unix().as_secs() as i64 - session.verified.claims.exp;
                tracing::warn!(
                    seconds_over = skew,
                    "a session that was issued just now is over by the local clock; check it"
                );
            }
            !over
        });
        Ok(Tokens {
            session,
            refresh,
            next_refresh: None,
        })
    }

    /// When the call that issued tokens began, if that makes them newer than a revocation of their user: not when
    /// what it was made with is revoked by now. And only where this process is the only one: other replicas would go
    /// on refusing them, which is worse than a sign-in that has to be repeated (see `second_over`).
    fn newer_than(&self, began: Mark, parent: Option<&Verified>) -> Option<Mark> {
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
        kind: Kind,
        mark: Option<Mark>,
    ) -> Result<Option<Issued>, Failure> {
        if jwt.is_empty() {
            return Ok(None);
        }
        let verified = self
            .verifier
            .verify_issued(jwt.as_bytes(), kind, Times::Ignore, mark)
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

    /// One call upstream, and the verdict on its answer.
    pub(super) async fn call(&self, token: &Presented, refused_before: bool) -> Outcome {
        let now = self.verifier.clock.monotonic();
        if let Err(wait) = self.hold().enter(now) {
            return unavailable(Some(wait));
        }
        let began = self.verifier.revoked.mark();
        let result = match token.to_token() {
            Ok(refresh) => self.client.session().refresh(&refresh).await,
            Err(error) => Err(error),
        };
        let report = match &result {
            Err(error) => match (error.kind(), error.retry_after()) {
                (ClientErrorKind::RateLimited | ClientErrorKind::Unavailable, Some(wait)) => {
                    Report::Throttled(wait)
                }
                (ClientErrorKind::Unavailable, None) => Report::Failed,
                _ => Report::Answered,
            },
            Ok(_) => Report::Answered,
        };
        self.hold().report(report, self.verifier.clock.monotonic());
        match result {
            Ok(response) => {
                // Revoked meanwhile: what upstream issued may be dated after that, and must not live all the same.
                if self.is_denied(&token.verified) {
                    self.flights().end(&token.key);
                }
                let mark = self.newer_than(began, Some(&token.verified));
                self.judge(token, &response, Times::Check, mark).await
            }
            Err(error) if error.is_definite_refusal() => {
                tracing::debug!(%error, "refresh token refused");
                Outcome::Refused {
                    clear: refused_before,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "session could not be renewed");
                unavailable(error.retry_after())
            }
        }
    }

    /// Upstream's answer is verified like anything else that comes from outside. `times`: of the session JWT.
    pub(super) async fn judge(
        &self,
        token: &Presented,
        response: &JwtResponse,
        times: Times,
        mark: Option<Mark>,
    ) -> Outcome {
        let sub = token.verified.claims.sub();
        // The one that was sent is no new one: it would be remembered as its own successor.
        let refresh_jwt = match &*response.refresh_jwt {
            same if *same == *token.jwt => "",
            jwt => jwt,
        };
        let session = self
            .renewed(&response.session_jwt, Kind::Session, times, mark, sub)
            .await;
        let refresh = self
            .renewed(refresh_jwt, Kind::Refresh, Times::Ignore, mark, sub)
            .await;
        let refresh = match refresh {
            Ok(refresh) => refresh,
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
            failed => {
                tracing::error!(
                    failure = ?failed.err(),
                    "upstream renewed with a session token that does not verify"
                );
                // The old refresh JWT is spent: the new one must reach the browser all the same.
                self.record(Some(&token.verified), None, refresh.as_ref());
                Outcome::Unavailable {
                    retry_after: DEFAULT_RETRY_AFTER,
                    rescued: refresh,
                }
            }
        }
    }

    pub(super) async fn renewed(
        &self,
        jwt: &str,
        kind: Kind,
        times: Times,
        mark: Option<Mark>,
        sub: &str,
    ) -> Result<Option<Issued>, Failure> {
        if jwt.is_empty() {
            return Ok(None);
        }
        let verified = self
            .verifier
            .verify_issued(jwt.as_bytes(), kind, times, mark)
            .await?;
        if verified.claims.sub() != sub {
            return Err(InvalidToken::Subject.into());
        }
        Ok(Some(Issued {
            jwt: jwt.into(),
            verified,
        }))
    }
}

fn next_refresh(response: &JwtResponse) -> Option<u32> {
    let seconds = response.other.get("nextRefreshSeconds")?.as_u64()?;
    u32::try_from(seconds).ok()
}
