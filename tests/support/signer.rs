//! Signs tokens, good ones and whatever a test wants to see refused.
#![allow(dead_code)]

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub const PROJECT: &str = "P2aTestProject000000000000001";
pub const KEYS_PATH: &str = "/v2/keys/P2aTestProject000000000000001";

/// An RSA key with a name.
pub struct Signer {
    pub kid: String,
    key: KeyPair,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            key: KeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// The public key, as Descope publishes it.
    pub fn jwk(&self) -> Value {
        let key = self.key.public_key();
        json!({
            "kty": "RSA",
            "kid": self.kid,
            "alg": "RS256",
            "use": "sig",
            "n": encode(key.modulus().big_endian_without_leading_zero()),
            "e": encode(key.exponent().big_endian_without_leading_zero()),
        })
    }

    /// A key set of this key alone.
    pub fn jwks(&self) -> String {
        jwks([self]).to_string()
    }

    /// The public key as DER, which an attacker might use as an HMAC secret.
    pub fn public_der(&self) -> Vec<u8> {
        self.key.public_key().as_der().unwrap().as_ref().to_vec()
    }

    pub fn header(&self) -> String {
        json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"}).to_string()
    }

    /// A token with these claims and nothing to object to in its header.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_parts(&self.header(), &claims.to_string())
    }

    /// A token with whatever header and payload, signed over both.
    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        self.sign_input(&format!("{}.{}", encode(header), encode(payload)))
    }

    /// Appends a signature over these very bytes.
    pub fn sign_input(&self, input: &str) -> String {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                input.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{input}.{}", encode(signature))
    }
}

/// Claims of a session that is good for an hour from this Unix time.
pub fn session(sub: &str, now: i64) -> Value {
    json!({
        "iss": PROJECT,
        "sub": sub,
        "drn": "DS",
        "iat": now,
        "exp": now + 3600,
        "amr": ["email"],
    })
}

/// Claims of a refresh JWT that is good for four weeks from this Unix time.
pub fn refresh(sub: &str, now: i64) -> Value {
    let mut claims = session(sub, now);
    claims["drn"] = json!("DSR");
    claims["exp"] = json!(now + 28 * 24 * 3600);
    claims
}

pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Value {
    json!({"keys": signers.into_iter().map(Signer::jwk).collect::<Vec<_>>()})
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a token, unverified.
pub fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("not a JWS");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
