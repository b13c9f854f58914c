//! How long a front end waits: for the broker, for the registry, for a process that ends.

use std::time::Duration;

use cipher_api::command::device;
use cipher_api::{Ask, Request as _};
use cipher_broker::limit;

/// For the broker, when what is asked can be done without it.
pub const BRIEF: Duration = Duration::from_secs(3);
/// For the broker, when what is asked cannot be done without it.
pub const INSISTENT: Duration = Duration::from_secs(10);
/// For bringing the own state up to date, when it is only to be shown, and for what a command set off to leave.
pub const REFRESH: Duration = Duration::from_secs(3);
/// For the core to answer one request: several registry questions and a few lost races.
const ANSWER: Duration = Duration::from_secs(60);
/// For another process that has the profile of a bot open for a moment.
pub const ANOTHER_PROCESS: Duration = Duration::from_secs(5);

/// For a line that was typed, while the keyboard waits: longer than any broker takes that answers at all.
pub const SAID: Duration = Duration::from_secs(5);

/// Pause before a profile is opened again whose owner has ended.
pub const REOPEN: Duration = Duration::from_millis(300);
/// How often in a row one reader opens a profile again.
pub const REOPENINGS: usize = 20;

/// How long the answer to a request may take.
pub fn answer<R: Ask>() -> Duration {
    // A person goes to the other machine meanwhile.
    if R::METHOD == device::Approve::METHOD { limit::LINK_LIFETIME } else { ANSWER }
}
