//! Signature verification.
//!
//! The two backends are called directly, with the parsed key held per kid. A JWT library in between would rebuild
//! the key at each call, and with jsonwebtoken our choice of a backend would decide, through its process-wide
//! default, about the tokens that the application itself decodes. Both give the same verdict on everything that the
//! test vectors have; see `tests/backends`.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "aws-lc")]
use self::aws_lc as backend;

#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc")))]
mod rust_crypto;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc")))]
use self::rust_crypto as backend;

pub(crate) use self::backend::PublicKey;

use std::fmt;

/// A signature algorithm of a session JWT (RFC 7518 section 3.1).
///
/// Descope signs with RS256. Some projects of 2022 signed with ES384.
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

    /// The name in a JWT header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Exact comparison; a different case or a blank is another name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<SignatureAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::Rs256 => Self::RS256,
            SignatureAlgorithm::Es256 => Self::ES256,
            SignatureAlgorithm::Es384 => Self::ES384,
        }
    }
}

/// The algorithm itself is the error when session JWTs are never signed with it.
impl TryFrom<jsonwebtoken::Algorithm> for SignatureAlgorithm {
    type Error = jsonwebtoken::Algorithm;

    fn try_from(algorithm: jsonwebtoken::Algorithm) -> Result<Self, Self::Error> {
        Self::ALL
            .into_iter()
            .find(|known| jsonwebtoken::Algorithm::from(*known) == algorithm)
            .ok_or(algorithm)
    }
}

/// A digest of the signing input. It names a token: two tokens with the same digest carry the same header and
/// claims, whatever was done to the signature (an ECDSA signature has a second valid form).
pub(crate) type TokenId = [u8; 32];

/// The key material does not make a usable key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnusableKey;

/// The uncompressed form of an elliptic-curve point.
fn uncompressed_point(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut point = Vec::with_capacity(1 + x.len() + y.len());
    point.push(4);
    point.extend_from_slice(x);
    point.extend_from_slice(y);
    point
}
