//! What the programs of this package share: tokens, a key endpoint, interleaved rounds.

pub mod fixture;
pub mod key_server;
pub mod rounds;
#[path = "../../tests/support/signer.rs"]
pub mod signer;
