//! Key sets (RFC 7517), and what makes a key fit for session JWTs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::algorithm::SignatureAlgorithm;
use super::crypto::{PublicKey, UnusableKey};
use super::header::MAX_KID;
use super::roca;

/// Most keys that are held. Descope publishes two or three.
const MAX_KEYS: usize = 100;
/// Bits of an RSA modulus that are accepted (RFC 7518 section 3.3 demands the lower bound).
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Public exponents beyond 33 bits slow verification down and have no use.
const MAX_EXPONENT: u64 = 1 << 33;

/// SHA-256 of the modulus of the emulator's development key, whose private half is published with this crate.
/// Known to every build: a handle without the emulator must refuse that key too.
const PUBLICLY_KNOWN_MODULUS: [u8; 32] = [
    0xf6, 0x03, 0xf2, 0x49, 0x62, 0xe5, 0xd9, 0xb6, 0x5b, 0x38, 0x40, 0x2a, 0x22, 0x0b, 0x69, 0xc2,
    0xee, 0x36, 0xa2, 0x28, 0x95, 0x98, 0x80, 0xeb, 0x5a, 0x04, 0x62, 0x61, 0x38, 0x8e, 0x5e, 0xb6,
];

/// Whether this RSA modulus, without leading zeros, is that of the emulator's development key. The exponent does not
/// matter: who knows the factors can sign for any.
pub(crate) fn is_publicly_known(modulus: &[u8]) -> bool {
    Sha256::digest(modulus)[..] == PUBLICLY_KNOWN_MODULUS
}

/// A key set in which every key is usable and every kid is unique.
#[derive(Default)]
pub(crate) struct KeySet {
    keys: Vec<Entry>,
}

struct Entry {
    kid: Box<str>,
    key: PublicKey,
    /// The key material, to tell whether a kid got another key.
    material: Box<[u8]>,
    /// See [`is_publicly_known`].
    publicly_known: bool,
}

/// The document is not a key set at all. Single keys that do not fit are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAKeySet;

impl KeySet {
    /// Reads `{"keys": […]}`. Keys that are unknown, broken or not for verification are skipped one by one.
    pub(crate) fn from_json(
        json: &[u8],
        allowed: &[SignatureAlgorithm],
    ) -> Result<Self, NotAKeySet> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let json = std::str::from_utf8(json).map_err(|_| NotAKeySet)?;
        let document: Document<'_> = serde_json::from_str(json).map_err(|_| NotAKeySet)?;
        let mut set = Self::default();
        let mut duplicates: Vec<Box<str>> = Vec::new();
        for raw in document.keys.iter().take(MAX_KEYS) {
            match parse_key(raw.get(), allowed) {
                Ok(entry) if set.get(&entry.kid).is_none() => set.keys.push(entry),
                // Which of the two is meant is anybody's guess.
                Ok(entry) => duplicates.push(entry.kid),
                Err(UnusableKey) => {}
            }
        }
        if !duplicates.is_empty() {
            tracing::warn!("key set repeats a key id; such keys are ignored");
            set.keys.retain(|entry| !duplicates.contains(&entry.kid));
        }
        Ok(set)
    }

    /// Reads one JWK, or a whole set.
    pub(crate) fn from_jwk_or_set(
        json: &str,
        allowed: &[SignatureAlgorithm],
    ) -> Result<Self, NotAKeySet> {
        if let Ok(entry) = parse_key(json, allowed) {
            return Ok(Self { keys: vec![entry] });
        }
        Self::from_json(json.as_bytes(), allowed)
    }

    /// The set without the emulator's development key, for a handle that talks to anything but this machine: with
    /// that key anybody can sign.
    pub(crate) fn without_publicly_known(mut self) -> Self {
        let before = self.keys.len();
        self.keys.retain(|entry| !entry.publicly_known);
        if self.keys.len() < before {
            tracing::error!(
                "key set has the development key of the emulator, whose private half is public, and the base URL is \
                 not on loopback; the key is ignored"
            );
        }
        self
    }

    /// The key of exactly this kid.
    pub(crate) fn get(&self, kid: &str) -> Option<&PublicKey> {
        // A handful of keys: a scan beats a map.
        self.keys
            .iter()
            .find(|entry| *entry.kid == *kid)
            .map(|entry| &entry.key)
    }

    /// Whether every key of `other` is here, under its kid and unchanged.
    pub(crate) fn keeps_all_of(&self, other: &Self) -> bool {
        other.keys.iter().all(|old| {
            self.keys
                .iter()
                .any(|new| new.kid == old.kid && new.material == old.material)
        })
    }

    /// The key of a set that has one.
    #[cfg(feature = "__fuzzing")]
    pub(crate) fn only(&self) -> Option<&PublicKey> {
        match self.keys.as_slice() {
            [entry] => Some(&entry.key),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn parse_key(json: &str, allowed: &[SignatureAlgorithm]) -> Result<Entry, UnusableKey> {
    // The derived reader refuses a repeated member.
    let jwk: Jwk = serde_json::from_str(json).map_err(|_| UnusableKey)?;
    if jwk.kid.is_empty() || jwk.kid.len() > MAX_KID {
        return Err(UnusableKey);
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err(UnusableKey);
    }
    if let Some(ops) = &jwk.key_ops
        && !ops.iter().any(|op| op == "verify")
    {
        return Err(UnusableKey);
    }
    let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => SignatureAlgorithm::Rs256,
        ("EC", Some("P-256")) => SignatureAlgorithm::Es256,
        ("EC", Some("P-384")) => SignatureAlgorithm::Es384,
        // Symmetric keys never come from a key set; OKP, AKP and later ones are not supported.
        _ => return Err(UnusableKey),
    };
    // One key, one algorithm: the one it is published for, or the only one that fits its type.
    if jwk.alg.is_some_and(|alg| alg != algorithm.as_str()) || !allowed.contains(&algorithm) {
        return Err(UnusableKey);
    }
    let (key, material) = match algorithm {
        SignatureAlgorithm::Rs256 => rsa_key(jwk.n.as_deref(), jwk.e.as_deref())?,
        SignatureAlgorithm::Es256 => ec_key(algorithm, jwk.x.as_deref(), jwk.y.as_deref(), 32)?,
        SignatureAlgorithm::Es384 => ec_key(algorithm, jwk.x.as_deref(), jwk.y.as_deref(), 48)?,
    };
    let publicly_known = algorithm == SignatureAlgorithm::Rs256
        && integer(jwk.n.as_deref()).is_ok_and(|modulus| is_publicly_known(&modulus));
    Ok(Entry {
        kid: jwk.kid.into_boxed_str(),
        key,
        material: material.into_boxed_slice(),
        publicly_known,
    })
}

fn rsa_key(n: Option<&str>, e: Option<&str>) -> Result<(PublicKey, Vec<u8>), UnusableKey> {
    let n = integer(n)?;
    let e = integer(e)?;
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !MODULUS_BITS.contains(&bits) || n.last().is_some_and(|byte| byte % 2 == 0) {
        return Err(UnusableKey);
    }
    if e.len() > 8 {
        return Err(UnusableKey);
    }
    let exponent = e
        .iter()
        .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    // With an exponent of 1 the padded digest is its own signature.
    if exponent < 3 || exponent % 2 == 0 || exponent >= MAX_EXPONENT {
        return Err(UnusableKey);
    }
    if roca::has_fingerprint(&n) {
        tracing::error!("key set has an RSA key that is known to be weak (ROCA); it is ignored");
        return Err(UnusableKey);
    }
    let key = PublicKey::rsa(&n, &e)?;
    Ok((key, [e, n].concat()))
}

fn ec_key(
    algorithm: SignatureAlgorithm,
    x: Option<&str>,
    y: Option<&str>,
    len: usize,
) -> Result<(PublicKey, Vec<u8>), UnusableKey> {
    let x = decode(x)?;
    let y = decode(y)?;
    if x.len() != len || y.len() != len {
        return Err(UnusableKey);
    }
    let key = PublicKey::ec(algorithm, &x, &y)?;
    Ok((key, [x, y].concat()))
}

/// A big-endian integer without leading zeros. Some issuers prefix a sign byte.
fn integer(text: Option<&str>) -> Result<Vec<u8>, UnusableKey> {
    let mut bytes = decode(text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Ok(bytes)
}

/// Base64url. Padding is tolerated in keys (some issuers add it), spare bits are not.
fn decode(text: Option<&str>) -> Result<Vec<u8>, UnusableKey> {
    let text = text.ok_or(UnusableKey)?.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).map_err(|_| UnusableKey)
}
