//! The real clock, and the one timer that the core may set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cipher_broker::time::Timestamp;

/// Longest single sleep. The core's time is the wall clock, sleeping follows another one: looking again now and
/// then keeps both together across a suspended machine.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Waits for the time the core asked for; for ever when it asked for none.
pub(crate) async fn wait(until: Option<Timestamp>) {
    let Some(until) = until else { return std::future::pending().await };
    loop {
        let left = until.since(now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}
