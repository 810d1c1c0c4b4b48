//! The [`Descope`] handle, which makes the layer and the routes, and its builder.

mod browsers;
mod builder;
mod connection;
mod environment;
mod error;
mod hooks;
mod options;
mod own_handlers;
mod revocation;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

pub use self::builder::DescopeBuilder;
pub use self::error::ConfigError;
pub use self::hooks::{SignIn, SignedOut};
pub use self::own_handlers::{Ended, Established};
pub use self::revocation::Revocation;
use crate::client::{Client, ProjectId};
use crate::error::AuthError;
use crate::headers::CookieLines;
use crate::project::Project;
use crate::session::{Session, SessionLayer, decide, decide_bearer};
use crate::token::{Failure, keys};
use crate::user::User;

/// A handle on one Descope project: keys, renewals under way, revocations and the API client.
///
/// Cheap to clone; clones share everything. Building it does no I/O and needs no runtime. There is no global state:
/// two handles know nothing of each other, so build one and clone it.
///
/// ```
/// use tower_descope::Descope;
///
/// # fn main() -> Result<(), tower_descope::ConfigError> {
/// let descope = Descope::builder("P2abcdefghijklmnopqrstuvwxyz1").build()?;
/// let layer = descope.session_layer();
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Descope {
    project: Arc<Project>,
}

impl Descope {
    /// Starts to configure a handle for a project. [`DescopeBuilder::build`] refuses an id that is empty or has characters
    /// that none has.
    pub fn builder(project_id: impl Into<String>) -> DescopeBuilder {
        DescopeBuilder::new(project_id.into())
    }

    /// A handle from the environment, with the defaults for everything else. See [`DescopeBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// When the project id is missing, or a variable is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        DescopeBuilder::from_env()?.build()
    }

    /// Makes the layer that finds out who sent a request.
    pub fn session_layer(&self) -> SessionLayer {
        SessionLayer::of(self.project.clone())
    }

    /// The client for typed calls of the API.
    pub fn client(&self) -> &Client {
        &self.project.client
    }

    /// The id of the project.
    pub fn project_id(&self) -> &ProjectId {
        self.project.client.project_id()
    }

    /// Finds out who sent these headers. It decides like the session layer, for places where the layer cannot run: a
    /// WebSocket message, or a job that carries a token.
    ///
    /// Origins are not checked, because the request's method is not known. If the session is renewed, there is no
    /// response for the new cookies: they are kept for the browser's next request. Returns `Ok(None)` when the headers
    /// have no token.
    ///
    /// # Errors
    ///
    /// When the credentials are not accepted, with the reason, or when they cannot be checked now.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<User>, AuthError> {
        let decided = decide(&self.project, headers, false).await;
        let session = Session::new(self.project.clone(), decided, CookieLines::of(headers));
        match User::from_session(session) {
            Ok(user) => Ok(Some(user)),
            Err(error) if *error.kind() == crate::error::AuthErrorKind::MissingCredentials => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Verifies a session JWT that did not come in a header, but for example from a message queue.
    ///
    /// Nothing is renewed. For requests prefer [`session_layer`](Self::session_layer), for headers
    /// [`authenticate`](Self::authenticate).
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::InvalidToken`](crate::AuthErrorKind::InvalidToken) with an
    /// [`InvalidToken`](crate::InvalidToken) as source,
    /// [`ExpiredToken`](crate::AuthErrorKind::ExpiredToken), or
    /// [`Unavailable`](crate::AuthErrorKind::Unavailable) when there are no keys to verify with.
    pub async fn validate_session(&self, jwt: &str) -> Result<User, AuthError> {
        self.project.listen();
        let decided = decide_bearer(&self.project, jwt.as_bytes()).await;
        User::from_session(Session::new(
            self.project.clone(),
            decided,
            CookieLines::default(),
        ))
    }

    /// Fetches the project's keys unless they are there. Use it for a readiness probe, and so that the first request
    /// need not wait. With a shared store it also waits, for a second at most, until this replica knows what other
    /// replicas have revoked.
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::Unavailable`](crate::AuthErrorKind::Unavailable) when there are no keys and they cannot be
    /// fetched.
    pub async fn ready(&self) -> Result<(), AuthError> {
        #[cfg(feature = "shared-store")]
        self.project.renewer.caught_up().await;
        self.update_keys(keys::Reason::Age).await
    }

    /// Fetches the project's keys now, for use after an emergency rotation. Tokens that were signed with a removed key
    /// are refused at once.
    ///
    /// # Errors
    ///
    /// [`AuthErrorKind::Unavailable`](crate::AuthErrorKind::Unavailable) when there are no keys at all. A failed fetch
    /// is no error while there are keys.
    pub async fn refresh_keys(&self) -> Result<(), AuthError> {
        self.update_keys(keys::Reason::Forced).await
    }

    async fn update_keys(&self, reason: keys::Reason<'_>) -> Result<(), AuthError> {
        let keys = &self.project.verifier.keys;
        keys.update(reason)
            .await
            .map_err(|unavailable| Failure::Unavailable(unavailable).into())
    }

    /// The time since the keys were last fetched, for a gauge: it grows while the key endpoint fails. `None` before the
    /// first fetch, and when the keys were [configured](DescopeBuilder::public_key).
    pub fn key_age(&self) -> Option<Duration> {
        self.project.verifier.keys.age()
    }

    /// Waits until renewals that are under way have an outcome. To be called after the server has drained its
    /// connections: where replicas share a store, the outcome then reaches the store, and a client that has hung up
    /// finds its new tokens at another replica.
    ///
    /// Takes as long as the calls that are under way, each of which has a [deadline](DescopeBuilder::deadline), 5
    /// seconds by default; a renewal may need several of them, one after the other. Connected
    /// clients do not need this: their responses wait for the renewal themselves.
    ///
    /// ```no_run
    /// # #[cfg(feature = "routes")]
    /// # async fn serve(
    /// #     descope: tower_descope::Descope,
    /// #     listener: tokio::net::TcpListener,
    /// #     app: axum::Router,
    /// #     shutdown: impl Future<Output = ()> + Send + 'static,
    /// # ) -> std::io::Result<()> {
    /// axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    /// descope.renewals_finished().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn renewals_finished(&self) {
        self.project.renewer.renewals_finished().await;
        #[cfg(feature = "shared-store")]
        self.project.renewer.announced().await;
    }

    /// Counts for metrics.
    pub fn stats(&self) -> Stats {
        let verifier = &self.project.verifier;
        let renewer = self.project.renewer.counts();
        Stats {
            cached_sessions: verifier.tokens.len(),
            cache_hits: verifier.tokens.hits(),
            cache_misses: verifier.tokens.misses(),
            remembered_renewals: renewer.renewals,
            undelivered_forgotten: renewer.undelivered_forgotten,
            remembered_refusals: renewer.refusals,
            refusals_forgotten: renewer.refusals_forgotten,
            revocations: verifier.revoked.len(),
            revocations_forgotten: verifier.revoked.forgotten(),
            spared_forgotten: verifier.revoked.spared_forgotten(),
            lineages_forgotten: renewer.lineages_forgotten,
            clock_skew: self.project.renewer.skewed_answers(),
        }
    }

    #[cfg(any(feature = "routes", feature = "testing", feature = "__fuzzing"))]
    pub(crate) fn project(&self) -> &Arc<Project> {
        &self.project
    }
}

#[cfg(any(feature = "emulator", feature = "testing"))]
impl crate::signed_in::SignedIn {
    /// The same with the cookie names of this handle, for an app that does not use Descope's names.
    #[must_use]
    pub fn with_cookies_of(mut self, descope: &Descope) -> Self {
        let cookies = &descope.project.cookies;
        cookies.session_name().clone_into(&mut self.session_cookie);
        cookies.refresh_name().clone_into(&mut self.refresh_cookie);
        self
    }
}

#[cfg(feature = "emulator")]
impl crate::emulator::Emulator {
    /// Starts to configure a handle that talks to this emulator.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = tower_descope::Emulator::builder().start().await?;
    /// let descope = emulator.descope().build()?;
    /// assert_eq!(descope.client().base_url().as_str(), emulator.base_url());
    /// # Ok(()) }
    /// ```
    pub fn descope(&self) -> DescopeBuilder {
        Descope::builder(self.project_id()).base_url(self.base_url())
    }
}

impl SessionLayer {
    /// Makes the layer of this handle, like [`Descope::session_layer`].
    pub fn new(descope: Descope) -> Self {
        Self::of(descope.project)
    }
}

/// What a handle holds; see [`Descope::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Session JWTs whose signature need not be checked again.
    pub cached_sessions: usize,
    /// How often a session JWT was found in the cache, since the handle was built. Each hit has saved a signature
    /// check.
    pub cache_hits: u64,
    /// How often a session JWT, good or bad, was not found in the cache, since the handle was built. If fewer than nine
    /// in ten look-ups are hits, configure a larger [`TokenCache`](crate::TokenCache); or somebody sends forged tokens.
    pub cache_misses: u64,
    /// Renewals that are under way, and outcomes of renewals that are remembered, except refusals.
    pub remembered_renewals: usize,
    /// New refresh JWTs that no response has carried and that had to be forgotten, because more than 100,000 outcomes
    /// were remembered. Their users have to sign in again. Anything but 0 means that somebody starts renewals in great
    /// numbers and does not wait for the responses: limit the requests of that client.
    pub undelivered_forgotten: u64,
    /// Refresh JWTs that Descope has refused, as far as this process remembers.
    pub remembered_refusals: usize,
    /// Refusals that had to be forgotten, because there were more than 100,000. Each may cost one more call of Descope.
    /// If this is not 0, somebody sends refused refresh JWTs in great numbers: limit the requests of that client.
    pub refusals_forgotten: u64,
    /// Revocations that are remembered: revoked tokens, and users whose sessions were all ended. Some revocations that
    /// no longer matter, because the tokens have expired, are still counted.
    pub revocations: usize,
    /// Revocations that had to be forgotten, the oldest first, because there were more than 1,000,000 of tokens or
    /// 250,000 of users. A token whose revocation was forgotten is accepted again until it expires, so anything but 0
    /// deserves an alarm: somebody signs in and out in great numbers, or writes to the shared store.
    pub revocations_forgotten: u64,
    /// Users whose sessions were all ended, who have signed in again since, and who have to do so once more, because
    /// more than 100,000 such sessions were alive. If this is not 0, look for what calls `logoutall` so often.
    pub spared_forgotten: u64,
    /// Refresh JWTs whose sessions are no longer known, because more than 100,000 were in use. A sign-out with one of
    /// them may leave session JWTs that it does not present until they expire, ten minutes by default. If this is not
    /// 0 and that matters to you, let session JWTs live for a shorter time, in Descope's console.
    pub lineages_forgotten: u64,
    /// Answers of Descope with tokens that were over, or not valid yet, by the clock of this machine when they came,
    /// since the handle was built. Anything but 0 says that this clock is off: slow by more than the
    /// [leeway](DescopeBuilder::leeway), so that new sessions are refused at first, or fast by more than a session
    /// lives, so that sign-ins lose their session JWT. Either way sessions cannot be renewed (503). A clock that is
    /// fast by less is not seen here; it only shortens sessions. If this is not 0, see to the time service (NTP) of
    /// this machine.
    pub clock_skew: u64,
}

impl fmt::Debug for Descope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descope")
            .field("project_id", self.project_id())
            .finish_non_exhaustive()
    }
}
