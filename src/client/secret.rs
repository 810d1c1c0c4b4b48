//! The types of the tokens and keys that a call carries.

use std::fmt;

/// A refresh JWT. It renews and ends sessions, and authorises changes to the user.
///
/// `Debug` never shows it. Only the characters of a JWT are accepted, up to 16 KiB, so that a value from a cookie
/// cannot change the meaning of the `Authorization` header. Whether the token is valid, Descope decides.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

/// A session JWT: for [`Sessions::validate`](super::Sessions::validate), and what
/// [`User::session_jwt`](crate::User::session_jwt) returns.
///
/// `Debug` never shows it. The accepted characters are those of [`RefreshToken`].
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

/// An access key of a machine, or the project's auth management key.
///
/// `Debug` never shows it. Up to 4096 visible ASCII characters other than the colon are accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(String);

/// The error for a text that cannot be a token or key: it is empty, too long, or holds a character that is not
/// accepted.
///
/// The error does not contain the text.
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
            /// Checks the text and wraps it.
            ///
            /// # Errors
            ///
            /// When the text is empty, too long, or holds a character that is not accepted.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidSecret> {
                let text = text.into();
                if $check(text.as_bytes()) {
                    Ok(Self(text))
                } else {
                    Err(InvalidSecret)
                }
            }

            /// The text, which is a secret: do not log it.
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

impl SessionToken {
    /// Wraps a JWT whose signature was verified. Its length is not checked here, because
    /// [`DescopeBuilder::max_token_bytes`](crate::DescopeBuilder::max_token_bytes) has decided on it.
    pub(crate) fn of_verified(jwt: &[u8]) -> Self {
        // Only ASCII passes the verification, so that nothing is replaced.
        Self(String::from_utf8_lossy(jwt).into_owned())
    }
}

secret!(RefreshToken, has_token_characters);
secret!(SessionToken, has_token_characters);
secret!(AccessKey, is_key);

/// Whether these bytes consist of the characters of a JWT, base64url and dots, and are not too long.
pub(crate) fn has_token_characters(bytes: &[u8]) -> bool {
    (1..=MAX_TOKEN).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_key(bytes: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b':')
}

// Servers commonly refuse a header line of this length, so a longer token could not be sent anyway.
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
