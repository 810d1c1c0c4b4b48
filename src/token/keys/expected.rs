//! Kids that upstream signs with by now and that its key endpoint may not publish yet.
//!
//! Anybody can make up a kid, so kids in tokens of clients share one cool-down. A kid in a token that upstream has
//! just issued over our own connection is real. It is asked for beside that cool-down, within limits of its own, and
//! tokens that bear it are not refused before the endpoint has had a day to publish the key.

use std::collections::VecDeque;
use std::time::Duration;

/// Kids that are expected at a time. Upstream signs with one key, or with two while it rotates.
const CAPACITY: usize = 4;
/// For how long a kid is expected after upstream has last issued a token with it.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Least time between two fetches for one kid.
const PAUSE: Duration = Duration::from_secs(5);
/// Most fetches for all of these kids within one cool-down.
const BUDGET: usize = 6;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Expected {
    /// The kid that was issued last comes last.
    kids: Vec<Kid>,
    /// When the last fetches for these kids were made, at most [`BUDGET`] of them.
    fetches: VecDeque<Duration>,
}

struct Kid {
    name: Box<str>,
    until: Duration,
    asked: Option<Duration>,
}

impl Expected {
    /// Upstream has issued a token with this kid.
    pub(super) fn add(&mut self, name: &str, now: Duration) {
        let known = self.kids.iter().position(|kid| *kid.name == *name);
        let mut kid = match known {
            Some(at) => self.kids.remove(at),
            None => Kid {
                name: name.into(),
                until: now,
                asked: None,
            },
        };
        kid.until = now.saturating_add(LONGEST);
        if self.kids.len() >= CAPACITY {
            self.kids.remove(0);
        }
        self.kids.push(kid);
    }

    pub(super) fn contains(&self, name: &str, now: Duration) -> bool {
        let mut kids = self.kids.iter();
        kids.any(|kid| *kid.name == *name && now < kid.until)
    }

    /// The moment before which an expected kid must not be asked for, if there is one.
    pub(super) fn not_before(&self, name: &str, window: Duration) -> Option<Duration> {
        let kid = self.kids.iter().find(|kid| *kid.name == *name);
        let asked = kid.and_then(|kid| kid.asked);
        let own = asked.map(|asked| asked.saturating_add(PAUSE));
        let is_spent = self.fetches.len() >= BUDGET;
        let oldest = self.fetches.front().filter(|_| is_spent);
        own.max(oldest.map(|oldest| oldest.saturating_add(window)))
    }

    /// A fetch for this kid begins.
    pub(super) fn asked(&mut self, name: &str, now: Duration) {
        if let Some(kid) = self.kids.iter_mut().find(|kid| *kid.name == *name) {
            kid.asked = Some(now);
        }
        if self.fetches.len() >= BUDGET {
            self.fetches.pop_front();
        }
        self.fetches.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_kid_is_asked_for_at_intervals_and_all_together_within_a_budget() {
        let mut expected = Expected::default();
        assert!(!expected.contains("a", at(0)));
        expected.add("a", at(0));
        assert_eq!(expected.not_before("a", WINDOW), None);
        expected.asked("a", at(0));
        expected.add("a", at(1));
        assert_eq!(expected.not_before("a", WINDOW), Some(at(5)));
        expected.add("b", at(1));
        assert_eq!(expected.not_before("b", WINDOW), None);
        for second in 1..6 {
            expected.asked("b", at(second));
        }
        assert_eq!(expected.not_before("c", WINDOW), Some(at(30)));
        expected.asked("c", at(30));
        assert_eq!(expected.not_before("c", WINDOW), Some(at(31)));
    }

    #[test]
    fn few_are_expected_and_for_a_day() {
        let mut expected = Expected::default();
        for name in ["a", "b", "c", "d", "a", "e"] {
            expected.add(name, at(0));
        }
        assert!(expected.contains("a", at(0)) && !expected.contains("b", at(0)));
        assert_eq!(expected.kids.len(), CAPACITY);
        assert!(!expected.contains("a", LONGEST));
    }
}
