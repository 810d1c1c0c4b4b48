//! One-time codes that were sent and not yet used.
//!
//! A code is bound to the login id that it was requested for, to the delivery method and to its purpose. Only a
//! keyed digest is kept. Tries are counted before the comparison, and a code that matches is gone: both happen
//! under the state's lock, so parallel guesses win nothing.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;

use super::super::error::ApiError;
use crate::wire::{DeliveryMethod, LoginOptions, SignUpUser, UpdateOptions};

/// What happens when a code is verified.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Creates the user.
    SignUp {
        user: SignUpUser,
        options: LoginOptions,
    },
    /// Signs the user in.
    SignIn {
        user_id: String,
        address: String,
        options: LoginOptions,
        base: Option<String>,
    },
    /// Changes the user's address.
    Update {
        user_id: String,
        address: String,
        options: UpdateOptions,
        base: Option<String>,
    },
    /// Nothing. A code that is never sent is stored for an unknown login id, so that it is answered like a known one.
    Decoy,
}

impl Purpose {
    fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. })
    }
}

struct Code {
    method: DeliveryMethod,
    purpose: Purpose,
    digest: hmac::Tag,
    sent: i64,
    expires: i64,
    tries: u32,
}

/// Codes by login id.
pub(crate) struct Codes {
    key: hmac::Key,
    by_login_id: HashMap<String, Vec<Code>>,
    /// Wrong tries in a row, over all codes of a login id, and when the last one was.
    failures: HashMap<String, (u32, i64)>,
}

/// After so many wrong tries in a row, however many codes they were spread over, a login id is locked; NIST
/// SP 800-63B allows no more.
const MAX_FAILURES: u32 = 100;
/// For how many seconds after the last wrong try a login id stays locked.
const LOCK: i64 = 3_600;

/// A code on its way to the user. Times are Unix seconds.
pub(crate) struct Sent<'a> {
    pub(crate) method: DeliveryMethod,
    pub(crate) purpose: Purpose,
    pub(crate) code: &'a str,
    pub(crate) now: i64,
    pub(crate) expires: i64,
}

/// A code that came back.
pub(crate) struct Tried<'a> {
    pub(crate) method: DeliveryMethod,
    pub(crate) code: &'a str,
    /// How often a code may be tried.
    pub(crate) max_tries: u32,
    pub(crate) now: i64,
}

impl Codes {
    pub(crate) fn new(key: hmac::Key) -> Self {
        Self {
            key,
            by_login_id: HashMap::new(),
            failures: HashMap::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_login_id.clear();
        self.failures.clear();
    }

    /// Stores a code. It replaces an earlier code of this login id, unless one of the two codes is for an update and
    /// the other is not.
    pub(crate) fn insert(&mut self, login_id: &str, sent: Sent<'_>) {
        let Sent {
            method,
            purpose,
            code,
            now,
            expires,
        } = sent;
        const LOGIN_IDS: usize = 10_000;
        if self.by_login_id.len() >= LOGIN_IDS {
            self.by_login_id.retain(|_, codes| {
                codes.retain(|code| now < code.expires);
                !codes.is_empty()
            });
            self.failures
                .retain(|_, (_, last)| (now - *last).abs() < LOCK);
        }
        let digest = hmac::sign(&self.key, code.as_bytes());
        let codes = self.by_login_id.entry(login_id.to_owned()).or_default();
        codes.retain(|old| old.purpose.is_update() != purpose.is_update());
        codes.push(Code {
            method,
            purpose,
            digest,
            sent: now,
            expires,
            tries: 0,
        });
    }

    /// When the last code for this login id was sent, or pretended to be.
    pub(crate) fn last_sent(&self, login_id: &str) -> Option<i64> {
        let codes = self.by_login_id.get(login_id)?;
        codes.iter().map(|code| code.sent).max()
    }

    /// Spends the code and returns its purpose, if the code is right.
    ///
    /// A code that expired or was tried too often is kept until another code replaces it, so that a later try is
    /// answered with the reason for which the code is no longer accepted.
    pub(crate) fn redeem(&mut self, login_id: &str, tried: Tried<'_>) -> Result<Purpose, ApiError> {
        let Tried {
            method,
            code,
            max_tries,
            now,
        } = tried;
        let Some(codes) = self.by_login_id.get_mut(login_id) else {
            return Err(ApiError::wrong_code());
        };
        if let Some((count, last)) = self.failures.get(login_id)
            && *count >= MAX_FAILURES
            && (now - last).abs() < LOCK
        {
            return Err(ApiError::too_many_attempts());
        }
        let mut refusal = None;
        let mut was_compared = false;
        let mut hit = None;
        for (index, known) in codes.iter_mut().enumerate() {
            if known.method != method {
                continue;
            }
            if now >= known.expires {
                refusal = Some(ApiError::code_expired());
                continue;
            }
            if known.tries >= max_tries {
                refusal = Some(ApiError::too_many_attempts());
                continue;
            }
            known.tries += 1;
            was_compared = true;
            if hmac::verify(&self.key, code.as_bytes(), known.digest.as_ref()).is_ok()
                && !matches!(known.purpose, Purpose::Decoy)
            {
                hit = Some(index);
                break;
            }
        }
        match (hit, refusal) {
            (Some(index), _) => {
                self.failures.remove(login_id);
                let purpose = codes.swap_remove(index).purpose;
                if codes.is_empty() {
                    self.by_login_id.remove(login_id);
                }
                Ok(purpose)
            }
            (None, Some(refusal)) if !was_compared => Err(refusal),
            _ => {
                if was_compared {
                    let (count, last) = self.failures.entry(login_id.to_owned()).or_default();
                    if (now - *last).abs() >= LOCK {
                        *count = 0;
                    }
                    *count += 1;
                    *last = now;
                }
                Err(ApiError::wrong_code())
            }
        }
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes")
            .field("login_ids", &self.by_login_id.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest_key;
    use super::*;
    use crate::wire::api_code;

    const EMAIL: DeliveryMethod = DeliveryMethod::Email;

    fn sign_up() -> Purpose {
        Purpose::SignUp {
            user: SignUpUser::default(),
            options: LoginOptions::default(),
        }
    }

    fn update() -> Purpose {
        Purpose::Update {
            user_id: "U1".to_owned(),
            address: "new@example.com".to_owned(),
            options: UpdateOptions::default(),
            base: None,
        }
    }

    fn codes() -> Codes {
        Codes::new(digest_key().unwrap())
    }

    fn refusal(result: Result<Purpose, ApiError>) -> String {
        result.unwrap_err().body.error_code
    }

    fn sent(
        method: DeliveryMethod,
        purpose: Purpose,
        code: &str,
        now: i64,
        expires: i64,
    ) -> Sent<'_> {
        Sent {
            method,
            purpose,
            code,
            now,
            expires,
        }
    }

    fn tried(method: DeliveryMethod, code: &str, max_tries: u32, now: i64) -> Tried<'_> {
        Tried {
            method,
            code,
            max_tries,
            now,
        }
    }

    #[test]
    fn a_code_works_once_and_only_for_its_login_id_and_method() {
        let mut codes = codes();
        codes.insert("ann", sent(EMAIL, sign_up(), "042917", 0, 100));
        assert!(codes.redeem("bob", tried(EMAIL, "042917", 5, 1)).is_err());
        assert!(
            codes
                .redeem("ann", tried(DeliveryMethod::Sms, "042917", 5, 1))
                .is_err()
        );
        assert!(codes.redeem("ann", tried(EMAIL, "042917", 5, 1)).is_ok());
        assert_eq!(
            refusal(codes.redeem("ann", tried(EMAIL, "042917", 5, 1))),
            api_code::WRONG_OTP_CODE
        );
    }

    #[test]
    fn a_newer_code_kills_the_older_of_the_same_purpose_only() {
        let mut codes = codes();
        codes.insert("ann", sent(EMAIL, sign_up(), "111111", 0, 100));
        codes.insert("ann", sent(EMAIL, update(), "222222", 0, 100));
        codes.insert("ann", sent(EMAIL, sign_up(), "333333", 0, 100));
        assert!(codes.redeem("ann", tried(EMAIL, "111111", 5, 1)).is_err());
        assert!(
            codes
                .redeem("ann", tried(EMAIL, "222222", 5, 1))
                .unwrap()
                .is_update()
        );
        assert!(
            !codes
                .redeem("ann", tried(EMAIL, "333333", 5, 1))
                .unwrap()
                .is_update()
        );
    }

    #[test]
    fn too_many_tries_kill_the_right_code_too() {
        let mut codes = codes();
        codes.insert("ann", sent(EMAIL, sign_up(), "042917", 0, 100));
        for _ in 0..3 {
            assert_eq!(
                refusal(codes.redeem("ann", tried(EMAIL, "000000", 3, 1))),
                api_code::WRONG_OTP_CODE
            );
        }
        assert_eq!(
            refusal(codes.redeem("ann", tried(EMAIL, "042917", 3, 1))),
            api_code::TOO_MANY_OTP_ATTEMPTS
        );
    }

    #[test]
    fn many_codes_do_not_mean_many_guesses() {
        let mut codes = codes();
        for n in 0..100 {
            codes.insert("ann", sent(EMAIL, sign_up(), "042917", n, n + 100));
            assert!(codes.redeem("ann", tried(EMAIL, "000000", 5, n)).is_err());
        }
        codes.insert("ann", sent(EMAIL, sign_up(), "042917", 100, 10_000));
        assert_eq!(
            refusal(codes.redeem("ann", tried(EMAIL, "042917", 5, 100))),
            api_code::TOO_MANY_OTP_ATTEMPTS
        );
        assert!(
            codes
                .redeem("ann", tried(EMAIL, "042917", 5, 3_699))
                .is_ok()
        );
    }

    #[test]
    fn an_expired_code_says_so_and_revives_when_the_clock_goes_back() {
        let mut codes = codes();
        codes.insert("ann", sent(EMAIL, sign_up(), "042917", 0, 100));
        assert_eq!(
            refusal(codes.redeem("ann", tried(EMAIL, "042917", 5, 100))),
            api_code::OTP_EXPIRED
        );
        assert!(codes.redeem("ann", tried(EMAIL, "042917", 5, 99)).is_ok());
    }

    #[test]
    fn a_decoy_never_matches() {
        let mut codes = codes();
        codes.insert("ann", sent(EMAIL, Purpose::Decoy, "042917", 0, 100));
        assert_eq!(
            refusal(codes.redeem("ann", tried(EMAIL, "042917", 5, 1))),
            api_code::WRONG_OTP_CODE
        );
    }
}
