//! Tokens and keys that a call carries.

use std::fmt;

/// A refresh JWT: renews and ends sessions, and authorises changes of the user.
///
/// Never shown by `Debug`. Only the characters of a JWT are accepted, so that a value from a cookie cannot
/// change the meaning of the `Authorization` header; whether the token is any good, Descope decides.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

/// A session JWT, for [`Sessions::validate`](super::Sessions::validate).
///
/// Never shown by `Debug`; accepted characters as for [`RefreshToken`].
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

/// An access key of a machine, or the project's auth management key.
///
/// Never shown by `Debug`. Visible ASCII characters other than the colon are accepted, up to 4096 of them.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(String);

/// The text cannot be a token or key: it is empty, too long, or holds a character that none can have.
///
/// The text itself is not part of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSecret;

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a token or key: empty, too long, or with a character that none can have")
    }
}

impl std::error::Error for InvalidSecret {}

macro_rules! secret {
    ($name:ident, $check:ident) => {
        impl $name {
            /// Checks and takes the text.
            ///
            /// # Errors
            ///
            /// When the text is empty, too long, or holds a character that it cannot have.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidSecret> {
                let text = text.into();
                if $check(text.as_bytes()) {
                    Ok(Self(text))
                } else {
                    Err(InvalidSecret)
                }
            }

            /// The text. Handle with care.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidSecret;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidSecret;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

secret!(RefreshToken, has_token_characters);
secret!(SessionToken, has_token_characters);
secret!(AccessKey, is_key);

/// Whether these bytes can be a JWT, by their characters: base64url and dots.
pub(crate) fn has_token_characters(bytes: &[u8]) -> bool {
    (1..=MAX_TOKEN).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_key(bytes: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b':')
}

// Above what servers take as a header line; a token of this size has no chance anyway.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_KEY: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_change_a_header() {
        assert!(RefreshToken::new("eyJh.eyJz.c2ln-_").is_ok());
        for bad in ["", "a b", "a:b", "a\r\nb", "a\0", "ä", "a;b", "a=", "a,b"] {
            assert_eq!(RefreshToken::new(bad), Err(InvalidSecret), "{bad:?}");
            assert_eq!(SessionToken::new(bad), Err(InvalidSecret), "{bad:?}");
        }
        assert!(RefreshToken::new("x".repeat(MAX_TOKEN + 1)).is_err());
        assert!(AccessKey::new("K2a/+=~").is_ok());
        for bad in ["", "a b", "a:b", "a\r\nb", "a\0", "ä"] {
            assert_eq!(AccessKey::new(bad), Err(InvalidSecret), "{bad:?}");
        }
    }

    #[test]
    fn req_46_debug_shows_nothing() {
        let text = format!(
            "{:?} {:?} {:?}",
            RefreshToken::new("secret").unwrap(),
            SessionToken::new("secret").unwrap(),
            AccessKey::new("secret").unwrap()
        );
        assert_eq!(text, "RefreshToken(..) SessionToken(..) AccessKey(..)");
    }
}
