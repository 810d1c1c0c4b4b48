//! Extractors for axum: [`User`](crate::User), [`CurrentUser`], [`Claims`],
//! [`Allowed`].

mod allowed;
mod claims;
mod current_user;
mod rejection;
mod user;

pub use self::allowed::{Allowed, Policy};
pub use self::claims::Claims;
pub use self::current_user::{CurrentUser, LoadUser};
pub use self::rejection::AuthRejection;
