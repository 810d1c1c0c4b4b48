//! What replicas tell each other.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::token::TokenId;

/// Longest notice that is read. Only the id of a user has no fixed length.
const LONGEST: usize = 64 * 1024;

/// A token, a session or an outcome that ended before its time. Tokens are named by digests, which cannot be used in
/// their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Notice {
    /// One token is denied until it expires (Unix seconds).
    Token {
        #[serde(with = "short")]
        id: TokenId,
        exp: i64,
    },
    /// A session was ended: its refresh JWT, the session JWTs that were issued for it, and renewals under way.
    Session {
        #[serde(with = "short")]
        id: TokenId,
        /// SHA-256 of the refresh JWT.
        #[serde(with = "short")]
        digest: [u8; 32],
        exp: i64,
    },
    /// The outcome of a renewal must reach no browser any more. The session itself does not end.
    Renewal {
        /// SHA-256 of the refresh JWT.
        #[serde(with = "short")]
        digest: [u8; 32],
    },
    /// All tokens of a user that were issued up to this Unix second are denied.
    Subject {
        sub: String,
        /// Whether `sub` is the user's id and nothing else. Notices of older versions lack this member.
        #[serde(default)]
        id_only: bool,
        issued_until: i64,
    },
}

impl Notice {
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// `None` for what a later version may write, and for what no version writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

/// Digests in base64, which is short, because a store may keep a great many of them.
mod short {
    use super::{Deserialize, Deserializer, Engine, Serializer, URL_SAFE_NO_PAD};

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| serde::de::Error::custom("not a digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for notice in [
            Notice::Token {
                id: [1; 32],
                exp: 1_800_000_000,
            },
            Notice::Session {
                id: [255; 32],
                digest: [0; 32],
                exp: i64::MAX,
            },
            Notice::Renewal { digest: [7; 32] },
            Notice::Subject {
                sub: "U2\"é".to_owned(),
                id_only: true,
                issued_until: 0,
            },
        ] {
            let bytes = notice.encode().unwrap();
            assert_eq!(Notice::decode(&bytes), Some(notice));
        }
        let long = Notice::Subject {
            sub: "x".repeat(LONGEST),
            id_only: false,
            issued_until: 0,
        };
        let mut fits =
            br#"{"renewal":{"digest":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}}"#.to_vec();
        fits.resize(LONGEST, b' ');
        assert_eq!(
            Notice::decode(&fits),
            Some(Notice::Renewal { digest: [7; 32] })
        );
        fits.push(b' ');
        assert_eq!(Notice::decode(&fits), None);
        for unknown in [
            &*long.encode().unwrap(),
            &br#"{"later":{}}"#[..],
            br#"{"token":{"id":"AAAA","exp":1}}"#,
            b"\xff",
        ] {
            assert_eq!(Notice::decode(unknown), None);
        }
    }
}
