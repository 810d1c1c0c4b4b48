//! See [`crate::__fuzzing`].

use super::algorithm::SignatureAlgorithm;
use super::compact;
use super::error::InvalidToken;
use super::header;
use super::jwk::KeySet;
use super::{Verified, claims};

/// Longer than the default of tokens, because test vectors are.
const MAX_BYTES: usize = 64 * 1024;

pub(crate) fn jws(
    set: &KeySet,
    algorithms: &[SignatureAlgorithm],
    token: &[u8],
) -> Result<Vec<u8>, InvalidToken> {
    let mut scratch = Vec::new();
    let compact = compact::parse(token, MAX_BYTES, None, &mut scratch)?;
    if !algorithms.contains(&compact.algorithm) {
        return Err(InvalidToken::Algorithm);
    }
    let key = set.get(&compact.kid).ok_or(InvalidToken::UnknownKey)?;
    if key.algorithm() != compact.algorithm {
        return Err(InvalidToken::Algorithm);
    }
    let signature = compact::decode(compact.signature)?;
    key.verify(compact.signing_input, &signature)
        .ok_or(InvalidToken::Signature)?;
    compact::decode(compact.payload)
}

/// Algorithm and key id of a JOSE header.
pub(crate) fn header(json: &[u8]) -> Option<(SignatureAlgorithm, String)> {
    let header = header::parse(json).ok()?;
    Some((header.algorithm, header.kid.into_owned()))
}

/// The verdict on a signature by the only key of a set.
pub(crate) fn signature(set: &KeySet, signing_input: &[u8], signature: &[u8]) -> bool {
    set.only()
        .is_some_and(|key| key.verify(signing_input, signature).is_some())
}

/// Header and claims of a token whose signature nobody looks at.
pub(crate) fn unverified(token: &[u8]) -> Result<Verified, InvalidToken> {
    let mut scratch = Vec::new();
    let compact = compact::parse(token, MAX_BYTES, None, &mut scratch)?;
    let claims = claims::parse(&compact::decode(compact.payload)?, |_| Ok(()))?;
    Ok(Verified {
        claims,
        id: [0; 32],
        jwt: token.into(),
    })
}
