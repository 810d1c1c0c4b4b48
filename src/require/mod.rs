//! Protecting routes: [`RequireLayer`], and what a rejection looks like.
//!
//! ```
//! use tower_descope::{RequireLayer, require::RedirectToLogin};
//!
//! // Every user who is signed in:
//! let signed_in = RequireLayer::new();
//! // An owner of one tenant:
//! let owner = RequireLayer::new().tenant("T2acme").role("owner");
//! // Browsers without a session are sent to the login page:
//! let page = RequireLayer::new().with_rejection(RedirectToLogin::new("/login"));
//! # let _ = (signed_in, owner, page);
//! ```
//!
//! # What a rejection looks like
//!
//! Why a request is rejected decides about status, code and challenge, whoever rejects it: a [`RequireLayer`], `User` or
//! another extractor.
//!
//! | why | status | code | `WWW-Authenticate: Bearer` |
//! |---|---|---|---|
//! | no credentials | 401 | `missing_credentials` | without an error (RFC 6750 section 3.1) |
//! | a bad or revoked token | 401 | `invalid_token` | `invalid_token` |
//! | the session has run out and was not renewed | 401 | `session_expired` | `invalid_token` |
//! | Descope has refused the refresh JWT | 401 | `session_ended` | `invalid_token` |
//! | a step-up is missing or too old | 401 | `step_up_required` | `insufficient_user_authentication` (RFC 9470) |
//! | a role, permission or tenant is missing, or another rule is not met | 403 | `forbidden` | `insufficient_scope` |
//! | cookies of a cross-origin request | 403 | `cross_origin` | |
//! | the claims are not of the type that the handler asks for | 403 | `claims_mismatch` | |
//! | the app has no row for the user | 403 | `no_account` | |
//! | the refresh JWT is needed, and the request has none | 403 | `no_refresh_token` | |
//! | the app's hook has refused the sign-in | 403 | `sign_in_refused` | |
//! | the row could not be loaded | 500 | `load_failed` | |
//! | the app's hook for sign-ins has failed | 500 | `sign_in_failed` | |
//! | the renewed session does not fit into a cookie | 500 | `cookie_too_large` | |
//! | no session layer ran | 500 | `missing_layer` | |
//! | Descope cannot be reached, or a key is missing | 503, with `Retry-After` | `unavailable` | |
//!
//! The renderer decides what the client sees of it. It is chosen with
//! [`SessionLayer::with_rejection`](crate::SessionLayer::with_rejection), for everything inside that layer, or with
//! [`RequireLayer::with_rejection`], for that layer alone.
//!
//! | renderer | status | body | header fields besides |
//! |---|---|---|---|
//! | [`ProblemJson`], the default | as above | a problem document (RFC 9457) with the code | `Content-Type: application/problem+json` |
//! | [`NoBody`] | as above | none | |
//! | [`GrpcStatus`] | 200 | none | `grpc-status` 16, 7, 14 or 13, and the code as `grpc-message` |
//! | [`RedirectToLogin`], for a page with 401 | 303 | none | `Location` with `next` |
//! | [`RedirectToLogin`], for htmx with 401 | 401 | as `ProblemJson` | `HX-Redirect` |
//! | [`RedirectToLogin`], for anything else | as above | as `ProblemJson` | |
//! | a function | its own | its own | its own |
//!
//! All of them have `Cache-Control: no-store`. The response is made where the request is rejected, so it passes through
//! the layers in between like any other: CORS headers, request ids and cookies that these add stay.

mod layer;
mod requirement;
mod service;
mod tenant;

pub use self::layer::RequireLayer;
pub use self::requirement::Requirement;
pub use self::service::{RequireService, ResponseFuture};
pub use self::tenant::TenantFrom;
pub use crate::headers::RequestHead;
pub use crate::reject::{
    GrpcStatus, NoBody, ProblemJson, RedirectToLogin, Reject, Rejected, ResponseBody,
    path_on_this_host,
};
