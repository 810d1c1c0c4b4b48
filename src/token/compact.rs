//! The compact serialisation (RFC 7515 section 7.1): cheap refusals first, nothing decoded that need not be.

use std::borrow::Cow;

use base64_simd::URL_SAFE_NO_PAD;
use memchr::memchr_iter;

use super::algorithm::SignatureAlgorithm;
use super::error::InvalidToken;
use super::header::{self, Header};

/// Characters of a header part. Descope's have about 100; a certificate chain in `x5c` has a few thousand.
const MAX_HEADER: usize = 8 * 1024;

/// The header of the last token that verified. All tokens of one key have the same header. Equal bytes mean the same,
/// so that it need not be parsed again.
#[derive(Debug)]
pub(crate) struct KnownHeader {
    part: Box<[u8]>,
    algorithm: SignatureAlgorithm,
    kid: Box<str>,
}

/// A token whose header was read and of which nothing is proven yet.
pub(crate) struct Compact<'a> {
    header: &'a [u8],
    /// `header.payload`, what the signature covers.
    pub(crate) signing_input: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) kid: Cow<'a, str>,
    pub(crate) offers_key: bool,
}

/// The three parts, still in base64url.
pub(crate) struct Parts<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) signing_input: &'a [u8],
}

/// Splits a token after checking length, alphabet and part count, in one pass and without allocating.
pub(crate) fn split(token: &[u8], max_bytes: usize) -> Result<Parts<'_>, InvalidToken> {
    if token.len() > max_bytes {
        return Err(InvalidToken::TooLong);
    }
    // A third dot means JWE or nonsense, and is refused before the rest is read.
    let mut found = memchr_iter(b'.', token);
    let (Some(first), Some(second), None) = (found.next(), found.next(), found.next()) else {
        return Err(InvalidToken::Malformed);
    };
    let dots = [first, second];
    let parts = Parts {
        header: &token[..dots[0]],
        payload: &token[dots[0] + 1..dots[1]],
        signature: &token[dots[1] + 1..],
        signing_input: &token[..dots[1]],
    };
    if parts.header.is_empty() || parts.payload.is_empty() || parts.signature.is_empty() {
        return Err(InvalidToken::Malformed);
    }
    if parts.header.len() > MAX_HEADER {
        return Err(InvalidToken::TooLong);
    }
    let parts_are_base64url = [parts.header, parts.payload, parts.signature]
        .into_iter()
        .all(is_base64url);
    if !parts_are_base64url {
        return Err(InvalidToken::Malformed);
    }
    Ok(parts)
}

/// Whether this has the shape of a token: three parts of base64url.
pub(crate) fn is_token(value: &[u8]) -> bool {
    split(value, usize::MAX).is_ok()
}

/// Whether every byte is of the base64url alphabet (RFC 4648 section 5). Looks at all of them, without a branch for
/// each: the compiler makes vector instructions of it, many times faster than stopping at the first that is not.
fn is_base64url(part: &[u8]) -> bool {
    let in_range = |byte: u8, first: u8, count: u8| byte.wrapping_sub(first) < count;
    part.iter().fold(true, |so_far, &byte| {
        let letter = in_range(byte | 0x20, b'a', 26);
        so_far & (letter | in_range(byte, b'0', 10) | (byte == b'-') | (byte == b'_'))
    })
}

impl Compact<'_> {
    /// What to remember of a token that has verified, unless that is known already.
    pub(crate) fn to_remember(&self, known: Option<&KnownHeader>) -> Option<KnownHeader> {
        let is_known = known.is_some_and(|known| *known.part == *self.header);
        (!is_known && !self.offers_key).then(|| KnownHeader {
            part: self.header.into(),
            algorithm: self.algorithm,
            kid: (*self.kid).into(),
        })
    }
}

/// Reads a token as far as can be done without a key. `scratch` receives the decoded header.
pub(crate) fn parse<'a>(
    token: &'a [u8],
    max_bytes: usize,
    known: Option<&'a KnownHeader>,
    scratch: &'a mut Vec<u8>,
) -> Result<Compact<'a>, InvalidToken> {
    let parts = split(token, max_bytes)?;
    let header = match known {
        Some(known) if *known.part == *parts.header => Header {
            algorithm: known.algorithm,
            kid: Cow::Borrowed(&known.kid),
            offers_key: false,
        },
        _ => {
            decode_into(parts.header, scratch)?;
            header::parse(scratch)?
        }
    };
    Ok(Compact {
        header: parts.header,
        signing_input: parts.signing_input,
        payload: parts.payload,
        signature: parts.signature,
        algorithm: header.algorithm,
        kid: header.kid,
        offers_key: header.offers_key,
    })
}

/// Strict base64url: no padding, no spare bits (RFC 4648 section 3.5), so that a token has one spelling only.
pub(crate) fn decode(part: &[u8]) -> Result<Vec<u8>, InvalidToken> {
    URL_SAFE_NO_PAD
        .decode_to_vec(part)
        .map_err(|_| InvalidToken::Malformed)
}

fn decode_into(part: &[u8], into: &mut Vec<u8>) -> Result<(), InvalidToken> {
    into.clear();
    URL_SAFE_NO_PAD
        .decode_append(part, into)
        .map_err(|_| InvalidToken::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_or_nothing() {
        for bad in [
            "", ".", "..", "...", "a.b", "a..c", ".b.c", "a.b.", "a.b.c.d", "a.b.c ", "a.b.ü",
            "a.b=.c",
        ] {
            assert!(split(bad.as_bytes(), 100).is_err(), "{bad:?}");
        }
        let parts = split(b"ab.cd.ef", 100).unwrap();
        assert_eq!(parts.signing_input, b"ab.cd");
        assert_eq!(parts.signature, b"ef");
    }

    #[test]
    fn the_alphabet_is_exactly_that() {
        for byte in 0..=u8::MAX {
            let good = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert_eq!(is_base64url(&[b'a', byte, b'a']), good, "{byte:#x}");
        }
    }

    #[test]
    fn length_is_checked_before_anything_else() {
        assert_eq!(split(&[b'.'; 101], 100).err(), Some(InvalidToken::TooLong));
    }

    /// One spelling for one value: whatever decodes, encodes to itself.
    #[test]
    fn every_short_text_that_decodes_is_canonical() {
        let alphabet = b"AEIQUYZagwz0489-_=+/. \n";
        for &a in alphabet {
            for &b in alphabet {
                for &c in alphabet {
                    for text in [
                        vec![a],
                        vec![a, b],
                        vec![a, b, c],
                        vec![b'A', a, b, c, a, b],
                    ] {
                        if let Ok(bytes) = decode(&text) {
                            let again = URL_SAFE_NO_PAD.encode_to_string(bytes);
                            assert_eq!(again.as_bytes(), text);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn spare_bits_and_padding_are_refused() {
        assert_eq!(decode(b"QQ").unwrap(), b"A");
        assert!(decode(b"QR").is_err());
        assert!(decode(b"QQ==").is_err());
        assert!(decode(b"Q").is_err());
    }

    #[test]
    fn limits_are_the_longest_that_is_read() {
        let refusal = |token: &str, max| split(token.as_bytes(), max).err();
        assert_eq!(refusal("aa.bb.cc", 8), None);
        assert_eq!(refusal("aa.bb.cc", 7), Some(InvalidToken::TooLong));
        let with_header = |len: usize| format!("{}.b.c", "a".repeat(len));
        assert_eq!(refusal(&with_header(MAX_HEADER), usize::MAX), None);
        let longer = with_header(MAX_HEADER + 1);
        assert_eq!(refusal(&longer, usize::MAX), Some(InvalidToken::TooLong));
    }

    #[test]
    fn each_part_is_base64url() {
        for byte in 0..=u8::MAX {
            let is_known = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert_eq!(is_base64url(&[b'a', byte]), is_known, "{byte}");
        }
    }
}
