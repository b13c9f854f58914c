//! What is said, and what was.

use cipher_broker::id::{GroupId, MessageId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Target;

/// Says something. Answered when the broker stored it, or at once as queued when it is offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Which conversation.
    pub target: Target,
    /// What to say.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
}

/// Gives an own message other words. Answered once they are in the log, or at once as queued when the broker is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which message.
    pub message: MessageRef,
    /// The words.
    pub text: String,
}

/// Takes an own message back for everybody; or lets go of the words of any message on this device only. Answered as
/// [`Edit`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Which message.
    pub message: MessageRef,
    /// On this device only.
    #[serde(default)]
    pub local: bool,
}

/// Puts an emoji under a message of anybody, or takes an own one away. Answered as [`Edit`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// Which message.
    pub message: MessageRef,
    /// The emoji, or its name: `thumbsup`, `:+1:`.
    pub emoji: String,
    /// Takes it away.
    #[serde(default)]
    pub remove: bool,
}

/// Stored messages of a conversation, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Which conversation.
    pub target: Target,
    /// At most this many, the latest; all when `null`.
    pub last: Option<usize>,
    /// Marks them, and no others, as read.
    #[serde(default)]
    pub mark: bool,
}

/// These messages were shown to the person: they, and no others, are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The conversation.
    pub group: GroupId,
    /// Of the messages.
    pub ids: Vec<MessageId>,
}

/// A message as people name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRef {
    /// Its id, whole or a beginning of six characters or more.
    pub id: String,
    /// The conversation; all of them when `null`.
    pub within: Option<Target>,
}
