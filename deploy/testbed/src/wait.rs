//! Waiting for things that send no event: asking again until a deadline.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cipher_broker::time::Timestamp;

use crate::failure::{Failure, Result};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer; fails after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> Result<T> {
    within(PATIENCE, what, ask)
}

/// Waits until it is a certain time, by the clock that all processes of a test share.
#[track_caller]
pub fn until_it_is(at: Timestamp) -> Result {
    until("a point in time", || (now() >= at).then_some(()))
}

/// What time it is.
pub fn now() -> Timestamp {
    Timestamp::default().plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Asks until there is an answer; fails after the given time.
#[track_caller]
pub fn within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("waited {} s in vain: {what}", patience.as_secs())));
        }
        std::thread::park_timeout(PAUSE);
    }
}
