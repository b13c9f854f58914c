//! What is said, and what was.

use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, maybe_time};
use crate::name::{Target, Who};
use crate::view::MessageView;

/// Says something. Answered when the broker stored it, or at once as queued when it is offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Which conversation.
    pub target: Target,
    /// What to say.
    pub text: String,
    /// Id of the message it answers: whole, or a beginning of six characters or more.
    pub reply_to: Option<String>,
    /// A message of the thread in which it stands, or the one that begins it.
    #[serde(default)]
    pub thread: Option<MessageRef>,
    /// How many seconds after it was read everybody's agent forgets it, from 1 to 31622400; the author's after it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u64>,
}

impl Send {
    /// A text that answers nothing.
    pub fn new(target: Target, text: impl Into<String>) -> Self {
        Self { target, text: text.into(), reply_to: None, thread: None, expire: None }
    }
}

/// Says again, in another conversation, what a message says; members there see that it is passed on. Answered as [`Send`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Which message.
    pub message: MessageRef,
    /// To which conversation.
    pub target: Target,
}

/// One message, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Which message.
    pub message: MessageRef,
}

/// The words that a message has and had, as far as they are kept here, the first ones first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// Which message.
    pub message: MessageRef,
}

/// The message that began a thread, and what was said in it, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// A message of the thread, or the one that began it.
    pub message: MessageRef,
}

/// Pins a message to its conversation, or takes the pin away. Answered as [`Edit`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Which message.
    pub message: MessageRef,
    /// Takes the pin away.
    #[serde(default)]
    pub remove: bool,
}

/// The pinned messages of a conversation, the one first that was pinned first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Which conversation.
    pub target: Target,
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

/// The person is writing something. Members who listen are told for some seconds, unless receipts are off: ask again every few
/// seconds for as long as it is so. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// In which conversation.
    pub target: Target,
}

/// Stored messages of a conversation, oldest first. A line that is named may be an event too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Which conversation.
    pub target: Target,
    /// At most this many, the latest; all when `null`. With `around` at most this many on each side.
    pub last: Option<usize>,
    /// Marks them, and no others, as read.
    #[serde(default)]
    pub mark: bool,
    /// At most this many, the earliest, instead of `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<usize>,
    /// Only what follows the line with this id, which is a cursor that never ends: whole, or a beginning of six characters or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The line with this id and its neighbours, instead of any other choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<String>,
    /// Only what was not shown yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// Only what the broker stored at this time or later; the sender's clock decides where nothing else is known.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub since: Option<Timestamp>,
}

impl Read {
    /// All of a conversation, marking nothing.
    pub const fn of(target: Target) -> Self {
        Self {
            target,
            last: None,
            mark: false,
            first: None,
            after: None,
            around: None,
            unread: false,
            since: None,
        }
    }
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

/// Looks for words in what members said, newest first. `query`: all the words that it has, each as the beginning of one; what stands
/// between double quotes as it stands there. Any text is a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What to look for.
    pub query: String,
    /// In this conversation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Of this account only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Who>,
    /// Only what the broker stored at this time or later.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub since: Option<Timestamp>,
    /// Only messages of this `kind`, or with `file` those that have files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// At most this many; 20 when `null`, and never more than 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// `next` of an earlier answer to the same question: goes on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Where to go on; `null` when everything was looked through. There may be more although nothing was found so far.
    pub next: Option<String>,
    /// Messages of before there was an index are still taken into it, a part with each search and when nothing else is to do: what is
    /// not in it is not found. `null` when all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexing: Option<Indexing>,
}

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Indexing {
    /// Rows that were taken into it.
    pub done: u64,
    /// Rows that there are.
    pub total: u64,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The message.
    pub message: MessageView,
    /// Where in its text the words stand, in order.
    pub marks: Vec<TextMark>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TextMark {
    /// Characters (Unicode scalar values) before it.
    pub from: usize,
    /// Characters before what follows it.
    pub to: usize,
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
