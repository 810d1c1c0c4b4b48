//! Changing the user's address: by a code that was sent to the new one, or by a message from it.

use super::super::error::ApiError;
use super::State;
use super::checks::require_login_id;
use super::codes::Purpose;
use super::sessions::Presented;
use crate::wire::{DeliveryMethod, MaskedAddress, UpdateOptions};

/// Where the user wants codes to go from now on.
pub(crate) struct NewAddress<'a> {
    pub(crate) method: DeliveryMethod,
    pub(crate) login_id: &'a str,
    pub(crate) address: String,
    pub(crate) options: UpdateOptions,
}

impl State {
    /// `POST /v1/auth/otp/update/email` and `…/update/phone/{method}`. The new address is live after verify.
    pub(crate) fn otp_update(
        &mut self,
        new: NewAddress<'_>,
        presented: &Presented,
    ) -> Result<MaskedAddress, ApiError> {
        let NewAddress {
            method,
            login_id,
            address,
            options,
        } = new;
        require_login_id(login_id)?;
        let caller = self.authenticate_as(presented, login_id)?;
        if address.is_empty() {
            return Err(ApiError::missing(if method.is_phone() {
                "phone"
            } else {
                "email"
            }));
        }
        self.check_conflict(&caller.user_id, &address, &options)?;
        let purpose = Purpose::Update {
            user_id: caller.user_id,
            address: address.clone(),
            base: options.mfa.then_some(caller.session_id),
            options,
        };
        self.send_code(method, login_id, &address, purpose)
    }

    /// Refuses an update that was asked not to merge and would have to.
    pub(super) fn check_conflict(
        &self,
        user_id: &str,
        address: &str,
        options: &UpdateOptions,
    ) -> Result<(), ApiError> {
        let is_taken = self
            .directory
            .id_of(address)
            .is_some_and(|owner| owner != user_id);
        if options.add_to_login_ids && options.fail_on_conflict && is_taken {
            Err(ApiError::user_exists())
        } else {
            Ok(())
        }
    }

    /// Gives the user a verified address. Returns the id of the user afterwards, because a merge may keep the other
    /// user.
    pub(super) fn change_address(
        &mut self,
        user_id: &str,
        address: &str,
        is_phone: bool,
        options: &UpdateOptions,
    ) -> Result<String, ApiError> {
        // Checked again, because somebody may have signed up with the address since the update was started.
        self.check_conflict(user_id, address, options)?;
        let mut user_id = user_id.to_owned();
        if options.add_to_login_ids {
            match self.directory.id_of(address).map(str::to_owned) {
                Some(other) if other != user_id => {
                    let (kept, gone) = if options.on_merge_use_existing {
                        (other, user_id)
                    } else {
                        (user_id, other)
                    };
                    self.directory.merge(&kept, &gone)?;
                    self.sessions.revoke_user(&gone, None);
                    user_id = kept;
                }
                _ => self.directory.add_login_id(&user_id, address)?,
            }
        }
        let now = self.now();
        let user = self
            .directory
            .get_mut(&user_id)
            .ok_or_else(ApiError::user_not_found)?;
        if is_phone {
            address.clone_into(&mut user.profile.phone);
            user.profile.verified_phone = true;
        } else {
            address.clone_into(&mut user.profile.email);
            user.profile.verified_email = true;
        }
        user.profile.modified_time = now;
        Ok(user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::super::tests::{last_code, sign_up, state, verify};
    use super::*;
    use crate::wire::{OtpVerifyRequest, api_code};

    const EMAIL: DeliveryMethod = DeliveryMethod::Email;

    fn update(
        state: &mut State,
        login_id: &str,
        address: &str,
        jwt: &str,
        change: impl FnOnce(&mut UpdateOptions),
    ) -> Result<Grant, ApiError> {
        let mut options = UpdateOptions {
            add_to_login_ids: true,
            ..UpdateOptions::default()
        };
        change(&mut options);
        state.otp_update(
            NewAddress {
                method: EMAIL,
                login_id,
                address: address.to_owned(),
                options,
            },
            &Presented::new([jwt.to_owned()]),
        )?;
        let code = last_code(state, address);
        verify(state, login_id, &code)
    }

    #[test]
    fn an_update_that_meets_another_user_merges_as_asked() {
        for existing_wins in [false, true] {
            let mut state = state();
            let ann = sign_up(&mut state, "ann@example.com");
            sign_up(&mut state, "bob@example.com");
            let bob_id = state.directory.id_of("bob@example.com").unwrap().to_owned();
            let user = update(
                &mut state,
                "ann@example.com",
                "bob@example.com",
                &ann,
                |options| options.on_merge_use_existing = existing_wins,
            )
            .unwrap()
            .user
            .unwrap();
            assert_eq!(user.user_id == bob_id, existing_wins);
            assert_eq!(state.users().len(), 1);
            let mut login_ids = user.login_ids;
            login_ids.sort();
            assert_eq!(login_ids, ["ann@example.com", "bob@example.com"]);
        }
    }

    #[test]
    fn a_merge_into_the_existing_user_signs_in_as_that_one() {
        let mut state = state();
        let ann = sign_up(&mut state, "ann@example.com");
        sign_up(&mut state, "bob@example.com");
        let bob_id = state.directory.id_of("bob@example.com").unwrap().to_owned();
        let grant = update(
            &mut state,
            "ann@example.com",
            "bob@example.com",
            &ann,
            |options| {
                options.on_merge_use_existing = true;
                options.mfa = true;
            },
        )
        .unwrap();
        assert_eq!(grant.user.unwrap().user_id, bob_id);
        assert!(state.refresh(&Presented::new([ann])).is_err());
    }

    #[test]
    fn an_update_may_refuse_to_merge_also_at_the_last_moment() {
        let mut state = state();
        let ann = sign_up(&mut state, "ann@example.com");
        let options = UpdateOptions {
            add_to_login_ids: true,
            fail_on_conflict: true,
            ..UpdateOptions::default()
        };
        let presented = Presented::new([ann]);
        let start = |state: &mut State| {
            let new = NewAddress {
                method: EMAIL,
                login_id: "ann@example.com",
                address: "bob@example.com".to_owned(),
                options: options.clone(),
            };
            state.otp_update(new, &presented)
        };
        start(&mut state).unwrap();
        let code = last_code(&state, "bob@example.com");
        sign_up(&mut state, "bob@example.com");
        let refused = verify(&mut state, "ann@example.com", &code).unwrap_err();
        assert_eq!(refused.body.error_code, api_code::USER_ALREADY_EXISTS);
        assert!(start(&mut state).is_err());
        assert_eq!(state.users().len(), 2);
    }

    #[test]
    fn mfa_update_keeps_the_factors_and_adds_one() {
        let mut state = state();
        let ann = sign_up(&mut state, "ann@example.com");
        let new = NewAddress {
            method: DeliveryMethod::Sms,
            login_id: "ann@example.com",
            address: "+15555550100".to_owned(),
            options: UpdateOptions {
                mfa: true,
                ..UpdateOptions::default()
            },
        };
        state.otp_update(new, &Presented::new([ann])).unwrap();
        let code = last_code(&state, "+15555550100");
        let request = OtpVerifyRequest::new("ann@example.com", code);
        state.otp_verify(DeliveryMethod::Sms, &request, "").unwrap();
        let user = &state.users()[0];
        assert_eq!((&*user.phone, user.verified_phone), ("+15555550100", true));
    }
}
