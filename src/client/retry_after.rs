//! Parsing of `Retry-After`.

use std::time::{Duration, UNIX_EPOCH};

/// The shortest time that a caller is told to wait, whatever `Retry-After` says.
pub(crate) const MIN: Duration = Duration::from_secs(1);
/// The longest time that a caller is told to wait, whatever `Retry-After` says.
pub(crate) const MAX: Duration = Duration::from_secs(3600);

/// Reads the value of a `Retry-After` field (RFC 9110, 10.2.3): whole seconds, or an HTTP date relative to
/// `now` (time since the Unix epoch). The result lies between one second and one hour; a date in the past reads
/// as one second. Anything else, negative and fractional numbers too, is `None`.
pub(crate) fn parse(value: &[u8], now: Duration) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) {
        // A number that does not fit into a `u64` is larger than the maximum.
        text.parse().map_or(MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(UNIX_EPOCH).ok()?.saturating_sub(now)
    };
    Some(wait.clamp(MIN, MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT

    fn seconds(value: &str) -> Option<u64> {
        parse(value.as_bytes(), NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn req_44_seconds_are_clamped() {
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 7\t"), Some(7));
        assert_eq!(seconds("0"), Some(1));
        assert_eq!(seconds("007"), Some(7));
        assert_eq!(seconds("3600"), Some(3600));
        assert_eq!(seconds("999999999"), Some(3600));
        assert_eq!(seconds(&"9".repeat(60)), Some(3600));
    }

    #[test]
    fn dates_are_relative_to_the_clock() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(seconds("Sunday, 06-Nov-94 08:50:07 GMT"), Some(30));
        assert_eq!(seconds("Sun Nov  6 08:50:07 1994"), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(1));
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(3600));
    }

    #[test]
    fn garbage_says_nothing() {
        for bad in [
            "", " ", "-1", "+5", "1.5", "soon", "1e3", "7s", "7, 8", "0x10", "\u{661}",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
        assert_eq!(parse(b"\xff", NOW), None);
        assert_eq!(seconds(&"9".repeat(100_000)), None);
        assert_eq!(seconds("Sun, 99 Nov 1994 08:50:07 GMT"), None);
    }
}
