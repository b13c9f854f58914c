//! What comes of an operation that writes.

use cipher_broker::id::DeviceId;
use cipher_broker::wire::registry::Answer;

/// What a write did.
#[derive(Debug)]
pub(crate) struct Change {
    /// What the caller is told.
    pub(crate) answer: Answer,
    /// Leaves that were appended to the account log.
    pub(crate) leaves: Vec<[u8; 32]>,
    /// Devices that should look at their account and stock.
    pub(crate) hints: Vec<DeviceId>,
}

impl From<Answer> for Change {
    fn from(answer: Answer) -> Self {
        Self { answer, leaves: Vec::new(), hints: Vec::new() }
    }
}
