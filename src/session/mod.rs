//! The session layer: who sent this request?
//!
//! [`SessionLayer`] reads the tokens of a request, verifies the session JWT, renews it through the refresh JWT when
//! it has run out, and puts the outcome into the request's extensions, where [`User`](crate::User) and
//! [`RequireLayer`](crate::RequireLayer) find it. It identifies and never rejects: a page that asks for nobody is
//! served to everybody, also while Descope is down.
//!
//! # Rules
//!
//! * `Authorization: Bearer` is, when present, the only credential. Cookies of that request are neither read nor
//!   renewed nor written, and a bad bearer does not fall back to them. Other schemes are not ours. A bearer that is
//!   the project id, alone or before a colon, is Descope's API syntax and not ours either.
//! * Cookies are read from all `Cookie` fields, as bytes, in the configured order of names. When a name occurs
//!   several times the first session that verifies counts; at most four are tried. Values that are no tokens, or
//!   larger than a cookie can be, take none of the four places. Where the first name has the `__Host-` prefix, names
//!   without it are read only while no refresh cookie with the prefix is there.
//! * Of several refresh cookies the one counts whose user is that of the session, also of an expired one if its
//!   signature verifies. Without such a session they have to be of one user, else nothing is renewed: a sibling host
//!   can set cookies of these names.
//! * Cookies of a cross-origin request that may change something are ignored. `Sec-Fetch-Site` and `Origin` must both
//!   say that it is ours, as far as they are there; a WebSocket counts as a change. Behind a proxy that rewrites `Host`
//!   that takes [`public_origin`](crate::DescopeBuilder::public_origin).
//! * A session is renewed when it is missing or over **and** the refresh JWT verifies here. However many requests
//!   carry that JWT, upstream sees one call.
//! * Tokens that are bound to a key of their client (`cnf`, as with DPoP) are refused, because possession of that key
//!   is not checked yet: see [`SenderConstrained`](crate::InvalidToken::SenderConstrained).
//! * An outage is never a sign-out: 503 where a user is asked for, and the cookies stay.
//! * What a renewal brings is verified before it is used. If only its key is missing (Descope has just begun to sign
//!   with it, or its key endpoint fails), the answer is kept, also in the shared store if there is one: 503 with
//!   `Retry-After` until the key is there, and the old refresh JWT is not sent again. After a day, or when the kept
//!   refresh JWT would be over, it is given up, and Descope decides about the old one. Keys for what Descope has just
//!   issued are asked for beside the cool-down that unknown key ids of clients are under: at most every 5 s for one
//!   key id, and 6 times within one cool-down for all of them.
//!
//! # Responses
//!
//! Renewed tokens leave as cookies, appended, together with `Cache-Control: private, no-store` and `Vary: Cookie`.
//! A cookie of the same name that the handler sets wins. Responses whose handler asked for the user and that say
//! nothing about caching get `private, no-store`, too; all others stay cacheable.
//!
//! # Order of layers
//!
//! The layer has to be outside of whatever asks for the user: `.layer(descope.session_layer())` after the routes of
//! a `Router`. A second layer of the same handle does nothing; one of another handle replaces the outcome. Handles of
//! two projects over one route need cookies of different names, see
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
//! let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1")?.build()?;
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

mod decide;
mod early_renewal;
mod end;
mod events;
mod future;
mod identity;
mod layer;
mod previous;
mod refresh_choice;
mod service;
mod start;
mod state;
mod verdicts;
mod write_back;

pub(crate) use self::decide::{decide, decide_bearer};
pub use self::end::SignOut;
pub use self::future::ResponseFuture;
pub(crate) use self::identity::{Decided, Identity, TokenSource};
pub use self::layer::SessionLayer;
pub use self::service::SessionService;
pub(crate) use self::start::{NotStarted, Store};
#[cfg(feature = "routes")]
pub(crate) use self::state::RefreshJwt;
pub(crate) use self::state::Session;
pub use crate::headers::SameSite;
