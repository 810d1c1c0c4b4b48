//! The API client of a handle: made from the builder's options, or the one that the app has already.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ConfigError;
use crate::client::{AccessKey, BaseUrl, Client, ProjectId, Transport};
use crate::clock::Clock;
use crate::headers::CookieConfig;

/// The options of [`DescopeBuilder`](super::DescopeBuilder) that say how calls are made.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) client: Option<Client>,
    pub(super) base_url: Option<String>,
    pub(super) management_key: Option<AccessKey>,
    pub(super) transport: Option<SharedTransport>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) deadline: Option<Duration>,
}

pub(super) struct SharedTransport(pub(super) Arc<dyn Transport>);

impl fmt::Debug for SharedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl Connection {
    /// The client, which also finds tokens in cookies of the names that the handle is configured with.
    pub(super) fn client(
        mut self,
        project: ProjectId,
        cookies: &CookieConfig,
    ) -> Result<Client, ConfigError> {
        let client = match self.client.take() {
            Some(client) => {
                self.check(&client, &project)?;
                client
            }
            None => self.build(project)?,
        };
        Ok(client.with_cookie_names(&cookies.session, &cookies.refresh))
    }

    /// Refuses options beside a client of the app's. Whichever of the two counted, the other would be ignored silently.
    fn check(&self, client: &Client, project: &ProjectId) -> Result<(), ConfigError> {
        if client.project_id() != project {
            return Err(ConfigError::Client(format!(
                "the client given to client() is of project {}, and the handle of {project}",
                client.project_id()
            )));
        }
        let clock = self.clock.as_ref();
        let other_clock = clock.is_some_and(|clock| !Arc::ptr_eq(clock, client.clock()));
        let set = [
            (self.base_url.is_some(), "base_url() or DESCOPE_BASE_URL"),
            (
                self.management_key.is_some(),
                "auth_management_key() or DESCOPE_AUTH_MANAGEMENT_KEY",
            ),
            (self.transport.is_some(), "transport()"),
            (self.deadline.is_some(), "deadline()"),
            (other_clock, "another clock()"),
        ];
        match set.iter().find(|(is_set, _)| *is_set) {
            Some((_, option)) => Err(ConfigError::Client(format!(
                "client() and {option} exclude each other: set it on the client's builder instead"
            ))),
            None => Ok(()),
        }
    }

    fn build(self, project: ProjectId) -> Result<Client, ConfigError> {
        let mut client = Client::builder(project);
        if let Some(base_url) = self.base_url {
            let base_url: BaseUrl = base_url.parse()?;
            client = client.base_url(base_url);
        }
        if let Some(clock) = self.clock {
            client = client.clock(clock);
        }
        if let Some(deadline) = self.deadline {
            client = client.deadline(deadline);
        }
        if let Some(key) = self.management_key {
            client = client.auth_management_key(key);
        }
        if let Some(SharedTransport(transport)) = self.transport {
            client = client.transport(transport);
        }
        Ok(client.build()?)
    }
}
