//! The session layer, which finds out who sent a request.
//!
//! [`SessionLayer`] reads the tokens of a request, verifies the session JWT, renews it through the refresh JWT when
//! it has run out, and puts the outcome into the request's extensions, where [`User`](crate::User) and
//! [`RequireLayer`](crate::RequireLayer) find it. The layer identifies users and never rejects a request: a page that
//! does not ask for the user is served to everybody, also while Descope is down.
//!
//! # Rules
//!
//! * `Authorization: Bearer` is, when present, the only credential. Cookies of that request are neither read nor
//!   renewed nor written, even if the bearer is bad. Other schemes are ignored. So is a bearer that is the project id,
//!   alone or before a colon: that is the syntax of Descope's API, not a session.
//! * Cookies are read from all `Cookie` fields, as bytes, in the configured order of names. When a name occurs
//!   several times the first session that verifies counts; at most four are tried. Values that are no tokens, or
//!   larger than a cookie can be, take none of the four places. Where the first name has the `__Host-` prefix, names
//!   without it are read only while no refresh cookie with the prefix is there.
//! * Of several refresh cookies the one counts that names the user of the session. The session may have expired, if
//!   its signature verifies. Without such a session all refresh cookies have to name one user, else nothing is renewed:
//!   a sibling host can set cookies of these names.
//! * Cookies of a cross-origin request that may change something are ignored. Each of `Sec-Fetch-Site` and `Origin`
//!   that the request has must say that a page of this app made it. A WebSocket handshake counts as a change. Behind a
//!   proxy that rewrites `Host`, set [`public_origin`](crate::DescopeBuilder::public_origin).
//! * A session is renewed when it is missing or over **and** the refresh JWT verifies here. However many requests
//!   carry that JWT, Descope sees one call.
//! * Tokens that are bound to a key of their client (`cnf`, as with DPoP) are refused, because possession of that key
//!   is not checked yet: see [`SenderConstrained`](crate::InvalidToken::SenderConstrained).
//! * An outage signs nobody out: requests that need a user get 503, and the cookies stay.
//! * The tokens that a renewal brings are verified before they are used. If only the key is missing that signed them
//!   (Descope has just begun to use it, or the key endpoint fails), the answer is kept, also in the shared store if
//!   there is one. Requests that need a user get 503 with `Retry-After` until the key is there, and the old refresh JWT
//!   is not sent again. After a day, or when the kept refresh JWT expires, the answer is dropped, and the next request
//!   sends the old refresh JWT, about which Descope decides. The keys of tokens that Descope has just issued are not
//!   subject to the cool-down of unknown key ids: they are fetched at most every 5 s for one key id, and at most 6
//!   times within one cool-down for all of them.
//!
//! # Responses
//!
//! Renewed tokens are appended to the response as cookies, together with `Cache-Control: private, no-store` and
//! `Vary: Cookie`. A cookie of the same name that the handler sets wins. A response without `Cache-Control` also gets
//! `private, no-store` if its handler asked for the user; all other responses stay cacheable.
//!
//! # Order of layers
//!
//! The layer has to be outside of whatever asks for the user: call `.layer(descope.session_layer())` after the routes
//! of a `Router`. A second layer of the same handle does nothing. Inside it, a layer of another handle replaces the
//! outcome. Handles of two projects over one route need cookies of different names, see
//! [`session_cookies`](crate::DescopeBuilder::session_cookies).
//!
//! # Example
//!
//! A plain tower service, no axum:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_descope::{Descope, User};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
//! let service = ServiceBuilder::new()
//!     .layer(descope.session_layer())
//!     .service(service_fn(async |request: Request<String>| {
//!         let greeting = match User::from_extensions(request.extensions()) {
//!             Ok(user) => format!("hello {}", user.id()),
//!             Err(_) => "hello, whoever you are".to_owned(),
//!         };
//!         Ok::<_, std::convert::Infallible>(Response::new(greeting))
//!     }));
//!
//! let response = service.oneshot(Request::new(String::new())).await?;
//! assert_eq!(response.body(), "hello, whoever you are");
//! # Ok(())
//! # }
//! ```

mod cookie_choice;
mod decide;
mod early_renewal;
mod end;
mod events;
mod future;
mod identity;
mod layer;
mod lifetime;
mod previous;
mod service;
mod start;
mod state;
mod verdicts;
mod write_back;

pub(crate) use self::decide::{decide, decide_bearer};
pub use self::end::SignOut;
pub use self::future::ResponseFuture;
pub use self::layer::SessionLayer;
pub use self::lifetime::SessionEnd;
pub use self::service::SessionService;
pub(crate) use self::start::{NotStarted, Store};
pub(crate) use self::state::{RefreshJwt, Session};
pub use crate::headers::SameSite;
