//! Tokens that Descope has issued and that cannot be verified yet, because their key is missing here.

use std::time::Duration;

use super::Verifier;
use super::claims::{self, Claims};
use super::compact;
use super::error::InvalidToken;
use super::rules::TokenKind;

/// A token that came from upstream over our own connection and passes every check that needs no key.
///
/// Its claims can only be compared with those of another token and cannot be read, so that nothing can take them for
/// an identity.
pub(crate) struct Unverified {
    jwt: Box<str>,
    claims: Claims,
}

impl Unverified {
    pub(crate) fn jwt(&self) -> &str {
        &self.jwt
    }

    /// Whether it claims to be of the user of these verified claims.
    pub(crate) fn claims_user(&self, verified: &Claims) -> bool {
        self.claims.same_user(verified)
    }

    /// Whether both claim to be of one user.
    pub(crate) fn claims_same_user(&self, other: &Self) -> bool {
        self.claims.same_user(&other.claims)
    }
}

impl Verifier {
    /// Notes that upstream has just issued this token over our own connection, so that its key may be asked for at
    /// once. Tokens that no key could make good change nothing.
    ///
    /// Not to be called for anything that came from a client.
    pub(crate) fn expect(&self, token: &str, kind: TokenKind) {
        let mut scratch = Vec::new();
        let known = self.header.load();
        let parsed = compact::parse(
            token.as_bytes(),
            self.rules.max_token_bytes,
            known.as_deref(),
            &mut scratch,
        );
        if let Ok(compact) = parsed
            && self.keys.lacks(&compact.kid)
            && self.inspect(token, kind).is_ok()
        {
            self.keys.expect(&compact.kid);
        }
    }

    /// Everything about a token that can be checked without its key, except times.
    pub(crate) fn inspect(&self, token: &str, kind: TokenKind) -> Result<Unverified, InvalidToken> {
        let mut scratch = Vec::new();
        let known = self.header.load();
        let compact = compact::parse(
            token.as_bytes(),
            self.rules.max_token_bytes,
            known.as_deref(),
            &mut scratch,
        )?;
        if !self.rules.algorithms.contains(&compact.algorithm) {
            return Err(InvalidToken::Algorithm);
        }
        // A token that brings its own key is not Descope's.
        if compact.offers_key {
            return Err(InvalidToken::UnknownKey);
        }
        compact::decode(compact.signature)?;
        let payload = compact::decode(compact.payload)?;
        let claims = claims::parse(&payload, |checks| self.rules.check(checks, kind))?;
        Ok(Unverified {
            jwt: token.into(),
            claims,
        })
    }

    /// Time until the expiry that the token claims; 0 when that is past.
    pub(crate) fn remaining_of(&self, token: &Unverified) -> Duration {
        self.until(token.claims.exp)
    }
}
