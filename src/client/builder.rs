//! The builder of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::base_url::BaseUrl;
use super::project::ProjectId;
use super::reply::CookieNames;
use super::reqwest::{BuildError, default_client};
use super::secret::AccessKey;
use super::transport::Transport;
use super::{Client, ClientState};
use crate::clock::{Clock, SystemClock};

/// Builds a [`Client`]; see [`Client::builder`].
#[must_use = "call `build`"]
pub struct ClientBuilder {
    project: ProjectId,
    base_url: Option<BaseUrl>,
    transport: Option<Arc<dyn Transport>>,
    deadline: Duration,
    max_body: usize,
    clock: Arc<dyn Clock>,
    management_key: Option<AccessKey>,
    session_cookies: Vec<String>,
    refresh_cookies: Vec<String>,
}

impl ClientBuilder {
    pub(super) fn new(project: ProjectId) -> Self {
        Self {
            project,
            base_url: None,
            transport: None,
            deadline: Duration::from_secs(5),
            max_body: 1024 * 1024,
            clock: Arc::new(SystemClock::new()),
            management_key: None,
            session_cookies: Vec::new(),
            refresh_cookies: Vec::new(),
        }
    }

    /// The base URL of the API. Default: Descope's host for the project's region, see [`BaseUrl::for_project`].
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// What sends the requests. Default: a [`reqwest::Client`] that follows no redirects, connects within 2 s, and
    /// uses no proxy if the base URL is on loopback.
    ///
    /// Plain `http` is accepted for this machine only, whatever the transport: [`BaseUrl`] enforces this rule.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How long a call may take in all, including name resolution, connecting, a repetition and reading the body.
    /// Default 5 s.
    ///
    /// A call that takes longer fails with [`UnavailableReason::Timeout`](super::UnavailableReason::Timeout). Fetching
    /// the key set may take 5 s at most, even if the deadline is longer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many bytes of an answer's body are read at most. Default 1 MiB.
    ///
    /// A call with a longer answer fails with [`UnavailableReason::TooLarge`](super::UnavailableReason::TooLarge).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The clock against which dates in `Retry-After` are read, and by which an
    /// [`AccessKeyLayer`](super::AccessKeyLayer) knows when its session expires. Default: the system's clock. The
    /// deadline does not use it, but a timer of tokio.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The project's auth management key, which some projects require for sign-up and sign-in from a back end.
    /// Default: none. It is sent with every call, except when the key set is fetched.
    pub fn auth_management_key(mut self, key: AccessKey) -> Self {
        self.management_key = Some(key);
        self
    }

    /// Adds a name of the cookie in which the project delivers session JWTs. If an answer has several of these cookies,
    /// the name that was added first wins. `DS` is always the last of the names. Default: `DS` only.
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.session_cookies.push(name.into());
        self
    }

    /// Adds a name of the cookie in which the project delivers refresh JWTs. If an answer has several of these cookies,
    /// the name that was added first wins. `DSR` is always the last of the names. Default: `DSR` only.
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.refresh_cookies.push(name.into());
        self
    }

    /// Builds the client. This does no network I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// When the default transport cannot be built, for example because the base URL is `https` and TLS is not
    /// available. With a transport of your own there is no error.
    pub fn build(mut self) -> Result<Client, BuildError> {
        let base_url = self
            .base_url
            .unwrap_or_else(|| BaseUrl::for_project(&self.project));
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(default_client(&base_url)?),
        };
        self.session_cookies.push("DS".to_owned());
        self.refresh_cookies.push("DSR".to_owned());
        Ok(Client {
            inner: Arc::new(ClientState {
                project: self.project,
                base_url,
                transport,
                deadline: self.deadline,
                max_body: self.max_body,
                clock: self.clock,
                management_key: self.management_key,
                cookies: CookieNames {
                    session: self.session_cookies,
                    refresh: self.refresh_cookies,
                },
            }),
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("project", &self.project)
            .field("base_url", &self.base_url)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
