//! The checks of a token, in the order of their cost.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::de::DeserializeOwned;

use super::cache::VerifiedTokens;
use super::claims::{self, Claims};
use super::compact::{self, KnownHeader};
use super::crypto::TokenId;
use super::error::InvalidToken;
use super::failure::Failure;
use super::keys::{Keys, KeysUnavailable, Lookup, Reason};
use super::revoked::{RevocationMark, Revoked};
use super::rules::{Rules, TokenKind};
use crate::clock::Clock;

/// A token that passed every check except, on request, those of time.
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    pub(crate) id: TokenId,
    /// Shared with the key of the cache, so that a look-up does not read the line of memory where this is counted.
    pub(super) jwt: Arc<[u8]>,
}

impl Verified {
    /// The token itself.
    pub(crate) fn jwt(&self) -> &[u8] {
        &self.jwt
    }

    /// The claims as a type of the caller's.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let payload = self.jwt.split(|byte| *byte == b'.').nth(1);
        let json = compact::decode(payload.unwrap_or_default())
            .map_err(|_| serde::de::Error::custom("not base64url"))?;
        serde_json::from_slice(&json)
    }
}

/// A verdict, or what has to be fetched to reach one.
enum Attempt {
    Verdict(Result<Arc<Verified>, Failure>),
    Needs(Missing),
}

/// What the key endpoint has to be asked for.
enum Missing {
    /// Any keys that may be used, for a token of this kid.
    Keys(Box<str>),
    /// A key of this kid.
    Kid(Box<str>),
}

/// Whether times are part of the verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Check,
    /// For tokens that upstream has issued this very moment: a skewed clock here must not lose them.
    Ignore,
}

/// What a token that a call has just issued has to be.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) kind: TokenKind,
    pub(crate) times: Times,
    /// Revocations up to here do not count, because the call began after them.
    pub(crate) mark: Option<RevocationMark>,
}

/// Verifies tokens of one project.
pub(crate) struct Verifier {
    pub(crate) rules: Rules,
    pub(crate) keys: Arc<Keys>,
    pub(crate) tokens: VerifiedTokens,
    pub(crate) header: ArcSwapOption<KnownHeader>,
    pub(crate) revoked: Revoked,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Verifier {
    /// The verdict, or `None` if it takes I/O.
    pub(crate) fn verify_now(
        &self,
        token: &[u8],
        kind: TokenKind,
    ) -> Option<Result<Arc<Verified>, Failure>> {
        match self.attempt(token, kind, Times::Check) {
            Attempt::Verdict(verdict) => Some(verdict),
            Attempt::Needs(_) => None,
        }
    }

    /// The verdict, after fetching keys if need be.
    pub(crate) async fn verify(
        &self,
        token: &[u8],
        kind: TokenKind,
        times: Times,
    ) -> Result<Arc<Verified>, Failure> {
        let kid = match self.attempt(token, kind, times) {
            Attempt::Verdict(verdict) => return verdict,
            Attempt::Needs(Missing::Keys(kid) | Missing::Kid(kid)) => kid,
        };
        self.keys
            .update(Reason::UnknownKid(&kid))
            .await
            .map_err(Failure::Unavailable)?;
        match self.attempt(token, kind, times) {
            Attempt::Verdict(verdict) => verdict,
            // The endpoint was asked once for this kid. That is enough, because anybody may have made up the kid.
            Attempt::Needs(Missing::Kid(kid)) if !self.keys.is_expected(&kid) => {
                Err(InvalidToken::UnknownKey.into())
            }
            Attempt::Needs(_) => Err(Failure::Unavailable(KeysUnavailable {
                retry_after: Duration::from_secs(1),
            })),
        }
    }

    /// The verdict on a token that a call has issued just now.
    pub(crate) async fn verify_issued(
        &self,
        token: &[u8],
        expected: Expected,
    ) -> Result<Arc<Verified>, Failure> {
        let Expected { kind, times, mark } = expected;
        let verdict = self.verify(token, kind, times).await;
        let (Some(mark), Err(Failure::Invalid(InvalidToken::Revoked))) = (mark, &verdict) else {
            return verdict;
        };
        // `Revoked` is returned only if the token is good in every other respect.
        if let Ok(Ok((Verified { claims, id, .. }, _))) =
            self.verify_signature(token, kind, None, &mut Vec::new())
        {
            self.revoked
                .spare(&id, &claims, mark, self.until(claims.exp));
        }
        self.verify(token, kind, times).await
    }

    /// A token that is refused only because it was revoked, if that revocation ends before the token expires. Whoever
    /// revokes the token now has to do so again for its whole life: the earlier revocation may come from somebody who
    /// can write to the shared store and wants the token to be accepted later.
    pub(crate) fn denied_too_briefly(
        &self,
        token: &[u8],
        kind: TokenKind,
    ) -> Option<Arc<Verified>> {
        if self.revoked.is_unused() {
            return None;
        }
        let checked = self.verify_signature(token, kind, None, &mut Vec::new());
        let (verified, _) = checked.ok()?.ok()?;
        let Verified { id, claims, .. } = &verified;
        let known = self.revoked.is_denied_for(id, self.until(claims.exp));
        let denied = self.revoked.contains(id, claims);
        (denied && !known && !self.is_expired(claims)).then(|| Arc::new(verified))
    }

    /// A token that the project has signed, even if it has expired or was revoked. `None` also if its key is not at
    /// hand. It tells who the user was, and must not sign anybody in.
    pub(crate) fn signed(&self, token: &[u8], kind: TokenKind) -> Option<Verified> {
        let verdict = self.verify_signature(token, kind, None, &mut Vec::new());
        verdict.ok()?.ok().map(|(verified, _)| verified)
    }

    /// Whether a token says that it is of this user. Nothing is proven.
    pub(crate) fn claims_user(&self, token: &[u8], id: &str) -> bool {
        compact::split(token, self.rules.max_token_bytes)
            .and_then(|parts| compact::decode(parts.payload))
            .and_then(|payload| claims::parse(&payload, |_| Ok(())))
            .is_ok_and(|claims| claims.id() == id)
    }

    /// Whether a token says that somebody else than this project has issued it. Nothing is proven.
    pub(crate) fn claims_other_issuer(&self, token: &[u8]) -> bool {
        let mut is_other = false;
        let payload = compact::split(token, self.rules.max_token_bytes)
            .and_then(|parts| compact::decode(parts.payload));
        if let Ok(payload) = payload {
            // Other faults of the token do not matter here.
            let _ = claims::parse(&payload, |checks| {
                is_other = checks
                    .iss
                    .as_deref()
                    .is_some_and(|iss| !self.rules.issuers.iter().any(|issuer| issuer == iss));
                Ok(())
            });
        }
        is_other
    }

    fn attempt(&self, token: &[u8], kind: TokenKind, times: Times) -> Attempt {
        let mut scratch = Vec::new();
        match self.attempt_with(token, kind, times, &mut scratch) {
            Ok(Ok(verified)) => Attempt::Verdict(Ok(verified)),
            Ok(Err(missing)) => Attempt::Needs(missing),
            Err(failure) => Attempt::Verdict(Err(failure)),
        }
    }

    fn attempt_with(
        &self,
        token: &[u8],
        kind: TokenKind,
        times: Times,
        scratch: &mut Vec<u8>,
    ) -> Result<Result<Arc<Verified>, Missing>, Failure> {
        let now = self.clock.unix();
        let cached = match kind {
            TokenKind::Session => self
                .keys
                .generation(now)
                .and_then(|generation| self.tokens.get(token, now.as_secs(), generation)),
            TokenKind::Refresh => None,
        };
        let verified = match cached {
            Some(verified) => verified,
            None => match self.verify_signature(
                token,
                kind,
                (times == Times::Check).then_some(now),
                scratch,
            )? {
                Ok((verified, generation)) => {
                    let verified = Arc::new(verified);
                    // An expired token is not worth a place in the cache. Times and revocation are checked at every
                    // hit.
                    if kind == TokenKind::Session && !self.rules.is_expired(&verified.claims, now) {
                        self.tokens.insert(&verified, now.as_secs(), generation);
                    }
                    verified
                }
                Err(missing) => return Ok(Err(missing)),
            },
        };
        if times == Times::Check {
            self.rules.check_times(&verified.claims, now)?;
        }
        if self.revoked.contains(&verified.id, &verified.claims) {
            return Err(InvalidToken::Revoked.into());
        }
        Ok(Ok(verified))
    }

    /// Checks everything that stays true of a token as long as its key is valid. If `now` is given, an expired token is
    /// refused before its signature is checked.
    #[allow(clippy::type_complexity)]
    fn verify_signature(
        &self,
        token: &[u8],
        kind: TokenKind,
        now: Option<Duration>,
        scratch: &mut Vec<u8>,
    ) -> Result<Result<(Verified, u64), Missing>, Failure> {
        // Size, alphabet, parts, header: no key and no claim is looked at before these hold.
        let known = self.header.load();
        let known = known.as_deref();
        let compact = compact::parse(token, self.rules.max_token_bytes, known, scratch)?;
        if !self.rules.algorithms.contains(&compact.algorithm) {
            return Err(InvalidToken::Algorithm.into());
        }
        let checked = self.keys.with_key(&compact.kid, |key, generation| {
            if key.algorithm() != compact.algorithm {
                return Err(InvalidToken::Algorithm);
            }
            let payload = compact::decode(compact.payload)?;
            if now.is_some_and(|now| self.rules.is_surely_over(&payload, now)) {
                return Ok(None);
            }
            let signature = compact::decode(compact.signature)?;
            let id = key
                .verify(compact.signing_input, &signature)
                .ok_or(InvalidToken::Signature)?;
            Ok(Some((id, generation, payload)))
        });
        let (id, generation, payload) = match checked {
            Lookup::Known(verdict) => verdict?.ok_or(Failure::Expired)?,
            Lookup::Unknown => return Err(InvalidToken::UnknownKey.into()),
            // A token that offers its own key is not Descope's, so that its kid is not worth a fetch.
            Lookup::UnknownKid | Lookup::Undecided(_) if compact.offers_key => {
                return Err(InvalidToken::UnknownKey.into());
            }
            Lookup::Undecided(unavailable) => return Err(Failure::Unavailable(unavailable)),
            Lookup::UnknownKid => return Ok(Err(Missing::Kid((*compact.kid).into()))),
            Lookup::Outdated => return Ok(Err(Missing::Keys((*compact.kid).into()))),
        };
        if let Some(header) = compact.to_remember(known) {
            self.header.store(Some(Arc::new(header)));
        }
        let claims = claims::parse(&payload, |checks| self.rules.check(checks, kind))?;
        let verified = Verified {
            claims,
            id,
            jwt: token.into(),
        };
        Ok(Ok((verified, generation)))
    }

    /// Whether a token that was verified before is still good: its times, and that it was not revoked since. Its key is
    /// not looked at.
    pub(crate) fn check_again(&self, token: &Verified) -> Result<(), Failure> {
        self.rules.check_times(&token.claims, self.clock.unix())?;
        if self.is_revoked(token) {
            return Err(InvalidToken::Revoked.into());
        }
        Ok(())
    }

    pub(crate) fn is_revoked(&self, token: &Verified) -> bool {
        self.revoked.contains(&token.id, &token.claims)
    }

    /// Time until the token is refused because it has expired, with leeway; `None` when it is over.
    pub(crate) fn time_left(&self, claims: &Claims) -> Option<Duration> {
        let now = self.clock.unix();
        self.rules
            .end(claims)
            .checked_sub(now)
            .filter(|left| !left.is_zero())
    }

    /// Whether the token has expired, with leeway.
    pub(crate) fn is_expired(&self, claims: &Claims) -> bool {
        self.rules.is_expired(claims, self.clock.unix())
    }

    /// Seconds until the token's own expiry, without leeway; 0 when it is over.
    pub(crate) fn remaining(&self, claims: &Claims) -> Duration {
        self.until(claims.exp)
    }

    /// From now until this Unix second; 0 when it is over.
    pub(crate) fn until(&self, exp: i64) -> Duration {
        let now = self.clock.unix().as_secs();
        Duration::from_secs(u64::try_from(exp).unwrap_or(0).saturating_sub(now))
    }
}
