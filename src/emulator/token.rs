//! Making and reading the emulator's JWTs.
//!
//! Beside the claims of Descope's tokens each one has a random `jti`. Descope's own tokens show none, but RS256
//! is deterministic: without it two sign-ins of one user within a second would yield the same token, and
//! logging one of them out would end the other. For a refresh JWT the `jti` is also the name of the server's
//! record of it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::keys::{KeyRing, SigningKey};

/// The `drn` claim of a session JWT, and the name of its cookie.
pub(crate) const SESSION: &str = "DS";
/// The `drn` claim of a refresh JWT, and the name of its cookie.
pub(crate) const REFRESH: &str = "DSR";

pub(crate) type Claims = Map<String, Value>;

/// Compact serialisation, RS256.
pub(crate) fn sign(key: &SigningKey, claims: &Claims) -> Result<String, ApiError> {
    let header = json!({"alg": "RS256", "kid": key.kid(), "typ": "JWT"});
    let claims =
        serde_json::to_vec(claims).map_err(|error| ApiError::internal(error.to_string()))?;
    let mut token = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The claims, if a published key signed them as a token of this kind, and it has not expired at `now`.
///
/// `iat` is not looked at: the clock may have been moved back since.
pub(crate) fn verify(
    keys: &KeyRing,
    token: &str,
    kind: &str,
    now: i64,
) -> Result<Claims, ApiError> {
    let claims =
        signed_claims(keys, token).ok_or_else(|| ApiError::invalid_token("Bad signature"))?;
    if claims.get("drn").and_then(Value::as_str) != Some(kind) {
        return Err(ApiError::invalid_token(
            "Session and refresh JWTs cannot stand in for each other",
        ));
    }
    match claims.get("exp").and_then(Value::as_i64) {
        Some(exp) if now < exp => Ok(claims),
        _ => Err(ApiError::invalid_token("Token expired")),
    }
}

fn signed_claims(keys: &KeyRing, token: &str) -> Option<Claims> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Header =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if header.alg != Algorithm::RS256 {
        return None;
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    if !keys
        .find(&header.kid?)?
        .verifies(message.as_bytes(), &signature)
    {
        return None;
    }
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// Unix seconds as RFC 3339 in UTC, the form of `rexp`.
pub(crate) fn rfc3339(unix: i64) -> String {
    let days = unix.div_euclid(86_400);
    let second_of_day = unix.rem_euclid(86_400);
    // Days to a date by Howard Hinnant's `civil_from_days`: years that begin in March put the leap day last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_knows_leap_years() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_688_351_245), "2023-07-03T02:27:25Z");
        assert_eq!(rfc3339(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn a_token_is_good_for_its_kind_until_it_expires() {
        let keys = KeyRing::new(SigningKey::generate().unwrap());
        let Value::Object(claims) = json!({"drn": "DSR", "exp": 100}) else {
            unreachable!()
        };
        let token = sign(keys.current(), &claims).unwrap();
        assert_eq!(verify(&keys, &token, REFRESH, 99).unwrap(), claims);
        assert!(verify(&keys, &token, REFRESH, 100).is_err());
        assert!(verify(&keys, &token, SESSION, 99).is_err());
        let other = KeyRing::new(SigningKey::generate().unwrap());
        assert!(verify(&other, &token, REFRESH, 99).is_err());
        for broken in [
            "",
            ".",
            "..",
            "a.b",
            "garbage",
            &token[1..],
            &format!("{token}="),
            &token.replace('.', ".."),
        ] {
            assert!(verify(&keys, broken, REFRESH, 99).is_err(), "{broken}");
        }
    }
}
