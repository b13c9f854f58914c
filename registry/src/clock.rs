//! The only reader of the system clock: everything else is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use cipher_broker::time::Timestamp;

/// What the clock says. A clock before 1970 reads as 1970: every request is then refused with both times.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
