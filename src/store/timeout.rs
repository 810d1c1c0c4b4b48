//! A time limit that a busy process does not mistake for a silent server.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

const TICKS: u32 = 10;

/// The output of the future, or `None` if it takes longer than the limit.
///
/// When many requests come at once, an answer may lie in the socket while the runtime works through hundreds of other
/// tasks. To give up on a store that works would let several replicas renew with one refresh JWT. So the limit is
/// counted in short sleeps: a busy runtime comes late to each of them, and in between it serves the connection as well.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..TICKS {
        // `timeout` polls the future first, and looks at the clock then.
        let tick = tokio::time::timeout(limit / TICKS, future.as_mut());
        if let Ok(output) = tick.await {
            return Some(output);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_on() {
        let began = tokio::time::Instant::now();
        let never = std::future::pending::<()>();
        assert_eq!(within(Duration::from_millis(500), never).await, None);
        assert_eq!(began.elapsed().as_millis() / 100, 5);
        let soon = tokio::time::sleep(Duration::from_millis(400));
        assert!(within(Duration::from_millis(500), soon).await.is_some());
    }

    #[tokio::test]
    async fn a_busy_runtime_is_not_a_silent_server() {
        let answer = async {
            // Three looks at other tasks until the answer is seen.
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(40));
                tokio::task::yield_now().await;
            }
        };
        assert!(within(Duration::from_millis(50), answer).await.is_some());
    }
}
