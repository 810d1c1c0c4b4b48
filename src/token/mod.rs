//! What is a valid token.

mod algorithm;
mod cache;
mod claims;
mod compact;
mod counter;
pub(crate) mod crypto;
mod error;
mod expiry;
mod failure;
#[cfg(feature = "__fuzzing")]
pub(crate) mod fuzzing;
mod header;
mod jwk;
pub(crate) mod keys;
mod nesting;
mod revoked;
mod roca;
mod rules;
pub(crate) mod test_key;
mod unverified;
mod verifier;

pub use self::algorithm::SignatureAlgorithm;
pub use self::cache::TokenCache;
pub(crate) use self::cache::VerifiedTokens;
pub(crate) use self::claims::Claims;
pub(crate) use self::compact::is_token;
pub(crate) use self::crypto::TokenId;
pub use self::error::InvalidToken;
pub(crate) use self::failure::Failure;
pub(crate) use self::jwk::KeySet;
#[cfg(feature = "emulator")]
pub(crate) use self::jwk::is_publicly_known;
#[cfg(feature = "shared-store")]
pub(crate) use self::revoked::LONGEST_TOKEN;
pub(crate) use self::revoked::{Name, RevocationMark, Revoked};
pub(crate) use self::rules::{Audience, MAX_LEEWAY, Rules, TokenKind};
pub(crate) use self::unverified::Unverified;
pub(crate) use self::verifier::{Expected, Times, Verified, Verifier};
