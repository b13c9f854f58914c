//! What bots are told.

use cipher_broker::certificate::Kind;
use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MessageView;
use crate::encoding::{Base64, Time, maybe_bytes, maybe_time};

/// One event for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotEventView {
    /// The message or observation.
    pub message: MessageView,
    /// When its author gave the message other words, or took it back: it was told before. `null` for what is new.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub changed_at: Option<Timestamp>,
    /// The emoji that `by` put under the message or took away; `null` when that is not what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<BotReactionView>,
    /// `by` pinned the message, or took the pin away; `null` when that is not what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<BotPinView>,
    /// What `by` chose of the poll; `null` when that is not what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<BotVoteView>,
    /// Whether `by` closed the poll.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
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

/// An emoji under a message, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotReactionView {
    /// The emoji.
    pub emoji: String,
    /// Whether it was taken away.
    pub removed: bool,
    /// Bots in a row that led to it.
    #[serde(default)]
    pub hops: u8,
}

/// A pin, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotPinView {
    /// Whether it was taken away.
    pub removed: bool,
}

/// A vote, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotVoteView {
    /// The answers; none: the vote was taken back.
    pub options: Vec<String>,
    /// Bots in a row that led to it.
    #[serde(default)]
    pub hops: u8,
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
