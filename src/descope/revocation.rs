use std::fmt;
use std::sync::Arc;

use super::Descope;
use crate::error::AuthError;
use crate::refresh::Presented;
use crate::token::{Failure, InvalidToken, Name, Times, TokenKind, Verified};

/// What [`Descope::revoke`] ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Revocation(What);

#[derive(Clone, PartialEq, Eq)]
enum What {
    SessionJwt(String),
    RefreshJwt(String),
    User(String),
}

impl Revocation {
    /// Revokes one session JWT until it expires.
    ///
    /// A browser that also holds the refresh JWT gets a new session with its next request. To revoke both, use
    /// [`refresh_jwt`](Self::refresh_jwt) or [`user`](Self::user).
    pub fn session_jwt(jwt: impl Into<String>) -> Self {
        Self(What::SessionJwt(jwt.into()))
    }

    /// Revokes one refresh JWT until it expires, and the session JWTs that are known to have been issued for it, like a
    /// sign-out.
    pub fn refresh_jwt(jwt: impl Into<String>) -> Self {
        Self(What::RefreshJwt(jwt.into()))
    }

    /// Revokes all tokens that were issued to this user up to now, as their `iat` says. The revocation holds for a
    /// year, which is longer than tokens live.
    ///
    /// A user who signs in again through [the mounted routes](Descope::routes) is let in at once. If the user signs in
    /// elsewhere, or if replicas share a store, the new tokens are refused too when they were issued within the same
    /// second: `iat` has whole seconds, and other replicas have nothing else to tell old tokens from new ones, because
    /// anybody who can write to the store could forge a notice that a token is new. So wait for a second before you let
    /// the user sign in again. Where there is a store, the mounted `logoutall` waits by itself.
    ///
    /// `id` is that of [`User::id`](crate::User::id). If a JWT template puts another value into `sub`, that value is
    /// accepted as well, and revokes the tokens of every user who has it.
    pub fn user(id: impl Into<String>) -> Self {
        Self(What::User(id.into()))
    }
}

// Tokens are not shown.
impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            What::SessionJwt(_) => "Revocation::SessionJwt(..)",
            What::RefreshJwt(_) => "Revocation::RefreshJwt(..)",
            What::User(_) => "Revocation::User(..)",
        })
    }
}

impl Descope {
    /// Refuses tokens before they expire: a stolen one, or those of a user who was locked out.
    ///
    /// This app refuses them from now on, in every place that verifies through this handle. Descope and other apps are
    /// not told: to end sessions there, call Descope's management API.
    ///
    /// With a shared store (feature `redis`) the other replicas refuse the tokens within a second, and so do replicas
    /// that start later. While the store cannot be reached, the revocation holds in this process, and the other
    /// replicas hear of it when the store is back. Without a shared store it holds in this process only.
    ///
    /// ```
    /// use tower_descope::{Descope, Revocation};
    ///
    /// async fn lock_out(descope: &Descope, user_id: &str) -> Result<(), tower_descope::AuthError> {
    ///     descope.revoke(Revocation::user(user_id)).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the given JWT does not verify; it is refused in any case. A JWT that has expired or is revoked already is
    /// no error. Also when there are no keys to verify the JWT with; then nothing was revoked.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), AuthError> {
        let project = &*self.project;
        match revocation.0 {
            What::User(id) => project.end_all_sessions(&id, Name::IdOrSub),
            What::SessionJwt(jwt) => {
                if let Some(session) = self.verify_any_age(&jwt, TokenKind::Session).await? {
                    project.end_session(None, Some(&session));
                }
            }
            What::RefreshJwt(jwt) => {
                if let Some(verified) = self.verify_any_age(&jwt, TokenKind::Refresh).await? {
                    project.end_session(Some(&Presented::new(&jwt, verified)), None);
                }
            }
        }
        #[cfg(feature = "shared-store")]
        project.renewer.announced().await;
        Ok(())
    }

    /// Verifies a JWT that may have expired. `None` if it is revoked already, for as long as it lives.
    async fn verify_any_age(
        &self,
        jwt: &str,
        kind: TokenKind,
    ) -> Result<Option<Arc<Verified>>, AuthError> {
        let verifier = &self.project.verifier;
        match verifier.verify(jwt.as_bytes(), kind, Times::Ignore).await {
            Ok(verified) => Ok(Some(verified)),
            Err(Failure::Invalid(InvalidToken::Revoked)) => {
                Ok(verifier.denied_too_briefly(jwt.as_bytes(), kind))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}
