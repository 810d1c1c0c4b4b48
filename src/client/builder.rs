//! Settings of a client.

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

    /// Where the API is. Default: Descope's host for the project's region, see [`BaseUrl::for_project`].
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// Through what calls go. Default: a [`reqwest::Client`] that follows no redirects, connects within 2 s, and
    /// uses no proxy towards a loopback base URL.
    ///
    /// The rule that plain `http` is for this machine only is the [`BaseUrl`]'s and holds with every transport.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How long a call may take in all: name resolution, connecting, a repetition and reading the body included.
    /// Default 5 s.
    ///
    /// What is not done by then is [`UnavailableReason::Timeout`](super::UnavailableReason::Timeout). The key set
    /// is fetched within 5 s even if this is longer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many bytes of a body are read at most. Default 1 MiB.
    ///
    /// A longer one is [`UnavailableReason::TooLarge`](super::UnavailableReason::TooLarge).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Where time comes from. Default: the system. Dates in `Retry-After` are read against it; the deadline is a
    /// timer of tokio.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The project's auth management key, which some projects demand for sign-up and sign-in from a back end.
    /// Default: none. It is sent with every call but the one for the key set.
    pub fn auth_management_key(mut self, key: AccessKey) -> Self {
        self.management_key = Some(key);
        self
    }

    /// A name under which the project delivers session JWTs as cookies. Names that were given first go first;
    /// `DS` always comes last.
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.session_cookies.push(name.into());
        self
    }

    /// A name under which the project delivers refresh JWTs as cookies. Names that were given first go first;
    /// `DSR` always comes last.
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.refresh_cookies.push(name.into());
        self
    }

    /// Builds the client. Does no network I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// Only for the default transport: when it has to speak TLS and cannot.
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
