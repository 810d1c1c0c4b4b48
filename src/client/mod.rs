//! Typed calls of Descope's API, usable without any HTTP server.
//!
//! # How a call behaves
//!
//! * **One deadline** (5 s by default) covers the whole call: connecting, a repetition, reading the body.
//! * **No replay.** A POST is repeated once, and only if no connection was established. A GET is also repeated once
//!   if the connection breaks. The official SDKs repeat a call up to three times on a 503 and similar answers. This
//!   client does not: a repeated refresh would present a refresh JWT that rotation has replaced, and a repeated verify
//!   would present a code that is spent.
//! * **No redirects, no decompression, at most 1 MiB of body**, whatever the headers say.
//! * **Refusal or failure.** A 4xx answer counts as Descope's refusal only if it has an error code of Descope's, or
//!   if its status is 429. Every other failed call is [`ClientErrorKind::Unavailable`] and says nothing about the
//!   user's session. [`ClientError::is_definite_refusal`] tells whether Descope refused the token itself.
//! * **Both ways of delivery.** For a project that manages tokens in cookies Descope leaves the token members of the
//!   body empty and sends `Set-Cookie`. The client copies the tokens into the members.
//! * **Machines sign in with access keys**: [`AccessKeyLayer`] adds the session of a key to the calls of any HTTP client
//!   that is a tower service.
//! * **Secrets stay hidden**: `Debug`, errors and traces do not show them. Each call logs one `tracing` event of
//!   level debug, with path, status and elapsed time.
//!
//! Calls need a tokio runtime with its timer enabled. Building a client needs no runtime.
//!
//! # Example
//!
//! The transport in this example answers from memory. Without it the client calls Descope.
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

mod access_key_layer;
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

pub use self::access_key_layer::{
    AccessKeyError, AccessKeyFuture, AccessKeyLayer, AccessKeyService,
};
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

// Only the token verifier and the mounted routes use these, and features may leave one of them out.
#[allow(unused_imports)]
pub(crate) use self::forward::{KeySet, Reply};

use self::reply::CookieNames;
use crate::clock::Clock;
pub use crate::wire::NotpProvider;

/// A client of one project. It is cheap to clone, and the clones share the connections.
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
    /// Returns a builder of a client for this project.
    pub fn builder(project: ProjectId) -> ClientBuilder {
        ClientBuilder::new(project)
    }

    /// The calls for one-time codes by e-mail, text message, voice call or messenger.
    pub fn otp(&self) -> Otp<'_> {
        Otp { client: self }
    }

    /// The calls for authenticator apps.
    pub fn totp(&self) -> Totp<'_> {
        Totp { client: self }
    }

    /// The calls for nOTP, where the user sends a message.
    pub fn notp(&self) -> Notp<'_> {
        Notp { client: self }
    }

    /// The calls for sessions and their users, and for access keys.
    pub fn session(&self) -> Sessions<'_> {
        Sessions { client: self }
    }

    /// The id of the project.
    pub fn project_id(&self) -> &ProjectId {
        &self.inner.project
    }

    /// The base URL to which calls go.
    pub fn base_url(&self) -> &BaseUrl {
        &self.inner.base_url
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// The same client, which also finds tokens in cookies of these names. They come before the names that it has.
    pub(crate) fn with_cookie_names(&self, session: &[String], refresh: &[String]) -> Self {
        let ClientState {
            project,
            base_url,
            transport,
            deadline,
            max_body,
            clock,
            management_key,
            cookies,
        } = &*self.inner;
        Self {
            inner: Arc::new(ClientState {
                project: project.clone(),
                base_url: base_url.clone(),
                transport: transport.clone(),
                deadline: *deadline,
                max_body: *max_body,
                clock: clock.clone(),
                management_key: management_key.clone(),
                cookies: cookies.after(session, refresh),
            }),
        }
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
