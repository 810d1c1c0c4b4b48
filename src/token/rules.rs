//! What a token must say to be one of ours.

use std::borrow::Cow;
use std::time::Duration;

use super::Failure;
use super::algorithm::SignatureAlgorithm;
use super::claims::{Checks, Claims};
use super::error::InvalidToken;
use super::expiry;

/// The largest leeway that can be configured for clocks that differ. What is remembered of a token is kept for so long
/// after its expiry, because until then a replica may still accept the token.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// The two kinds of token, both signed with the same keys and never interchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Session,
    Refresh,
}

/// The audience that a session JWT has to be for.
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    /// `aud` must be there and name this one.
    Required(String),
    /// `aud` may be missing. If it is there it must name the project, else the token belongs to an app of the project
    /// that signs people in through it.
    ProjectIfAny(String),
}

impl Audience {
    fn admits(&self, aud: Option<&[Cow<'_, str>]>) -> bool {
        match (self, aud) {
            (Self::ProjectIfAny(_), None) => true,
            (Self::Required(_), None) => false,
            (Self::Required(wanted) | Self::ProjectIfAny(wanted), Some(aud)) => {
                aud.iter().any(|aud| aud == wanted)
            }
        }
    }
}

/// The rules of one project.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) algorithms: Box<[SignatureAlgorithm]>,
    pub(crate) max_token_bytes: usize,
    pub(crate) issuers: Box<[String]>,
    pub(crate) audience: Audience,
    pub(crate) leeway: Duration,
    pub(crate) accept_missing_drn: bool,
    /// `drn` of session JWTs: `DS` and the configured cookie names.
    pub(crate) session_drn: Box<[String]>,
    /// `drn` of refresh JWTs: `DSR` and the configured cookie names.
    pub(crate) refresh_drn: Box<[String]>,
}

impl Rules {
    /// Everything that does not depend on time.
    pub(crate) fn check(&self, checks: &Checks<'_>, kind: TokenKind) -> Result<(), InvalidToken> {
        let iss = checks.iss.as_deref().ok_or(InvalidToken::Issuer)?;
        if !self.issuers.iter().any(|issuer| issuer == iss) {
            return Err(InvalidToken::Issuer);
        }
        let names = match kind {
            TokenKind::Session => &self.session_drn,
            TokenKind::Refresh => &self.refresh_drn,
        };
        let fits = match checks.drn.as_deref() {
            Some(drn) => names.iter().any(|name| name == drn),
            None => self.accept_missing_drn,
        };
        if !fits {
            return Err(InvalidToken::Kind);
        }
        // The configured audience is that of the API, which takes session JWTs. Refresh JWTs are for Descope alone.
        if kind == TokenKind::Session && !self.audience.admits(checks.aud.as_deref()) {
            return Err(InvalidToken::Audience);
        }
        // A bearer use of a token that is bound to a key would be a downgrade (RFC 9449, RFC 8705).
        if checks.has_cnf {
            return Err(InvalidToken::SenderConstrained);
        }
        Ok(())
    }

    /// `nbf` and `iat`, and then `exp`.
    pub(crate) fn check_times(&self, claims: &Claims, now: Duration) -> Result<(), Failure> {
        self.not_in_future(claims.nbf, now)?;
        self.not_in_future(claims.iat, now)?;
        if self.is_expired(claims, now) {
            return Err(Failure::Expired);
        }
        Ok(())
    }

    fn not_in_future(&self, time: Option<i64>, now: Duration) -> Result<(), InvalidToken> {
        match time {
            Some(time) if seconds(time) > now + self.leeway => Err(InvalidToken::NotYetValid),
            _ => Ok(()),
        }
    }

    /// Whether the claims, which are not parsed yet, have surely expired. "No" may mean that only parsing can tell.
    pub(crate) fn is_surely_over(&self, claims: &[u8], now: Duration) -> bool {
        now.checked_sub(self.leeway)
            .is_some_and(|limit| expiry::is_over(claims, limit))
    }

    /// Valid strictly before `exp`, extended by the leeway (RFC 7519 section 4.1.4).
    pub(crate) fn is_expired(&self, claims: &Claims, now: Duration) -> bool {
        now >= self.end(claims)
    }

    /// The first moment, since the Unix epoch, at which the token is over.
    pub(crate) fn end(&self, claims: &Claims) -> Duration {
        seconds(claims.exp) + self.leeway
    }
}

/// Claims hold times between 1970 and 9999.
fn seconds(time: i64) -> Duration {
    Duration::from_secs(u64::try_from(time).unwrap_or(0))
}
