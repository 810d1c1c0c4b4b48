//! The state machine of shared renewals under a model checker: the very file, driven from several threads behind one
//! lock as `refresh/mod.rs` does it. What upstream sees and what was promised for each token is kept beside it and
//! compared at every step.
//!
//! The checker's panic hook stays: other tests of this program that fail after these print its "Task failed" as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex, mpsc};
use shuttle::{Config, Runner, thread};

#[path = "../../src/refresh/flight.rs"]
#[allow(dead_code)]
mod flight;

use flight::{Flights, Joined, Key, Retain};

const MEMO: u64 = 10;
const LIFE: u64 = 40;

/// A refresh JWT; the one that replaces it is the next number.
type Token = u8;

fn key(token: Token) -> Key {
    [token; 32]
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Renewed(Token),
    /// No new refresh JWT: the old one stays good.
    Kept,
    Refused,
    Outage,
}

impl Outcome {
    fn has_tokens(self) -> bool {
        matches!(self, Self::Renewed(_) | Self::Kept)
    }
}

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
struct Shared {
    flights: Flights<Outcome, mpsc::Sender<Outcome>>,
    promises: BTreeMap<Token, Promise>,
    /// The latest time that the state machine was told: threads read the clock before they get the lock.
    now: u64,
    capacity: usize,
    /// Undelivered outcomes that had to make room.
    evicted: usize,
}

impl Shared {
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
        let Some(Promise::Remembered { undelivered, .. }) = self.promises.remove(&token) else {
            return;
        };
        assert!(self.capacity < 100, "the outcome for {token} is lost");
        if undelivered {
            assert!(
                self.evicted > 0,
                "the outcome for {token} is lost, silently"
            );
            self.evicted -= 1;
        }
    }

    fn join(&mut self, token: Token, waiter: mpsc::Sender<Outcome>, now: u64) -> Joined<Outcome> {
        let promised = self.promised(token, now);
        let joined = self.flights.join(key(token), waiter, at(now));
        match &joined {
            Joined::Ready(outcome) => self.check_ready(token, *outcome, now),
            Joined::Wait => match self.promises.get_mut(&token) {
                Some(Promise::UnderWay { waiting, .. }) => *waiting += 1,
                other => panic!("waits for {token}, but there is {other:?}"),
            },
            Joined::Lead { .. } => {
                if promised.is_some() {
                    self.forgive(token);
                }
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

    fn follow(
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
    fn complete(
        &mut self,
        token: Token,
        outcome: Outcome,
        now: u64,
    ) -> (Vec<mpsc::Sender<Outcome>>, Outcome) {
        self.now = self.now.max(now);
        let retain = match outcome {
            Outcome::Renewed(successor) => Retain::UntilDelivered {
                successor: key(successor),
                expires: at(now + LIFE),
            },
            Outcome::Kept => Retain::Memo,
            Outcome::Refused => Retain::Refusal(at(now + 2 * LIFE)),
            Outcome::Outage => Retain::Drop,
        };
        let completed = self.flights.complete(key(token), outcome, retain, at(now));
        self.evicted += usize::from(completed.evicted);
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
            Outcome::Kept | Outcome::Refused => (now + MEMO, false),
            Outcome::Outage => return (completed.waiters, outcome),
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

    fn delivered(&mut self, token: Token, now: u64) {
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
            until, undelivered, ..
        }) = self.promises.get_mut(&token)
            && first
        {
            assert!(
                *undelivered,
                "{token} was delivered for the first time twice"
            );
            *undelivered = false;
            *until = now + MEMO;
        }
    }

    fn end(&mut self, token: Token) {
        self.flights.end(&key(token));
        match self.promises.get_mut(&token) {
            Some(Promise::UnderWay { ended, .. }) => *ended = true,
            Some(Promise::Remembered { .. }) => drop(self.promises.remove(&token)),
            None => {}
        }
    }
}

/// The app, and upstream.
struct Model {
    shared: Mutex<Shared>,
    clock: AtomicU64,
    /// What the browser holds.
    jar: Mutex<Token>,
    /// The tokens that upstream is working on.
    calls: Mutex<BTreeSet<Token>>,
    /// The newest token, as upstream sees it.
    newest: Mutex<Token>,
    rotates: bool,
    running: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Model {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            shared: Mutex::new(Shared {
                flights: Flights::new(at(MEMO), capacity),
                promises: BTreeMap::new(),
                now: 0,
                capacity,
                evicted: 0,
            }),
            clock: AtomicU64::new(0),
            jar: Mutex::new(1),
            calls: Mutex::new(BTreeSet::new()),
            newest: Mutex::new(1),
            rotates: chance(0.8),
            running: Mutex::default(),
        })
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// As `Renewer::renew`.
    fn renew(self: &Arc<Self>, token: Token) -> Outcome {
        match self.join(token) {
            Ok(receiver) => heard(&receiver),
            Err(outcome) => outcome,
        }
    }

    /// As `Renewer::join`: the clock is read outside of the lock.
    fn join(self: &Arc<Self>, token: Token) -> Result<mpsc::Receiver<Outcome>, Outcome> {
        let (sender, receiver) = mpsc::channel();
        let now = self.now();
        let joined = self.shared.lock().unwrap().join(token, sender, now);
        match joined {
            Joined::Ready(outcome) => return Err(outcome),
            Joined::Wait => {}
            Joined::Lead { .. } => {
                let model = self.clone();
                let call = thread::spawn(move || model.lead(token));
                self.running.lock().unwrap().push(call);
            }
        }
        Ok(receiver)
    }

    fn follow(&self, token: Token) -> Option<Outcome> {
        let (sender, receiver) = mpsc::channel();
        let now = self.now();
        let joined = self.shared.lock().unwrap().follow(token, sender, now);
        match joined? {
            Joined::Ready(outcome) => Some(outcome),
            _ => Some(heard(&receiver)),
        }
    }

    /// As `Task::run`.
    fn lead(&self, token: Token) {
        let outcome = self.call(token);
        let now = self.now();
        let (waiters, outcome) = self.shared.lock().unwrap().complete(token, outcome, now);
        for waiter in waiters {
            // Whoever hung up is not there to hear it.
            let _ = waiter.send(outcome);
        }
    }

    fn call(&self, token: Token) -> Outcome {
        assert!(
            self.calls.lock().unwrap().insert(token),
            "two calls with {token} at once"
        );
        thread::yield_now();
        let outcome = {
            let mut newest = self.newest.lock().unwrap();
            if chance(0.1) {
                Outcome::Outage
            } else if *newest != token {
                Outcome::Refused
            } else if self.rotates {
                *newest += 1;
                if chance(0.1) {
                    // The answer was lost.
                    Outcome::Outage
                } else {
                    Outcome::Renewed(*newest)
                }
            } else {
                Outcome::Kept
            }
        };
        self.calls.lock().unwrap().remove(&token);
        outcome
    }

    /// A request of the browser, whose response may reach it.
    fn visit(self: &Arc<Self>) {
        let token = *self.jar.lock().unwrap();
        let Outcome::Renewed(successor) = self.renew(token) else {
            return;
        };
        if chance(0.2) {
            // A route spends what the browser has not received yet.
            let _ = self.renew(successor);
        }
        if chance(0.6) {
            let now = self.now();
            self.shared.lock().unwrap().delivered(token, now);
            *self.jar.lock().unwrap() = successor;
        }
    }

    /// Who follows from now on is given nothing of what was issued before.
    fn sign_out(&self) {
        let token = *self.jar.lock().unwrap();
        let (sender, receiver) = mpsc::channel();
        let now = self.now();
        let followed = {
            let mut shared = self.shared.lock().unwrap();
            shared.end(token);
            shared.follow(token, sender, now)
        };
        match followed {
            None => {}
            Some(Joined::Wait) => assert!(!heard(&receiver).has_tokens(), "issued after the end"),
            Some(other) => panic!("{other:?} after the end"),
        }
    }

    /// Nobody waits, nothing is left hanging, and what was not delivered is still there.
    fn check_end(&self) {
        let now = self.now();
        let mut shared = self.shared.lock().unwrap();
        assert!(self.calls.lock().unwrap().is_empty());
        for token in shared.promises.keys().copied().collect::<Vec<_>>() {
            let (sender, _) = mpsc::channel();
            assert_ne!(
                shared.join(token, sender, now),
                Joined::Wait,
                "{token} is under way for ever"
            );
        }
    }
}

/// A waiter is always woken, and once.
fn heard(receiver: &mpsc::Receiver<Outcome>) -> Outcome {
    let outcome = receiver
        .recv()
        .expect("a waiter was dropped without a word");
    assert!(receiver.recv().is_err(), "a waiter was woken twice");
    outcome
}

fn chance(share: f64) -> bool {
    thread_rng().gen_bool(share)
}

/// Tabs, one that is closed at once, a page that only looks, a sign-out, and time that passes.
fn play(capacity: usize) {
    let model = Model::new(capacity);
    let mut threads = Vec::new();
    for _ in 0..3 {
        let tab = model.clone();
        threads.push(thread::spawn(move || {
            tab.visit();
            tab.visit();
        }));
    }
    let closed = model.clone();
    threads.push(thread::spawn(move || {
        let token = *closed.jar.lock().unwrap();
        drop(closed.join(token));
    }));
    let looks = model.clone();
    threads.push(thread::spawn(move || {
        let token = *looks.jar.lock().unwrap();
        let _ = looks.follow(token);
    }));
    if chance(0.5) {
        let signs_out = model.clone();
        threads.push(thread::spawn(move || {
            signs_out.sign_out();
        }));
    }
    let time = model.clone();
    threads.push(thread::spawn(move || {
        for _ in 0..8 {
            time.clock.fetch_add(MEMO / 2, Ordering::SeqCst);
            thread::yield_now();
        }
    }));
    for thread in threads {
        thread.join().unwrap();
    }
    loop {
        let Some(call) = model.running.lock().unwrap().pop() else {
            break;
        };
        call.join().unwrap();
    }
    model.check_end();
}

fn explore(scheduler: impl Scheduler + 'static, capacity: usize) {
    let mut config = Config::new();
    config.stack_size = 0x10_000;
    Runner::new(scheduler, config).run(move || play(capacity));
}

#[test]
fn random_schedules() {
    explore(RandomScheduler::new_from_seed(1, 10_000), 100);
}

// Few switches, at the worst places.
#[test]
fn adversarial_schedules() {
    explore(PctScheduler::new_from_seed(2, 4, 5_000), 100);
}

#[test]
fn what_has_to_make_room_is_told() {
    explore(RandomScheduler::new_from_seed(3, 2_000), 1);
}
