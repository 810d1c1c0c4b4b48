//! RustCrypto, called directly: jsonwebtoken's provider on top of it refuses RSA keys beyond 4096 bits, which aws-lc
//! takes, rebuilds the key at each call, and would be switched on for the whole application.

use p256::ecdsa::signature::Verifier as _;
use rsa::sha2::{Digest as _, Sha256};
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};

use super::super::algorithm::SignatureAlgorithm;
use super::{TokenId, UnusableKey, uncompressed_point};

/// The largest RSA key, in bits. The range is checked when a key set is read; this lifts RustCrypto's own limit.
const MAX_RSA_BITS: usize = 8192;

/// A key that is parsed once and belongs to one algorithm.
pub(crate) enum PublicKey {
    Rs256(RsaPublicKey),
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// `n` and `e` are big-endian without leading zeros.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, UnusableKey> {
        let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
        RsaPublicKey::new_with_max_size(n, e, MAX_RSA_BITS)
            .map(Self::Rs256)
            .map_err(|_| UnusableKey)
    }

    /// `x` and `y` have the length of the curve's field.
    pub(crate) fn ec(
        algorithm: SignatureAlgorithm,
        x: &[u8],
        y: &[u8],
    ) -> Result<Self, UnusableKey> {
        let point = uncompressed_point(x, y);
        match algorithm {
            SignatureAlgorithm::Es256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map(Self::Es256)
                .map_err(|_| UnusableKey),
            SignatureAlgorithm::Es384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map(Self::Es384)
                .map_err(|_| UnusableKey),
            SignatureAlgorithm::Rs256 => Err(UnusableKey),
        }
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Rs256(_) => SignatureAlgorithm::Rs256,
            Self::Es256(_) => SignatureAlgorithm::Es256,
            Self::Es384(_) => SignatureAlgorithm::Es384,
        }
    }

    /// Checks the signature and names the token.
    pub(crate) fn verify(&self, signing_input: &[u8], signature: &[u8]) -> Option<TokenId> {
        let id: TokenId = Sha256::digest(signing_input).into();
        match self {
            Self::Rs256(key) => key
                .verify(Pkcs1v15Sign::new::<Sha256>(), &id, signature)
                .ok(),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(signing_input, &signature))
                .ok(),
            Self::Es384(key) => p384::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(signing_input, &signature))
                .ok(),
        }?;
        Some(id)
    }
}

/// Signs with a key of P-256.
#[cfg(feature = "testing")]
pub(crate) fn sign_p256(private: &[u8], _: &[u8], _: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    use p256::ecdsa::signature::Signer as _;

    let key = p256::ecdsa::SigningKey::from_slice(private).ok()?;
    let signature: p256::ecdsa::Signature = key.sign(message);
    Some(signature.to_bytes().to_vec())
}
