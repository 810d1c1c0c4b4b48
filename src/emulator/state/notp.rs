//! nOTP: the user sends a message instead of typing a code.

use std::collections::HashMap;
use std::fmt;

use http::StatusCode;

use super::super::error::ApiError;
use super::super::random;
use super::checks::{check_custom_claims, mfa_options};
use super::delivery::looks_like_phone;
use super::sessions::{Presented, SignIn};
use super::{Grant, State};
use crate::wire::{
    LoginOptions, NotpSignInRequest, NotpSignUpRequest, NotpUpdateRequest, SignUpUser,
    UpdateOptions, api_code,
};

enum FlowKind {
    SignUp(SignUpUser),
    SignIn,
    SignUpOrIn,
    Update {
        user_id: String,
        options: UpdateOptions,
    },
}

/// What a flow begins with; the members are those of [`Flow`].
struct NewFlow {
    kind: FlowKind,
    login_id: String,
    expected_phone: Option<String>,
    options: LoginOptions,
    base: Option<String>,
}

/// A started flow.
pub(super) struct Flow {
    kind: FlowKind,
    /// May be empty. The phone that sends the message then identifies the user.
    login_id: String,
    /// The only phone that may complete the flow, if the start named one.
    pub(super) expected_phone: Option<String>,
    options: LoginOptions,
    base: Option<String>,
    /// What the pre-filled message holds.
    pub(super) message_code: String,
    pub(super) expires: i64,
    pub(super) completed_by: Option<String>,
}

/// Flows by `pendingRef`.
#[derive(Default)]
pub(crate) struct NotpFlows {
    pub(super) flows: HashMap<String, Flow>,
}

impl fmt::Debug for NotpFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotpFlows")
            .field("flows", &self.flows.len())
            .finish_non_exhaustive()
    }
}

/// A flow as its starter is to see it.
pub(crate) struct StartedFlow {
    pub(crate) pending_ref: String,
    pub(crate) message_code: String,
}

impl State {
    /// `POST /v1/auth/notp/{provider}/signup`.
    pub(crate) fn notp_sign_up(
        &mut self,
        provider: &str,
        request: NotpSignUpRequest,
    ) -> Result<StartedFlow, ApiError> {
        check_provider(provider)?;
        check_custom_claims(&request.login_options)?;
        let exists = self.directory.id_of(&request.login_id).is_some();
        if exists && !self.config.uniform_errors {
            return Err(ApiError::user_exists());
        }
        let phone = [&request.phone, &request.user.phone, &request.login_id]
            .into_iter()
            .find(|phone| looks_like_phone(phone))
            .cloned();
        self.start_flow(NewFlow {
            kind: FlowKind::SignUp(request.user),
            login_id: request.login_id,
            expected_phone: phone,
            options: request.login_options,
            base: None,
        })
    }

    /// `POST /v1/auth/notp/{provider}/signin`, and `…/signup-in` when `may_sign_up`.
    pub(crate) fn notp_sign_in(
        &mut self,
        provider: &str,
        request: NotpSignInRequest,
        may_sign_up: bool,
        presented: &Presented,
    ) -> Result<StartedFlow, ApiError> {
        check_provider(provider)?;
        check_custom_claims(&request.login_options)?;
        let login_id = request.login_id;
        let base = self.base_session(&request.login_options, presented, &login_id)?;
        let user = self.directory.find(&login_id);
        let uniform = self.config.uniform_errors;
        let expected_phone = match user {
            // Only the user's own phone may complete the flow, so a user without a phone cannot sign in with nOTP.
            Some(user) if user.is_disabled() && !uniform => return Err(ApiError::user_disabled()),
            Some(user) if !user.profile.phone.is_empty() => Some(user.profile.phone.clone()),
            Some(_) if looks_like_phone(&login_id) => Some(login_id.clone()),
            Some(_) if !uniform => return Err(ApiError::invalid("The user has no phone")),
            None if login_id.is_empty() => None,
            None if !may_sign_up && !uniform => return Err(ApiError::user_not_found()),
            _ => looks_like_phone(&login_id).then(|| login_id.clone()),
        };
        let kind = if may_sign_up {
            FlowKind::SignUpOrIn
        } else {
            FlowKind::SignIn
        };
        self.start_flow(NewFlow {
            kind,
            login_id,
            expected_phone,
            options: request.login_options,
            base,
        })
    }

    /// `POST /v1/auth/notp/{provider}/update`.
    pub(crate) fn notp_update(
        &mut self,
        provider: &str,
        request: NotpUpdateRequest,
        presented: &Presented,
    ) -> Result<StartedFlow, ApiError> {
        check_provider(provider)?;
        let caller = self.authenticate_as(presented, &request.login_id)?;
        if request.phone.is_empty() {
            return Err(ApiError::missing("phone"));
        }
        self.check_conflict(&caller.user_id, &request.phone, &request.options)?;
        let base = request.options.mfa.then_some(caller.session_id);
        let options = mfa_options(&request.options);
        self.start_flow(NewFlow {
            kind: FlowKind::Update {
                user_id: caller.user_id,
                options: request.options,
            },
            login_id: request.login_id,
            expected_phone: Some(request.phone),
            options,
            base,
        })
    }

    fn start_flow(&mut self, flow: NewFlow) -> Result<StartedFlow, ApiError> {
        let now = self.now();
        if self.notp.flows.len() >= 10_000 {
            self.notp.flows.retain(|_, flow| now < flow.expires);
        }
        // 32 of 62 characters: 190 bits.
        let pending_ref = random::alphanumeric(32)?;
        let message_code = random::alphanumeric(16)?;
        self.notp.flows.insert(
            pending_ref.clone(),
            Flow {
                kind: flow.kind,
                login_id: flow.login_id,
                expected_phone: flow.expected_phone,
                options: flow.options,
                base: flow.base,
                message_code: message_code.clone(),
                expires: now + i64::from(self.config.notp_ttl_seconds),
                completed_by: None,
            },
        );
        Ok(StartedFlow {
            pending_ref,
            message_code,
        })
    }

    /// `POST /v1/auth/notp/pending-session`. Only one poll gets the session of a flow.
    pub(crate) fn notp_pending_session(
        &mut self,
        pending_ref: &str,
        ip: &str,
    ) -> Result<Grant, ApiError> {
        if pending_ref.is_empty() {
            return Err(ApiError::missing("pendingRef"));
        }
        let now = self.now();
        let is_completed = match self.notp.flows.get(pending_ref) {
            Some(flow) if now < flow.expires => flow.completed_by.is_some(),
            _ => return Err(ApiError::invalid_token("Unknown or expired pendingRef")),
        };
        if !is_completed {
            return Err(
                ApiError::new(StatusCode::UNAUTHORIZED, api_code::NOTP_PENDING, "Pending")
                    .with_message("The message has not been sent yet"),
            );
        }
        let Some((flow, phone)) = self
            .notp
            .flows
            .remove(pending_ref)
            .and_then(|mut flow| flow.completed_by.take().map(|phone| (flow, phone)))
        else {
            return Err(ApiError::invalid_token("Unknown or expired pendingRef"));
        };
        let (user_id, first_seen) = self.settle_flow(&flow, &phone, now)?;
        // If a merge kept the other user, it ended the caller's sessions, so there is no session to raise.
        let base = match &flow.kind {
            FlowKind::Update {
                user_id: caller, ..
            } if *caller != user_id => None,
            _ => flow.base.as_deref(),
        };
        self.sign_in(SignIn {
            user_id: &user_id,
            factor: "whatsapp",
            options: &flow.options,
            base,
            first_seen,
            ip,
        })
    }

    /// Finds or creates the user for whom the message completes the flow; returns whether the user is new. Users may
    /// have changed since the flow was started, so its checks are repeated.
    fn settle_flow(
        &mut self,
        flow: &Flow,
        phone: &str,
        now: i64,
    ) -> Result<(String, bool), ApiError> {
        if let FlowKind::Update { user_id, options } = &flow.kind {
            return self
                .change_address(user_id, phone, true, options)
                .map(|user_id| (user_id, false));
        }
        let existing = if flow.login_id.is_empty() {
            self.directory.id_by_phone(phone)
        } else {
            self.directory.id_of(&flow.login_id).map(str::to_owned)
        };
        let details = match (&flow.kind, existing) {
            (FlowKind::SignUp(_), Some(_)) => return Err(ApiError::user_exists()),
            (FlowKind::SignIn, None) => return Err(ApiError::user_not_found()),
            (FlowKind::SignUp(user), None) => user.clone(),
            (_, None) => SignUpUser::default(),
            (_, Some(user_id)) => {
                let user = self
                    .directory
                    .get_mut(&user_id)
                    .ok_or_else(ApiError::user_not_found)?;
                if user.profile.phone.is_empty() && user.has_login_id(phone) {
                    phone.clone_into(&mut user.profile.phone);
                }
                // A named user is signed in by their own phone and by no other.
                if user.profile.phone != phone {
                    return Err(ApiError::forbidden(
                        "The message came from another phone than the user's",
                    ));
                }
                user.profile.verified_phone = true;
                return Ok((user_id, false));
            }
        };
        let login_id = if flow.login_id.is_empty() {
            phone
        } else {
            &flow.login_id
        };
        let user_id = self.directory.create(login_id, &details, now)?;
        if let Some(user) = self.directory.get_mut(&user_id) {
            phone.clone_into(&mut user.profile.phone);
            user.profile.verified_phone = true;
        }
        Ok((user_id, true))
    }
}

fn check_provider(provider: &str) -> Result<(), ApiError> {
    if provider == "whatsapp" {
        Ok(())
    } else {
        Err(ApiError::invalid("Unknown provider, expected whatsapp"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::state;
    use super::*;

    const ANN: &str = "+15555550101";
    const BOB: &str = "+15555550102";

    fn error_code(result: Result<Grant, ApiError>) -> String {
        result.unwrap_err().body.error_code
    }

    fn sign_up(state: &mut State, login_id: &str) -> String {
        state
            .notp_sign_up("whatsapp", NotpSignUpRequest::new(login_id))
            .unwrap()
            .pending_ref
    }

    fn sign_in(state: &mut State, login_id: &str) -> Result<String, ApiError> {
        state
            .notp_sign_in(
                "whatsapp",
                NotpSignInRequest::new(login_id),
                false,
                &Presented::default(),
            )
            .map(|started| started.pending_ref)
    }

    #[test]
    fn pending_then_a_session_exactly_once() {
        let mut state = state();
        let pending_ref = sign_up(&mut state, ANN);
        assert_eq!(
            error_code(state.notp_pending_session(&pending_ref, "")),
            api_code::NOTP_PENDING
        );
        state.complete_notp(&pending_ref, None).unwrap();
        assert_eq!(
            state.complete_notp(&pending_ref, None).unwrap_err().status,
            409
        );
        let grant = state.notp_pending_session(&pending_ref, "").unwrap();
        assert!(grant.first_seen && grant.user.unwrap().verified_phone);
        assert_eq!(
            error_code(state.notp_pending_session(&pending_ref, "")),
            api_code::INVALID_TOKEN
        );
    }

    #[test]
    fn without_a_login_id_the_phone_tells_who_it_is() {
        let mut state = state();
        let pending_ref = sign_up(&mut state, "");
        assert_eq!(
            state.complete_notp(&pending_ref, None).unwrap_err().status,
            400
        );
        state.complete_notp(&pending_ref, Some(ANN)).unwrap();
        let new = state.notp_pending_session(&pending_ref, "").unwrap();
        let pending_ref = sign_in(&mut state, "").unwrap();
        state.complete_notp(&pending_ref, Some(ANN)).unwrap();
        let known = state.notp_pending_session(&pending_ref, "").unwrap();
        assert_eq!(new.user.unwrap().user_id, known.user.unwrap().user_id);
        let pending_ref = sign_in(&mut state, "").unwrap();
        state.complete_notp(&pending_ref, Some(BOB)).unwrap();
        assert_eq!(
            error_code(state.notp_pending_session(&pending_ref, "")),
            api_code::USER_NOT_FOUND
        );
    }

    #[test]
    fn another_phone_does_not_get_in() {
        let mut state = state();
        let pending_ref = sign_up(&mut state, ANN);
        let refused = state.complete_notp(&pending_ref, Some(BOB)).unwrap_err();
        assert_eq!(refused.status, 403);
        assert_eq!(
            error_code(state.notp_pending_session(&pending_ref, "")),
            api_code::NOTP_PENDING
        );
    }

    #[test]
    fn the_text_of_the_message_leads_to_its_flow() {
        let mut state = state();
        let started = state
            .notp_sign_up("whatsapp", NotpSignUpRequest::new(ANN))
            .unwrap();
        let text = state.notp_page(&started.message_code).unwrap().text;
        assert!(state.receive_notp_message(ANN, "hello").is_err());
        state.receive_notp_message(ANN, &text).unwrap();
        assert!(state.notp_pending_session(&started.pending_ref, "").is_ok());
    }

    #[test]
    fn an_update_moves_the_user_to_the_new_phone() {
        let mut state = state();
        let pending_ref = sign_up(&mut state, ANN);
        state.complete_notp(&pending_ref, None).unwrap();
        let reply = state
            .notp_pending_session(&pending_ref, "")
            .unwrap()
            .sign()
            .unwrap();
        let started = state
            .notp_update(
                "whatsapp",
                NotpUpdateRequest::new(ANN, BOB),
                &Presented::new([reply.refresh_jwt]),
            )
            .unwrap();
        assert!(
            state
                .complete_notp(&started.pending_ref, Some(ANN))
                .is_err()
        );
        state
            .complete_notp(&started.pending_ref, Some(BOB))
            .unwrap();
        let grant = state
            .notp_pending_session(&started.pending_ref, "")
            .unwrap();
        assert_eq!(grant.user.unwrap().phone, BOB);
    }

    #[test]
    fn unknown_providers_users_and_flows_are_refused() {
        let mut state = state();
        let unknown = state.notp_sign_up("imessage", NotpSignUpRequest::new(ANN));
        assert_eq!(unknown.err().unwrap().status, 400);
        assert!(sign_in(&mut state, ANN).is_err());
        assert_eq!(state.complete_notp("nope", None).unwrap_err().status, 404);
        let pending_ref = sign_up(&mut state, ANN);
        state.advance(600);
        assert_eq!(
            state.complete_notp(&pending_ref, None).unwrap_err().status,
            409
        );
    }
}
