//! Sign-in with [Descope](https://www.descope.com) for tower, axum, hyper and tonic.
//!
//! * [`SessionLayer`] validates the session JWT of every request and renews it through the refresh JWT. It
//!   identifies and never rejects.
//! * [`User`], [`Claims`] and [`Allowed`] bring the authenticated user into axum handlers, and [`CurrentUser`] the app's
//!   own row for that user; [`RequireLayer`] protects routes of any tower stack.
//! * [`Descope::routes`] mounts sign-up, sign-in, verify, update and session endpoints. They have Descope's own paths,
//!   so that its browser SDK works against them, and keep the tokens in first-party cookies.
//! * [`Client`] makes typed calls of the API, also without an HTTP server. [`client::AccessKeyLayer`] signs a machine in
//!   that calls other services.
#![cfg_attr(
    feature = "emulator",
    doc = "* [`Emulator`] is a Descope on this machine: demo, development and tests need no account and no network."
)]
//!
//! # In five lines
//!
#![cfg_attr(feature = "routes", doc = "```")]
#![cfg_attr(not(feature = "routes"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_descope::{Descope, RequireLayer, User};
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?; // or Descope::from_env()
//! let app = Router::new()
//!     .route("/me", get(async |user: User| user.id().to_owned()))
//!     .route("/admin", get(async || "welcome").route_layer(RequireLayer::new().role("admin")))
//!     .nest("/auth", descope.routes())
//!     .layer(descope.session_layer());
//! # Ok(app) }
//! # app().unwrap();
//! ```
//!
//! # What a request meets
//!
//! ```text
//! request
//!   SessionLayer   where are the tokens?      Authorization, then the cookies DS and DSR
//!                  is the session good?       keys, signature, claims, all in memory
//!                  if it has run out          one call to Descope, however many requests wait
//!   RequireLayer   is this user allowed?      401, 403 or 503 before the body is read
//!   handler        User, Option<User>         no I/O
//!   SessionLayer   renewed tokens leave       Set-Cookie, Cache-Control: private, no-store
//! response
//! ```
//!
//! # When something fails
//!
//! | what | then |
//! |---|---|
//! | Descope is down, the session is good | the request is served; the keys at hand are used for 24 h |
//! | Descope is down, the session has run out | 503 with `Retry-After` where a user is asked for, and the cookies stay |
//! | Descope is down at the first request ever | 503, with a new attempt every second |
//! | Descope refuses the refresh JWT | 401; the cookies are deleted when it is presented and refused again after 10 s; from then on it is refused without another call |
//! | Descope answers with a 401 or 403 that is not about the token | 503; nobody is signed out, see [`is_definite_refusal`](client::ClientError::is_definite_refusal) |
//! | a forged or foreign token | 401, no call to anybody |
//! | another site sends a POST with the cookies | 403; the cookies are neither used nor renewed |
//! | the store that replicas share is gone | each replica goes on by itself and logs that once |
//! | a public page in any of these cases | is served |
//!
//! # Signing in and out
//!
//! The page calls the mounted routes, or the app does it by itself: [`Descope::establish`] makes a session of what the
//! typed [`Client`] or a Descope Flow has brought, and [`Descope::end`] ends it in this process, in every replica, at
//! Descope and in the browser. Calling [`Client`]'s `session().logout` instead does not sign a browser out.
//! [`DescopeBuilder::on_sign_in`] and [`on_sign_out`](DescopeBuilder::on_sign_out) are told of all of them.
//!
//! # Testing an app
//!
//! With the feature `testing`, `TestDescope::new()` is a handle that trusts a key of its own, and
//! `test.user("ann").role("admin").get("/admin")` is a request to send to the app with `oneshot`: no network, no waiting.
//! With the feature `emulator`, `emulator.sign_in("ann@example.com")` signs somebody in at a local Descope. Both belong
//! among the dev-dependencies.
//!
//! # Connections that stay open
//!
//! The layer decides about a request once. A WebSocket or a stream of events that stays open learns when its session is
//! over from [`User::ended`] or [`User::watch`], also if the sign-out happens at another replica: see [`connection`].
//!
//! # What a request costs
//!
//! A request with a session that is in the cache costs about half a microsecond and three allocations more than the
//! same request without this crate. It takes no lock that cores would wait for, and does not use the network.
//! `benches/gate` counts the instructions:
//!
//! | what | instructions | why |
//! |---|--:|---|
//! | finding the tokens | 800 | `Authorization` and `Cookie` are looked up and split as bytes; no jar is built |
//! | verification | 650 | one look-up by the signature's tail and a comparison of the whole token; then the clock, times, revocation and the generation of the keys |
//! | the outcome | 500 | one allocation, and its place among the request's extensions |
//! | one more service | 900 | request and response move through it; nothing is boxed |
//! | `User` | 500 | half of it is `Cache-Control: private, no-store`, which a response gets whose handler asked who the user is |
//! | as a layer of a `Router` | 1300 | axum clones and boxes every layer's service; around the router (`SessionLayer::layer(router)`) it does not |
//!
//! The first request of a session also pays for checking the signature, about 16 µs, and 10 % more for reading the
//! claims. A renewal is one call to Descope. [`Descope::stats`] shows how many requests hit the cache.
//!
//! # Events
//!
//! One `tracing` event says why a request has no user, or may not do what it asks for. It has a stable name in the
//! field `event`, and level debug unless the table says otherwise. No event contains any part of a token.
//!
//! | event | when | fields |
//! |---|---|---|
//! | `session.no_credentials` | the request has no token (trace) | |
//! | `session.refused` | the request has a token that does not count: it has run out, does not verify, came from another origin, or cannot be decided now | `code`, `credential`, `reason` |
//! | `session.missing_layer` | a handler or a layer asks for a user where no session layer ran (error) | |
//! | `session.renewed` | the session was renewed for this request | |
//! | `requirement.refused` | the user is known and may not pass | `rule`: `tenant`, `requested-tenant` (the request names none), `role`, `permission`, `not`, `predicate`, `alternatives`, `step-up`, or `request` where a rule is about the request and none was given (error) |
//! | `renewal.refused` | Descope refused the refresh JWT | `error` |
//! | `renewal.failed` | Descope gave no answer about the refresh JWT (warn) | `error` |
//! | `renewal.paused` | no call was made, because earlier calls have failed | `seconds` |
//! | `renewal.circuit_open` | from now on nobody's session is renewed for a while (warn) | `seconds` |
//! | `access_key.exchange_failed` | an [`AccessKeyLayer`](client::AccessKeyLayer) got no session for its key (warn) | `error`, `seconds` until the next attempt |
//! | `sign_in.refused` | the app's hook has refused a sign-in (info) | `reason` |
//! | `sign_in.hook_failed`, `sign_out.hook_failed` | a hook of the app has failed, panicked or taken too long (error) | `error` |
//! | `user.load_failed` | the app's own [`LoadUser`] has failed (error) | `error` |
//! | `sign_out.cross_origin` | a page of another site has sent a sign-out to [`Descope::end`]; nothing was ended (warn) | |
//!
//! [`guide`] explains how a session is renewed, and against which attackers the crate protects.
//!
//! # Features
//!
//! | feature | default | what for |
//! |---|---|---|
//! | `aws-lc` | yes | signatures with aws-lc-rs, and TLS through rustls |
//! | `rust-crypto` | | signatures in pure Rust, about twelve times slower; brings no TLS |
//! | `native-tls` | | TLS through the operating system's library |
//! | `axum` | yes | the extractors |
//! | `routes` | yes | the mounted endpoints |
//! | `utoipa` | | an OpenAPI 3.1 document of the mounted endpoints |
//! | `testing` | | a handle for tests of an app, which needs neither network nor emulator; see the module `testing` |
//! | `emulator` | | the local Descope; a dev-dependency with this feature keeps it out of release builds |
//! | `redis` | | several replicas share renewals and revocations through Redis, see the module `store` |
//! | `redis-tls` | | Redis over TLS (`rediss://`), with rustls and aws-lc-rs |
//! | `shared-store` | | several replicas share renewals and revocations through a store that you implement |
//!
//! One of `aws-lc` and `rust-crypto` is needed; with both, `aws-lc` is used. Of jsonwebtoken
//! this crate uses only types, without features: it neither sets nor needs the process-wide backend of jsonwebtoken, so
//! it does not disturb an app that uses jsonwebtoken itself.
//!
//! # Minimum Rust version
//!
//! 1.88, declared as `rust-version`. A lint of clippy refuses newer functions of the standard library in this crate. CI
//! compiles it with the current stable Rust only, so please report a build that fails with 1.88.
//!
//! # Foreign types in the public API
//!
//! `http`, `http-body`, `bytes`, `tower-layer`, `tower-service`, `axum-core`, `axum` (`Router`), `serde`,
//! `serde_json`, `futures-core` (`Stream`), `jsonwebtoken` (`Algorithm`), `utoipa` (`OpenApi`) and `reqwest` (`Client`, as
//! a transport). A new major version of one of them is a new major version of this crate. CI refuses any other.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
#![deny(clippy::incompatible_msrv)]

#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
compile_error!(
    "tower-descope needs a signature backend: enable the feature `aws-lc` (default) or `rust-crypto`"
);

#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
#[path = "fuzzing.rs"]
pub mod __fuzzing;
mod backoff;
mod bounded;
pub mod client;
pub mod clock;
pub mod connection;
mod descope;
#[cfg(feature = "emulator")]
pub mod emulator;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod headers;
mod ledger;
mod names;
#[cfg(feature = "axum")]
mod per_type;
mod percent;
mod project;
mod refresh;
mod reject;
pub mod require;
#[cfg(feature = "routes")]
pub mod routes;
mod seldom;
pub mod session;
#[cfg(any(feature = "emulator", feature = "testing"))]
mod signed_in;
mod single_flight;
#[cfg(feature = "shared-store")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod user;
mod wakeups;
pub mod wire;

/// Pages about the crate as a whole.
#[cfg(doc)]
pub mod guide {
    #[doc = include_str!("refresh/renewal.md")]
    pub mod renewal {}
    #[doc = include_str!("security.md")]
    pub mod security {}
}

pub use self::client::{Client, ClientError, ProjectId};
pub use self::descope::{
    ConfigError, Descope, DescopeBuilder, Ended, Established, Revocation, SignIn, SignedOut, Stats,
};
#[cfg(feature = "emulator")]
pub use self::emulator::Emulator;
pub use self::error::{AuthError, AuthErrorKind};
#[cfg(feature = "axum")]
pub use self::extract::{Allowed, AuthRejection, Claims, CurrentUser, LoadUser, Policy};
pub use self::names::UnknownName;
pub use self::project::hooks::HookError;
pub use self::require::RequireLayer;
pub use self::session::{SameSite, SessionEnd, SessionLayer, SignOut};
pub use self::token::{InvalidToken, SignatureAlgorithm, TokenCache};
pub use self::user::{ProfileError, User};
