//! The form in which the outcome of a renewal travels between replicas.

use serde::{Deserialize, Serialize};

/// An outcome as upstream gave it. A replica that finds it judges it anew.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SharedOutcome {
    Tokens(SharedTokens),
    /// Upstream refused the refresh JWT for the first time. It is asked once more if the token is presented after the
    /// memo window.
    Refused,
    /// Upstream refused the refresh JWT again. It is not asked again before the token expires.
    RefusedAgain,
    /// No outcome: the session was ended, and a replica that is renewing it must not use the tokens that it gets.
    Ended,
    /// No definite answer. Only for replicas that wait for the outcome, so that they need not ask upstream as well.
    #[serde(rename_all = "camelCase")]
    Unavailable {
        retry_after_seconds: u64,
    },
}

/// The tokens that upstream issued. A token that it did not issue, or that did not verify, is an empty string.
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

    /// `None` for a form that this version does not know.
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
