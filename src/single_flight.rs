//! Lets several callers wait for the result of one call.
//!
//! The call runs on a task of its own, so that a caller who goes away does not cancel it for the others. The owner
//! keeps the flights that are under way: the keys have at most one, and the profiles at most one for each user.

use tokio::sync::watch;

/// The waiting side of a call under way.
#[derive(Clone)]
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

/// The side of the task that makes the call. If it is dropped before [`Self::finish`], all who wait get no result.
pub(crate) struct Landing<T>(watch::Sender<Option<T>>);

/// Makes both sides of a call that is about to begin.
pub(crate) fn flight<T>() -> (Landing<T>, Flight<T>) {
    let (sender, receiver) = watch::channel(None);
    (Landing(sender), Flight(receiver))
}

impl<T: Clone> Flight<T> {
    /// The result. `None` when there will be none: the task was dropped with its runtime, or could not be started.
    pub(crate) async fn result(mut self) -> Option<T> {
        let result = self.0.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }

    /// Whether there is a result, or a task that still makes the call.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.has_changed().is_ok() || self.0.borrow().is_some()
    }
}

impl<T> Landing<T> {
    pub(crate) fn is_of(&self, flight: &Flight<T>) -> bool {
        flight.0.same_channel(&self.0.subscribe())
    }

    pub(crate) fn finish(&self, result: T) {
        self.0.send_replace(Some(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_get_the_result_also_those_who_come_late() {
        let (landing, early) = flight();
        let late = early.clone();
        assert!(landing.is_of(&early) && early.is_alive());
        let waiting = tokio::spawn(early.result());
        landing.finish(7);
        assert_eq!(waiting.await.unwrap(), Some(7));
        assert!(late.is_alive());
        assert_eq!(late.result().await, Some(7));
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_has_no_result() {
        let (landing, waiting) = flight::<u8>();
        let (other, _) = flight();
        assert!(!other.is_of(&waiting));
        drop(landing);
        assert!(!waiting.is_alive());
        assert_eq!(waiting.result().await, None);
    }
}
