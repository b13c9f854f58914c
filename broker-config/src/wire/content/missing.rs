//! What a log lost, in the words of one member.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, MessageId};
use crate::time::Timestamp;

/// What one member had read, and the log of the conversation does not show any more. It is that member's word; a
/// member that has all of it takes no notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// By the account that had said it; at most [`crate::limit::MISSING_MESSAGES`] messages in all.
    #[serde(rename = "o")]
    pub of: Vec<MissingOf>,
}

/// Lost messages of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingOf {
    /// The account that had said them.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Each with the broker's time of it: a member that came later does not miss it.
    #[serde(rename = "m")]
    pub messages: Vec<(MessageId, Timestamp)>,
}
