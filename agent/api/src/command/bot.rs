//! Bots: how one is made, what it is told, what it says.

use cipher_broker::answer::{BotReaction, BotSay};
use cipher_broker::certificate::Owner;
use cipher_broker::handle::Handle;
use cipher_broker::id::{FileId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Poll;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, OwnerText, Time, bytes, maybe_bytes, time};

/// First half of registering a bot, in the bot's profile: makes its keys. Repeated it gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The owner, from its [`Card`].
    #[serde(with = "OwnerText")]
    #[schemars(with = "OwnerText")]
    pub owner: Owner,
}

/// The account that would own a bot of this profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Card {}

/// Second half, in the owner's profile: countersigns a bot's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// What [`Prepare`] gave.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub certificate: Vec<u8>,
}

/// What a bot has not handled yet: in order within a conversation, and the conversation first whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Name of the bot: its cursors and memory are its own.
    pub bot: String,
    /// At most this many, shared out evenly among the conversations that wait.
    pub limit: usize,
    /// Conversations that are being worked on: nothing of them is given.
    #[serde(default)]
    pub busy: Vec<GroupId>,
}

/// A bot handled an event. Cursor, memory and messages commit together; a repeat changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handled {
    /// Name of the bot.
    pub bot: String,
    /// Conversation of the event.
    pub group: GroupId,
    /// Position of the event.
    pub position: u64,
    /// Its place among the lines of that position.
    #[serde(default)]
    pub place: u16,
    /// What it says, in order.
    #[serde(default)]
    pub say: Vec<Say>,
    /// Its memory for this conversation from now on; `null` leaves it.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub memory: Option<Vec<u8>>,
}

/// A bot's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// What to say.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// An emoji under a message, instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Reaction>,
    /// Other words for an own message, these: instead of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<MessageId>,
    /// Answers to choose from: the text is the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Answers>,
    /// An own poll that takes no more votes, instead of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<MessageId>,
    /// The message that began the thread in which it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
    /// Uploads of this profile that it names, begun as `repeatable` and finished, in the order in which they are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileId>,
    /// Derived from the event and the place among its answers: it makes the message's id repeatable. 16 bytes.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub salt: [u8; 16],
    /// Hop count of the event plus one.
    pub hops: u8,
    /// Time of the event, which is when the answer says that it was written.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

/// An emoji that a bot puts under a message, or takes away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// The message.
    pub of: MessageId,
    /// The emoji.
    pub emoji: String,
    /// Whether it is taken away.
    #[serde(default)]
    pub removed: bool,
}

/// What there is to choose from in a bot's poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The answers: 2 to 20, no two alike, each of at most 256 bytes.
    pub options: Vec<String>,
    /// Whether an account may choose several.
    #[serde(default)]
    pub multiple: bool,
}

impl From<BotSay> for Say {
    fn from(say: BotSay) -> Self {
        let BotSay { text, reply_to, reaction, edit, poll, close, thread, salt, hops, at } = say;
        let reaction = reaction.map(|BotReaction { of, emoji, removed }| Reaction { of, emoji, removed });
        let poll = poll.map(|Poll { options, multiple }| Answers { options, multiple });
        Self { text, reply_to, reaction, edit, poll, close, thread, files: Vec::new(), salt, hops, at }
    }
}

/// Without the files, which are known by the profile that has them.
impl From<Say> for BotSay {
    fn from(say: Say) -> Self {
        let Say { text, reply_to, reaction, edit, poll, close, thread, files: _, salt, hops, at } = say;
        let reaction = reaction.map(|Reaction { of, emoji, removed }| BotReaction { of, emoji, removed });
        let poll = poll.map(|Answers { options, multiple }| Poll { options, multiple });
        Self { text, reply_to, reaction, edit, poll, close, thread, salt, hops, at }
    }
}

/// Bytes that a bot's owner must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prepared {
    /// The bot's certificate without the owner's signature.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub certificate: Vec<u8>,
}

/// The account that would own a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerCard {
    /// Account and key.
    #[serde(with = "OwnerText")]
    #[schemars(with = "OwnerText")]
    pub owner: Owner,
    /// The name people type.
    pub handle: Handle,
}

/// An owner's signature over a bot's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signature {
    /// Ed25519, 64 bytes.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub signature: Vec<u8>,
}
