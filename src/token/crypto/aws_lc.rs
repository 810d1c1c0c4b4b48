use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};

use super::super::algorithm::SignatureAlgorithm;
use super::{TokenId, UnusableKey, uncompressed_point};

/// A key that is parsed once and belongs to one algorithm.
pub(crate) struct PublicKey {
    algorithm: SignatureAlgorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// `n` and `e` are big-endian without leading zeros.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, UnusableKey> {
        let key = PublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| UnusableKey)?;
        Ok(Self {
            algorithm: SignatureAlgorithm::Rs256,
            key,
        })
    }

    /// `x` and `y` have the length of the curve's field.
    pub(crate) fn ec(
        algorithm: SignatureAlgorithm,
        x: &[u8],
        y: &[u8],
    ) -> Result<Self, UnusableKey> {
        let params = match algorithm {
            SignatureAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            SignatureAlgorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            SignatureAlgorithm::Rs256 => return Err(UnusableKey),
        };
        let key =
            ParsedPublicKey::new(params, uncompressed_point(x, y)).map_err(|_| UnusableKey)?;
        Ok(Self { algorithm, key })
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Checks the signature and returns the id of the token: the digest that the signature covers, which is computed
    /// anyway.
    pub(crate) fn verify(&self, signing_input: &[u8], signature: &[u8]) -> Option<TokenId> {
        let digest = self.digest(signing_input);
        self.key.verify_digest_sig(&digest, signature).ok()?;
        let mut id = TokenId::default();
        id.copy_from_slice(&digest.as_ref()[..32]);
        Some(id)
    }

    fn digest(&self, message: &[u8]) -> Digest {
        let algorithm = match self.algorithm {
            SignatureAlgorithm::Rs256 | SignatureAlgorithm::Es256 => &digest::SHA256,
            SignatureAlgorithm::Es384 => &digest::SHA384,
        };
        digest::digest(algorithm, message)
    }
}

/// Signs with a key of P-256.
#[cfg(feature = "testing")]
pub(crate) fn sign_p256(private: &[u8], x: &[u8], y: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    let (algorithm, public) = (&ECDSA_P256_SHA256_FIXED_SIGNING, uncompressed_point(x, y));
    let key = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, &public).ok()?;
    let signature = key.sign(&SystemRandom::new(), message).ok()?;
    Some(signature.as_ref().to_vec())
}
