//! Tells whether a token has expired before its signature is checked, which costs much more.
//!
//! A flood of old tokens would otherwise cost a signature each, and so would every ordinary request that is about to
//! have its session renewed. Nothing follows from the answer but a refusal, which the claims, once they are proven,
//! would have brought as well.

use std::time::Duration;

use memchr::{memchr, memmem};

const NAME: &[u8] = b"\"exp\"";

/// Whether these claims expired before `limit`. "No" may also mean that a scan cannot tell.
///
/// It has expired for sure if there is an `exp`, every `exp` at any level is past, and no escape could hide another
/// one.
pub(super) fn is_over(claims: &[u8], limit: Duration) -> bool {
    let mut hits = memmem::find_iter(claims, NAME).peekable();
    hits.peek().is_some()
        && memchr(b'\\', claims).is_none()
        && hits.all(|at| {
            integer(&claims[at + NAME.len()..]).is_some_and(|exp| Duration::from_secs(exp) <= limit)
        })
}

/// The value of a member, if it is a plain integer.
fn integer(rest: &[u8]) -> Option<u64> {
    let rest = rest.strip_prefix(b":")?;
    // At most ten digits, which last until the year 2286.
    let len = rest
        .iter()
        .take(11)
        .position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = rest.split_at(len);
    match (digits, rest.first()) {
        ([b'1'..=b'9', ..], Some(b',' | b'}')) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(claims: &str) -> bool {
        is_over(claims.as_bytes(), Duration::from_secs(1000))
    }

    #[test]
    fn what_is_over() {
        assert!(over(r#"{"exp":1000}"#));
        assert!(over(r#"{"iat":1,"exp":999,"sub":"U"}"#));
        assert!(over(r#"{"exp":1,"nested":{"exp":2}}"#));
        assert!(!over(r#"{"exp":1001}"#));
        assert!(!over(r#"{"exp":99999999999}"#));
    }

    // A valid token must never be called over: in doubt the claims decide.
    #[test]
    fn what_cannot_be_told() {
        for claims in [
            "",
            "{}",
            r#"{"sub":"U"}"#,
            r#"{"exp":1,"nested":{"exp":2000}}"#,
            r#"{"nested":{"exp":1},"exp":2000}"#,
            r#"{"nested":{"exp":1},"\u0065xp":2000}"#,
            r#"{"note":"\"exp\":1"}"#,
            r#"{"note":"exp","n":1}"#,
            r#"{"exp": 1}"#,
            r#"{"exp":1.5}"#,
            r#"{"exp":1e9}"#,
            r#"{"exp":012}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":0}"#,
            r#"{"exp":1"#,
            r#"{"exp":"#,
            r#"{"exp""#,
        ] {
            assert!(!over(claims), "{claims}");
        }
    }
}
