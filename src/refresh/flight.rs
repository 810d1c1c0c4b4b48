//! The state machine of shared renewals. It uses no async runtime, no I/O and no clock: callers pass the monotonic time
//! as `now`.
//!
//! One refresh JWT is sent upstream once, however many requests carry it. The first request leads the renewal, requests
//! that come while it is under way wait for its outcome, and later requests find the outcome that is remembered.
//!
//! How long an outcome is remembered:
//!
//! * New tokens for a browser: until they were written onto a response, or until they are of no more use, because the
//!   browser may have hung up and return later with the old cookie. After the delivery they are remembered for the memo
//!   window, for requests that the browser sent before it had them. A new refresh JWT is of use until it expires. How
//!   long a session JWT that came alone is of use, the caller says: after that a new renewal is as good.
//! * A refusal: it is served for the memo window. That the token was refused is known for longer, until a moment that
//!   the caller passes. A second refusal is served until the token expires, so that upstream is not asked again.
//! * An outcome without a definite answer: not at all. Only those who waited for it get it.
//! * An answer that cannot be verified yet: until a moment that the caller passes. The next request that leads judges
//!   it again instead of calling upstream.
//!
//! Refusals have a memory of their own, so that no number of them pushes out another outcome.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::bounded::Bounded;

/// SHA-256 of a refresh JWT.
pub(crate) type Key = [u8; 32];

/// The renewals that are under way and the outcomes that are remembered. `O` is an outcome, `W` the handle by which the
/// caller wakes a waiter.
pub(crate) struct Flights<O, W> {
    entries: HashMap<Key, Entry<O, W>>,
    /// Remembered entries by the moment at which they are forgotten.
    expiry: BTreeSet<(Duration, Key)>,
    /// From a new refresh JWT to the one that it replaced, while the outcome of that renewal is remembered.
    predecessors: HashMap<Key, Key>,
    refusals: Bounded<Key, Refusal<O>>,
    memo: Duration,
    capacity: usize,
}

enum Entry<O, W> {
    UnderWay {
        waiters: Vec<W>,
        /// The session was ended while its renewal is under way, so the outcome must not be used.
        ended: bool,
    },
    Remembered {
        outcome: O,
        awaits_delivery: bool,
        /// The outcome is an answer of upstream that could not be verified yet. The next request for a renewal verifies
        /// it again instead of calling upstream.
        undecided: bool,
        /// When the outcome is forgotten.
        until: Duration,
        /// The refresh JWT that upstream issued in place of the one that was sent.
        successor: Option<Key>,
    },
}

/// The refusal of a refresh JWT.
struct Refusal<O> {
    outcome: O,
    /// Until then the outcome is served. Afterwards it is only known that the token was refused.
    serve_until: Duration,
}

/// How long an outcome is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retain {
    /// Not at all.
    Drop,
    /// Tokens for a browser: until they are delivered or `expires`, whichever is first, but for the memo window at
    /// least. After the delivery they are remembered for the memo window.
    UntilDelivered {
        /// The new refresh JWT, if there is one.
        successor: Option<Key>,
        /// When the tokens are of no more use.
        expires: Duration,
    },
    /// Tokens for a browser that the shared store keeps until they are delivered, so that all replicas find them. This
    /// process remembers them for the memo window only.
    #[cfg_attr(not(feature = "shared-store"), allow(dead_code))]
    Elsewhere {
        /// The new refresh JWT, if there is one.
        successor: Option<Key>,
    },
    /// An answer that cannot be verified yet: until this moment. If the shared store keeps it (`elsewhere`), this
    /// process remembers it for the memo window only.
    Undecided { until: Duration, elsewhere: bool },
    /// The first refusal: served for the memo window. Until this moment it is known that the token was refused.
    Refusal(Duration),
    /// A further refusal: served until this moment, at which the token expires.
    Refused(Duration),
}

/// What a caller has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined<O> {
    /// Make the call, then report it with [`Flights::complete`].
    Lead {
        /// The same token was refused before, and the memo window is over.
        refused_before: bool,
        /// The answer to an earlier call, which could not be verified then. If there is one, judge it again and do not
        /// call.
        undecided: Option<O>,
    },
    /// Wait: the waiter will be woken with the outcome.
    Wait,
    /// Use this outcome.
    Ready(O),
}

/// What the caller of [`Flights::complete`] has to deal with.
pub(crate) struct Completed<W> {
    /// To be woken with the outcome.
    pub(crate) waiters: Vec<W>,
    /// The session was ended while the call was under way.
    pub(crate) ended: bool,
    /// An outcome was dropped to make room that held an undelivered refresh JWT or an answer that cannot be verified
    /// yet.
    pub(crate) evicted: bool,
    /// A refusal was dropped to make room; upstream may be asked about its token again.
    pub(crate) refusal_evicted: bool,
}

impl<O: Clone, W> Flights<O, W> {
    /// `capacity`: most outcomes that are remembered, without refusals. `refusals`: most refusals that are remembered.
    pub(crate) fn new(memo: Duration, capacity: usize, refusals: usize) -> Self {
        Self {
            entries: HashMap::new(),
            expiry: BTreeSet::new(),
            predecessors: HashMap::new(),
            refusals: Bounded::new(refusals),
            memo,
            capacity,
        }
    }

    /// Asks for a renewal. The waiter of the request that leads is woken like the others, because the call runs on a
    /// task of its own.
    pub(crate) fn join(&mut self, key: Key, waiter: W, now: Duration) -> Joined<O> {
        self.expire(now);
        if let Some(Entry::UnderWay { waiters, .. }) = self.entries.get_mut(&key) {
            waiters.push(waiter);
            return Joined::Wait;
        }
        let undecided = match self.entries.get(&key) {
            Some(Entry::Remembered {
                outcome,
                undecided: true,
                ..
            }) => Some(outcome.clone()),
            _ => None,
        };
        if undecided.is_none()
            && let Some(outcome) = self.found(&key, now)
        {
            return Joined::Ready(outcome);
        }
        let refused_before = self.refusals.get(&key).is_some();
        self.remove(&key);
        self.entries.insert(
            key,
            Entry::UnderWay {
                waiters: vec![waiter],
                ended: false,
            },
        );
        Joined::Lead {
            refused_before,
            undecided,
        }
    }

    /// Joins a renewal that is under way, or finds a remembered outcome. Starts no renewal: `None` if there is neither.
    pub(crate) fn follow(&mut self, key: &Key, waiter: W, now: Duration) -> Option<Joined<O>> {
        self.expire(now);
        if let Some(Entry::UnderWay { waiters, .. }) = self.entries.get_mut(key) {
            waiters.push(waiter);
            return Some(Joined::Wait);
        }
        self.found(key, now).map(Joined::Ready)
    }

    /// The remembered outcome of a renewal, if there is one.
    pub(crate) fn peek(&mut self, key: &Key, now: Duration) -> Option<O> {
        self.expire(now);
        self.found(key, now)
    }

    /// The remembered outcome. [`Self::expire`] has to be called before, so that no expired one is found.
    fn found(&self, key: &Key, now: Duration) -> Option<O> {
        match self.entries.get(key) {
            Some(Entry::Remembered { outcome, .. }) => Some(outcome.clone()),
            _ => {
                let refusal = self.refusals.get(key)?;
                (now < refusal.serve_until).then(|| refusal.outcome.clone())
            }
        }
    }

    /// Reports the outcome of the call.
    pub(crate) fn complete(
        &mut self,
        key: Key,
        outcome: O,
        retain: Retain,
        now: Duration,
    ) -> Completed<W> {
        let (waiters, ended) = match self.entries.remove(&key) {
            Some(Entry::UnderWay { waiters, ended }) => (waiters, ended),
            remembered => {
                // The outcome was reported twice: the first report stands.
                if let Some(entry) = remembered {
                    self.entries.insert(key, entry);
                }
                (Vec::new(), false)
            }
        };
        let mut completed = Completed {
            waiters,
            ended,
            evicted: false,
            refusal_evicted: false,
        };
        if ended {
            return completed;
        }
        let memo = now.saturating_add(self.memo);
        let (until, next, awaits_delivery) = match retain {
            // Without a definite answer an earlier refusal stays known.
            Retain::Drop => return completed,
            Retain::Refusal(known_until) => {
                completed.refusal_evicted = self.refuse(key, outcome, memo, known_until);
                return completed;
            }
            Retain::Refused(until) => {
                completed.refusal_evicted = self.refuse(key, outcome, until.max(memo), until);
                return completed;
            }
            Retain::UntilDelivered { successor, expires } => (expires.max(memo), successor, true),
            Retain::Elsewhere { successor } => (memo, successor, true),
            Retain::Undecided { until, elsewhere } => {
                let until = if elsewhere { until.min(memo) } else { until };
                (until, None, false)
            }
        };
        // Upstream has accepted the token, so an earlier refusal no longer counts.
        self.refusals.remove(&key);
        // A refresh JWT that was replaced is served the new tokens for a while after their delivery, but only until
        // those are renewed in turn. Whoever presents it after that is two generations late, or is a thief. Tokens that
        // no browser has received yet do not count as a generation.
        if next.is_some()
            && let Some(older) = self.predecessors.get(&key).copied()
            && self.was_delivered(&older)
        {
            self.remove(&older);
        }
        if until > now {
            let entry = Entry::Remembered {
                outcome,
                awaits_delivery,
                undecided: matches!(retain, Retain::Undecided { .. }),
                until,
                successor: next,
            };
            completed.evicted = self.remember(key, entry, until);
        }
        completed
    }

    /// Notes that the outcome was written onto a response. Returns whether it was awaiting its delivery until now.
    pub(crate) fn delivered(&mut self, key: &Key, now: Duration) -> bool {
        let until = now.saturating_add(self.memo);
        if let Some(Entry::Remembered {
            awaits_delivery: awaits @ true,
            until: kept_until,
            successor,
            ..
        }) = self.entries.get_mut(key)
        {
            *awaits = false;
            self.expiry.remove(&(*kept_until, *key));
            // A session JWT without a new refresh JWT can be renewed again, so the delivery does not prolong its time.
            let until = match successor {
                Some(_) => until,
                None => until.min(*kept_until),
            };
            *kept_until = until;
            self.expiry.insert((until, *key));
            return true;
        }
        false
    }

    /// Notes that the session was ended. A remembered outcome is dropped, and that of a renewal under way will not be
    /// used. A refusal is dropped as well: it would delete cookies, which may by now be those of the next session.
    pub(crate) fn end(&mut self, key: &Key) {
        self.refusals.remove(key);
        match self.entries.get_mut(key) {
            Some(Entry::UnderWay { ended, .. }) => *ended = true,
            Some(Entry::Remembered { .. }) => self.remove(key),
            None => {}
        }
    }

    /// Renewals that are under way and outcomes that are remembered, without refusals.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Refusals that are remembered. Some of them may have expired.
    pub(crate) fn refusals(&self) -> usize {
        self.refusals.len()
    }

    fn was_delivered(&self, key: &Key) -> bool {
        !matches!(
            self.entries.get(key),
            Some(Entry::Remembered {
                awaits_delivery: true,
                ..
            })
        )
    }

    /// Remembers a refusal. Returns whether another refusal was dropped to make room.
    fn refuse(
        &mut self,
        key: Key,
        outcome: O,
        serve_until: Duration,
        known_until: Duration,
    ) -> bool {
        let evicted = self.refusals.make_room(&key).is_some();
        let refusal = Refusal {
            outcome,
            serve_until,
        };
        let end = known_until.max(serve_until);
        self.refusals.put(key, refusal, end);
        evicted
    }

    /// Remembers an outcome. Returns whether one was dropped to make room that may hold the only live refresh JWT.
    fn remember(&mut self, key: Key, entry: Entry<O, W>, until: Duration) -> bool {
        let mut evicted = false;
        if self.expiry.len() >= self.capacity
            && let Some(&(_, oldest)) = self.expiry.first()
        {
            evicted = matches!(
                self.entries.get(&oldest),
                Some(
                    Entry::Remembered {
                        awaits_delivery: true,
                        successor: Some(_),
                        ..
                    } | Entry::Remembered {
                        undecided: true,
                        ..
                    }
                )
            );
            self.remove(&oldest);
        }
        if let Entry::Remembered {
            successor: Some(successor),
            ..
        } = &entry
        {
            self.predecessors.insert(*successor, key);
        }
        self.entries.insert(key, entry);
        self.expiry.insert((until, key));
        evicted
    }

    fn expire(&mut self, now: Duration) {
        while let Some(&(at, key)) = self.expiry.first() {
            if at > now {
                break;
            }
            self.remove(&key);
        }
        while self.refusals.expire(now).is_some() {}
    }

    fn remove(&mut self, key: &Key) {
        if let Some(Entry::Remembered {
            until, successor, ..
        }) = self.entries.remove(key)
        {
            self.expiry.remove(&(until, *key));
            if let Some(successor) = successor {
                self.predecessors.remove(&successor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [1; 32];
    const MEMO: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn flights() -> Flights<&'static str, u32> {
        Flights::new(MEMO, 2, 2)
    }

    /// A session JWT without a new refresh JWT, of use until `expires`.
    fn session(expires: u64) -> Retain {
        Retain::UntilDelivered {
            successor: None,
            expires: at(expires),
        }
    }

    fn until_delivered(successor: u8, expires: u64) -> Retain {
        Retain::UntilDelivered {
            successor: Some([successor; 32]),
            expires: at(expires),
        }
    }

    // Race "theft-replay".
    #[test]
    fn the_grace_covers_the_immediate_predecessor_only() {
        let mut flights = flights();
        for generation in 1..3u8 {
            flights.join([generation; 32], 1, at(0));
            let retain = until_delivered(generation + 1, 3600);
            flights.complete([generation; 32], "pair", retain, at(0));
            flights.delivered(&[generation; 32], at(0));
        }
        assert_eq!(flights.join([2; 32], 1, at(1)), Joined::Ready("pair"));
        assert_eq!(flights.join([1; 32], 1, at(1)), LEAD);
    }

    const LEAD: Joined<&str> = Joined::Lead {
        refused_before: false,
        undecided: None,
    };

    #[test]
    fn what_cannot_be_judged_yet_is_judged_by_one_at_a_time() {
        let mut flights = flights();
        let undecided = |until, elsewhere| Retain::Undecided {
            until: at(until),
            elsewhere,
        };
        let again = Joined::Lead {
            refused_before: false,
            undecided: Some("pair"),
        };
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "pair", undecided(3600, false), at(0));
        // `peek` starts no renewal, and finds the answer as well.
        assert_eq!(flights.peek(&KEY, at(60)), Some("pair"));
        assert_eq!(flights.join(KEY, 2, at(60)), again);
        assert_eq!(flights.join(KEY, 3, at(60)), Joined::Wait);
        let completed = flights.complete(KEY, "pair", undecided(3600, false), at(61));
        assert_eq!(completed.waiters, [2, 3]);
        assert_eq!(flights.join(KEY, 4, at(3599)), again);
        // The answer is kept until a fixed moment, which judging it again does not put off.
        flights.complete(KEY, "pair", undecided(3600, false), at(3599));
        assert_eq!(flights.join(KEY, 5, at(3600)), LEAD);
        // If the shared store keeps the answer, this process keeps it for the memo window only.
        flights.complete(KEY, "pair", undecided(7200, true), at(3600));
        assert_eq!(flights.join(KEY, 6, at(3610)), LEAD);
        flights.complete(KEY, "pair", undecided(7200, true), at(3610));
        flights.end(&KEY);
        assert_eq!(flights.join(KEY, 7, at(3611)), LEAD);
    }

    // Two responses carry the same session JWT. Before the second one is noted as delivered, the next renewal has
    // brought an answer whose key is missing.
    #[test]
    fn a_late_delivery_cuts_no_answer_short_that_cannot_be_judged_yet() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        let undecided = Retain::Undecided {
            until: at(3600),
            elsewhere: false,
        };
        flights.complete(KEY, "pair", undecided, at(0));
        assert!(!flights.delivered(&KEY, at(1)));
        let again = Joined::Lead {
            refused_before: false,
            undecided: Some("pair"),
        };
        assert_eq!(flights.join(KEY, 2, at(3599)), again);
    }

    #[test]
    fn that_an_answer_which_cannot_be_judged_yet_makes_room_is_told() {
        let mut flights = flights();
        for n in 0..3u8 {
            flights.join([n; 32], 1, at(0));
            let undecided = Retain::Undecided {
                until: at(3600),
                elsewhere: false,
            };
            let completed = flights.complete([n; 32], "pair", undecided, at(0));
            assert_eq!(completed.evicted, n == 2);
        }
    }

    #[test]
    fn one_leads_and_the_others_wait() {
        let mut flights = flights();
        assert_eq!(flights.join(KEY, 1, at(0)), LEAD);
        assert_eq!(flights.join(KEY, 2, at(0)), Joined::Wait);
        let completed = flights.complete(KEY, "new", session(0), at(1));
        assert_eq!(completed.waiters, [1, 2]);
        assert_eq!(flights.join(KEY, 3, at(10)), Joined::Ready("new"));
        assert_eq!(flights.join(KEY, 4, at(11)), LEAD);
    }

    #[test]
    fn a_follower_causes_nothing() {
        let mut flights = flights();
        assert_eq!(flights.follow(&KEY, 1, at(0)), None);
        assert_eq!(flights.join(KEY, 2, at(0)), LEAD);
        assert_eq!(flights.follow(&KEY, 3, at(0)), Some(Joined::Wait));
        assert_eq!(flights.peek(&KEY, at(0)), None);
        let completed = flights.complete(KEY, "no", Retain::Refusal(at(3600)), at(1));
        assert_eq!(completed.waiters, [2, 3]);
        assert_eq!(flights.follow(&KEY, 4, at(10)), Some(Joined::Ready("no")));
        assert_eq!(flights.peek(&KEY, at(10)), Some("no"));
        assert_eq!(flights.follow(&KEY, 5, at(11)), None);
        assert_eq!(flights.peek(&KEY, at(11)), None);
    }

    // Race "nobody-there": the client hung up and returns after ten minutes.
    #[test]
    fn an_undelivered_token_is_kept() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "rotated", until_delivered(2, 3600), at(0));
        assert_eq!(flights.join(KEY, 2, at(600)), Joined::Ready("rotated"));
        flights.delivered(&KEY, at(600));
        flights.delivered(&KEY, at(609)); // a second delivery does not prolong the window
        assert_eq!(flights.join(KEY, 3, at(609)), Joined::Ready("rotated"));
        assert_eq!(flights.join(KEY, 4, at(610)), LEAD);
    }

    // After an early renewal the new session JWT waits for the next request of the browser.
    #[test]
    fn an_undelivered_session_is_kept_while_it_is_of_use() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "session", session(300), at(0));
        assert_eq!(flights.join(KEY, 2, at(299)), Joined::Ready("session"));
        assert_eq!(flights.join(KEY, 3, at(300)), LEAD);
        flights.complete(KEY, "session", session(600), at(300));
        assert!(flights.delivered(&KEY, at(400)));
        assert_eq!(flights.join(KEY, 4, at(409)), Joined::Ready("session"));
        assert_eq!(flights.join(KEY, 5, at(410)), LEAD);
        flights.complete(KEY, "session", session(600), at(410));
        assert!(flights.delivered(&KEY, at(595)));
        assert_eq!(flights.join(KEY, 6, at(600)), LEAD, "not beyond its use");
    }

    #[test]
    fn a_session_that_makes_room_is_no_loss() {
        let mut flights = flights();
        for n in 0..3u8 {
            flights.join([n; 32], 1, at(0));
            let completed = flights.complete([n; 32], "session", session(300), at(0));
            assert!(!completed.evicted);
        }
    }

    #[test]
    fn what_is_kept_elsewhere_is_served_for_the_memo_window() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        let retain = Retain::Elsewhere {
            successor: Some([2; 32]),
        };
        flights.complete(KEY, "shared", retain, at(0));
        assert_eq!(flights.join(KEY, 2, at(5)), Joined::Ready("shared"));
        assert!(flights.delivered(&KEY, at(5)));
        assert!(!flights.delivered(&KEY, at(6)));
        assert_eq!(flights.join(KEY, 3, at(14)), Joined::Ready("shared"));
        assert_eq!(flights.join(KEY, 4, at(15)), LEAD);
    }

    #[test]
    fn a_second_refusal_is_known_as_such() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "refused", Retain::Refusal(at(3600)), at(0));
        assert_eq!(flights.join(KEY, 2, at(9)), Joined::Ready("refused"));
        let again = Joined::Lead {
            refused_before: true,
            undecided: None,
        };
        assert_eq!(flights.join(KEY, 3, at(10)), again);
        // After an outage in between, the next refusal still counts as the second one.
        flights.complete(KEY, "outage", Retain::Drop, at(11));
        assert_eq!(flights.join(KEY, 4, at(12)), again);
    }

    #[test]
    fn after_the_second_refusal_nobody_leads_until_the_token_expires() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "first", Retain::Refusal(at(86_400)), at(0));
        flights.join(KEY, 2, at(10));
        flights.complete(KEY, "second", Retain::Refused(at(9_999)), at(10));
        for seconds in (10..9_999).step_by(11) {
            let now = at(seconds);
            assert_eq!(flights.join(KEY, 3, now), Joined::Ready("second"));
            assert_eq!(flights.peek(&KEY, now), Some("second"));
        }
        assert_eq!(flights.join(KEY, 4, at(9_999)), LEAD);
        assert_eq!(flights.refusals(), 0);
    }

    #[test]
    fn a_good_answer_ends_the_refusal() {
        let mut flights = flights();
        for (retain, now) in [
            (Retain::Refusal(at(3600)), 0),
            (session(15), 10),
            (Retain::Refusal(at(3600)), 20),
        ] {
            let lead = flights.join(KEY, 1, at(now));
            let refused_before = now == 10;
            let expected = Joined::Lead {
                refused_before,
                undecided: None,
            };
            assert_eq!(lead, expected);
            flights.complete(KEY, "x", retain, at(now));
        }
    }

    #[test]
    fn any_number_of_refusals_pushes_out_no_other_outcome() {
        let mut flights = flights();
        flights.join([1; 32], 1, at(0));
        flights.complete([1; 32], "undelivered", until_delivered(2, 90_000), at(0));
        flights.join([3; 32], 1, at(0));
        flights.complete([3; 32], "memo", session(10), at(0));
        for n in 0..120_000u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            flights.join(key, 1, at(0));
            let retain = match n % 2 {
                0 => Retain::Refusal(at(86_400)),
                _ => Retain::Refused(at(99_999)),
            };
            let completed = flights.complete(key, "refused", retain, at(0));
            assert!(!completed.evicted);
            assert_eq!(completed.refusal_evicted, n >= 2);
            assert_eq!(flights.join(key, 1, at(9)), Joined::Ready("refused"));
        }
        assert_eq!(flights.refusals(), 2);
        assert_eq!(flights.join([3; 32], 1, at(9)), Joined::Ready("memo"));
        let late = flights.join([1; 32], 1, at(89_999));
        assert_eq!(late, Joined::Ready("undelivered"));
    }

    #[test]
    fn an_indefinite_outcome_reaches_only_those_who_waited() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.complete(KEY, "outage", Retain::Drop, at(0));
        assert_eq!(flights.join(KEY, 2, at(0)), LEAD);
    }

    // Race "logout-vs-refresh".
    #[test]
    fn an_ended_session_is_not_remembered() {
        let mut flights = flights();
        flights.join(KEY, 1, at(0));
        flights.end(&KEY);
        assert!(flights.complete(KEY, "new", session(0), at(0)).ended);
        assert_eq!(flights.join(KEY, 2, at(0)), LEAD);
        flights.complete(KEY, "new", session(0), at(0));
        flights.end(&KEY);
        assert_eq!(flights.join(KEY, 3, at(0)), LEAD);
    }

    #[test]
    fn memory_is_bounded_and_eviction_is_told() {
        let mut flights = flights();
        for n in 0..3u8 {
            flights.join([n; 32], 1, at(0));
            let retain = until_delivered(100 + n, 100 + u64::from(n));
            let completed = flights.complete([n; 32], "x", retain, at(0));
            assert_eq!(completed.evicted, n == 2);
        }
        assert_eq!(flights.len(), 2);
        assert_eq!(
            flights.join([0; 32], 1, at(1)),
            LEAD,
            "the one that would have expired first went"
        );
        assert_eq!(flights.join([2; 32], 1, at(101)), Joined::Ready("x"));
        assert_eq!(flights.join([2; 32], 1, at(102)), LEAD);
    }
}
