//! What bots are told.

use cipher_broker::certificate::Kind;
use cipher_broker::id::AccountId;
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
    /// Where it stands in the conversation: positions grow, and so do places within one. `bot.handled` names both.
    pub position: u64,
    /// Its place among several lines of one commit, from 0.
    #[serde(default)]
    pub place: u16,
    /// The account that said or did it: the member itself when it came or went by its own wish.
    pub by: BotMemberView,
    /// The account that an event is about; `null` for words.
    pub who: Option<BotMemberView>,
    /// The bot's memory of this conversation.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub memory: Option<Vec<u8>>,
    /// What the conversation is called here.
    pub group_name: String,
    /// Whether the conversation is direct.
    pub direct: bool,
}

/// An account, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotMemberView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// Person or bot; `null` for one that is no member and was not looked up.
    pub kind: Option<Kind>,
    /// Its role now; `null` when it is no member now.
    pub role: Option<Role>,
}
