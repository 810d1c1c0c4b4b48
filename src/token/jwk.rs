//! Key sets (RFC 7517), and what makes a key fit for session JWTs.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, KeyAlgorithm,
    KeyOperations, PublicKeyUse, RSAKeyParameters,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::algorithm::SignatureAlgorithm;
use super::crypto::{PublicKey, UnusableKey};
use super::header::{MAX_KID, Text};
use super::{roca, test_key};

/// Most keys that are held. Descope publishes two or three.
const MAX_KEYS: usize = 100;
/// Most members of a key. RFC 7517 and RFC 7518 register nineteen.
const MAX_MEMBERS: usize = 64;
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
                // Nobody can tell which of the two keys is meant.
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

    /// The key of the test kit, which no document can bring.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test_kit() -> Result<Self, UnusableKey> {
        let algorithm = SignatureAlgorithm::Es256;
        let material = ec_material(algorithm, test_key::public())?;
        Ok(Self {
            keys: vec![Entry {
                kid: test_key::KID.into(),
                key: material.key,
                material: material.bytes.into_boxed_slice(),
                publicly_known: true,
            }],
        })
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
        // There are only a few keys, so that a scan is faster than a map.
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

fn parse_key(json: &str, allowed: &[SignatureAlgorithm]) -> Result<Entry, UnusableKey> {
    UniqueMembers::check(json)?;
    let jwk: Jwk = serde_json::from_str(json).map_err(|_| UnusableKey)?;
    let kid = jwk.common.key_id.ok_or(UnusableKey)?;
    if kid.is_empty() || kid.len() > MAX_KID {
        return Err(UnusableKey);
    }
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return Err(UnusableKey);
    }
    if let Some(operations) = &jwk.common.key_operations
        && !operations.contains(&KeyOperations::Verify)
    {
        return Err(UnusableKey);
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => SignatureAlgorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => SignatureAlgorithm::Es256,
            EllipticCurve::P384 => SignatureAlgorithm::Es384,
            _ => return Err(UnusableKey),
        },
        // Symmetric keys never come from a key set; OKP, AKP and later ones are not supported.
        _ => return Err(UnusableKey),
    };
    // One key, one algorithm: the one it is published for, or the only one that fits its type.
    let published_for = KeyAlgorithm::from(jsonwebtoken::Algorithm::from(algorithm));
    if jwk
        .common
        .key_algorithm
        .is_some_and(|alg| alg != published_for)
        || !allowed.contains(&algorithm)
    {
        return Err(UnusableKey);
    }
    let material = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => rsa_key(key)?,
        AlgorithmParameters::EllipticCurve(key) => ec_key(algorithm, key)?,
        _ => return Err(UnusableKey),
    };
    Ok(Entry {
        kid: kid.into_boxed_str(),
        key: material.key,
        material: material.bytes.into_boxed_slice(),
        publicly_known: material.publicly_known,
    })
}

/// An object in which no member occurs twice (RFC 7517 section 4). [`Jwk`] has no opinion on members that it does not
/// know, and parsers disagree about which of two counts.
struct UniqueMembers;

impl UniqueMembers {
    fn check(json: &str) -> Result<(), UnusableKey> {
        let unique: Result<Self, _> = serde_json::from_str(json);
        unique.map(|Self| ()).map_err(|_| UnusableKey)
    }
}

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Web Key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if seen.contains(&name) || seen.len() == MAX_MEMBERS {
                return Err(A::Error::custom("duplicate member, or too many of them"));
            }
            map.next_value::<IgnoredAny>()?;
            seen.push(name);
        }
        Ok(self)
    }
}

struct Material {
    key: PublicKey,
    /// See [`Entry::material`].
    bytes: Vec<u8>,
    publicly_known: bool,
}

fn rsa_key(key: &RSAKeyParameters) -> Result<Material, UnusableKey> {
    let n = integer(&key.n)?;
    let e = integer(&key.e)?;
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
    Ok(Material {
        key: PublicKey::rsa(&n, &e)?,
        publicly_known: is_publicly_known(&n),
        bytes: [e, n].concat(),
    })
}

fn ec_key(
    algorithm: SignatureAlgorithm,
    key: &EllipticCurveKeyParameters,
) -> Result<Material, UnusableKey> {
    let len = match algorithm {
        SignatureAlgorithm::Es384 => 48,
        _ => 32,
    };
    let x = decode(&key.x)?;
    let y = decode(&key.y)?;
    if x.len() != len || y.len() != len {
        return Err(UnusableKey);
    }
    if test_key::is(&x) {
        tracing::error!(
            "key set has the key of the test kit, whose private half is public; it is ignored"
        );
        return Err(UnusableKey);
    }
    ec_material(algorithm, [x, y])
}

fn ec_material(
    algorithm: SignatureAlgorithm,
    [x, y]: [Vec<u8>; 2],
) -> Result<Material, UnusableKey> {
    Ok(Material {
        key: PublicKey::ec(algorithm, &x, &y)?,
        publicly_known: false,
        bytes: [x, y].concat(),
    })
}

/// A big-endian integer without leading zeros. Some issuers prefix a sign byte.
fn integer(text: &str) -> Result<Vec<u8>, UnusableKey> {
    let mut bytes = decode(text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Ok(bytes)
}

/// Base64url. Padding is tolerated in keys (some issuers add it), spare bits are not.
fn decode(text: &str) -> Result<Vec<u8>, UnusableKey> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| UnusableKey)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A key of 2048 bits whose exponent is 3.
    fn good() -> Value {
        let data: Value =
            serde_json::from_str(include_str!("../../tests/data/rsa_sizes.json")).unwrap();
        assert_eq!(data[1]["name"], "rsa-2048e3");
        data[1]["jwk"].clone()
    }

    fn is_usable(key: &Value) -> bool {
        parse_key(&key.to_string(), &SignatureAlgorithm::ALL).is_ok()
    }

    /// The key with this member.
    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut key = good();
        key[name] = value.into();
        key
    }

    // RFC 7517 section 4, RFC 7518 section 6.3; security requirements 10 to 14.
    #[test]
    fn members_decide_whether_a_key_is_usable() {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let modulus = decode(good()["n"].as_str().unwrap()).unwrap();
        let modulus_with = |last: u8, front: &[u8]| {
            let mut bytes = [front, &modulus].concat();
            *bytes.last_mut().unwrap() = last;
            bytes
        };
        let odd = *modulus.last().unwrap();
        for (key, usable) in [
            (good(), true),
            (with("use", "sig"), true),
            (with("use", "enc"), false),
            (with("use", "other"), false),
            (with("key_ops", json!(["sign", "verify"])), true),
            (with("key_ops", json!(["sign"])), false),
            (with("key_ops", json!([])), false),
            (with("alg", "RS256"), true),
            (with("alg", "RS512"), false),
            (with("alg", "PS256"), false),
            (with("alg", "anything"), false),
            (with("kid", ""), false),
            (with("kid", 1), false),
            (with("kid", "k".repeat(MAX_KID)), true),
            (with("kid", "k".repeat(MAX_KID + 1)), false),
            (with("kty", "oct"), false),
            (with("kty", "EC"), false),
            (with("x5c", 7), false),
            (with("anything", json!({"a": [1]})), true),
            // A sign byte is no part of the number.
            (with("n", encode(&modulus_with(odd, &[0]))), true),
            (with("n", encode(&modulus_with(odd - 1, &[]))), false),
            (with("n", encode(&modulus[1..])), false),
            (with("n", encode(&modulus_with(odd, &[1; 769]))), false),
            (with("n", ""), false),
            (with("n", "!"), false),
            (with("e", encode(&[])), false),
            (with("e", encode(&[1])), false),
            (with("e", encode(&[2])), false),
            (with("e", encode(&[4])), false),
            (with("e", encode(&[0, 1, 0, 1])), true),
            (with("e", encode(&[1, 0, 0])), false),
            (with("e", encode(&[1, 0xff, 0xff, 0xff, 0xff])), true),
            (with("e", encode(&[2, 0, 0, 0, 1])), false),
            (with("e", encode(&[1, 0, 0, 0, 0, 0, 0, 0, 3])), false),
        ] {
            assert_eq!(is_usable(&key), usable, "{key}");
        }
        let repeated = good().to_string().replacen('{', "{\"kid\":\"other\",", 1);
        assert!(parse_key(&repeated, &SignatureAlgorithm::ALL).is_err());
        let unknown = good()
            .to_string()
            .replacen('{', "{\"a\":1,\"\\u0061\":1,", 1);
        assert!(parse_key(&unknown, &SignatureAlgorithm::ALL).is_err());
        assert!(parse_key(&good().to_string(), &[SignatureAlgorithm::Es256]).is_err());
    }

    #[test]
    fn a_kid_that_occurs_twice_names_no_key() {
        let mut keys = vec![good(), with("kid", "other"), with("kid", "third")];
        let set = |keys: &[Value]| {
            let json = json!({ "keys": keys }).to_string();
            KeySet::from_json(json.as_bytes(), &SignatureAlgorithm::ALL).unwrap()
        };
        assert_eq!(set(&keys).len(), 3);
        keys.push(with("kid", "other"));
        let left = set(&keys);
        assert_eq!(left.len(), 2);
        assert!(left.get("other").is_none() && left.get("third").is_some());
    }
}
