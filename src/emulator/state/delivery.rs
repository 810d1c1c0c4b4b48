//! Sending codes: where they go, how often, and what the sender is told.

use super::super::error::ApiError;
use super::super::{mask, random};
use super::State;
use super::codes::{Purpose, Sent};
use super::inbox::NewMessage;
use crate::wire::{DeliveryMethod, MaskedAddress, UserProfile};

impl State {
    pub(super) fn send_code(
        &mut self,
        method: DeliveryMethod,
        login_id: &str,
        address: &str,
        purpose: Purpose,
    ) -> Result<MaskedAddress, ApiError> {
        let now = self.now();
        self.check_cooldown(self.inbox.last_sent(address), now)?;
        self.check_cooldown(self.codes.last_sent(login_id), now)?;
        let code = random::six_digits()?;
        let expires = now + i64::from(self.config.otp_ttl_seconds);
        let sent = Sent {
            method,
            purpose,
            code: &code,
            now,
            expires,
        };
        self.codes.insert(login_id, sent);
        self.inbox.push(NewMessage {
            to: address,
            login_id,
            channel: method.as_str(),
            code: &code,
            now,
        });
        // With uniform errors the reply masks the login id of the request, so that it does not reveal the stored
        // address.
        Ok(self.masked(
            method,
            if self.config.uniform_errors {
                login_id
            } else {
                address
            },
        ))
    }

    /// Refuses to send too soon after the last message. A clock that went back does not count as waiting.
    fn check_cooldown(&self, last_sent: Option<i64>, now: i64) -> Result<(), ApiError> {
        let cooldown = i64::from(self.config.otp_cooldown_seconds);
        match last_sent {
            Some(last) if (0..cooldown).contains(&(now - last)) => {
                Err(ApiError::rate_limited(Some(cooldown - (now - last))))
            }
            _ => Ok(()),
        }
    }

    /// Refuses, or under uniform errors answers as if a code had been sent.
    pub(super) fn pretend(
        &mut self,
        method: DeliveryMethod,
        login_id: &str,
        refusal: ApiError,
    ) -> Result<MaskedAddress, ApiError> {
        if !self.config.uniform_errors {
            return Err(refusal);
        }
        let now = self.now();
        self.check_cooldown(self.codes.last_sent(login_id), now)?;
        let expires = now + i64::from(self.config.otp_ttl_seconds);
        let code = random::six_digits()?;
        let sent = Sent {
            method,
            purpose: Purpose::Decoy,
            code: &code,
            now,
            expires,
        };
        self.codes.insert(login_id, sent);
        Ok(self.masked(method, login_id))
    }

    fn masked(&self, method: DeliveryMethod, address: &str) -> MaskedAddress {
        let (masked_email, masked_phone) = if method.is_phone() {
            (String::new(), mask::phone(address))
        } else {
            (mask::email(address), String::new())
        };
        MaskedAddress {
            masked_email,
            masked_phone,
            verification_attempts: i32::try_from(self.config.otp_max_attempts).unwrap_or(i32::MAX),
        }
    }

    pub(super) fn mark_verified(&mut self, user_id: &str, method: DeliveryMethod, address: &str) {
        let Some(user) = self.directory.get_mut(user_id) else {
            return;
        };
        let profile = &mut user.profile;
        let (known, verified) = if method.is_phone() {
            (&mut profile.phone, &mut profile.verified_phone)
        } else {
            (&mut profile.email, &mut profile.verified_email)
        };
        // A user may have only a login id that served as the address. It now becomes the stored address.
        if known.is_empty() {
            address.clone_into(known);
        }
        if known == address {
            *verified = true;
        }
    }
}

/// Where a code for this user goes: the address on file, else a login id that can be one.
pub(super) fn delivery_address(
    profile: &UserProfile,
    method: DeliveryMethod,
    login_id: &str,
) -> Option<String> {
    let (on_file, login_id_fits) = if method.is_phone() {
        (&profile.phone, looks_like_phone(login_id))
    } else {
        (&profile.email, login_id.contains('@'))
    };
    if on_file.is_empty() {
        login_id_fits.then(|| login_id.to_owned())
    } else {
        Some(on_file.clone())
    }
}

/// Digits, with or without a plus sign. Descope's SDKs disagree about more than that.
pub(super) fn looks_like_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
