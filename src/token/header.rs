//! The JOSE header (RFC 7515 section 4).
//!
//! jsonwebtoken has a parser for headers too, and the emulator reads its own tokens with that. Headers that come from
//! clients are read here: a member that occurs twice, `crit`, a `typ` for another purpose, a very long `kid` and deep
//! nesting are each refused, and nothing is allocated for the members that tokens of Descope have. jsonwebtoken accepts
//! every header that is accepted here, so a registered member must have the type that its RFC gives it, even if its
//! value does not matter.

use std::borrow::Cow;
use std::fmt;

use jsonwebtoken::jwk::Jwk;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::algorithm::SignatureAlgorithm;
use super::error::InvalidToken;
use super::nesting::is_nested_within;

/// Longest kid, in bytes. Descope's have at most 29.
pub(crate) const MAX_KID: usize = 256;
/// Most members of a header. RFC 7515 registers eleven.
const MAX_MEMBERS: usize = 32;
/// Levels of objects and arrays in a header. A `jwk` has two.
const MAX_DEPTH: usize = 16;

pub(crate) struct Header<'a> {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) kid: Cow<'a, str>,
    /// Whether the header offers a key, or says where to find one. Such a key is never used.
    pub(crate) offers_key: bool,
}

/// Reads a header. The allow-list of algorithms is applied by the caller, who knows the key.
pub(crate) fn parse(json: &[u8]) -> Result<Header<'_>, InvalidToken> {
    // UTF-8 first: serde_json does not look into strings that it skips.
    let json = std::str::from_utf8(json).map_err(|_| InvalidToken::Malformed)?;
    if !is_nested_within(json.as_bytes(), MAX_DEPTH) {
        return Err(InvalidToken::Malformed);
    }
    let raw: RawHeader<'_> = serde_json::from_str(json).map_err(|_| InvalidToken::Malformed)?;
    if raw.refused_extension {
        return Err(InvalidToken::UnsupportedHeader);
    }
    if let Some(typ) = &raw.typ {
        // An explicit type decides the purpose (RFC 8725 section 3.11): `at+jwt`, `dpop+jwt`, … are not sessions.
        if !typ.eq_ignore_ascii_case("JWT") && !typ.eq_ignore_ascii_case("application/jwt") {
            return Err(InvalidToken::WrongType);
        }
    }
    let algorithm = raw.alg.parse().map_err(|_| InvalidToken::Algorithm)?;
    if raw.kid.is_empty() || raw.kid.len() > MAX_KID {
        return Err(InvalidToken::UnknownKey);
    }
    Ok(Header {
        algorithm,
        kid: raw.kid,
        offers_key: raw.offers_key,
    })
}

struct RawHeader<'a> {
    alg: Cow<'a, str>,
    kid: Cow<'a, str>,
    typ: Option<Cow<'a, str>>,
    refused_extension: bool,
    offers_key: bool,
}

impl<'de> Deserialize<'de> for RawHeader<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen: Vec<Cow<'de, str>> = Vec::new();
        let (mut alg, mut kid, mut typ) = (None, None, None);
        let (mut refused_extension, mut offers_key) = (false, false);
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            // Names must be unique (RFC 7515 section 4); parsers disagree about which one counts.
            if seen.contains(&name) {
                return Err(A::Error::custom("duplicate member"));
            }
            if seen.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            match &*name {
                "alg" => alg = Some(map.next_value::<Text<'de>>()?.0),
                "kid" => kid = Some(map.next_value::<Text<'de>>()?.0),
                "typ" => typ = Some(map.next_value::<Text<'de>>()?.0),
                // `crit`: no extension is understood, so any of them, also a malformed one, is refused.
                // `b64`: not allowed in a JWT (RFC 7797 section 7). `enc`, `zip`: JWE.
                "crit" | "b64" | "enc" | "zip" => {
                    map.next_value::<IgnoredAny>()?;
                    refused_extension = true;
                }
                // Keys come from the key set only.
                "jku" | "x5u" | "x5t" | "x5t#S256" => {
                    map.next_value::<Text<'de>>()?;
                    offers_key = true;
                }
                "x5c" => {
                    map.next_value::<Vec<Text<'de>>>()?;
                    offers_key = true;
                }
                "jwk" => {
                    map.next_value::<Jwk>()?;
                    offers_key = true;
                }
                // RFC 7515 section 4.1.10; RFC 8555 sections 6.4 and 6.5.
                "cty" | "url" | "nonce" => {
                    map.next_value::<Text<'de>>()?;
                }
                // The value is read and not skipped, so that a number that no parser can hold, or half of a surrogate
                // pair, is refused.
                _ => {
                    map.next_value::<Value>()?;
                }
            }
            seen.push(name);
        }
        Ok(RawHeader {
            alg: alg.ok_or_else(|| A::Error::missing_field("alg"))?,
            kid: kid.ok_or_else(|| A::Error::missing_field("kid"))?,
            typ,
            refused_extension,
            offers_key,
        })
    }
}

/// A JSON string, borrowed unless it has escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> InvalidToken {
        parse(json.as_bytes()).err().expect(json)
    }

    #[test]
    fn reads_what_descope_sends() {
        let header = parse(br#"{"alg":"RS256","kid":"SK1","typ":"JWT"}"#).unwrap();
        assert_eq!(header.algorithm, SignatureAlgorithm::Rs256);
        assert_eq!(header.kid, "SK1");
        assert!(!header.offers_key);
    }

    // Security requirements 3 and 9.
    #[test]
    fn keys_in_the_header_are_noticed_and_nesting_is_bounded() {
        for (name, value) in [
            ("jwk", r#"{"kty":"oct","k":"AA"}"#),
            ("jku", r#""https://example.com""#),
            ("x5u", r#""https://example.com""#),
            ("x5c", r#"["AA"]"#),
            ("x5t", r#""AA""#),
            ("x5t#S256", r#""AA""#),
        ] {
            let json = format!(r#"{{"alg":"RS256","kid":"a","{name}":{value}}}"#);
            assert!(parse(json.as_bytes()).unwrap().offers_key, "{name}");
            let json = format!(r#"{{"alg":"RS256","kid":"a","{name}":[{{}}]}}"#);
            assert_eq!(refused(&json), InvalidToken::Malformed, "{name}");
        }
        for odd in ["1e999", "[1e999]", r#""\ud800""#] {
            let json = format!(r#"{{"alg":"RS256","kid":"a","x":{odd}}}"#);
            assert_eq!(refused(&json), InvalidToken::Malformed, "{odd}");
        }
        let deep = format!(
            r#"{{"alg":"RS256","kid":"a","x":{}{}}}"#,
            "[".repeat(16),
            "]".repeat(16)
        );
        assert_eq!(refused(&deep), InvalidToken::Malformed);
    }

    // Security requirements 1, 6, 7, 8, 9 and 15.
    #[test]
    fn refuses_what_it_does_not_understand() {
        assert_eq!(
            refused(r#"{"alg":"rs256","kid":"a"}"#),
            InvalidToken::Algorithm
        );
        assert_eq!(
            refused(r#"{"alg":"none","kid":"a"}"#),
            InvalidToken::Algorithm
        );
        assert_eq!(refused(r#"{"alg":"RS256"}"#), InvalidToken::Malformed);
        assert_eq!(
            refused(r#"{"alg":"RS256","kid":""}"#),
            InvalidToken::UnknownKey
        );
        for name in ["cty", "url", "nonce"] {
            let json = format!(r#"{{"alg":"RS256","kid":"a","{name}":7}}"#);
            assert_eq!(refused(&json), InvalidToken::Malformed, "{name}");
        }
        let with_kid = |len: usize| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(len));
        assert!(parse(with_kid(MAX_KID).as_bytes()).is_ok());
        assert_eq!(refused(&with_kid(MAX_KID + 1)), InvalidToken::UnknownKey);
        assert_eq!(
            refused(r#"{"alg":"RS256","kid":1}"#),
            InvalidToken::Malformed
        );
        assert_eq!(
            refused(r#"{"alg":"RS256","kid":"a","crit":null}"#),
            InvalidToken::UnsupportedHeader
        );
        assert_eq!(
            refused(r#"{"alg":"RS256","kid":"a","typ":"at+jwt"}"#),
            InvalidToken::WrongType
        );
        assert_eq!(
            refused(r#"{"alg":"none","\u0061lg":"RS256","kid":"a"}"#),
            InvalidToken::Malformed
        );
        assert_eq!(
            refused(r#"{"alg":"RS256","kid":"a"} "x""#),
            InvalidToken::Malformed
        );
    }
}
