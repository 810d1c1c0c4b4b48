//! One running emulator, as its handle and the tasks of its server share it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::state::State;

#[derive(Debug)]
pub(crate) struct Instance {
    state: Mutex<State>,
    pub(crate) base_url: String,
    /// Whether the snapshot file was written for the last time; held while it is being written.
    pub(crate) saved_for_good: Mutex<bool>,
    /// Notified whenever there may be something new to write into the snapshot file.
    pub(crate) changed: Notify,
}

impl Instance {
    pub(crate) fn new(state: State, base_url: String) -> Self {
        Self {
            state: Mutex::new(state),
            base_url,
            saved_for_good: Mutex::new(false),
            changed: Notify::new(),
        }
    }

    /// The state. Never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is used all the same: the emulator goes on serving after a panic in one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
