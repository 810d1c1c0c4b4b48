//! The state machine of shared renewals under a model checker: the very file, driven from several threads behind one
//! lock as `refresh/mod.rs` does it. What upstream sees and what was promised for each token is kept beside it and
//! compared at every step.
//!
//! A program of its own, because the checker's panic hook stays for everything that runs in it.

use std::collections::BTreeSet;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex, mpsc};
use shuttle::{Config, Runner, thread};

#[path = "../../src/bounded.rs"]
#[allow(dead_code)]
mod bounded;
#[path = "../../src/refresh/flight.rs"]
#[allow(dead_code)]
mod flight;
mod promises;

use flight::{Joined, Key};
use promises::Shared;

const MEMO: u64 = 10;
const LIFE: u64 = 40;
/// For how long a session that came without a new refresh JWT is of use.
const USE: u64 = 25;
/// For how long an answer that cannot be judged is kept.
const PATIENCE: u64 = 15;

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
    /// What [`Self::Renewed`] and [`Self::Kept`] (then it is the token itself) say, but the key is missing.
    Undecided {
        successor: Token,
        give_up: u64,
    },
}

impl Outcome {
    fn has_tokens(self) -> bool {
        matches!(self, Self::Renewed(_) | Self::Kept)
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
            shared: Mutex::new(Shared::new(capacity)),
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
            Joined::Lead {
                refused_before,
                undecided,
            } => {
                let model = self.clone();
                let call = thread::spawn(move || model.lead(token, refused_before, undecided));
                self.running.lock().unwrap().push(call);
            }
        }
        Ok(receiver)
    }

    /// As `Renewer::follow`.
    fn follow(self: &Arc<Self>, token: Token) -> Option<Outcome> {
        let (sender, receiver) = mpsc::channel();
        let now = self.now();
        let joined = self.shared.lock().unwrap().follow(token, sender, now);
        match joined? {
            Joined::Ready(Outcome::Undecided { .. }) => Some(self.renew(token)),
            Joined::Ready(outcome) => Some(outcome),
            _ => Some(heard(&receiver)),
        }
    }

    /// As `Task::run`.
    fn lead(&self, token: Token, refused_before: bool, undecided: Option<Outcome>) {
        let outcome = match undecided {
            Some(undecided) => judge_again(token, undecided),
            None => self.call(token),
        };
        let now = self.now();
        let (waiters, outcome) =
            self.shared
                .lock()
                .unwrap()
                .complete(token, outcome, refused_before, now);
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
                    self.judge(token, *newest)
                }
            } else {
                self.judge(token, token)
            }
        };
        self.calls.lock().unwrap().remove(&token);
        outcome
    }

    /// As `Renewer::judge`.
    fn judge(&self, token: Token, successor: Token) -> Outcome {
        if chance(0.3) {
            let give_up = self.now() + PATIENCE;
            Outcome::Undecided { successor, give_up }
        } else {
            judged(token, successor)
        }
    }

    /// A request of the browser, whose response may reach it.
    fn visit(self: &Arc<Self>) {
        let token = *self.jar.lock().unwrap();
        let successor = match self.renew(token) {
            Outcome::Renewed(successor) => successor,
            Outcome::Kept => token,
            Outcome::Refused | Outcome::Outage | Outcome::Undecided { .. } => return,
        };
        if successor != token && chance(0.2) {
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
        for token in shared.tokens() {
            let (sender, _) = mpsc::channel();
            assert_ne!(
                shared.join(token, sender, now),
                Joined::Wait,
                "{token} is under way for ever"
            );
        }
    }
}

fn judged(token: Token, successor: Token) -> Outcome {
    match successor {
        same if same == token => Outcome::Kept,
        successor => Outcome::Renewed(successor),
    }
}

/// As `Renewer::judge_again`: the key may be there by now, and upstream is not asked.
fn judge_again(token: Token, undecided: Outcome) -> Outcome {
    let Outcome::Undecided { successor, .. } = undecided else {
        panic!("{undecided:?} of {token} is judged again");
    };
    thread::yield_now();
    if chance(0.5) {
        undecided
    } else if chance(0.1) {
        // It does not verify.
        Outcome::Outage
    } else {
        judged(token, successor)
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
    let stale = model.clone();
    threads.push(thread::spawn(move || {
        // Holds on to a token that is soon rotated away, and refused.
        for _ in 0..4 {
            let _ = stale.renew(1);
            thread::yield_now();
        }
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
