//! The project's signing keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::development_key;
use super::error::ApiError;
use super::random;
use crate::token::is_publicly_known;

/// An RSA key of 2048 bits and its id.
pub(crate) struct SigningKey {
    kid: String,
    pair: KeyPair,
}

impl SigningKey {
    /// Makes a new key with a new key id. This takes a good part of a second, so do not call it on an async task.
    pub(crate) fn generate() -> Result<Self, ApiError> {
        Ok(Self {
            // The kid names its maker, so that a token of the emulator is recognised wherever it turns up.
            kid: format!("SKemu{}", random::alphanumeric(24)?),
            pair: KeyPair::generate(KeySize::Rsa2048)
                .map_err(|_| ApiError::internal("no key was generated"))?,
        })
    }

    fn is_publicly_known(&self) -> bool {
        let public = self.pair.public_key();
        is_publicly_known(public.modulus().big_endian_without_leading_zero())
    }

    /// The key that everybody knows, see [`development_key`].
    pub(crate) fn publicly_known() -> Result<Self, ApiError> {
        let der = BASE64_STANDARD
            .decode(development_key::PUBLICLY_KNOWN_PKCS8)
            .map_err(|_| ApiError::internal("the development key cannot be read"))?;
        Ok(Self {
            kid: development_key::KID.to_owned(),
            pair: KeyPair::from_pkcs8(&der)
                .map_err(|_| ApiError::internal("the development key cannot be read"))?,
        })
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256, JOSE's `RS256`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ApiError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| ApiError::internal("signing failed"))?;
        Ok(signature)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(message, signature)
            .is_ok()
    }

    /// The public half as a JWK. Every SDK needs `alg`; Java and .NET read RSA keys only.
    fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        json!({
            "alg": "RS256",
            "e": BASE64_URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
            "kid": self.kid,
            "kty": "RSA",
            "n": BASE64_URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
            "use": "sig",
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The published keys. The last one signs.
#[derive(Debug)]
pub(crate) struct KeyRing {
    retired: Vec<Arc<SigningKey>>,
    current: Arc<SigningKey>,
}

impl KeyRing {
    pub(crate) fn new(key: SigningKey) -> Self {
        Self {
            retired: Vec::new(),
            current: Arc::new(key),
        }
    }

    /// Makes `key` the key that signs from now on. The older keys stay published unless `unpublish_older` is true.
    pub(crate) fn rotate(&mut self, key: SigningKey, unpublish_older: bool) {
        let old = std::mem::replace(&mut self.current, Arc::new(key));
        if unpublish_older {
            self.retired.clear();
        } else {
            self.retired.push(old);
        }
    }

    pub(crate) fn current(&self) -> &Arc<SigningKey> {
        &self.current
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.published()
            .find(|key| key.kid == kid)
            .map(|key| &**key)
    }

    pub(crate) fn jwks(&self) -> Vec<Value> {
        self.published().map(|key| key.jwk()).collect()
    }

    fn published(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.retired.iter().chain([&self.current])
    }

    /// What a snapshot keeps: private keys included.
    pub(crate) fn to_saved(&self) -> Result<Vec<SavedKey>, ApiError> {
        self.published()
            .map(|key| {
                let der: Pkcs8V1Der<'_> = key
                    .pair
                    .as_der()
                    .map_err(|_| ApiError::internal("the signing key cannot be written"))?;
                Ok(SavedKey {
                    kid: key.kid.clone(),
                    pkcs8: BASE64_STANDARD.encode(der.as_ref()),
                })
            })
            .collect()
    }

    /// The ring of a snapshot; `None` when it holds no usable key.
    pub(crate) fn from_saved(saved: &[SavedKey]) -> Option<Self> {
        let mut keys = saved
            .iter()
            .map(|saved| {
                let der = BASE64_STANDARD.decode(&saved.pkcs8).ok()?;
                Some(Arc::new(SigningKey {
                    kid: saved.kid.clone(),
                    pair: KeyPair::from_pkcs8(&der).ok()?,
                }))
            })
            .collect::<Option<Vec<_>>>()?;
        let current = keys.pop()?;
        Some(Self {
            retired: keys,
            current,
        })
    }

    /// The ring without the development key, with which anybody can sign; `None` if there is no other.
    pub(crate) fn without_publicly_known(self) -> Option<Self> {
        let mut keys = self.retired;
        keys.push(self.current);
        keys.retain(|key| !key.is_publicly_known());
        let current = keys.pop()?;
        Some(Self {
            retired: keys,
            current,
        })
    }
}

/// A key in a snapshot file.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedKey {
    kid: String,
    pkcs8: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_publishes_both_keys_and_retiring_only_the_new_one() {
        let mut ring = KeyRing::new(SigningKey::generate().unwrap());
        let first = ring.current().kid().to_owned();
        ring.rotate(SigningKey::generate().unwrap(), false);
        let second = ring.current().kid().to_owned();
        assert_ne!(first, second);
        assert!(ring.find(&first).is_some() && ring.find(&second).is_some());
        ring.rotate(SigningKey::generate().unwrap(), true);
        assert!(ring.find(&first).is_none() && ring.find(&second).is_none());
        assert_eq!(ring.jwks().len(), 1);
    }

    #[test]
    fn a_saved_ring_signs_as_before() {
        let ring = KeyRing::new(SigningKey::generate().unwrap());
        let restored = KeyRing::from_saved(&ring.to_saved().unwrap()).unwrap();
        assert_eq!(restored.current().kid(), ring.current().kid());
        let signature = restored.current().sign(b"message").unwrap();
        assert!(ring.current().verifies(b"message", &signature));
        assert!(!ring.current().verifies(b"another message", &signature));
    }

    #[test]
    fn the_digest_that_handles_refuse_is_that_of_the_development_key() {
        let key = SigningKey::publicly_known().unwrap();
        assert!(key.is_publicly_known());
    }

    #[test]
    fn neither_jwk_nor_debug_shows_private_parts() {
        let key = SigningKey::generate().unwrap();
        let jwk = key.jwk();
        let members: Vec<_> = jwk.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(jwk["e"], "AQAB");
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey {{ kid: {:?}, .. }}", key.kid())
        );
    }
}
