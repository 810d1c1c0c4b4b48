//! The list of all mounted routes.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

#[cfg(feature = "utoipa")]
use super::openapi::schemas::RequestSchemas;
#[cfg(feature = "utoipa")]
use super::visible_members::Documented;
use super::visible_members::Shown;
use super::{call, session as handlers};
use crate::project::Project;
use crate::wire::endpoint::{Answer, Call};
#[cfg(feature = "utoipa")]
use crate::wire::endpoint::{Body, Request};
use crate::wire::{Endpoint, notp, otp, session, totp};

/// A mounted route: an endpoint of the API, and the handler that serves it.
pub(super) struct Mounted {
    pub(super) endpoint: Endpoint,
    pub(super) handler: fn() -> MethodRouter<Arc<Project>>,
    #[cfg(feature = "utoipa")]
    pub(super) body: Body,
    /// The schemas of the request and of its members.
    #[cfg(feature = "utoipa")]
    pub(super) request: fn() -> RequestSchemas,
    #[cfg(feature = "utoipa")]
    pub(super) answer: Documented,
}

pub(super) const MOUNTED: &[Mounted] = &[
    passed_on::<otp::SignUp>(),
    passed_on::<otp::SignIn>(),
    passed_on::<otp::SignUpOrIn>(),
    passed_on::<otp::Verify>(),
    passed_on::<otp::UpdateEmail>(),
    passed_on::<otp::UpdatePhone>(),
    passed_on::<totp::SignUp>(),
    passed_on::<totp::Update>(),
    passed_on::<totp::Verify>(),
    passed_on::<notp::SignUp>(),
    passed_on::<notp::SignIn>(),
    passed_on::<notp::SignUpOrIn>(),
    passed_on::<notp::Update>(),
    passed_on::<notp::PendingSession>(),
    served_by::<session::Refresh>(|| post(handlers::refresh)),
    served_by::<session::TryRefresh>(|| post(handlers::try_refresh)),
    served_by::<session::Logout>(|| post(handlers::logout)),
    served_by::<session::LogoutAll>(|| post(handlers::logout_all)),
    passed_on::<session::Me>(),
    passed_on::<session::MyTenants>(),
    passed_on::<session::History>(),
    passed_on::<session::SelectTenant>(),
    served_by::<session::Validate>(|| post(handlers::validate)),
];

/// The endpoints of all mounted routes, without `openapi.json`.
pub const ENDPOINTS: &[Endpoint] = &endpoints();

const fn endpoints() -> [Endpoint; MOUNTED.len()] {
    let mut endpoints = [MOUNTED[0].endpoint; MOUNTED.len()];
    let mut n = 0;
    while n < MOUNTED.len() {
        endpoints[n] = MOUNTED[n].endpoint;
        n += 1;
    }
    endpoints
}

/// A call that is passed on to Descope; [`call::handle`] serves all of these.
const fn passed_on<C: Call>() -> Mounted
where
    C::Answer: Shown,
{
    served_by::<C>(|| match C::ENDPOINT.method {
        "GET" => get(call::handle::<C>),
        _ => post(call::handle::<C>),
    })
}

/// A call that has a handler of its own.
const fn served_by<C: Call>(handler: fn() -> MethodRouter<Arc<Project>>) -> Mounted
where
    C::Answer: Shown,
{
    let mut endpoint = C::ENDPOINT;
    endpoint.issues_tokens = C::Answer::ISSUES_TOKENS;
    Mounted {
        endpoint,
        handler,
        #[cfg(feature = "utoipa")]
        body: C::Request::BODY,
        #[cfg(feature = "utoipa")]
        request: RequestSchemas::of::<C::Request>,
        #[cfg(feature = "utoipa")]
        answer: C::Answer::DOCUMENTED,
    }
}
