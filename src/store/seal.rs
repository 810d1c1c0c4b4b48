//! Encryption under the refresh JWT itself.
//!
//! The replicas have no common secret and need none: whoever presents a refresh JWT may see the outcome of its renewal.

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

use super::StoreKey;

/// Version of the form of a sealed value; part of the authenticated data.
const VERSION: u8 = 1;
const NONCE: usize = 24;

/// The names in the store and the encryption key that derive from one refresh JWT.
pub(super) struct Secret {
    /// Name of the lock and of the outcome.
    pub(super) outcome: StoreKey,
    /// Name of the note that says which refresh JWT this one replaced.
    pub(super) predecessor: StoreKey,
    key: Key,
}

impl Secret {
    pub(super) fn of(jwt: &str) -> Self {
        // The signature alone has more entropy than a key needs, so extraction needs no salt.
        let hkdf = Hkdf::<Sha256>::new(None, jwt.as_bytes());
        Self {
            outcome: StoreKey(derive(&hkdf, b"tower-descope v1 outcome name")),
            predecessor: StoreKey(derive(&hkdf, b"tower-descope v1 predecessor name")),
            key: derive(&hkdf, b"tower-descope v1 key").into(),
        }
    }

    /// Encrypts a value that is to be stored under this name. `None` if the system gives no random bytes.
    pub(super) fn seal(&self, place: &StoreKey, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = XNonce::from(<[u8; NONCE]>::try_generate().ok()?);
        let payload = Payload {
            msg: plain,
            aad: &associated(place),
        };
        let sealed = XChaCha20Poly1305::new(&self.key)
            .encrypt(&nonce, payload)
            .ok()?;
        Some([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a value. `None` if it was not encrypted for this name by a holder of the refresh JWT.
    pub(super) fn open(&self, place: &StoreKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        if *version != VERSION {
            return None;
        }
        let payload = Payload {
            msg: sealed,
            aad: &associated(place),
        };
        XChaCha20Poly1305::new(&self.key)
            .decrypt(&XNonce::from(*nonce), payload)
            .ok()
    }
}

fn derive(hkdf: &Hkdf<Sha256>, label: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    // Fails above 255 blocks of output only; this is one block.
    let _ = hkdf.expand(label, &mut bytes);
    bytes
}

fn associated(place: &StoreKey) -> [u8; 33] {
    let mut bytes = [VERSION; 33];
    bytes[1..].copy_from_slice(place.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_opens_and_only_in_its_place() {
        let ann = Secret::of("header.ann.signature");
        let sealed = ann.seal(&ann.outcome, b"a value").unwrap();
        assert_eq!(
            ann.open(&ann.outcome, &sealed).as_deref(),
            Some(&b"a value"[..])
        );
        assert_eq!(ann.open(&ann.predecessor, &sealed), None);
        let bob = Secret::of("header.bob.signature");
        assert_eq!(bob.open(&ann.outcome, &sealed), None);
        assert_ne!(ann.outcome, bob.outcome);
        assert_ne!(ann.outcome, ann.predecessor);
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let secret = Secret::of("header.ann.signature");
        let sealed = secret.seal(&secret.outcome, b"a value").unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(secret.open(&secret.outcome, &bad), None, "byte {at}");
            assert_eq!(secret.open(&secret.outcome, &sealed[..at]), None);
        }
    }

    #[test]
    fn nothing_repeats() {
        let secret = Secret::of("header.ann.signature");
        let [one, two] = [(); 2].map(|()| secret.seal(&secret.outcome, b"a value").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(7).any(|part| part == b"a value"));
    }

    // Replicas of two releases of this crate must find each other's entries.
    #[test]
    fn names_do_not_change_between_releases() {
        let name = Secret::of("header.ann.signature").outcome.to_string();
        // HMAC-SHA256 by hand: RFC 5869 without salt, one block.
        assert_eq!(
            name,
            "0b601254c903b4d8c04cddb556a1031f6bd00777741c3ea22e2b06a11385142b"
        );
    }
}
