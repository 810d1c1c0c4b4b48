//! What all clones of a [`Descope`](crate::Descope) handle share: the API client, the verifier with its keys, the
//! renewals that are under way, and what the builder was told about cookies, origins and responses.
//!
//! The session layer, the extractors and the mounted routes work on this. The public handle stands above all of them
//! and is no more than a reference to it.

#[cfg(feature = "routes")]
mod delivery;
pub(crate) mod hooks;
mod profiles;
mod token_cookies;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderMap;

#[cfg(feature = "routes")]
pub use self::delivery::TokenDelivery;
pub(crate) use self::profiles::Profiles;
use crate::client::Client;
use crate::headers::{CookieConfig, Credentials, OriginPolicy};
#[cfg(feature = "axum")]
use crate::per_type::PerType;
use crate::refresh::{Presented, Renewer};
use crate::token::{Name, Verified, Verifier};

/// Everything that the clones of one handle share. See the module's documentation.
pub(crate) struct Project {
    pub(crate) client: Client,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) renewer: Arc<Renewer>,
    pub(crate) cookies: CookieConfig,
    /// Whether the log says already that another project uses the same cookies.
    pub(crate) shared_cookies_told: AtomicBool,
    pub(crate) origins: OriginPolicy,
    pub(crate) profiles: Profiles,
    /// What the policies of [`Allowed`](crate::Allowed) require.
    #[cfg(feature = "axum")]
    pub(crate) policies: PerType,
    pub(crate) hooks: hooks::Hooks,
    pub(crate) private_responses: bool,
    pub(crate) early_renewal: Duration,
    #[cfg(feature = "routes")]
    pub(crate) delivery: TokenDelivery,
    #[cfg(feature = "routes")]
    pub(crate) body_timeout: Duration,
    #[cfg(feature = "routes")]
    pub(crate) adopt_sessions: bool,
    #[cfg(feature = "utoipa")]
    pub(crate) serve_openapi: bool,
}

impl Project {
    pub(crate) fn credentials<'a>(&self, headers: &'a HeaderMap) -> Credentials<'a> {
        self.listen();
        Credentials::read(headers, self.client.project_id(), &self.cookies)
    }

    /// Tells the operator, once, that another project uses cookies of the same name.
    pub(crate) fn tell_shared_cookies(&self, name: &str) {
        if !self.shared_cookies_told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                project_id = %self.client.project_id(),
                cookie = name,
                "another project uses cookies of the same name as this one, so that signing in to one signs out of \
                 the other; give one of them other names with .session_cookies([...]) and .refresh_cookies([...])"
            );
        }
    }

    /// Begins to receive the revocations of other replicas, unless this was done before.
    pub(crate) fn listen(&self) {
        #[cfg(feature = "shared-store")]
        self.renewer.listen();
    }

    /// Ends a session, here and in other replicas: its refresh JWT, every session JWT that is known to belong to it,
    /// and the one that came with the request.
    pub(crate) fn end_session(&self, presented: Option<&Presented>, session: Option<&Verified>) {
        self.listen();
        if let Some(presented) = presented {
            self.renewer.end(presented);
        }
        if let Some(session) = session {
            self.renewer.revoke(session);
        }
    }

    /// Ends every session of a user, here and in other replicas: tokens issued up to now are refused.
    pub(crate) fn end_all_sessions(&self, user: &str, name: Name) {
        self.listen();
        self.renewer.revoke_user(user, name);
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project")
            .field("project_id", self.client.project_id())
            .finish_non_exhaustive()
    }
}
