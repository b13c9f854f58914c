//! How far a device came with what others said.

use serde::{Deserialize, Serialize};

use crate::id::MessageId;

/// How far the account that says it came with a conversation: each names the last message of others up to which, in the order
/// of the log, everything is meant. Messages and not places are named: a log that went back gives its places out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// A device has everything up to this message.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<MessageId>,
    /// Its person was shown everything up to this message.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub read: Option<MessageId>,
    /// Nothing is meant that was said up to this message: the account told nothing then, whatever it had read. Who does not have
    /// it came later.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<MessageId>,
}
