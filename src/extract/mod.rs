//! Extractors for axum: [`User`](crate::User), [`Claims`], [`Allowed`].

mod allowed;
mod claims;
mod rejection;
mod user;

pub use self::allowed::{Allowed, Policy};
pub use self::claims::Claims;
pub use self::rejection::AuthRejection;
