//! One call for everybody who wants its result at the same time.
//!
//! The call runs on a task of its own, so that a caller who goes away cancels it for nobody. What is under way, and for
//! whom, is up to the owner: the keys have one place for it, the profiles one for each user.

use tokio::sync::watch;

/// A call under way, for whoever waits for its result.
#[derive(Clone)]
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

/// Whoever makes the call. Dropped without a result, it leaves those who wait with none.
pub(crate) struct Landing<T>(watch::Sender<Option<T>>);

/// A call that is about to begin.
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

    /// Whether there is a result, or still somebody who makes the call.
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
