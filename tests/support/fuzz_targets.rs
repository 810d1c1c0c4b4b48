//! What must hold for any bytes from outside. Run by `fuzz/` with an engine and by `tests/behaviour/properties.rs` without.
#![allow(dead_code)]

use std::sync::LazyLock;

use serde_json::{Value, json};
use tower_descope::__fuzzing as entry;
use tower_descope::SignatureAlgorithm;

/// A name and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// The targets, by name.
pub const ALL: &[Target] = &[
    ("token", token),
    ("header", header),
    ("cookie", cookie),
    ("key_set", key_set),
    ("upstream_json", upstream_json),
    ("retry_after", retry_after),
];

/// A key, and the only token that it ever signed.
static SIGNED: LazyLock<(String, String)> = LazyLock::new(|| {
    let sizes: Value = serde_json::from_str(include_str!("../data/rsa_sizes.json")).unwrap();
    let entry = &sizes[1];
    assert_eq!(entry["name"], "rsa-2048e3");
    let keys = json!({"keys": [entry["jwk"]]}).to_string();
    (keys, entry["token"].as_str().unwrap().to_owned())
});

pub fn signed_token() -> &'static str {
    &SIGNED.1
}

pub fn token(data: &[u8]) {
    let (keys, signed) = &*SIGNED;
    // Not one other spelling of it is accepted.
    let verdict = entry::jws(keys.as_bytes(), &[SignatureAlgorithm::Rs256], data);
    assert_eq!(verdict.is_ok(), data == signed.as_bytes());

    if let Ok(claims) = entry::unverified(data) {
        assert!(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty()));
        assert!(claims["exp"].is_number());
        assert_eq!(data.iter().filter(|byte| **byte == b'.').count(), 2);
    }
}

/// What our reader of headers accepts, that of jsonwebtoken accepts as well, and reads the same out of it.
pub fn header(data: &[u8]) {
    let Some((algorithm, kid)) = entry::header(data) else {
        return;
    };
    let theirs: jsonwebtoken::Header = serde_json::from_slice(data).unwrap();
    assert_eq!(theirs.alg, algorithm.into());
    assert_eq!(theirs.kid, Some(kid));
    assert_eq!(theirs.crit, None);
}

pub fn cookie(data: &[u8]) {
    let values = entry::cookies(data);
    assert!(values.len() <= 4);
    for (at, value) in values.iter().enumerate() {
        assert!(!value.is_empty() && !value.contains(&b';'));
        assert!(!matches!(value[0], b' ' | b'\t'));
        assert!(!values[..at].contains(value));
        assert!(data.windows(value.len()).any(|window| window == value));
        assert!(data.windows(2).any(|window| window == b"DS"));
    }
}

pub fn key_set(data: &[u8]) {
    if let Some(keys) = entry::key_set(data) {
        assert!(keys <= 100);
        assert!(std::str::from_utf8(data).is_ok());
    }
}

pub fn upstream_json(data: &[u8]) {
    entry::upstream_json(data);
}

pub fn retry_after(data: &[u8]) {
    if let Some(seconds) = entry::retry_after(data, 784_111_777) {
        assert!((1..=3600).contains(&seconds));
    }
}
