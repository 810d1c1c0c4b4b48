//! Sign-up and sign-in with an authenticator app.

use std::collections::HashMap;
use std::fmt;

use super::super::error::ApiError;
use super::checks::{check_custom_claims, require_login_id};
use super::sessions::{Presented, SignIn};
use super::totp_key::{STEP, ShownKey, TotpKey};
use super::{Grant, State};
use crate::wire::{SignUpUser, TotpSignUpRequest, TotpUpdateRequest, TotpVerifyRequest};

/// For how many seconds a new key may wait for its first code.
const ENROLMENT_TTL: i64 = 900;

struct PendingSignUp {
    user: SignUpUser,
    key: TotpKey,
    expires: i64,
}

/// Keys that wait for their first code, and guesses.
#[derive(Default)]
pub(crate) struct Enrolments {
    sign_ups: HashMap<String, PendingSignUp>,
    /// New keys of existing users, by user id.
    updates: HashMap<String, (TotpKey, i64)>,
    /// Tries within the current step, by user id, or by login id before there is a user.
    guesses: HashMap<String, (u64, u32)>,
}

impl Enrolments {
    /// Counts a try before anything is compared, and refuses it when there were too many within this step.
    fn count_guess(&mut self, whose: &str, max: u32, now: i64) -> Result<(), ApiError> {
        let step = u64::try_from(now).unwrap_or_default() / STEP;
        if self.guesses.len() > 10_000 {
            self.guesses.retain(|_, (of, _)| *of == step);
        }
        let (of, count) = self.guesses.entry(whose.to_owned()).or_default();
        if *of != step {
            (*of, *count) = (step, 0);
        }
        if *count >= max {
            return Err(ApiError::too_many_attempts());
        }
        *count += 1;
        Ok(())
    }

    fn forget_expired(&mut self, now: i64) {
        if self.sign_ups.len() > 10_000 {
            self.sign_ups.retain(|_, pending| now < pending.expires);
        }
    }
}

impl fmt::Debug for Enrolments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrolments")
            .field("sign_ups", &self.sign_ups.len())
            .field("updates", &self.updates.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// `POST /v1/auth/totp/signup`. The user comes to exist with the first right code.
    pub(crate) fn totp_sign_up(
        &mut self,
        request: TotpSignUpRequest,
    ) -> Result<ShownKey, ApiError> {
        require_login_id(&request.login_id)?;
        let key = TotpKey::generate()?;
        let shown = key.shown(&request.login_id)?;
        if self.directory.id_of(&request.login_id).is_some() {
            // With uniform errors a user who exists gets a key too, but it is not stored, so its codes are not
            // accepted.
            return if self.config.uniform_errors {
                Ok(shown)
            } else {
                Err(ApiError::user_exists())
            };
        }
        let now = self.now();
        self.enrolments.forget_expired(now);
        self.enrolments.sign_ups.insert(
            request.login_id,
            PendingSignUp {
                user: request.user,
                key,
                expires: now + ENROLMENT_TTL,
            },
        );
        Ok(shown)
    }

    /// `POST /v1/auth/totp/update`. The old key stays good until the new one is verified.
    pub(crate) fn totp_update(
        &mut self,
        request: &TotpUpdateRequest,
        presented: &Presented,
    ) -> Result<ShownKey, ApiError> {
        require_login_id(&request.login_id)?;
        let caller = self.authenticate_as(presented, &request.login_id)?;
        let key = TotpKey::generate()?;
        let shown = key.shown(&request.login_id)?;
        let expires = self.now() + ENROLMENT_TTL;
        self.enrolments
            .updates
            .insert(caller.user_id, (key, expires));
        Ok(shown)
    }

    /// `POST /v1/auth/totp/verify`: sign-in, and completion of sign-up and update.
    pub(crate) fn totp_verify(
        &mut self,
        request: &TotpVerifyRequest,
        presented: &Presented,
        ip: &str,
    ) -> Result<Grant, ApiError> {
        let login_id = &request.login_id;
        require_login_id(login_id)?;
        if request.code.is_empty() {
            return Err(ApiError::missing("code"));
        }
        check_custom_claims(&request.login_options)?;
        let base = self.base_session(&request.login_options, presented, login_id)?;
        let now = self.now();
        let max = self.config.otp_max_attempts;
        let existing = self.directory.id_of(login_id).map(str::to_owned);
        let is_known = existing.is_some() || self.enrolments.sign_ups.contains_key(login_id);
        if !is_known && !self.config.uniform_errors {
            return Err(ApiError::user_not_found());
        }
        // Tries are counted per user, so that a second login id does not allow more of them.
        let whose = existing.as_deref().unwrap_or(login_id).to_owned();
        self.enrolments.count_guess(&whose, max, now)?;

        let first_seen = existing.is_none();
        let user_id = match existing {
            Some(user_id) => {
                self.accept_code(&user_id, &request.code, now)?;
                user_id
            }
            None => self.complete_totp_sign_up(login_id, &request.code, now)?,
        };
        self.enrolments.guesses.remove(&whose);
        self.sign_in(SignIn {
            user_id: &user_id,
            factor: "totp",
            options: &request.login_options,
            base: base.as_deref(),
            first_seen,
            ip,
        })
    }

    /// Accepts a code of the user's key, or the first code of a new key, which then replaces the user's key.
    fn accept_code(&mut self, user_id: &str, code: &str, now: i64) -> Result<(), ApiError> {
        let user = self
            .directory
            .get_mut(user_id)
            .ok_or_else(ApiError::user_not_found)?;
        if let Some((key, expires)) = self.enrolments.updates.get_mut(user_id)
            && now < *expires
            && key.accept(code, now)?
        {
            user.totp_key = self.enrolments.updates.remove(user_id).map(|(key, _)| key);
            user.profile.totp = true;
            user.profile.modified_time = now;
            return Ok(());
        }
        let is_right = match &mut user.totp_key {
            Some(key) => key.accept(code, now)?,
            None => false,
        };
        if is_right {
            Ok(())
        } else {
            Err(ApiError::wrong_code())
        }
    }

    fn complete_totp_sign_up(
        &mut self,
        login_id: &str,
        code: &str,
        now: i64,
    ) -> Result<String, ApiError> {
        let is_right = match self.enrolments.sign_ups.get_mut(login_id) {
            Some(pending) => now < pending.expires && pending.key.accept(code, now)?,
            None => false,
        };
        if !is_right {
            return Err(ApiError::wrong_code());
        }
        let Some(pending) = self.enrolments.sign_ups.remove(login_id) else {
            return Err(ApiError::wrong_code());
        };
        let user_id = self.directory.create(login_id, &pending.user, now)?;
        if let Some(user) = self.directory.get_mut(&user_id) {
            user.totp_key = Some(pending.key);
            user.profile.totp = true;
        }
        Ok(user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::super::totp_key::tests::code_at;
    use super::*;
    use crate::wire::api_code;

    #[test]
    fn a_new_key_replaces_the_old_one_when_it_is_verified() {
        let mut state = state();
        let old = state
            .totp_sign_up(TotpSignUpRequest::new("ann:a"))
            .unwrap()
            .base32;
        let verify = |state: &mut State, base32: &str| {
            let request = TotpVerifyRequest::new("ann:a", code_at(base32, state.now()));
            state.totp_verify(&request, &Presented::default(), "")
        };
        let grant = verify(&mut state, &old).unwrap();
        assert!(grant.first_seen);
        let presented = Presented::new([grant.sign().unwrap().refresh_jwt]);
        let new = state
            .totp_update(&TotpUpdateRequest::new("ann:a"), &presented)
            .unwrap()
            .base32;
        state.advance(30);
        verify(&mut state, &old).unwrap();
        state.advance(30);
        verify(&mut state, &new).unwrap();
        state.advance(30);
        assert!(verify(&mut state, &old).is_err());
        verify(&mut state, &new).unwrap();
    }

    #[test]
    fn guessing_is_limited_per_step_even_for_the_right_code() {
        let mut state = state();
        let base32 = state
            .totp_sign_up(TotpSignUpRequest::new("ann"))
            .unwrap()
            .base32;
        let verify = |state: &mut State, code: &str| {
            state
                .totp_verify(
                    &TotpVerifyRequest::new("ann", code),
                    &Presented::default(),
                    "",
                )
                .err()
                .map(|error| error.body.error_code)
        };
        for _ in 0..5 {
            assert_eq!(
                verify(&mut state, "no").as_deref(),
                Some(api_code::WRONG_OTP_CODE)
            );
        }
        let right = code_at(&base32, state.now());
        assert_eq!(
            verify(&mut state, &right).as_deref(),
            Some(api_code::TOO_MANY_OTP_ATTEMPTS)
        );
        state.advance(30);
        let right = code_at(&base32, state.now());
        assert_eq!(verify(&mut state, &right), None);
    }
}
