//! Authenticator apps (RFC 6238: SHA-1, six digits, 30 s).
//!
//! The codes of the previous, the current and the next step are accepted, 90 s in all. A code is good once, and
//! after it no older one within those 90 s. A clock that was moved far away and back does not lock anyone out.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use totp_rs::{Builder, Secret, Totp};

use super::super::error::ApiError;
use super::super::random;

/// Seconds per code.
pub(super) const STEP: u64 = 30;
/// How many steps the code of the app may be early or late.
const SKEW: u64 = 1;

/// The secret of an authenticator app: 160 bits, as RFC 4226 recommends.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TotpKey {
    #[serde(serialize_with = "to_base32", deserialize_with = "from_base32")]
    secret: [u8; 20],
    /// The steps of the codes accepted last.
    accepted: VecDeque<u64>,
}

impl TotpKey {
    pub(super) fn generate() -> Result<Self, ApiError> {
        Ok(Self {
            secret: random::bytes()?,
            accepted: VecDeque::new(),
        })
    }

    fn totp(&self, account: &str) -> Result<Totp, ApiError> {
        Builder::new()
            .with_secret(Secret::new_stack(self.secret))
            .with_skew(0)
            // The label of the URI separates issuer and account by a colon, so neither may contain one.
            .with_account_name(account.replace(':', " "))
            .with_issuer(Some("Descope emulator"))
            .build()
            .map_err(|_| ApiError::invalid("The login id cannot name an authenticator app"))
    }

    /// Spends the code, if it is right and fresh.
    pub(super) fn accept(&mut self, code: &str, now: i64) -> Result<bool, ApiError> {
        const REMEMBERED: usize = 16;
        let totp = self.totp("-")?;
        let current = u64::try_from(now).unwrap_or_default() / STEP;
        let matching = (current.saturating_sub(SKEW)..=current + SKEW)
            .find(|step| !self.is_spent(*step) && totp.check(code, step * STEP).is_some());
        let Some(step) = matching else {
            return Ok(false);
        };
        if self.accepted.len() == REMEMBERED {
            self.accepted.pop_front();
        }
        self.accepted.push_back(step);
        Ok(true)
    }

    fn is_spent(&self, step: u64) -> bool {
        self.accepted
            .iter()
            .any(|spent| *spent >= step && spent - step <= 2 * SKEW)
    }

    /// The key in the forms that its owner can use.
    pub(super) fn shown(&self, login_id: &str) -> Result<ShownKey, ApiError> {
        let totp = self.totp(login_id)?;
        Ok(ShownKey {
            uri: totp
                .to_url()
                .map_err(|_| ApiError::invalid("The login id cannot name an authenticator app"))?,
            base32: totp.secret().to_base32(),
        })
    }
}

impl fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpKey").finish_non_exhaustive()
    }
}

fn to_base32<S: Serializer>(secret: &[u8; 20], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Secret::new_stack(*secret).to_base32())
}

fn from_base32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 20], D::Error> {
    Secret::try_from_base32(String::deserialize(deserializer)?)
        .ok()
        .and_then(|secret| secret.as_bytes().try_into().ok())
        .ok_or_else(|| serde::de::Error::custom("expected 160 bits in base32"))
}

/// A key as its owner is to see it, once.
pub(crate) struct ShownKey {
    pub(crate) uri: String,
    pub(crate) base32: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn key(secret: [u8; 20]) -> TotpKey {
        TotpKey {
            secret,
            accepted: VecDeque::new(),
        }
    }

    pub(in super::super) fn code_at(base32: &str, time: i64) -> String {
        Builder::new()
            .with_secret(Secret::try_from_base32(base32).unwrap())
            .with_account_name("-")
            .build()
            .unwrap()
            .generate(time.try_into().unwrap())
            .to_string()
    }

    /// Appendix B of RFC 6238, SHA-1; the codes there have eight digits, of which apps show the last six.
    #[test]
    fn rfc_6238_vectors() {
        for (time, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
        ] {
            let mut key = key(*b"12345678901234567890");
            assert!(key.accept(&expected[2..], time).unwrap(), "{time}");
        }
    }

    #[test]
    fn one_step_early_or_late_is_accepted_two_are_not() {
        let secret = [7; 20];
        let base32 = Secret::new_stack(secret).to_base32();
        for (distance, expected) in [
            (-60, false),
            (-30, true),
            (0, true),
            (30, true),
            (60, false),
        ] {
            let code = code_at(&base32, 30_000 + distance);
            assert_eq!(key(secret).accept(&code, 30_000).unwrap(), expected);
        }
    }

    #[test]
    fn a_code_is_good_once_and_older_ones_are_dead_with_it() {
        let mut key = key([7; 20]);
        let base32 = Secret::new_stack(key.secret).to_base32();
        let code = code_at(&base32, 30_000);
        assert!(key.accept(&code, 30_000).unwrap());
        assert!(!key.accept(&code, 30_000).unwrap());
        assert!(!key.accept(&code, 30_029).unwrap());
        assert!(!key.accept(&code_at(&base32, 29_970), 30_000).unwrap());
        assert!(key.accept(&code_at(&base32, 30_030), 30_000).unwrap());
        // A day back and forth again: other codes work, spent ones stay spent.
        assert!(key.accept(&code_at(&base32, 30), 30).unwrap());
        assert!(!key.accept(&code, 30_000).unwrap());
    }

    #[test]
    fn debug_and_uri_tell_the_secret_to_nobody_but_its_owner() {
        let key = key([7; 20]);
        assert_eq!(format!("{key:?}"), "TotpKey { .. }");
        let shown = key.shown("ann@example.com").unwrap();
        assert!(shown.uri.starts_with("otpauth://totp/"));
        assert!(shown.uri.contains(&format!("secret={}", shown.base32)));
    }
}
