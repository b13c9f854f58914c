//! What bots are told.

use cipher_broker::wire::group::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MessageView;
use crate::encoding::{Base64, maybe_bytes};

/// One event for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotEventView {
    /// The message or observation.
    pub message: MessageView,
    /// Its place in the conversation, growing; `bot.handled` names it.
    pub position: u64,
    /// What the account it is from may do there now.
    pub role: Role,
    /// The bot's memory of this conversation.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub memory: Option<Vec<u8>>,
    /// What the conversation is called here.
    pub group_name: String,
    /// Whether the conversation is direct.
    pub direct: bool,
}
