//! What an app does at each sign-in and sign-out.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::DescopeBuilder;
use crate::headers::RequestHead;
use crate::project::hooks::{HookError, SignInFacts, SignOutFacts};
use crate::session::SignOut;
use crate::user::User;
use crate::wire::UserProfile;

/// Somebody signs in, for the hook of [`DescopeBuilder::on_sign_in`].
pub struct SignIn {
    user: Option<User>,
    facts: SignInFacts,
}

impl SignIn {
    /// The id of the user.
    pub fn user_id(&self) -> &str {
        &self.facts.user_id
    }

    /// The user, with the claims of the session JWT. `None` if there is no session JWT that could be verified, because
    /// Descope has just begun to sign with a key that it does not publish yet, or has sent a refresh JWT alone.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// What Descope said of the user. `None` for tokens from elsewhere, see
    /// [`adopt_sessions`](DescopeBuilder::adopt_sessions), also for a [`JwtResponse`](crate::wire::JwtResponse) that was
    /// read from a request: whoever wrote it may have put any profile beside tokens of their own.
    pub fn profile(&self) -> Option<&UserProfile> {
        self.facts.told.profile.as_ref()
    }

    /// Whether Descope said that the user has signed in for the first time. To find out who has no row yet, ask your own
    /// table: a first sign-in may have failed after Descope had counted it.
    pub fn first_seen(&self) -> bool {
        self.facts.told.first_seen
    }

    /// The head of the request that signs in. It may carry the cookies of an earlier session.
    pub fn request(&self) -> RequestHead<'_> {
        RequestHead::from(&self.facts.told.request)
    }
}

/// Somebody has signed out, for the hook of [`DescopeBuilder::on_sign_out`].
pub struct SignedOut {
    facts: SignOutFacts,
}

impl SignedOut {
    /// The id of the user.
    pub fn user_id(&self) -> &str {
        &self.facts.user_id
    }

    /// Which sessions were ended.
    pub fn which(&self) -> SignOut {
        match self.facts.everywhere {
            true => SignOut::Everywhere,
            false => SignOut::ThisSession,
        }
    }

    /// Whether Descope has confirmed it, see [`Ended::is_confirmed`](super::Ended::is_confirmed).
    pub fn is_confirmed(&self) -> bool {
        self.facts.confirmed
    }

    /// The head of the request that has signed out.
    pub fn request(&self) -> RequestHead<'_> {
        RequestHead::from(&self.facts.request)
    }
}

impl DescopeBuilder {
    /// Runs `hook` at every sign-in, before the browser gets its cookies: for provisioning, audit and bans. Default:
    /// nothing.
    ///
    /// It runs whichever way a session starts: by the mounted routes (a step-up counts, because its code is verified like
    /// any other), by [`Descope::establish`](super::Descope::establish) and by `POST session`. A renewal and a change of
    /// tenant go on with a session and start none.
    ///
    /// If the hook refuses, or fails, panics, or takes more than 10 s, nobody is signed in: the new tokens are ended here
    /// and at Descope, the browser keeps the session that it had, and the answer is 403 `sign_in_refused` or 500
    /// `sign_in_failed`. After a step-up with an authenticator app they are ended here alone, because for Descope they
    /// belong to the session that goes on. Where neither the tokens can be verified yet nor Descope has said who signs in,
    /// the hook cannot be asked, and the answer is 503.
    ///
    /// It decides about sign-ins, and about nothing else: sessions that somebody has already go on. To end those of somebody
    /// who is banned, call [`Descope::revoke`](super::Descope::revoke) as well.
    ///
    /// ```
    /// use tower_descope::{Descope, HookError, SignIn};
    ///
    /// # struct Database;
    /// # impl Database {
    /// #     async fn is_banned(&self, _: &str) -> Result<bool, std::io::Error> { Ok(false) }
    /// #     async fn provision(&self, _: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// # }
    /// # fn f(database: std::sync::Arc<Database>) -> Result<Descope, tower_descope::ConfigError> {
    /// Descope::builder("P2abcdefghijklmnopqrstuvwxyz1")
    ///     .on_sign_in(move |sign_in: SignIn| {
    ///         let database = database.clone();
    ///         async move {
    ///             if database.is_banned(sign_in.user_id()).await? {
    ///                 return Err(HookError::refuse("banned"));
    ///             }
    ///             database.provision(sign_in.user_id()).await?;
    ///             Ok(())
    ///         }
    ///     })
    ///     .build()
    /// # }
    /// ```
    #[must_use]
    pub fn on_sign_in<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SignIn) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.sign_in = Some(Arc::new(move |project, facts| {
            let session = facts.session.clone();
            let user = session.and_then(|session| User::of_tokens(project, session));
            Box::pin(hook(SignIn { user, facts }))
        }));
        self
    }

    /// Runs `hook` after every sign-out of somebody who was signed in, by the mounted routes or by
    /// [`Descope::end`](super::Descope::end). Default: nothing.
    ///
    /// The session is over by then, whatever the hook does. The response waits for it, for 10 s at most; a hook that
    /// panics or takes longer is ended and logged. A session that a sign-in of another user replaces, a revocation
    /// and an expiry are no sign-outs.
    ///
    /// ```
    /// use tower_descope::{Descope, SignedOut};
    ///
    /// # fn f() -> Result<Descope, tower_descope::ConfigError> {
    /// Descope::builder("P2abcdefghijklmnopqrstuvwxyz1")
    ///     .on_sign_out(|signed_out: SignedOut| async move {
    ///         println!("{} has signed out", signed_out.user_id());
    ///     })
    ///     .build()
    /// # }
    /// ```
    #[must_use]
    pub fn on_sign_out<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(SignedOut) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.hooks.sign_out = Some(Arc::new(move |facts| Box::pin(hook(SignedOut { facts }))));
        self
    }
}

// Without the request, whose head has credentials, and the profile.
impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("user_id", &self.user_id())
            .field("first_seen", &self.first_seen())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedOut")
            .field("user_id", &self.user_id())
            .field("which", &self.which())
            .finish_non_exhaustive()
    }
}
