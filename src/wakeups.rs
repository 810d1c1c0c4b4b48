//! Wakes tasks that wait for something to happen to a named thing, such as the revocation of a token.
//!
//! All names share a fixed number of places, so that a name costs nothing while nobody waits for it, and a task that
//! stops waiting leaves nothing behind. The price is that a task may be woken for another name in the same place, so it
//! has to look again at what it waits for. Of many tasks that wait for different names, one event wakes about one in
//! [`PLACES`].

use std::future::poll_fn;
use std::hash::{BuildHasher, Hash, RandomState};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Places for names. With 10,000 tasks that wait, an event wakes about 10 of them. They take 32 KiB.
const PLACES: usize = 1024;

/// See the module's documentation.
pub(crate) struct Wakeups {
    places: Box<[Notify]>,
    hasher: RandomState,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Notify::new()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Wakeups {
    /// Wakes everybody who waits for this name. To be called after the change that they wait for can be seen.
    pub(crate) fn wake<N: Hash + ?Sized>(&self, name: &N) {
        self.place(name).notify_waiters();
    }

    /// Resolves when this name is woken, from this call on, also if the future is not polled before. So whoever calls
    /// this first, then looks whether the change has happened, and only then waits, misses no change.
    pub(crate) fn wait<N: Hash + ?Sized>(&self, name: &N) -> Notified<'_> {
        self.place(name).notified()
    }

    fn place<N: Hash + ?Sized>(&self, name: &N) -> &Notify {
        let hash = self.hasher.hash_one(name);
        &self.places[(hash % PLACES as u64) as usize]
    }
}

/// Resolves when one of these names is woken.
pub(crate) async fn any(names: [Option<Notified<'_>>; 4]) {
    let [one, two, three, four] = names;
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut three, mut four) = (pin!(three), pin!(four));
    poll_fn(|context| {
        let mut names = [&mut one, &mut two, &mut three, &mut four].into_iter();
        let is_woken = names.any(|name| {
            let name = name.as_mut().as_pin_mut();
            name.is_some_and(|name| name.poll(context).is_ready())
        });
        if is_woken {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn an_event_wakes_those_who_wait_for_it_and_few_others() {
        let wakeups = Wakeups::default();
        let mut waiting: Vec<_> = (0..10_000).map(|n| Box::pin(wakeups.wait(&n))).collect();
        wakeups.wake(&7);
        let mut context = Context::from_waker(Waker::noop());
        let mut woken = |n: usize| waiting[n].as_mut().poll(&mut context).is_ready();
        assert!(woken(7));
        let others = (0..10_000).filter(|n| *n != 7 && woken(*n)).count();
        assert!(others < 100, "{others}");
    }

    #[test]
    fn an_event_between_the_call_and_the_first_poll_counts() {
        let wakeups = Wakeups::default();
        let mut waiting = pin!(wakeups.wait("a"));
        wakeups.wake("a");
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }
}
