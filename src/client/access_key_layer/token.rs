//! A session that was received for an access key, and how long it lasts.
//!
//! Its signature is not verified: it came from Descope over our own connection, and nothing is decided here but when to
//! ask again. The services that are called with it verify it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use crate::client::{ClientError, SessionToken};
use crate::clock::Clock;
use crate::wire::{AccessKeyExchangeResponse, seconds};

/// Longest part of a session's life, before its end, in which it is renewed in the background: long enough for several
/// attempts during an outage.
const AHEAD: Duration = Duration::from_secs(60);
/// The rest of a session's life in which calls wait for the next session: the present one may run out on the way.
/// Descope's SDKs tolerate the same time as difference between clocks.
const MARGIN: Duration = Duration::from_secs(5);

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) unix: Duration,
    pub(super) monotonic: Duration,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self {
            unix: clock.unix(),
            monotonic: clock.monotonic(),
        }
    }

    /// The time that has passed since then. The wall clock may have been set back, and the monotonic clock of many
    /// systems stands still while the machine sleeps, so the longer time counts.
    fn since(self, earlier: Self) -> Duration {
        let by_wall = self.unix.saturating_sub(earlier.unix);
        by_wall.max(self.monotonic.saturating_sub(earlier.monotonic))
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) bearer: HeaderValue,
    /// When the exchange began, which is before Descope issued the session.
    asked: Moment,
    life: Duration,
}

/// How much of a session's life is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Nothing is to be done.
    Fresh,
    /// It is good, and the next session is due.
    Ageing,
    /// It may run out on the way to the service that is called.
    NearlyOver,
    Over,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Times {
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    #[serde(deserialize_with = "seconds")]
    iat: i64,
}

impl Token {
    /// Reads the answer to an exchange that began at `asked`. It is malformed if it has no JWT, or none that lives.
    pub(super) fn read(
        answer: AccessKeyExchangeResponse,
        asked: Moment,
    ) -> Result<Self, ClientError> {
        let malformed = || ClientError::malformed(StatusCode::OK);
        let life = life(&answer, asked.unix).filter(|life| !life.is_zero());
        let life = life.ok_or_else(malformed)?;
        let jwt = SessionToken::new(answer.session_jwt).map_err(|_| malformed())?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", jwt.expose()));
        let mut bearer = bearer.map_err(|_| malformed())?;
        bearer.set_sensitive(true);
        Ok(Self {
            bearer,
            asked,
            life,
        })
    }

    pub(super) fn age(&self, now: Moment) -> Age {
        let left = self.life.saturating_sub(now.since(self.asked));
        // A fifth and a tenth, so that a session of a few seconds is not renewed all the time.
        if left > AHEAD.min(self.life / 5) {
            Age::Fresh
        } else if left > MARGIN.min(self.life / 10) {
            Age::Ageing
        } else if !left.is_zero() {
            Age::NearlyOver
        } else {
            Age::Over
        }
    }
}

/// How long the session lives: from `iat` to `exp` of the JWT, both of which are by Descope's clock, so that a wrong
/// clock here changes nothing. Without `iat`, and for a JWT that cannot be read, the clock here counts.
fn life(answer: &AccessKeyExchangeResponse, now: Duration) -> Option<Duration> {
    let times = times(&answer.session_jwt).unwrap_or_default();
    let exp = match times.exp {
        0 => answer.expiration,
        exp => exp,
    };
    let start = match times.iat {
        0 => i64::try_from(now.as_secs()).ok()?,
        iat => iat,
    };
    u64::try_from(exp.checked_sub(start)?)
        .ok()
        .map(Duration::from_secs)
}

fn times(jwt: &str) -> Option<Times> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in super::super) fn at(seconds: u64) -> Moment {
        Moment {
            unix: Duration::from_secs(1_800_000_000 + seconds),
            monotonic: Duration::from_secs(seconds),
        }
    }

    fn answer(claims: Value, expiration: i64) -> AccessKeyExchangeResponse {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        AccessKeyExchangeResponse {
            session_jwt: format!("e30.{payload}.c2ln"),
            expiration,
            ..Default::default()
        }
    }

    pub(in super::super) fn token(life: u64, asked: Moment) -> Token {
        Token::read(answer(json!({"iat": 1000, "exp": 1000 + life}), 0), asked).unwrap()
    }

    fn life_of(claims: Value, expiration: i64) -> Option<u64> {
        let token = Token::read(answer(claims, expiration), at(0)).ok()?;
        Some(token.life.as_secs())
    }

    #[test]
    fn the_life_is_read_by_the_clock_of_descope_where_that_can_be() {
        let now = 1_800_000_000;
        // Descope's clock is an hour ahead of ours.
        let ahead = json!({"iat": now + 3600, "exp": now + 4200});
        assert_eq!(life_of(ahead, now + 4200), Some(600));
        assert_eq!(life_of(json!({"exp": now + 600}), 0), Some(600));
        assert_eq!(life_of(json!({"exp": 1600.5, "iat": 1000.5}), 0), Some(600));
        assert_eq!(life_of(json!({}), now + 300), Some(300));
        assert_eq!(life_of(json!([]), now + 300), Some(300));
        for (claims, expiration) in [
            (json!({}), 0),
            (json!({"exp": 1000, "iat": 1000}), 0),
            (json!({"exp": now - 1}), 0),
            (json!({"exp": i64::MIN, "iat": i64::MAX}), 0),
        ] {
            assert_eq!(life_of(claims, expiration), None);
        }
        assert_eq!(
            life_of(json!({"exp": i64::MAX, "iat": 1}), 0),
            Some(i64::MAX as u64 - 1)
        );
    }

    #[test]
    fn a_text_that_would_change_the_header_is_no_token() {
        let mut answer = answer(json!({}), 1_800_000_300);
        answer.session_jwt.push_str(" x");
        assert!(Token::read(answer, at(0)).is_err());
    }

    #[test]
    fn a_session_ages() {
        for (life, ages) in [
            (
                600,
                [
                    (539, Age::Fresh),
                    (540, Age::Ageing),
                    (594, Age::Ageing),
                    (595, Age::NearlyOver),
                    (599, Age::NearlyOver),
                    (600, Age::Over),
                ],
            ),
            (
                10,
                [
                    (0, Age::Fresh),
                    (7, Age::Fresh),
                    (8, Age::Ageing),
                    (9, Age::NearlyOver),
                    (10, Age::Over),
                    (99, Age::Over),
                ],
            ),
        ] {
            let token = token(life, at(0));
            for (seconds, age) in ages {
                assert_eq!(token.age(at(seconds)), age, "{life} {seconds}");
            }
        }
    }

    #[test]
    fn the_clock_that_has_gone_further_counts() {
        let token = token(600, at(100));
        let set_back = Moment {
            unix: Duration::ZERO,
            ..at(700)
        };
        let slept = Moment {
            monotonic: at(101).monotonic,
            ..at(700)
        };
        assert_eq!(token.age(set_back), Age::Over);
        assert_eq!(token.age(slept), Age::Over);
    }
}
