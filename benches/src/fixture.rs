//! Tokens as Descope issues them, and what they are compared with.

use std::hint::black_box;
use std::ops::Range;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};
use tower_descope::{Descope, TokenCache, User};

use crate::signer::{PROJECT, Signer, encode, jwks, session};

/// How many sessions are live at a time.
pub const LIVE: usize = 1_000;

pub fn unix_now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs() as i64
}

/// The claims of a session with two tenants: a token of about one kilobyte.
pub fn claims(n: usize, now: i64) -> Value {
    let mut claims = session(&format!("U2abcdefghijklmnopqrst{n:06}"), now);
    claims["rexp"] = json!("2026-12-20T10:36:36Z");
    claims["permissions"] = json!(["doc.read", "doc.write"]);
    claims["roles"] = json!(["editor"]);
    claims["tenants"] = json!({
        "T2aaaaaaaaaaaaaaaaaaaaaaaaaaa": {"roles": ["owner"], "permissions": ["bill"]},
        "T2bbbbbbbbbbbbbbbbbbbbbbbbbbb": {"roles": ["member"], "permissions": []},
    });
    claims
}

/// A token for each number, of sessions that began at `now`.
pub fn sign(signer: &Signer, numbers: Range<usize>, now: i64) -> Vec<String> {
    sign_each(signer, numbers, |n| claims(n, now))
}

/// A token for each number. Signing is dear, so it takes what cores there are.
pub fn sign_each(
    signer: &Signer,
    numbers: Range<usize>,
    claims: impl Fn(usize) -> Value + Sync,
) -> Vec<String> {
    let numbers: Vec<usize> = numbers.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = numbers.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let claims = &claims;
        let parts: Vec<_> = numbers
            .chunks(share)
            .map(|part| {
                scope.spawn(move || -> Vec<String> {
                    part.iter().map(|n| signer.sign(&claims(*n))).collect()
                })
            })
            .collect();
        let parts = parts.into_iter();
        parts
            .flat_map(|part| part.join().expect("signed"))
            .collect()
    })
}

/// A distinct forgery for each number: a genuine header, a genuine payload, and a signature that is a number below
/// any modulus, so that it costs the whole exponentiation to refuse.
pub fn forge(genuine: &str, n: usize) -> String {
    let (input, _) = genuine.rsplit_once('.').expect("a token");
    let mut state = n as u64;
    let mut signature = [0; 256];
    for chunk in signature[8..].chunks_mut(8) {
        chunk.copy_from_slice(&scrambled(&mut state).to_be_bytes());
    }
    format!("{input}.{}", encode(signature))
}

/// SplitMix64: enough to make signatures differ everywhere.
fn scrambled(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A handle that needs no key endpoint.
pub fn descope(signer: &Signer, cache: TokenCache) -> Descope {
    Descope::builder(PROJECT)
        .public_key(jwks([signer]).to_string())
        .token_cache(cache)
        .build()
        .expect("a configuration")
}

/// `/plain` asks for nothing, `/method` for the least that an extractor can bring, `/user` for a user.
pub fn app() -> Router {
    Router::new()
        .route("/plain", get(async || "hello"))
        .route(
            "/method",
            get(async |method: Method| {
                black_box(&method);
                "hello"
            }),
        )
        .route(
            "/user",
            get(async |user: User| {
                black_box(user.id());
                "hello"
            }),
        )
}

/// An app that knows nothing of signing in.
pub fn floor() -> Router {
    Router::new().route("/plain", get(async || "hello"))
}

/// Cookie headers, made once: those of a server are slices of what it has read.
pub fn cookies(tokens: &[String]) -> Vec<HeaderValue> {
    let cookie = |token: &String| format!("DS={token}").parse().expect("a header value");
    tokens.iter().map(cookie).collect()
}

pub fn request(path: &'static str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

pub fn request_with(path: &'static str, cookie: &HeaderValue) -> Request<Body> {
    let mut request = request(path);
    request.headers_mut().insert(COOKIE, cookie.clone());
    request
}

/// The least that a signature costs: the key is parsed already, and the claims are not looked at.
pub struct Raw(ParsedPublicKey);

impl Raw {
    pub fn new(signer: &Signer) -> Self {
        let jwk = signer.jwk();
        let integer = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(jwk[name].as_str().expect("a member"))
                .expect("base64url")
        };
        let components = PublicKeyComponents {
            n: integer("n"),
            e: integer("e"),
        };
        Self(
            components
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .expect("a good key"),
        )
    }

    pub fn verify(&self, token: &str) {
        let (input, signature) = token.rsplit_once('.').expect("a token");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        self.0
            .verify_sig(input.as_bytes(), &signature)
            .expect("a good signature");
    }
}
