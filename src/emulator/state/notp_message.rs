//! The user's side of nOTP: the message, and sending it.

use http::StatusCode;
use serde::Serialize;

use super::super::error::ApiError;
use super::State;
use crate::wire::api_code;

/// What the messenger's page shows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotpPage {
    pub(super) text: String,
    from: Option<String>,
    state: &'static str,
}

impl State {
    /// The user sends the message from this phone; without one, from the phone that the start named.
    pub(crate) fn complete_notp(
        &mut self,
        pending_ref: &str,
        from: Option<&str>,
    ) -> Result<(), ApiError> {
        let now = self.now();
        let flow = self
            .notp
            .flows
            .get_mut(pending_ref)
            .ok_or_else(|| ApiError::not_found("No such pendingRef"))?;
        if flow.completed_by.is_some() || now >= flow.expires {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                api_code::INVALID_ARGUMENTS,
                "Already completed or expired",
            ));
        }
        let from = from
            .filter(|from| !from.is_empty())
            .or(flow.expected_phone.as_deref())
            .ok_or_else(|| ApiError::missing("from"))?
            .to_owned();
        if flow
            .expected_phone
            .as_ref()
            .is_some_and(|expected| *expected != from)
        {
            return Err(ApiError::forbidden(
                "The message came from another phone than the flow is for",
            ));
        }
        flow.completed_by = Some(from);
        Ok(())
    }

    /// The user sends this text: whatever flow its code belongs to is completed.
    pub(crate) fn receive_notp_message(&mut self, from: &str, text: &str) -> Result<(), ApiError> {
        let pending_ref = self
            .notp
            .flows
            .iter()
            .find(|(_, flow)| text.contains(&flow.message_code))
            .map(|(pending_ref, _)| pending_ref.clone())
            .ok_or_else(|| ApiError::not_found("The message holds no known code"))?;
        self.complete_notp(&pending_ref, Some(from))
    }

    pub(crate) fn notp_page(&self, message_code: &str) -> Result<NotpPage, ApiError> {
        let flow = self
            .notp
            .flows
            .values()
            .find(|flow| flow.message_code == message_code)
            .ok_or_else(|| ApiError::not_found("No such message"))?;
        Ok(NotpPage {
            text: format!("Please sign me in. My code is {message_code}"),
            from: flow.expected_phone.clone(),
            state: if flow.completed_by.is_some() {
                "sent"
            } else if self.now() >= flow.expires {
                "expired"
            } else {
                "pending"
            },
        })
    }
}
