//! One-time codes: sign-up, sign-in, update and verify.

use super::super::error::ApiError;
use super::checks::{check_custom_claims, mfa_options, require_login_id};
use super::codes::{Purpose, Tried};
use super::delivery::delivery_address;
use super::sessions::{Presented, SignIn};
use super::{Grant, State};
use crate::wire::{
    DeliveryMethod, MaskedAddress, OtpSignInRequest, OtpSignUpRequest, OtpVerifyRequest,
};

impl State {
    /// `POST /v1/auth/otp/signup/{method}`. The user comes to exist when the code is verified.
    pub(crate) fn otp_sign_up(
        &mut self,
        method: DeliveryMethod,
        request: OtpSignUpRequest,
    ) -> Result<MaskedAddress, ApiError> {
        require_login_id(&request.login_id)?;
        check_custom_claims(&request.login_options)?;
        let address = request.address(method).to_owned();
        if self.directory.id_of(&request.login_id).is_some() {
            return self.pretend(method, &request.login_id, ApiError::user_exists());
        }
        let mut user = request.user;
        if method.is_phone() {
            user.phone.clone_from(&address);
        } else {
            user.email.clone_from(&address);
        }
        self.send_code(
            method,
            &request.login_id,
            &address,
            Purpose::SignUp {
                user,
                options: request.login_options,
            },
        )
    }

    /// `POST /v1/auth/otp/signin/{method}`.
    pub(crate) fn otp_sign_in(
        &mut self,
        method: DeliveryMethod,
        request: OtpSignInRequest,
        presented: &Presented,
    ) -> Result<MaskedAddress, ApiError> {
        let login_id = request.login_id;
        require_login_id(&login_id)?;
        check_custom_claims(&request.login_options)?;
        let base = self.base_session(&request.login_options, presented, &login_id)?;
        let Some(user) = self.directory.find(&login_id) else {
            return self.pretend(method, &login_id, ApiError::user_not_found());
        };
        if user.is_disabled() {
            return self.pretend(method, &login_id, ApiError::user_disabled());
        }
        let Some(address) = delivery_address(&user.profile, method, &login_id) else {
            let refusal = ApiError::invalid(format!("The user has no address for {method}"));
            return self.pretend(method, &login_id, refusal);
        };
        let purpose = Purpose::SignIn {
            user_id: user.profile.user_id.clone(),
            address: address.clone(),
            options: request.login_options,
            base,
        };
        self.send_code(method, &login_id, &address, purpose)
    }

    /// `POST /v1/auth/otp/signup-in/{method}`.
    pub(crate) fn otp_sign_up_or_in(
        &mut self,
        method: DeliveryMethod,
        request: OtpSignInRequest,
        presented: &Presented,
    ) -> Result<MaskedAddress, ApiError> {
        if self.directory.id_of(&request.login_id).is_some() {
            return self.otp_sign_in(method, request, presented);
        }
        require_login_id(&request.login_id)?;
        // Somebody who is not registered has no session to raise, so step-up and MFA are refused.
        self.base_session(&request.login_options, presented, &request.login_id)?;
        let mut sign_up = OtpSignUpRequest::new(request.login_id);
        sign_up.login_options = request.login_options;
        self.otp_sign_up(method, sign_up)
    }

    /// `POST /v1/auth/otp/verify/{method}`.
    pub(crate) fn otp_verify(
        &mut self,
        method: DeliveryMethod,
        request: &OtpVerifyRequest,
        ip: &str,
    ) -> Result<Grant, ApiError> {
        require_login_id(&request.login_id)?;
        if request.code.is_empty() {
            return Err(ApiError::missing("code"));
        }
        let now = self.now();
        let purpose = self
            .codes
            .redeem(
                &request.login_id,
                Tried {
                    method,
                    code: &request.code,
                    max_tries: self.config.otp_max_attempts,
                    now,
                },
            )
            .map_err(|error| self.hide_refusal(error))?;
        let (user_id, options, base, first_seen) = match purpose {
            Purpose::SignUp { user, options } => {
                let id = self.directory.create(&request.login_id, &user, now)?;
                let address = if method.is_phone() {
                    user.phone
                } else {
                    user.email
                };
                self.mark_verified(&id, method, &address);
                (id, options, None, true)
            }
            Purpose::SignIn {
                user_id,
                address,
                options,
                base,
            } => {
                self.mark_verified(&user_id, method, &address);
                (user_id, options, base, false)
            }
            Purpose::Update {
                user_id,
                address,
                options,
                base,
            } => {
                let kept = self.change_address(&user_id, &address, method.is_phone(), &options)?;
                // If a merge kept the other user, it ended the caller's sessions, so there is no session to raise.
                let base = base.filter(|_| kept == user_id);
                (kept, mfa_options(&options), base, false)
            }
            Purpose::Decoy => return Err(ApiError::wrong_code()),
        };
        self.sign_in(SignIn {
            user_id: &user_id,
            factor: method.as_str(),
            options: &options,
            base: base.as_deref(),
            first_seen,
            ip,
        })
    }

    /// With uniform errors every refusal becomes `wrong code`, so that it does not reveal that no code was ever sent
    /// to the login id.
    fn hide_refusal(&self, refusal: ApiError) -> ApiError {
        if self.config.uniform_errors {
            ApiError::wrong_code()
        } else {
            refusal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{last_code, sign_up, state, verify};
    use super::*;

    const EMAIL: DeliveryMethod = DeliveryMethod::Email;

    #[test]
    fn a_user_exists_only_after_verify() {
        let mut state = state();
        state
            .otp_sign_up(EMAIL, OtpSignUpRequest::new("ann@example.com"))
            .unwrap();
        assert!(state.users().is_empty());
        let code = last_code(&state, "ann@example.com");
        verify(&mut state, "ann@example.com", &code).unwrap();
        assert_eq!(state.users()[0].email, "ann@example.com");
        assert!(state.users()[0].verified_email);
    }

    #[test]
    fn uniform_errors_answer_known_and_unknown_alike() {
        let mut state = state();
        sign_up(&mut state, "ann@example.com");
        state.config.uniform_errors = true;
        let presented = Presented::default();
        let mut start = |login_id: &str| {
            let reply = state
                .otp_sign_in(EMAIL, OtpSignInRequest::new(login_id), &presented)
                .unwrap();
            let refusals: Vec<_> = (0..7)
                .map(|_| {
                    verify(&mut state, login_id, "not a code")
                        .unwrap_err()
                        .body
                        .error_code
                })
                .collect();
            (reply.verification_attempts, refusals)
        };
        assert_eq!(start("ann@example.com"), start("bob@example.com"));
        assert!(state.inbox.messages(Some("bob@example.com")).is_empty());
        state
            .otp_sign_up(EMAIL, OtpSignUpRequest::new("ann@example.com"))
            .unwrap();
    }

    #[test]
    fn a_disabled_user_is_refused_everywhere() {
        let mut state = state();
        let ann = Presented::new([sign_up(&mut state, "ann@example.com")]);
        state
            .put_user("ann@example.com", |user| {
                user.status = "disabled".to_owned();
                Ok(())
            })
            .unwrap();
        assert_eq!(state.refresh(&ann).unwrap_err().status, 403);
        assert_eq!(
            state
                .otp_sign_in(EMAIL, OtpSignInRequest::new("ann@example.com"), &ann)
                .unwrap_err()
                .status,
            403
        );
    }
}
