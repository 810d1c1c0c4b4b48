//! The form in which the outcome of a renewal travels between replicas.

use serde::{Deserialize, Serialize};

/// An outcome as upstream gave it. Whoever finds it judges it anew.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SharedOutcome {
    Tokens(SharedTokens),
    /// For the first time. Whoever meets the token after the memo window asks upstream once more.
    Refused,
    /// For the second time. Nobody asks again before the token expires.
    RefusedAgain,
    /// None: the session was ended, and what a renewal under way may bring must not come to life.
    Ended,
    /// No definite answer. Shared with those who wait for it only, so that they need not ask as well.
    #[serde(rename_all = "camelCase")]
    Unavailable {
        retry_after_seconds: u64,
    },
}

/// What upstream issued; empty what it did not, or what did not verify.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SharedTokens {
    pub(crate) session_jwt: String,
    pub(crate) refresh_jwt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_refresh_seconds: Option<u32>,
}

impl std::fmt::Debug for SharedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedTokens").finish_non_exhaustive()
    }
}

impl SharedOutcome {
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// `None` for what a later version may write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for outcome in [
            SharedOutcome::Tokens(SharedTokens {
                session_jwt: "a.b.c".to_owned(),
                refresh_jwt: String::new(),
                next_refresh_seconds: Some(300),
            }),
            SharedOutcome::Refused,
            SharedOutcome::RefusedAgain,
            SharedOutcome::Ended,
            SharedOutcome::Unavailable {
                retry_after_seconds: 7,
            },
        ] {
            let shown = format!("{outcome:?}");
            assert!(
                !shown.ends_with("()") && !shown.contains("a.b.c"),
                "{shown}"
            );
            let bytes = outcome.encode().unwrap();
            assert_eq!(SharedOutcome::decode(&bytes), Some(outcome));
        }
        assert_eq!(SharedOutcome::decode(b"{}"), None);
    }

    #[test]
    fn req_46_debug_shows_no_token() {
        let outcome = SharedOutcome::Tokens(SharedTokens {
            session_jwt: "secret".to_owned(),
            refresh_jwt: "secret".to_owned(),
            next_refresh_seconds: None,
        });
        assert!(!format!("{outcome:?}").contains("secret"));
    }
}
