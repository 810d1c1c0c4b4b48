//! Whether the store can be reached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::timeout::within;
use super::{StoreError, StoreFuture};

/// An answer that takes longer counts as none. The time is long enough for a busy machine: to give up on a store that
/// works costs a session where refresh JWTs are single-use.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Every call of the store goes through this. During an outage requests do not call the store; only the task of the
/// listener, which runs beside them, keeps trying.
#[derive(Debug, Default)]
pub(super) struct Outage {
    down: AtomicBool,
}

impl Outage {
    /// Calls the store for a request: `None` at once during an outage.
    pub(super) async fn ask<T>(&self, call: StoreFuture<'_, T>) -> Option<T> {
        if self.is_down() {
            return None;
        }
        self.probe(call).await
    }

    /// Calls the store also during an outage, for the listener, which finds out whether the outage is over.
    pub(super) async fn probe<T>(&self, call: StoreFuture<'_, T>) -> Option<T> {
        let error = match within(TIMEOUT, call).await {
            Some(Ok(answer)) => return Some(answer),
            Some(Err(error)) => error,
            None => StoreError::new("no answer within a second"),
        };
        if !self.down.swap(true, Ordering::AcqRel) {
            tracing::warn!(%error, "this replica goes on by itself");
        }
        None
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Ends the outage. To be called when missed notices were read.
    pub(super) fn recovered(&self) {
        if self.down.swap(false, Ordering::AcqRel) {
            tracing::warn!("the shared store is back");
        }
    }
}
