//! What can go wrong when a bot is asked.

use std::time::Duration;

use cipher_bot::memory::Failure;

/// How long one event may take.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Why an event was not handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHandled {
    /// The bot says so; asking again gives the same.
    #[error("{0}")]
    Failed(Failure),
    /// It panicked.
    #[error("it panicked")]
    Panicked,
    /// It is still at it.
    #[error("it took longer than {} s", TIME_LIMIT.as_secs())]
    Slow,
    /// What it wanted can never be done.
    #[error("what it wanted cannot be done: {0}")]
    Refused(String),
    /// Its process ended, or said nothing that makes sense.
    #[error("its process {0}")]
    Broken(String),
}

impl NotHandled {
    /// Whether another attempt may end better.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Refused(_) => false,
            Self::Panicked | Self::Slow | Self::Broken(_) => true,
        }
    }
}
