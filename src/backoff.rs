//! How long to wait after failures.

use std::time::Duration;

/// The wait after the first failure.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
/// The longest wait. One wrong `Retry-After` must not stop everything for an hour.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The wait after a failure before which there were so many: it doubles with each.
pub(crate) fn doubled(times: u32) -> Duration {
    FIRST.saturating_mul(1 << times.min(6)).min(LONGEST)
}
