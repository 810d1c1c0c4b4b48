use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::rejection::AuthRejection;
use crate::error::AuthError;
use crate::require::Requirement;
use crate::user::User;

/// A type that stands for a [`Requirement`], for use with [`Allowed`].
pub trait Policy: 'static {
    /// What the user must have. Each handle asks once and keeps the answer.
    fn requirement() -> Requirement;
}

fn check<P: Policy>(user: &User, parts: &Parts) -> Result<(), AuthError> {
    let policies = &user.project().policies;
    let requirement = policies.get_or_make::<P, _>(P::requirement);
    requirement.check_request(user, parts)
}

/// Extracts a [`User`] who meets a [`Policy`], so that the signature of a handler says who may call it. Other requests
/// are rejected, see [`AuthRejection`].
///
/// ```
/// # #[cfg(feature = "routes")] {
/// use axum::{Router, routing::get};
/// use tower_descope::{Allowed, Policy, require::Requirement};
///
/// struct Admin;
///
/// impl Policy for Admin {
///     fn requirement() -> Requirement {
///         Requirement::new().role("admin")
///     }
/// }
///
/// async fn admin(user: Allowed<Admin>) -> String {
///     format!("welcome {}", user.id())
/// }
///
/// let app: Router = Router::new().route("/admin", get(admin));
/// # let _ = app; }
/// ```
pub struct Allowed<P> {
    user: User,
    policy: PhantomData<fn() -> P>,
}

impl<P> Allowed<P> {
    /// The user.
    pub fn into_user(self) -> User {
        self.user
    }
}

impl<P> Deref for Allowed<P> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

impl<P: Policy, S: Send + Sync> FromRequestParts<S> for Allowed<P> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let user = User::from_extensions(&parts.extensions).and_then(|user| {
            check::<P>(&user, parts)?;
            Ok(user)
        });
        match user {
            Ok(user) => Ok(Self {
                user,
                policy: PhantomData,
            }),
            Err(error) => Err(AuthRejection::of(error, parts)),
        }
    }
}

/// `None` for nobody, and for a user who does not meet the policy: the page is for everybody, and shows more to some.
impl<P: Policy, S: Send + Sync> OptionalFromRequestParts<S> for Allowed<P> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        let user = User::optional_from_extensions(&parts.extensions)
            .map_err(|error| AuthRejection::of(error, parts))?;
        let allowed = user.filter(|user| check::<P>(user, parts).is_ok());
        Ok(allowed.map(|user| Self {
            user,
            policy: PhantomData,
        }))
    }
}

impl<P> Clone for Allowed<P> {
    fn clone(&self) -> Self {
        Self {
            user: self.user.clone(),
            policy: PhantomData,
        }
    }
}

impl<P> fmt::Debug for Allowed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Allowed").field(&self.user).finish()
    }
}
