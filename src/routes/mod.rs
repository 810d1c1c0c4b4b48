//! Sign-up, sign-in, verification and sessions as routes of your app.
//!
//! [`Descope::routes`] mounts calls of Descope's API under a prefix of your choice. They keep Descope's own paths,
//! bodies and errors, so its browser SDK works unmodified with `baseUrl` set to the mount point. Only the place of
//! the tokens differs: they go into first-party, HttpOnly cookies, without a custom domain at Descope. By default no
//! token is in a body, and no script can read one.
//!
//! ```js
//! const sdk = Descope({
//!   projectId, baseUrl: location.origin + '/auth', persistTokens: false, autoRefresh: true,
//! });
//! ```
//!
//! # Example
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use http::Request;
//! use tower::ServiceExt;
//! use tower_descope::{Descope, User};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
//! let app: Router = Router::new()
//!     .route("/", get(|user: User| async move { format!("hello {}", user.id()) }))
//!     .nest("/auth", descope.routes())
//!     .layer(descope.session_layer());
//!
//! let logout = Request::post("/auth/v1/auth/logout").body(Body::empty())?;
//! let response = app.oneshot(logout).await?;
//! assert_eq!(response.status(), 200); // signed out, also without having been signed in
//! # Ok(())
//! # }
//! ```
//!
//! # What is mounted
//!
#![doc = include_str!("endpoints.md")]
//!
//! `{method}` is `email`, `sms`, `voice`, `whatsapp` or `im`, `{provider}` is `whatsapp`. Any other value is
//! answered with 404. On purpose not mounted: `accesskey/exchange`, because it takes the access key from the place
//! where the browser's SDK puts a token, and there a cookie wins; the key set; flows and their pages; and `GET` on
//! `refresh`, because an image tag of another site could then cause a renewal. [`ENDPOINTS`] is the same list for
//! programs.
//!
//! With the feature `utoipa`, `openapi` makes an OpenAPI 3.1 document of the list, and
//! `DescopeBuilder::serve_openapi` mounts it as `openapi.json`.
//!
//! # Requests
//!
//! * A body is `application/json`, at most 16 KiB, and an object. It has to arrive within
//!   [10 seconds](crate::DescopeBuilder::body_timeout), else the answer is 408
//!   [`request_timeout`](route_code::REQUEST_TIMEOUT) and nothing is sent upstream. Only members of the API's own types
//!   ([`wire`](crate::wire)) are sent to Descope. White space around login ids is removed. `refresh`, `logout` and
//!   other calls whose body may be empty accept a request without a body.
//! * A request that may change something must not come from another origin: 403
//!   [`cross_origin`](route_code::CROSS_ORIGIN), whatever token it carries, because a sign-in sets cookies. See
//!   [`allow_origin`](crate::DescopeBuilder::allow_origin) and
//!   [`public_origin`](crate::DescopeBuilder::public_origin).
//! * `Authorization: Bearer <project id>`, which the SDK sends with every call, is no token. The JWT in
//!   `Bearer <project id>:<JWT>`, which the SDK takes from its local storage, is ignored; only cookies count. Under
//!   [`TokenDelivery::Body`] that JWT counts, and cookies do not. Query strings are ignored; no token is read from
//!   them.
//! * Nothing else of a request reaches Descope: no header, no cookie, no query. Descope sees this server's address,
//!   also where it counts calls per address.
//!
//! # Sessions
//!
//! * The refresh JWT is sent where the API requires it: updates, `me`, tenants, logout, and sign-ins with `stepup` or
//!   `mfa`. If the session layer has just renewed it, the new one is sent. Without a session layer the cookies are read
//!   here by the same rules.
//! * `refresh` shares its call to Descope with the session layer and with all requests that carry the same refresh JWT,
//!   also late ones. It renews although the session is still good, because the SDK asks before the session runs out.
//!   Its answer is made from the tokens (`sessionExpiration`, `cookieExpiration`, `claims`, `nextRefreshSeconds`);
//!   `externalToken` is not passed on.
//! * `logout` and `logoutall` end the session in this process, at Descope, and in the browser. The answer is 200 and
//!   deletes the cookies even if Descope refuses the call or cannot be reached. Replicas that share a store recognise
//!   tokens from before a `logoutall` by `iat`, which has whole seconds only. So `logoutall` answers only when the
//!   second in which it ended the sessions is over: every replica accepts a sign-in after the answer. The tokens of a
//!   sign-in that the same user makes at the same time, before the answer, may be refused; the user then has to sign in
//!   again.
//! * A sign-in replaces the session before it. If a renewal of that session is still under way, it writes no cookie.
//!
//! # Answers
//!
//! * Tokens are verified before they are set. Cookies live as long as their tokens. If a cookie would be larger than
//!   browsers keep (4096 bytes), the answer is 500, and nothing is set.
//! * The key of a token that Descope has just issued may be missing here: Descope has only begun to sign with it, or
//!   its key endpoint fails. A sign-in is then answered with 200, because its code is spent, but it sets the refresh
//!   cookie alone, and the body has no `claims` and no `sessionExpiration`. The refresh JWT is verified when the
//!   browser sends it: until the key is there, a route that asks for a user answers 503. The first request after that
//!   waits for a renewal, which brings the session cookie. If Descope issued no refresh JWT, the sign-in is answered
//!   with 502.
//! * Of a body of Descope only those members are passed on that the OpenAPI document shows, each only if it has the
//!   type that is shown there. A text that has a JWT anywhere in it is left out, whatever the name of its member. So no
//!   token reaches the page in a member that nobody thought of. A member that Descope adds later is not passed on until
//!   a version of this crate knows it.
//! * These members are not passed on: `sessionJwt`, `refreshJwt`, `externalToken`, `trustedDeviceJwt`, the attributes
//!   with which the SDK would write cookies of its own, and `idpResponse`, which holds the answer of an identity
//!   provider. Without `trustedDeviceJwt` a device is not remembered for MFA.
//! * `customAttributes` of the user are passed on unchanged, because the project decides what they contain. If the
//!   project keeps a token there, the page sees it. From `customAttributes` of tenants tokens are removed.
//! * `claims` of a sign-in are all claims of the session JWT, because the SDK cannot read them in the cookie.
//!   `validate` answers with those claims of Descope's answer that the session JWT has, without tokens.
//! * [`TokenDelivery::Body`] adds the tokens and cookie attributes that Descope's SDKs for phones read.
//! * If an answer of Descope lacks a member that the call is made for, or has it with another type, the route answers
//!   502 (503 where a session is read).
//! * Of an error of Descope, the status, code, description and message are passed on, and nothing else. A text with a
//!   JWT in it is left out. All other errors have the same form and a [`code`](route_code) of this crate, and contain no text of
//!   Descope.
//! * `refresh`, `try-refresh`, `me` and `me/history` answer 401 or 403 only when the session is over: the SDK takes
//!   every 4xx answer to these calls for a sign-out. So a rate limit is answered with 503, and in an outage the cookies
//!   stay. Other 4xx answers (400, 408, 413 and 415) are for requests that the SDK does not make.
//! * Other calls answer 503 only when nothing was sent or Descope itself answered 503. Other failures of Descope are
//!   answered with 502 or 504, because the SDK repeats a call that is answered with 503, and a verification uses up its
//!   code.
//! * Every answer has `Cache-Control: no-store`, and where cookies are set, `private, no-store` and `Vary: Cookie`.
//!
//! # Rate limits
//!
//! The mounted routes have no rate limits of their own. Put one per client address in front of them, in the proxy or as
//! a tower layer around the router: Descope sees only this server's address, so one client that asks for many codes
//! can use up the limit of all. Where Descope answers 429, these routes pass that on with a `Retry-After` between 1 and
//! 3600 seconds.
//!
//! # Signing out without script
//!
//! `logout` and `logoutall` take a plain HTML form of the same origin, too. They answer 303 to the path in its field
//! `next`, or to `/` if that is missing or leads to another host:
//!
//! ```html
//! <form method="post" action="/auth/v1/auth/logout">
//!   <input type="hidden" name="next" value="/goodbye">
//!   <button>Sign out</button>
//! </form>
//! ```
//!
//! # From a Descope Flow
//!
//! A page that signs in with a Descope Flow, with OAuth or with a native SDK holds tokens. With
//! [`adopt_sessions`](crate::DescopeBuilder::adopt_sessions) it posts them to `session` below the mount point and gets
//! cookies:
//!
//! ```js
//! flow.addEventListener("success", ({ detail }) => fetch("/auth/session", {
//!   method: "POST",
//!   headers: { "content-type": "application/json" },
//!   body: JSON.stringify({ sessionJwt: detail.sessionJwt, refreshJwt: detail.refreshJwt }),
//! }));
//! ```
//!
//! The tokens are verified as strictly as those of a request. The answer has `claims` and the times of expiry, without the
//! tokens; tokens that do not verify are 401, and the session before them goes on. The route is not in the OpenAPI
//! document, because it is not of Descope's API.
//!
//! # From the app's own handlers
//!
//! A handler of the app, behind a form without script say, signs in with [`Descope::establish`] and out with
//! [`Descope::end`]. The mounted routes go the same way.

mod adopt;
mod call;
mod caller;
mod error;
#[cfg(feature = "utoipa")]
mod openapi;
mod reply;
mod request;
mod service;
mod session;
mod shape;
mod sign_out_form;
mod table;
mod visible_members;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use self::error::RouteError;
pub use self::error::route_code;
#[cfg(feature = "utoipa")]
pub use self::openapi::openapi;
pub use self::service::{RoutesFuture, RoutesService};
pub use self::table::ENDPOINTS;
use crate::descope::Descope;
use crate::project::Project;
pub use crate::project::TokenDelivery;
pub use crate::wire::Endpoint;

impl Descope {
    /// Makes routes for sign-up, sign-in, verification and sessions, for an axum app; see [`routes`](self).
    ///
    /// `S` is the app's own state, so the routes can be nested before `with_state`. The router answers unknown paths
    /// and methods itself.
    ///
    /// ```
    /// use axum::Router;
    /// use tower_descope::Descope;
    ///
    /// # fn app(state: u8) -> Result<Router, tower_descope::ConfigError> {
    /// let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
    /// let app: Router<u8> = Router::new()
    ///     .nest("/auth", descope.routes())
    ///     .layer(descope.session_layer());
    /// # Ok(app.with_state(state)) }
    /// # app(0).unwrap();
    /// ```
    pub fn routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let project = self.project();
        let router = table::MOUNTED
            .iter()
            .fold(Router::new(), |router, mounted| {
                router.route(mounted.endpoint.path, (mounted.handler)())
            });
        let by_cookie = project.delivery != TokenDelivery::Body;
        let router = if project.adopt_sessions && by_cookie {
            router.route(adopt::PATH, axum::routing::post(adopt::adopt))
        } else {
            router
        };
        #[cfg(feature = "utoipa")]
        let router = if project.serve_openapi {
            router.route(openapi::PATH, axum::routing::get(openapi::serve))
        } else {
            router
        };
        router
            .method_not_allowed_fallback(async || RouteError::method_not_allowed())
            .fallback(async || RouteError::not_found())
            .layer(DefaultBodyLimit::max(request::MAX_BODY))
            .layer(middleware::from_fn_with_state(project.clone(), guard))
            .with_state(project.clone())
    }

    /// Makes the same routes as a tower service, for hyper and other servers; see [`RoutesService`].
    pub fn routes_service(&self) -> RoutesService {
        RoutesService::new(self.routes())
    }
}

/// Refuses cross-origin requests, and forbids caching of the answer. This applies to every request, also to unknown
/// paths.
async fn guard(State(project): State<Arc<Project>>, request: Request, next: Next) -> Response {
    // Under `TokenDelivery::Body` a browser attaches no token by itself, so a page of another site has none to send.
    if project.delivery != TokenDelivery::Body && project.origins.refuses(&request) {
        return RouteError::cross_origin().into_response();
    }
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
