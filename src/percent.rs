//! Percent-encoding (RFC 3986 section 2.1).

use std::borrow::Cow;

/// The text with an escape for every byte that `keep` does not let stand.
pub(crate) fn encoded(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match keep(byte) {
            // A byte of a character beyond ASCII is no character of its own.
            true if byte.is_ascii() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether a byte means itself everywhere in a URL (RFC 3986 section 2.3).
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The path with its escapes replaced; `None` if the result is not UTF-8.
pub(crate) fn decoded(path: &str) -> Option<Cow<'_, str>> {
    match decoded_bytes(path) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(path)),
        Cow::Owned(decoded) => String::from_utf8(decoded).ok().map(Cow::Owned),
    }
}

/// The path with its escapes replaced. A `%` that begins no escape stays.
pub(crate) fn decoded_bytes(path: &str) -> Cow<'_, [u8]> {
    if !path.contains('%') {
        return Cow::Borrowed(path.as_bytes());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = escaped(rest).unwrap_or((*first, tail));
        decoded.push(byte);
        rest = tail;
    }
    Cow::Owned(decoded)
}

/// The byte that a percent-encoded escape at the beginning stands for, and the bytes after the escape.
fn escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, tail @ ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = digit(high)? * 16 + digit(low)?;
    Some((u8::try_from(byte).ok()?, tail))
}
