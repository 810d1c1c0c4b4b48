//! When not to ask upstream. No runtime, no I/O and no clock of its own; `now` is monotonic time.
//!
//! A renewal can fail because upstream is down, or because of the one token that was sent: upstream may fail on its
//! size, its claims or its user. In the first case nobody may call for a while, or an outage becomes a storm of calls.
//! In the second case nobody else may be stopped, or one signed-in user could keep all others from renewing. One
//! failure does not tell which of the two it was, so failures are counted in two places.
//!
//! **The token.** A failed call counts against the token that it carried. Where the answer said when to come back
//! (429, or `Retry-After`), that token waits for so long, otherwise from its third failure in a row on for 1 s, 2 s,
//! 4 s and so on; 60 s at most. Any answer about the token ends this.
//!
//! **The path.** All renewals are held
//!
//! * after three calls for which no connection came about. Nothing was sent then, so no token is to blame;
//! * when three different users have met a failure of any other kind. Users are counted and not tokens, because one
//!   user may hold any number of refresh JWTs.
//!
//! Either count begins anew when anybody gets an answer.
//!
//! A user who fails again after others were answered has a failure of their own. Such a user is not counted until the
//! token that failed is answered, or until an hour has passed without another failure.
//!
//! A hold lasts for as long as upstream asked, or for 1 s and twice as long with every failed probe; 60 s at most. Then
//! one call probes the path: an answer opens the path, a failure holds it again. A token that has failed is never the
//! probe, nor is another token of the same user. But everybody who calls may have failed before. So one call of such a
//! user at a time is let through beside the probe, once the wait of its token is over. An answer to it opens the path.
//! Its failure holds the path only if no connection came about. After such a failure the user has to wait for 1 s, 2 s,
//! 4 s and so on, 60 s at most, with any token, so that a user whose every call fails slowly leaves the place to
//! others.
//!
//! What is remembered is bounded. A failure whose record has to make room no longer counts: that costs upstream a call
//! and holds nobody.

use std::time::Duration;

use super::flight::Key;
use crate::backoff::{self, doubled};
use crate::bounded::Bounded;

/// Longest hold, and longest wait of a token.
const MAX_HOLD: Duration = backoff::LONGEST;
/// From so many failures in a row on, a token has to wait although upstream named no time. After so many calls without
/// a connection the path is held.
const TOLERATED: u32 = 3;
/// If so many different users fail, the failure is not that of one user.
const SEVERAL: usize = 3;
/// First hold, and first wait of a token; doubled with each failure.
const FIRST_HOLD: Duration = backoff::FIRST;
/// For how long a failure is known.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Most tokens, and most users, whose failures are remembered.
const CAPACITY: usize = 10_000;

/// What is known of calls that failed.
pub(crate) struct CircuitBreaker {
    tokens: Bounded<Key, Backoff>,
    users: Bounded<Key, Failing>,
    path: Path,
}

/// Who calls. Both are digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) token: Key,
    pub(crate) user: Key,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Upstream gave an answer of its own, good or bad.
    Answered,
    /// Upstream asked for a pause of this length.
    Throttled(Duration),
    /// No usable answer.
    Failed,
    /// No connection was established; nothing was sent.
    Unreachable,
    /// The call was not made, so it says nothing about upstream.
    Unsent,
}

/// The failures of a token.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    in_a_row: u32,
    until: Duration,
}

/// The failures of a user.
#[derive(Clone, Copy, Debug)]
struct Failing {
    /// How many answers there had been ([`Path::answers`]) when the first failure came.
    since: u64,
    /// How often calls of this user failed beside a probe, and (`retry_at`) when the next such call may be made.
    retries: u32,
    retry_at: Duration,
}

/// How a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// While the path was open.
    Open,
    Probe,
    Retry,
}

/// The way to upstream, which all calls take.
#[derive(Debug, Default)]
struct Path {
    held: Option<Held>,
    /// Holds since the last answer.
    holds: u32,
    /// Users who met a failure since the last answer; no more than [`SEVERAL`].
    met: Vec<Key>,
    /// Calls since the last answer for which no connection came about.
    unreachable: u32,
    /// Answers so far.
    answers: u64,
    /// Calls that were let through after a hold: the probe, and one (`retry`) of a user who has failed before.
    probe: Option<UnderWay>,
    retry: Option<UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Duration,
    until: Duration,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    token: Key,
    since: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            tokens: Bounded::new(CAPACITY),
            users: Bounded::new(CAPACITY),
            path: Path::default(),
        }
    }
}

impl CircuitBreaker {
    /// Permits a call, which has to be followed by [`Self::report`], or tells how long to wait.
    pub(crate) fn enter(&mut self, caller: Caller, now: Duration) -> Result<(), Duration> {
        while self.tokens.expire(now).is_some() {}
        while self.users.expire(now).is_some() {}
        let backoff = self.tokens.get(&caller.token);
        if let Some(backoff) = backoff
            && now < backoff.until
        {
            return Err(backoff.until - now);
        }
        let user = self.users.get(&caller.user);
        let has_failed = backoff.is_some() || user.is_some();
        let retry_at = user.map_or(Duration::ZERO, |user| user.retry_at);
        self.path.enter(caller.token, has_failed, retry_at, now)
    }

    /// Reports how a call that was let through ended. If this begins a hold of the path, returns its length.
    pub(crate) fn report(
        &mut self,
        caller: Caller,
        report: Report,
        now: Duration,
    ) -> Option<Duration> {
        let place = self.path.leave(&caller.token);
        let (wait, holds) = match report {
            Report::Unsent => return None,
            Report::Answered => {
                // An answer about another token of this user says nothing about the token that failed.
                if self.tokens.get(&caller.token).is_some() {
                    self.tokens.remove(&caller.token);
                    self.users.remove(&caller.user);
                }
                self.path.open();
                return None;
            }
            Report::Unreachable => (None, self.path.counts_unreachable()),
            Report::Throttled(wait) => (Some(wait.min(MAX_HOLD)), self.fails(caller, place, now)),
            Report::Failed => (None, self.fails(caller, place, now)),
        };
        if !matches!(report, Report::Unreachable) {
            self.back_off(caller.token, wait, now);
        }
        // A call without a connection says the same about upstream, whoever made it.
        let decides = match place {
            Place::Open => false,
            Place::Probe => true,
            Place::Retry => matches!(report, Report::Unreachable),
        };
        self.path.fail(decides, holds, wait, now)
    }

    /// Notes a failure of this user. Returns whether so many users have failed since the last answer that the path is
    /// held.
    fn fails(&mut self, caller: Caller, place: Place, now: Duration) -> bool {
        let answers = self.path.answers;
        let known = self.users.get(&caller.user).copied();
        let mut user = known.unwrap_or(Failing {
            since: answers,
            retries: 0,
            retry_at: Duration::ZERO,
        });
        if place == Place::Retry {
            user.retry_at = now + doubled(user.retries);
            user.retries = user.retries.saturating_add(1);
        }
        self.users.make_room(&caller.user);
        self.users.put(caller.user, user, now + REMEMBERED);
        // Otherwise somebody was answered since the first failure of this user, so the failure is this user's own.
        user.since == answers && self.path.counts_user(caller.user)
    }

    fn back_off(&mut self, token: Key, wait: Option<Duration>, now: Duration) {
        let known = self.tokens.get(&token);
        let in_a_row = known.map_or(0, |known| known.in_a_row).saturating_add(1);
        let wait = wait.unwrap_or_else(|| match in_a_row.checked_sub(TOLERATED) {
            Some(doublings) => doubled(doublings),
            None => Duration::ZERO,
        });
        let until = now + wait;
        self.tokens.make_room(&token);
        self.tokens
            .put(token, Backoff { in_a_row, until }, now + REMEMBERED);
    }
}

impl Path {
    fn enter(
        &mut self,
        token: Key,
        has_failed: bool,
        retry_at: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let Some(held) = self.held else {
            return Ok(());
        };
        if now < held.until {
            return Err(held.until - now);
        }
        if now < retry_at {
            return Err(retry_at - now);
        }
        let place = match has_failed {
            true => &mut self.retry,
            false => &mut self.probe,
        };
        // A call that never reported (its runtime went away) does not keep the place for ever.
        if place.is_some_and(|call| now < call.since + MAX_HOLD) {
            return Err(FIRST_HOLD);
        }
        *place = Some(UnderWay { token, since: now });
        Ok(())
    }

    /// Frees the place of a call, and tells how the call was let through.
    fn leave(&mut self, token: &Key) -> Place {
        let is_its = |call: &mut UnderWay| call.token == *token;
        if self.probe.take_if(is_its).is_some() {
            Place::Probe
        } else if self.retry.take_if(is_its).is_some() {
            Place::Retry
        } else {
            Place::Open
        }
    }

    fn counts_unreachable(&mut self) -> bool {
        self.unreachable = self.unreachable.saturating_add(1);
        self.unreachable >= TOLERATED
    }

    fn counts_user(&mut self, user: Key) -> bool {
        if self.met.len() < SEVERAL && !self.met.contains(&user) {
            self.met.push(user);
        }
        self.met.len() >= SEVERAL
    }

    fn open(&mut self) {
        *self = Self {
            answers: self.answers.saturating_add(1),
            ..Self::default()
        };
    }

    /// Notes a failed call. `decides`: it was let through after a hold, and its failure begins another one. `holds`: it
    /// is reason enough to hold an open path.
    fn fail(
        &mut self,
        decides: bool,
        holds: bool,
        wait: Option<Duration>,
        now: Duration,
    ) -> Option<Duration> {
        match &mut self.held {
            // The call began before the hold, or does not decide. It can only prolong the hold, if upstream asked for
            // longer.
            Some(held) if !decides => {
                if let (true, Some(wait)) = (holds && now < held.until, wait) {
                    let longest = held.since + MAX_HOLD;
                    held.until = held.until.max(now + wait).min(longest);
                }
                None
            }
            None if !holds => None,
            _ => {
                let wait = wait.unwrap_or_else(|| doubled(self.holds));
                self.holds = self.holds.saturating_add(1);
                let until = now + wait;
                self.held = Some(Held { since: now, until });
                Some(wait)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Report::{Answered, Failed, Throttled, Unreachable, Unsent};
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The only token of this user.
    fn user(number: u16) -> Caller {
        token(number, 0)
    }

    /// One of several tokens of this user.
    fn token(user: u16, number: u16) -> Caller {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&user.to_be_bytes());
        let user = key;
        key[2..4].copy_from_slice(&number.to_be_bytes());
        Caller { token: key, user }
    }

    impl CircuitBreaker {
        /// A call that is let through and ends at once.
        #[track_caller]
        fn call(&mut self, caller: Caller, report: Report, now: u64) -> Option<Duration> {
            self.enter(caller, at(now)).expect("let through");
            self.report(caller, report, at(now))
        }

        /// Three users whose calls end with this report.
        fn met_by_several(&mut self, report: Report, now: u64) -> Option<Duration> {
            assert_eq!(self.call(user(1), report, now), None);
            assert_eq!(self.call(user(2), report, now), None);
            self.call(user(3), report, now)
        }
    }

    #[test]
    fn one_token_that_fails_holds_nobody_else() {
        for report in [Failed, Throttled(at(3600))] {
            let mut hold = CircuitBreaker::default();
            let mut calls = 0;
            for now in 0..600 {
                if hold.enter(user(1), at(now)).is_ok() {
                    assert_eq!(hold.report(user(1), report, at(now)), None);
                    calls += 1;
                }
                if now % 100 == 0 {
                    hold.call(user(2), Answered, now);
                }
            }
            assert!((10..20).contains(&calls), "{calls}");
            hold.enter(user(3), at(600)).unwrap();
        }
    }

    #[test]
    fn many_tokens_of_one_user_hold_nobody_else() {
        let mut hold = CircuitBreaker::default();
        for number in 0..1000 {
            assert_eq!(hold.call(token(1, number), Throttled(at(60)), 0), None);
        }
        hold.call(user(2), Answered, 0);
    }

    #[test]
    fn the_wait_of_a_token_grows_and_ends_with_an_answer() {
        let mut hold = CircuitBreaker::default();
        let mut now = 0;
        for wait in [0, 0, 1, 2, 4, 8, 16, 32, 60, 60] {
            hold.call(user(1), Failed, now);
            if wait > 0 {
                assert_eq!(hold.enter(user(1), at(now)), Err(at(wait)));
            }
            now += wait;
        }
        hold.call(user(1), Answered, now);
        hold.call(user(1), Failed, now);
        hold.enter(user(1), at(now)).unwrap();
    }

    #[test]
    fn a_token_waits_for_as_long_as_upstream_asked_and_a_minute_at_most() {
        let mut hold = CircuitBreaker::default();
        hold.call(user(1), Throttled(at(7)), 0);
        assert_eq!(hold.enter(user(1), at(1)), Err(at(6)));
        hold.call(user(1), Throttled(at(3600)), 7);
        assert_eq!(hold.enter(user(1), at(7)), Err(at(60)));
        hold.enter(user(1), at(67)).unwrap();
    }

    #[test]
    fn what_several_users_meet_holds_everybody_for_as_long_as_upstream_asked() {
        let mut hold = CircuitBreaker::default();
        assert_eq!(hold.met_by_several(Throttled(at(7)), 0), Some(at(7)));
        assert_eq!(hold.enter(user(4), at(0)), Err(at(7)));
        assert_eq!(hold.enter(user(4), at(6)), Err(at(1)));
        hold.enter(user(4), at(7)).unwrap();
    }

    #[test]
    fn a_huge_retry_after_holds_for_a_minute_and_then_one_probes() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Throttled(at(3600)), 0);
        assert_eq!(hold.enter(user(4), at(1)), Err(at(59)));
        hold.enter(user(4), at(60)).unwrap();
        assert_eq!(hold.enter(user(5), at(60)), Err(at(1)), "one at a time");
        hold.report(user(4), Answered, at(61));
        for number in 4..10 {
            hold.enter(user(number), at(61)).unwrap();
        }
    }

    #[test]
    fn an_answer_in_between_says_that_it_is_not_everybody() {
        let mut hold = CircuitBreaker::default();
        for number in 1..100 {
            hold.call(user(number), Failed, 0);
            hold.call(user(1000 + number), Answered, 0);
        }
        assert!(hold.path.held.is_none());
        // Those who failed have shown that it is about them.
        for number in 1..100 {
            assert_eq!(hold.call(user(number), Throttled(at(60)), 1), None);
        }
        hold.enter(user(5000), at(1)).unwrap();
        // Answers about other tokens of these users do not change that.
        for number in 1..100 {
            hold.call(token(number, 1), Answered, 2);
        }
        for number in 1..100 {
            assert_eq!(hold.call(token(number, 2), Failed, 2), None);
        }
    }

    #[test]
    fn a_token_that_has_failed_is_never_the_probe() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Failed, 0);
        // Let through, one at a time, and no other token of that user is the probe either.
        hold.enter(token(1, 1), at(1)).unwrap();
        assert_eq!(hold.enter(user(2), at(1)), Err(at(1)));
        hold.enter(user(4), at(1)).unwrap();
        assert_eq!(hold.enter(user(5), at(1)), Err(at(1)));
        // Its failure does not hold the path again.
        assert_eq!(hold.report(token(1, 1), Throttled(at(60)), at(1)), None);
        hold.report(user(4), Answered, at(2));
        hold.enter(user(5), at(2)).unwrap();
    }

    #[test]
    fn when_all_have_failed_one_of_them_finds_out_that_upstream_is_back() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Throttled(at(2)), 0);
        hold.call(user(2), Answered, 2);
        hold.enter(user(4), at(2)).unwrap();
        hold.enter(user(5), at(2)).unwrap();
    }

    // One account with many tokens, each of which keeps a call waiting: between two of its calls there is no moment in
    // which somebody else finds the place free.
    #[test]
    fn one_user_does_not_keep_the_place_of_those_who_have_failed() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Failed, 0);
        let mut number = 0;
        let mut attempts = 0;
        for now in 1..600 {
            // Upstream is back for everybody but this user, whose calls take five seconds.
            if now % 5 == 1 {
                hold.report(token(3, number), Failed, at(now));
                number += 1;
                let _ = hold.enter(token(3, number), at(now));
            }
            attempts += 1;
            if hold.enter(user(1), at(now)).is_ok() {
                hold.report(user(1), Answered, at(now));
                assert!(attempts < 20, "{attempts}");
                return;
            }
        }
        panic!("nobody else was let through");
    }

    #[test]
    fn a_user_who_fails_beside_the_probe_waits_with_every_token() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Failed, 0);
        for (number, now, wait) in [(1, 1, 1), (2, 2, 2), (3, 4, 4)] {
            hold.call(token(1, number), Failed, now);
            assert_eq!(hold.enter(token(1, 100), at(now)), Err(at(wait)));
            // Somebody else takes the place meanwhile.
            hold.enter(user(2), at(now)).unwrap();
            hold.report(user(2), Unsent, at(now));
        }
        hold.enter(token(1, 100), at(8)).unwrap();
    }

    #[test]
    fn failed_probes_hold_the_path_for_longer_and_longer() {
        let mut hold = CircuitBreaker::default();
        let mut held = hold.met_by_several(Failed, 0).unwrap();
        let mut now = 0;
        for (number, seconds) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            assert_eq!(held, at(seconds));
            now += seconds;
            let newcomer = user(100 + number as u16);
            held = hold.call(newcomer, Failed, now).unwrap();
        }
    }

    #[test]
    fn no_connection_is_no_tokens_fault() {
        let mut hold = CircuitBreaker::default();
        assert_eq!(hold.call(user(1), Unreachable, 0), None);
        assert_eq!(hold.call(user(1), Unreachable, 0), None);
        assert_eq!(hold.call(user(1), Unreachable, 0), Some(at(1)));
        assert_eq!(hold.enter(user(2), at(0)), Err(at(1)));
        // A user whose call met no connection may probe.
        assert_eq!(hold.call(user(1), Unreachable, 1), Some(at(2)));
        hold.call(user(1), Answered, 3);
        hold.enter(user(2), at(3)).unwrap();
    }

    // Everybody who calls has failed before, so that there is no probe. Upstream now refuses connections at once.
    #[test]
    fn no_connection_holds_everybody_again_whoever_met_it() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Failed, 0);
        let mut calls = 0;
        for now in 1..60 {
            for number in (1..=3).cycle().take(100) {
                if hold.enter(user(number), at(now)).is_ok() {
                    hold.report(user(number), Unreachable, at(now));
                    calls += 1;
                }
            }
        }
        assert!((4..8).contains(&calls), "{calls}");
        // It ends like any other hold.
        hold.call(user(1), Answered, 120);
        hold.enter(user(5), at(120)).unwrap();
    }

    #[test]
    fn calls_from_before_a_hold_prolong_it_by_what_upstream_says_only() {
        let mut hold = CircuitBreaker::default();
        for number in 1..=40 {
            hold.enter(user(number), at(0)).unwrap();
        }
        for number in 1..=40 {
            hold.report(user(number), Failed, at(0));
        }
        assert_eq!(hold.enter(user(50), at(0)), Err(at(1)));

        let mut hold = CircuitBreaker::default();
        for number in 1..=40 {
            hold.enter(user(number), at(0)).unwrap();
        }
        for number in 1..=40 {
            hold.report(user(number), Throttled(at(50)), at(number.into()));
        }
        // The hold began with the third failure, at 3 s, and lasts for 60 s at most.
        assert_eq!(hold.enter(user(50), at(41)), Err(at(22)));

        // A failure that is only the user's own prolongs no hold, and neither does a report after the end of the hold.
        for (number, now) in [(9, 0), (5, 1), (5, 30)] {
            let mut hold = CircuitBreaker::default();
            hold.call(user(9), Failed, 0);
            hold.call(user(8), Answered, 0);
            hold.enter(user(9), at(0)).unwrap();
            hold.enter(user(5), at(0)).unwrap();
            hold.met_by_several(Failed, 0);
            hold.report(user(number), Throttled(at(50)), at(now));
            hold.enter(user(50), at(now.max(1))).unwrap();
        }
    }

    #[test]
    fn a_call_that_never_reports_keeps_its_place_for_a_minute() {
        let mut hold = CircuitBreaker::default();
        hold.met_by_several(Failed, 0);
        hold.enter(user(4), at(1)).unwrap();
        assert_eq!(hold.enter(user(5), at(60)), Err(at(1)));
        hold.enter(user(5), at(61)).unwrap();
        // A call that was not sent frees its place.
        hold.report(user(5), Unsent, at(61));
        hold.enter(user(6), at(61)).unwrap();
    }

    #[test]
    fn memory_is_bounded_and_ends() {
        let mut hold = CircuitBreaker::default();
        for user in 0..3 {
            for number in 0..10_000 {
                hold.call(token(user, number), Failed, 0);
                hold.call(self::user(60_000), Answered, 0);
            }
        }
        assert_eq!(hold.tokens.len(), CAPACITY);
        hold.enter(user(60_000), at(3600)).unwrap();
        assert_eq!(hold.tokens.len() + hold.users.len(), 0);
    }
}
