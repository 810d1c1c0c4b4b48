//! Entry points for this package's own tests, fuzz targets and benchmarks.
//!
//! They are behind the feature `__fuzzing`, which is no part of the public interface: any release may change or remove
//! it. The functions do little themselves, take bytes as they come from outside, and must never panic.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::client::ProjectId;
use crate::descope::Descope;
use crate::headers::{CookieConfig, Credentials};
use crate::token::{InvalidToken, KeySet, SignatureAlgorithm};
use crate::{client, token};

/// Verifies a JWS in compact form by the rules for tokens, except for the claims. Returns the payload.
///
/// # Errors
///
/// When the JWS is refused, with the reason. A malformed key set counts as a set without keys.
pub fn jws(
    key_set: &[u8],
    algorithms: &[SignatureAlgorithm],
    token: &[u8],
) -> Result<Vec<u8>, InvalidToken> {
    let set = KeySet::from_json(key_set, algorithms).unwrap_or_default();
    token::fuzzing::jws(&set, algorithms, token)
}

/// Verifies a signature over any bytes with the only key of a set.
pub fn signature(
    key_set: &[u8],
    algorithm: SignatureAlgorithm,
    signing_input: &[u8],
    signature: &[u8],
) -> bool {
    KeySet::from_json(key_set, &[algorithm])
        .is_ok_and(|set| token::fuzzing::signature(&set, signing_input, signature))
}

/// Reads the header and claims of a token without checking its signature, and calls what a handler may call on the
/// claims. Returns the claims.
///
/// # Errors
///
/// When the token is refused, with the reason.
pub fn unverified(token: &[u8]) -> Result<serde_json::Value, InvalidToken> {
    let verified = token::fuzzing::unverified(token)?;
    let claims = &verified.claims;
    for tenant in claims.tenants() {
        assert!(claims.is_in_tenant(tenant));
        let (roles, permissions) = (
            claims.tenant_roles(tenant),
            claims.tenant_permissions(tenant),
        );
        let _ = roles.chain(permissions).count();
    }
    let _ = claims
        .amr()
        .chain(claims.roles())
        .chain(claims.permissions())
        .count();
    let _ = (claims.id(), claims.sub(), claims.dct());
    verified.decode().map_err(|_| InvalidToken::Malformed)
}

/// Reads a JOSE header. Returns algorithm and key id.
pub fn header(json: &[u8]) -> Option<(SignatureAlgorithm, String)> {
    token::fuzzing::header(json)
}

/// Reads a key set. Returns the number of usable keys.
pub fn key_set(json: &[u8]) -> Option<usize> {
    KeySet::from_json(json, &SignatureAlgorithm::ALL)
        .ok()
        .map(|set| set.len())
}

/// Reads the session cookie `DS` from a `Cookie` header. Returns the values that would be tried.
pub fn cookies(header: &[u8]) -> Vec<Vec<u8>> {
    let Ok(value) = HeaderValue::from_bytes(header) else {
        return Vec::new();
    };
    let Ok(project) = ProjectId::new("P2abc") else {
        return Vec::new();
    };
    let headers = HeaderMap::from_iter([(COOKIE, value)]);
    let credentials = Credentials::read(&headers, &project, &CookieConfig::default());
    credentials.session.iter().map(<[u8]>::to_vec).collect()
}

/// Parses the body of an answer of the API as each of the types that it might be.
pub fn upstream_json(body: &[u8]) {
    client::fuzzing::upstream_json(body);
}

/// Reads a `Retry-After` header; `now` is the Unix time in seconds. Returns seconds.
pub fn retry_after(value: &[u8], now: u64) -> Option<u64> {
    client::fuzzing::retry_after(value, now)
}

/// Whether a session JWT verifies without I/O, as in the session layer.
pub fn verifies_now(descope: &Descope, token: &[u8]) -> bool {
    let verdict = descope
        .project()
        .verifier
        .verify_now(token, token::TokenKind::Session);
    matches!(verdict, Some(Ok(_)))
}
