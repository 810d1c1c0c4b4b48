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
    /// One session JWT, until it expires.
    ///
    /// A browser that also holds the refresh JWT gets a new session with its next request; to end that as well use
    /// [`refresh_jwt`](Self::refresh_jwt) or [`user`](Self::user).
    pub fn session_jwt(jwt: impl Into<String>) -> Self {
        Self(What::SessionJwt(jwt.into()))
    }

    /// One refresh JWT until it expires, and the session JWTs that are known to have been issued for it: as a
    /// sign-out does.
    pub fn refresh_jwt(jwt: impl Into<String>) -> Self {
        Self(What::RefreshJwt(jwt.into()))
    }

    /// Everything that was issued to this user up to now, by the tokens' `iat`: for a year, which is longer than
    /// tokens live. Who signs in again through [the mounted routes](Descope::routes) is let in at once; elsewhere,
    /// and where replicas share a store, who does so within the same second is refused as well, because `iat` has
    /// seconds only and is all that other replicas can go by: a word of this one could be forged by whoever writes to
    /// the store. So let a second pass before you let the user sign in again; the mounted `logoutall` answers that much
    /// later where there is a store. The id is that of [`User::id`](crate::User::id). Where a JWT template takes over
    /// `sub`, what it puts there is accepted as well, and ends the sessions of everybody whose tokens say so.
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
    /// This app refuses them from now on, in every place that verifies through this handle. Descope is not told, and
    /// other apps are not: to end sessions there, call its management API. With a
    /// shared store (feature `redis`) the other replicas refuse them within a second, and those that
    /// start later do too; without one, or while the store is gone, the revocation holds in this process, and the
    /// others hear of it when the store is back.
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
    /// When a JWT does not verify: it is refused anyway. An expired or revoked one is no error. Or when there are no
    /// keys to verify it with; then nothing was revoked.
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

    /// `None`: it is revoked until it expires.
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
