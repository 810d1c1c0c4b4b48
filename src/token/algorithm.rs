//! The supported signature algorithms. The configuration says which of them are accepted, by default RS256 alone. The
//! verifier compares the algorithm of a token with that list and with its key.

use crate::names::{names, serde_as_text};

/// A signature algorithm of a session JWT (RFC 7518 section 3.1).
///
/// Descope signs with RS256. Some projects of 2022 signed with ES384. The names, in configuration files too, are those of
/// a JWT's header: `RS256`, `ES256`, `ES384`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl SignatureAlgorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::Es384];
}

names!(
    SignatureAlgorithm,
    "signature algorithm",
    [Rs256 => "RS256", Es256 => "ES256", Es384 => "ES384"]
);
serde_as_text!(SignatureAlgorithm, "signature algorithm");

impl From<SignatureAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::Rs256 => Self::RS256,
            SignatureAlgorithm::Es256 => Self::ES256,
            SignatureAlgorithm::Es384 => Self::ES384,
        }
    }
}

/// The error is the algorithm, if session JWTs are never signed with it.
impl TryFrom<jsonwebtoken::Algorithm> for SignatureAlgorithm {
    type Error = jsonwebtoken::Algorithm;

    fn try_from(algorithm: jsonwebtoken::Algorithm) -> Result<Self, Self::Error> {
        Self::ALL
            .into_iter()
            .find(|known| jsonwebtoken::Algorithm::from(*known) == algorithm)
            .ok_or(algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_those_of_jsonwebtoken_by_name() {
        for (ours, theirs) in [
            (SignatureAlgorithm::Rs256, jsonwebtoken::Algorithm::RS256),
            (SignatureAlgorithm::Es256, jsonwebtoken::Algorithm::ES256),
            (SignatureAlgorithm::Es384, jsonwebtoken::Algorithm::ES384),
        ] {
            assert_eq!(jsonwebtoken::Algorithm::from(ours), theirs);
            assert_eq!(SignatureAlgorithm::try_from(theirs), Ok(ours));
            assert_eq!(ours.to_string(), format!("{theirs:?}"));
        }
        let other = jsonwebtoken::Algorithm::HS256;
        assert_eq!(SignatureAlgorithm::try_from(other), Err(other));
    }
}
