//! The handler of all calls that are passed on to Descope, such as sending a code. On the way only tokens are moved
//! into cookies, and members that the page may not see are left out.
//!
//! The path, credential, request and answer of each call come from its implementation of `Call` in `wire`. Renewing,
//! signing out and validating have handlers of their own, in `session.rs`, because most of their work is done here and
//! not at Descope.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::caller::Caller;
use super::error::RouteError;
use super::reply::{plain, send, signed_in};
use super::request::{Input, Upstream};
use super::visible_members::Shown;
use crate::client::ClientError;
use crate::project::Project;
use crate::refresh::Presented;
use crate::wire::endpoint::{Answer as _, Call, Request as _};
use crate::wire::{Credential, Purpose};

pub(super) async fn handle<C: Call>(
    State(project): State<Arc<Project>>,
    upstream: Upstream<C>,
    caller: Caller,
    Input(request): Input<C::Request>,
) -> Result<Response, RouteError>
where
    C::Answer: Shown,
{
    let token = match (C::ENDPOINT.credential, request.login_options()) {
        (Credential::Nothing, _) => None,
        (Credential::StepUp, Some(options)) => caller.step_up(options).await?,
        _ => Some(caller.refresh_jwt().await?),
    };
    let sent = Sent::<C> {
        project: &project,
        path: &upstream.path,
        request: &request,
    };
    let (token, reply) = sent.with(token).await;
    let reply = reply.map_err(|error| match C::ENDPOINT.purpose {
        Purpose::Read => RouteError::reading_session(&error),
        _ => RouteError::upstream(&error),
    })?;
    if C::Answer::ISSUES_TOKENS {
        return signed_in(&caller, C::ENDPOINT.purpose, reply, token.as_ref()).await;
    }
    plain::<C::Answer>(reply).ok_or_else(|| match C::ENDPOINT.purpose {
        // 503 is not taken for a sign-out by Descope's browser SDK.
        Purpose::Read => RouteError::unavailable(None),
        _ => RouteError::upstream_invalid(),
    })
}

/// A call that is sent upstream.
struct Sent<'a, C: Call> {
    project: &'a Arc<Project>,
    path: &'a str,
    request: &'a C::Request,
}

impl<C: Call> Sent<'_, C> {
    /// Sends the call, and also returns the refresh JWT that it was sent with last. If Descope refuses the call because
    /// a renewal has replaced the refresh JWT meanwhile, the call was not carried out, and is sent again with the new
    /// one.
    async fn with(
        &self,
        token: Option<Presented>,
    ) -> (Option<Presented>, Result<Value, ClientError>) {
        let reply = self.send(token.as_ref()).await;
        if let (Some(token), Err(error)) = (&token, &reply)
            && let Some(newer) = self.project.renewer.replaced(token, error).await
        {
            let reply = self.send(Some(&newer)).await;
            return (Some(newer), reply);
        }
        (token, reply)
    }

    async fn send(&self, token: Option<&Presented>) -> Result<Value, ClientError> {
        let token = token.map(|token| &*token.jwt);
        send(self.project, &C::ENDPOINT, self.path, self.request, token).await
    }
}
