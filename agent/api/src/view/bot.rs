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
    /// When the broker stored the change. `null` for what is new.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub changed_at: Option<Timestamp>,
    /// What `by` made of the message, which was told before; `null` for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<BotChangeView>,
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

/// What an account made of an earlier message, for a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotChangeView {
    /// What.
    #[serde(flatten)]
    pub what: BotChange,
    /// Bots in a row that led to it.
    #[serde(default)]
    pub hops: u8,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BotChange {
    /// Its author gave it other words.
    Edited,
    /// It was taken back.
    Deleted,
    /// An emoji under it.
    Reaction {
        /// The emoji.
        emoji: String,
        /// Whether it was taken away.
        #[serde(default)]
        removed: bool,
    },
    /// A pin.
    Pinned {
        /// Whether it was taken away.
        #[serde(default)]
        removed: bool,
    },
    /// A vote in a poll.
    Vote {
        /// The answers; none: the vote was taken back.
        options: Vec<String>,
    },
    /// The poll takes no more votes.
    PollClosed,
    /// A change that a later version of the agent knows.
    #[serde(other)]
    Unknown,
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
