//! What an app does at each sign-in and sign-out, and what becomes of one that fails, panics or hangs.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::timeout;
use tracing::Instrument;

use super::Project;
use crate::error::{AuthError, AuthErrorKind};
use crate::token::Verified;
use crate::wire::UserProfile;

/// How long a request waits for a hook.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Why a hook does not let somebody sign in.
///
/// Every error becomes one with `?`: the sign-in has then failed (500). [`HookError::refuse`] says that this user may not
/// sign in (403).
pub struct HookError(Kind);

enum Kind {
    Refused(Cow<'static, str>),
    Failed(Arc<dyn StdError + Send + Sync>),
}

impl HookError {
    /// Refuses the sign-in: 403 `sign_in_refused`. The reason is for the log, and no client sees it.
    pub fn refuse(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Kind::Refused(reason.into()))
    }

    pub(crate) fn failed(how: &'static str) -> Self {
        Self::from(Said(how.into()))
    }

    /// Writes the refusal or the failure to the log.
    pub(crate) fn log(&self) {
        match &self.0 {
            Kind::Refused(reason) => {
                tracing::info!(event = "sign_in.refused", %reason, "the app has refused a sign-in");
            }
            Kind::Failed(error) => {
                tracing::error!(event = "sign_in.hook_failed", %error, "the hook for sign-ins has failed");
            }
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HookError {
    fn from(error: E) -> Self {
        Self(Kind::Failed(Arc::new(error)))
    }
}

impl From<HookError> for AuthError {
    fn from(error: HookError) -> Self {
        match error.0 {
            Kind::Refused(reason) => {
                Self::new(AuthErrorKind::SignInRefused).with_source(Said(reason))
            }
            Kind::Failed(error) => Self::new(AuthErrorKind::SignInFailed).with_shared_source(error),
        }
    }
}

impl fmt::Debug for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Refused(reason) => f.debug_tuple("Refused").field(reason).finish(),
            Kind::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// A text as an error.
#[derive(Debug)]
struct Said(Cow<'static, str>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Said {}

/// What is known of a sign-in besides its tokens.
pub(crate) struct Told {
    pub(crate) profile: Option<UserProfile>,
    pub(crate) first_seen: bool,
    pub(crate) request: Parts,
}

pub(crate) struct SignInFacts {
    /// The session JWT, if there is one that verifies.
    pub(crate) session: Option<Arc<Verified>>,
    pub(crate) user_id: String,
    pub(crate) told: Told,
}

pub(crate) struct SignOutFacts {
    pub(crate) user_id: String,
    pub(crate) everywhere: bool,
    pub(crate) confirmed: bool,
    pub(crate) request: Parts,
}

type HookFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type SignInHook =
    dyn Fn(&Arc<Project>, SignInFacts) -> HookFuture<Result<(), HookError>> + Send + Sync;
type SignOutHook = dyn Fn(SignOutFacts) -> HookFuture<()> + Send + Sync;

/// The hooks of a handle.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) sign_in: Option<Arc<SignInHook>>,
    pub(crate) sign_out: Option<Arc<SignOutHook>>,
}

impl Hooks {
    /// Whether a sign-in or sign-out has to keep its request for them.
    #[cfg(feature = "routes")]
    pub(crate) fn is_any(&self) -> bool {
        self.sign_in.is_some() || self.sign_out.is_some()
    }
}

impl Project {
    /// Asks the app whether this user may sign in.
    pub(crate) async fn ask_about_sign_in(
        self: &Arc<Self>,
        facts: SignInFacts,
    ) -> Result<(), HookError> {
        let Some(hook) = self.hooks.sign_in.clone() else {
            return Ok(());
        };
        let project = self.clone();
        within_limit(async move { hook(&project, facts).await }).await?
    }

    /// Tells the app about a sign-out.
    pub(crate) async fn tell_of_sign_out(&self, facts: SignOutFacts) {
        if let Some(hook) = self.hooks.sign_out.clone()
            && let Err(error) = within_limit(async move { hook(facts).await }).await
        {
            tracing::error!(
                event = "sign_out.hook_failed",
                ?error,
                "the hook for sign-outs has failed"
            );
        }
    }
}

/// Runs a hook as a task, so that a panic ends the task alone. The app's function, too, is called there, because it may
/// panic before it has made a future.
async fn within_limit<T: Send + 'static>(
    hook: impl Future<Output = T> + Send + 'static,
) -> Result<T, HookError> {
    let mut task = tokio::spawn(hook.in_current_span());
    let result = timeout(LIMIT, &mut task).await;
    match result {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(HookError::failed("the hook panicked, or its runtime ended")),
        Err(_) => {
            task.abort();
            Err(HookError::failed("the hook took longer than 10 s"))
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("sign_in", &self.sign_in.is_some())
            .field("sign_out", &self.sign_out.is_some())
            .finish()
    }
}
