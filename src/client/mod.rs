//! Typed calls of Descope's API, usable without any HTTP server.
//!
//! # How a call behaves
//!
//! * **One deadline** (5 s by default) covers everything: connecting, a repetition, reading the body.
//! * **No replay.** A POST is repeated, once, only if no connection was established. A GET is repeated once also
//!   when the connection breaks. The official SDKs repeat a call up to three times on 503 and its like; this client
//!   does not, because replaying a refresh burns a rotating token and replaying a verify burns a code.
//! * **No redirects, no decompression, at most 1 MiB of body**, whatever the headers say.
//! * **Definite or not.** An answer counts as Descope's own only if it has one of its error codes; see
//!   [`ClientError::is_definite_refusal`]. Everything else is [`ClientErrorKind::Unavailable`] and says nothing
//!   about the user's session.
//! * **Either way of delivery.** Projects that manage tokens in cookies answer with empty members and
//!   `Set-Cookie`; the tokens are moved back into the members.
//! * **Secrets stay inside**: not in `Debug`, not in errors, not in traces. Each call is one `tracing` event of
//!   level debug with path, status and time.
//!
//! Calls need a tokio runtime with its timer enabled. Building does not.
//!
//! # Example
//!
//! The transport here answers from memory; leave it out to call Descope.
//!
//! ```
//! use bytes::Bytes;
//! use tower_descope::client::{Client, ProjectId, Transport, TransportFuture};
//! use tower_descope::wire::{DeliveryMethod, OtpSignInRequest};
//!
//! struct Canned;
//!
//! impl Transport for Canned {
//!     fn send(&self, request: http::Request<Bytes>, _limit: usize) -> TransportFuture<'_> {
//!         assert_eq!(request.uri().path(), "/v1/auth/otp/signup-in/email");
//!         Box::pin(async { Ok(http::Response::new(r#"{"maskedEmail":"j***@example.com"}"#.into())) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let project = ProjectId::new("P2abcdefghijklmnopqrstuvwxyz")?;
//! let client = Client::builder(project).transport(Canned).build()?;
//!
//! let sent = client
//!     .otp()
//!     .sign_up_or_in(DeliveryMethod::Email, &OtpSignInRequest::new("jane@example.com"), None)
//!     .await?;
//! assert_eq!(sent.as_str(), "j***@example.com");
//! # Ok(())
//! # }
//! ```

mod base_url;
mod builder;
mod call;
mod error;
mod forward;
#[cfg(feature = "__fuzzing")]
pub(crate) mod fuzzing;
mod notp;
mod otp;
mod project;
mod reply;
mod reqwest;
pub(crate) mod retry_after;
mod secret;
mod session;
#[cfg(test)]
mod testing;
mod totp;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::base_url::{BaseUrl, InvalidBaseUrl};
pub use self::builder::ClientBuilder;
pub use self::error::{ClientError, ClientErrorKind, UnavailableReason};
pub use self::notp::{Notp, WaitOptions};
pub use self::otp::Otp;
pub use self::project::{InvalidProjectId, ProjectId};
pub use self::reqwest::BuildError;
#[cfg(feature = "routes")]
pub(crate) use self::secret::has_token_characters;
pub use self::secret::{AccessKey, InvalidSecret, RefreshToken, SessionToken};
pub use self::session::Sessions;
pub use self::totp::Totp;
pub use self::transport::{Transport, TransportError, TransportErrorKind, TransportFuture};

// Used by the token verifier and the mounted routes.
#[allow(unused_imports)]
pub(crate) use self::forward::{KeySet, Reply};

use self::reply::CookieNames;
use crate::clock::Clock;
pub use crate::wire::NotpProvider;

/// A client of one project. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientState>,
}

struct ClientState {
    project: ProjectId,
    base_url: BaseUrl,
    transport: Arc<dyn Transport>,
    deadline: Duration,
    max_body: usize,
    clock: Arc<dyn Clock>,
    management_key: Option<AccessKey>,
    cookies: CookieNames,
}

impl Client {
    /// Starts to build a client of this project.
    pub fn builder(project: ProjectId) -> ClientBuilder {
        ClientBuilder::new(project)
    }

    /// One-time codes by e-mail, text message, voice call or messenger.
    pub fn otp(&self) -> Otp<'_> {
        Otp { client: self }
    }

    /// Authenticator apps.
    pub fn totp(&self) -> Totp<'_> {
        Totp { client: self }
    }

    /// Messages that the user sends.
    pub fn notp(&self) -> Notp<'_> {
        Notp { client: self }
    }

    /// Sessions, and the user behind one.
    pub fn session(&self) -> Sessions<'_> {
        Sessions { client: self }
    }

    /// The project.
    pub fn project_id(&self) -> &ProjectId {
        &self.inner.project
    }

    /// Where calls go.
    pub fn base_url(&self) -> &BaseUrl {
        &self.inner.base_url
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("project", &self.inner.project)
            .field("base_url", &self.inner.base_url)
            .finish_non_exhaustive()
    }
}

fn expose(token: Option<&RefreshToken>) -> Option<&str> {
    token.map(RefreshToken::expose)
}
