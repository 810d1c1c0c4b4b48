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
#[cfg(feature = "testing")]
pub(crate) use self::backend::sign_p256;

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
