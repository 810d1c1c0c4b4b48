//! The session of an access key on outgoing calls: a layer for clients.
//!
//! `ledger.rs` decides what a call may do and has neither I/O nor a clock; `session.rs` makes the exchange, once for
//! all who wait.

mod error;
mod future;
mod layer;
mod ledger;
mod service;
mod session;
mod token;

pub use self::error::AccessKeyError;
pub use self::future::AccessKeyFuture;
pub use self::layer::AccessKeyLayer;
pub use self::service::AccessKeyService;
