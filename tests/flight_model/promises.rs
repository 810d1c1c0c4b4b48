//! What was promised for each token, compared with what the state machine does.

use std::collections::BTreeMap;

use shuttle::sync::mpsc;

use super::flight::{Flights, Joined, Retain};
use super::{LIFE, MEMO, Outcome, Token, USE, at, key};

/// What was promised for a token.
#[derive(Debug)]
enum Promise {
    UnderWay {
        waiting: usize,
        ended: bool,
    },
    Remembered {
        outcome: Outcome,
        until: u64,
        undelivered: bool,
    },
}

/// What lies behind the lock.
pub(super) struct Shared {
    flights: Flights<Outcome, mpsc::Sender<Outcome>>,
    promises: BTreeMap<Token, Promise>,
    /// The latest time that the state machine was told: threads read the clock before they get the lock.
    now: u64,
    capacity: usize,
    /// Undelivered outcomes that had to make room.
    evicted: usize,
    /// How often a token was refused, as far as that must be known.
    refusals: BTreeMap<Token, u32>,
    /// Refusals that had to make room.
    refusals_evicted: usize,
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            flights: Flights::new(at(MEMO), capacity, capacity),
            promises: BTreeMap::new(),
            now: 0,
            capacity,
            evicted: 0,
            refusals: BTreeMap::new(),
            refusals_evicted: 0,
        }
    }

    /// Everything that something is known of.
    pub(super) fn tokens(&self) -> Vec<Token> {
        self.promises.keys().copied().collect()
    }

    /// What must be found for this token.
    fn promised(&mut self, token: Token, now: u64) -> Option<Outcome> {
        self.now = self.now.max(now);
        match self.promises.get(&token)? {
            Promise::Remembered { outcome, until, .. } if self.now < *until => Some(*outcome),
            _ => None,
        }
    }

    fn check_ready(&mut self, token: Token, outcome: Outcome, now: u64) {
        match self.promises.get(&token) {
            Some(Promise::Remembered {
                outcome: promised,
                until,
                ..
            }) => {
                assert_eq!(outcome, *promised);
                assert!(now < *until, "{token} is served after its time");
            }
            other => panic!("{token} is served {outcome:?}, but there is {other:?}"),
        }
    }

    /// A promise that is not kept: only one that had to make room, and that was told.
    fn forgive(&mut self, token: Token) {
        let Some(Promise::Remembered {
            undelivered,
            outcome,
            ..
        }) = self.promises.remove(&token)
        else {
            return;
        };
        assert!(self.capacity < 100, "the outcome for {token} is lost");
        if outcome == Outcome::Refused {
            self.forgive_refusal(token);
        }
        // A session alone can be renewed again.
        let is_a_loss = matches!(outcome, Outcome::Renewed(_) | Outcome::Undecided { .. });
        if undelivered && is_a_loss {
            assert!(
                self.evicted > 0,
                "the outcome for {token} is lost, silently"
            );
            self.evicted -= 1;
        }
    }

    /// It is not known any more that a token was refused: only when it had to make room, and that was told.
    fn forgive_refusal(&mut self, token: Token) {
        if self.refusals.remove(&token).is_some() {
            assert!(
                self.capacity < 100 && self.refusals_evicted > 0,
                "the refusal of {token} is lost"
            );
            self.refusals_evicted -= 1;
        }
    }

    pub(super) fn join(
        &mut self,
        token: Token,
        waiter: mpsc::Sender<Outcome>,
        now: u64,
    ) -> Joined<Outcome> {
        let promised = self.promised(token, now);
        let joined = self.flights.join(key(token), waiter, at(now));
        match &joined {
            Joined::Ready(outcome @ Outcome::Undecided { .. }) => {
                panic!("{outcome:?} of {token} is not judged by whoever asks")
            }
            Joined::Ready(outcome) => self.check_ready(token, *outcome, now),
            Joined::Wait => match self.promises.get_mut(&token) {
                Some(Promise::UnderWay { waiting, .. }) => *waiting += 1,
                other => panic!("waits for {token}, but there is {other:?}"),
            },
            Joined::Lead {
                refused_before,
                undecided,
            } => {
                match undecided {
                    Some(undecided) => self.check_ready(token, *undecided, now),
                    // Upstream is asked, although there is an answer.
                    None if promised.is_some() => self.forgive(token),
                    None => {}
                }
                if !refused_before {
                    self.forgive_refusal(token);
                }
                let refusals = self.refusals.get(&token).copied().unwrap_or_default();
                assert_eq!(*refused_before, refusals > 0, "what is known of {token}");
                assert!(
                    refusals < 2,
                    "{token} was refused twice and is asked about again"
                );
                let before = self.promises.insert(
                    token,
                    Promise::UnderWay {
                        waiting: 1,
                        ended: false,
                    },
                );
                assert!(
                    !matches!(before, Some(Promise::UnderWay { .. })),
                    "a second leader for {token}"
                );
            }
        }
        joined
    }

    pub(super) fn follow(
        &mut self,
        token: Token,
        waiter: mpsc::Sender<Outcome>,
        now: u64,
    ) -> Option<Joined<Outcome>> {
        let promised = self.promised(token, now);
        let joined = self.flights.follow(&key(token), waiter, at(now));
        match &joined {
            Some(Joined::Ready(outcome)) => self.check_ready(token, *outcome, now),
            Some(Joined::Wait) => match self.promises.get_mut(&token) {
                Some(Promise::UnderWay { waiting, .. }) => *waiting += 1,
                other => panic!("follows {token}, but there is {other:?}"),
            },
            Some(Joined::Lead { .. }) => panic!("a follower leads"),
            None if promised.is_some() => self.forgive(token),
            None => assert!(
                !matches!(self.promises.get(&token), Some(Promise::UnderWay { .. })),
                "a follower misses {token}"
            ),
        }
        joined
    }

    /// Reports an outcome and answers whom to tell what.
    pub(super) fn complete(
        &mut self,
        token: Token,
        outcome: Outcome,
        refused_before: bool,
        now: u64,
    ) -> (Vec<mpsc::Sender<Outcome>>, Outcome) {
        self.now = self.now.max(now);
        let retain = match outcome {
            Outcome::Renewed(successor) => Retain::UntilDelivered {
                successor: Some(key(successor)),
                expires: at(now + LIFE),
            },
            Outcome::Kept => Retain::UntilDelivered {
                successor: None,
                expires: at(now + USE),
            },
            Outcome::Refused if refused_before => Retain::Refused(at(now + 2 * LIFE)),
            Outcome::Refused => Retain::Refusal(at(now + 2 * LIFE)),
            Outcome::Outage => Retain::Drop,
            Outcome::Undecided { give_up, .. } => Retain::Undecided {
                until: at(give_up),
                elsewhere: false,
            },
        };
        let completed = self.flights.complete(key(token), outcome, retain, at(now));
        self.evicted += usize::from(completed.evicted);
        self.refusals_evicted += usize::from(completed.refusal_evicted);
        if outcome == Outcome::Refused {
            assert!(!completed.evicted, "a refusal pushed out an outcome");
        } else {
            assert!(
                !completed.refusal_evicted,
                "an outcome pushed out a refusal"
            );
        }
        let Some(Promise::UnderWay { waiting, ended }) = self.promises.remove(&token) else {
            panic!("{token} was completed twice");
        };
        assert_eq!(completed.waiters.len(), waiting, "all who wait for {token}");
        assert_eq!(completed.ended, ended, "whether {token} was ended");
        if ended {
            return (completed.waiters, Outcome::Refused);
        }
        let (until, undelivered) = match outcome {
            Outcome::Renewed(_) => (now + LIFE, true),
            Outcome::Kept => (now + USE, true),
            Outcome::Refused => {
                *self.refusals.entry(token).or_default() += 1;
                match refused_before {
                    true => (now + 2 * LIFE, false),
                    false => (now + MEMO, false),
                }
            }
            Outcome::Outage => return (completed.waiters, outcome),
            // Until the moment that was said first, however often it is judged.
            Outcome::Undecided { give_up, .. } if give_up > now => (give_up, true),
            Outcome::Undecided { .. } => return (completed.waiters, outcome),
        };
        let promise = Promise::Remembered {
            outcome,
            until,
            undelivered,
        };
        self.promises.insert(token, promise);
        // The grace is for the immediate predecessor of what a browser has.
        if let Outcome::Renewed(_) = outcome
            && let Some(older) = token.checked_sub(1)
            && let Some(Promise::Remembered {
                outcome: Outcome::Renewed(_),
                undelivered: false,
                ..
            }) = self.promises.get(&older)
        {
            self.promises.remove(&older);
        }
        (completed.waiters, outcome)
    }

    pub(super) fn delivered(&mut self, token: Token, now: u64) {
        let first = self.flights.delivered(&key(token), at(now));
        if let Some(Promise::Remembered {
            undelivered: true, ..
        }) = self.promises.get(&token)
            && !first
            && self.promised(token, now).is_some()
        {
            self.forgive(token);
        }
        if let Some(Promise::Remembered {
            outcome,
            until,
            undelivered,
        }) = self.promises.get_mut(&token)
            && first
        {
            assert!(
                *undelivered,
                "{token} was delivered for the first time twice"
            );
            *undelivered = false;
            // A session alone is not found beyond its use.
            *until = match outcome {
                Outcome::Kept => (*until).min(now + MEMO),
                _ => now + MEMO,
            };
        }
    }

    pub(super) fn end(&mut self, token: Token) {
        self.flights.end(&key(token));
        self.refusals.remove(&token);
        match self.promises.get_mut(&token) {
            Some(Promise::UnderWay { ended, .. }) => *ended = true,
            Some(Promise::Remembered { .. }) => drop(self.promises.remove(&token)),
            None => {}
        }
    }
}
