//! The one list of what is mounted.

use std::fmt;

use axum::routing::{MethodRouter, get, post};

use super::{notp, otp, session, totp};
use crate::descope::Descope;

/// A mounted route.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path below the mount point, which is also the path of Descope's API. `{method}` stands for a
    /// [`DeliveryMethod`](crate::wire::DeliveryMethod), `{provider}` for a
    /// [`NotpProvider`](crate::client::NotpProvider).
    pub path: &'static str,
    /// The call of [`Client`](crate::Client) that does the same.
    pub call: &'static str,
    /// Whether the answer signs in or renews, so that it sets cookies.
    pub issues_tokens: bool,
    pub(super) handler: fn() -> MethodRouter<Descope>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.call)
    }
}

const fn route(
    method: &'static str,
    path: &'static str,
    call: &'static str,
    handler: fn() -> MethodRouter<Descope>,
) -> Endpoint {
    Endpoint {
        method,
        path,
        call,
        issues_tokens: false,
        handler,
    }
}

impl Endpoint {
    const fn issuing(mut self) -> Self {
        self.issues_tokens = true;
        self
    }
}

/// Every mounted route.
pub const ENDPOINTS: &[Endpoint] = &[
    route(
        "POST",
        "/v1/auth/otp/signup/{method}",
        "otp().sign_up",
        || post(otp::sign_up),
    ),
    route(
        "POST",
        "/v1/auth/otp/signin/{method}",
        "otp().sign_in",
        || post(otp::sign_in),
    ),
    route(
        "POST",
        "/v1/auth/otp/signup-in/{method}",
        "otp().sign_up_or_in",
        || post(otp::sign_up_or_in),
    ),
    route(
        "POST",
        "/v1/auth/otp/verify/{method}",
        "otp().verify",
        || post(otp::verify),
    )
    .issuing(),
    route(
        "POST",
        "/v1/auth/otp/update/email",
        "otp().update_email",
        || post(otp::update_email),
    ),
    route(
        "POST",
        "/v1/auth/otp/update/phone/{method}",
        "otp().update_phone",
        || post(otp::update_phone),
    ),
    route("POST", "/v1/auth/totp/signup", "totp().sign_up", || {
        post(totp::sign_up)
    }),
    route("POST", "/v1/auth/totp/update", "totp().update", || {
        post(totp::update)
    }),
    route("POST", "/v1/auth/totp/verify", "totp().verify", || {
        post(totp::verify)
    })
    .issuing(),
    route(
        "POST",
        "/v1/auth/notp/{provider}/signup",
        "notp().sign_up",
        || post(notp::sign_up),
    ),
    route(
        "POST",
        "/v1/auth/notp/{provider}/signin",
        "notp().sign_in",
        || post(notp::sign_in),
    ),
    route(
        "POST",
        "/v1/auth/notp/{provider}/signup-in",
        "notp().sign_up_or_in",
        || post(notp::sign_up_or_in),
    ),
    route(
        "POST",
        "/v1/auth/notp/{provider}/update",
        "notp().update",
        || post(notp::update),
    ),
    route(
        "POST",
        "/v1/auth/notp/pending-session",
        "notp().pending_session",
        || post(notp::pending_session),
    )
    .issuing(),
    route("POST", "/v1/auth/refresh", "session().refresh", || {
        post(session::refresh)
    })
    .issuing(),
    route(
        "POST",
        "/v1/auth/try-refresh",
        "session().try_refresh",
        || post(session::try_refresh),
    )
    .issuing(),
    route("POST", "/v1/auth/logout", "session().logout", || {
        post(session::logout)
    }),
    route("POST", "/v1/auth/logoutall", "session().logout_all", || {
        post(session::logout_all)
    }),
    route("GET", "/v1/auth/me", "session().me", || get(session::me)),
    route(
        "POST",
        "/v1/auth/me/tenants",
        "session().my_tenants",
        || post(session::my_tenants),
    ),
    route("GET", "/v1/auth/me/history", "session().history", || {
        get(session::history)
    }),
    route(
        "POST",
        "/v1/auth/tenant/select",
        "session().select_tenant",
        || post(session::select_tenant),
    )
    .issuing(),
    route("POST", "/v1/auth/validate", "session().validate", || {
        post(session::validate)
    }),
];
