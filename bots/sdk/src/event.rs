//! What a bot is told. Plain data, the same in the process of the host and as JSON on a pipe.

use serde::{Deserialize, Serialize};

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;

/// Which event: the same one has the same id however often it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// Where it happened.
    pub conversation: GroupId,
    /// Position in the log of the conversation; grows, with gaps. Below 2^53, so that every reader of JSON keeps it.
    pub position: u64,
}

/// Something that happened in a conversation the bot is a member of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which one.
    pub id: EventId,
    /// The bot itself.
    pub me: Me,
    /// Where it happened.
    pub conversation: Conversation,
    /// When the broker stored it. Not by a member's clock, so a limit in time cannot be talked around.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The bot as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Its handle.
    pub handle: Handle,
    /// Its account.
    #[serde(rename = "account_id")]
    pub account: AccountId,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: GroupId,
    /// Its name; empty for direct conversations.
    pub name: String,
    /// Whether it is between the bot and one account only.
    pub direct: bool,
}

/// What can happen. Kinds that a bot's build does not know arrive as [`EventKind::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The bot became a member.
    Joined,
    /// Another member came, went or changed role.
    MemberChanged(MemberChange),
    /// Somebody said something. The bot's own messages arrive too.
    Message(Message),
    /// Something a later host knows.
    #[serde(other)]
    Unknown,
}

/// A change of the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// Who.
    pub member: Sender,
    /// How.
    pub change: Change,
}

/// How a member changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// Is a member now.
    Added,
    /// Is no member any more.
    Removed,
    /// Has another role.
    Role,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub message_id: MessageId,
    /// Who said it, proven by MLS.
    pub sender: Sender,
    /// What was said.
    pub text: String,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// How many bots in a row led to it; 0 from people.
    #[serde(default)]
    pub hops: u8,
    /// When the sender claims to have written it.
    pub sent_at: Timestamp,
}

/// A member of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Its handle, without `@`.
    pub handle: Handle,
    /// Its account: what to compare by, because handles can move.
    pub account_id: AccountId,
    /// Person or bot, from its certificate.
    pub kind: Kind,
    /// Its role in the conversation.
    pub role: Role,
}

impl Event {
    /// The message, if it is one.
    pub fn message(&self) -> Option<&Message> {
        match &self.kind {
            EventKind::Message(message) => Some(message),
            EventKind::Joined | EventKind::MemberChanged(_) | EventKind::Unknown => None,
        }
    }

    /// What the host writes into every message that answers this event: one more bot in the row.
    pub fn hops_of_answers(&self) -> u8 {
        self.message().map_or(0, |message| message.hops).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_json_that_scripts_read_and_later_kinds_do_not_stop_a_bot() {
        let event = crate::testing::event(7, "alice", "hi");
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], "message");
        assert_eq!(json["sender"]["handle"], "alice");
        assert_eq!(json["sender"]["kind"], "person");
        assert_eq!(json["id"]["position"], 7);
        assert_eq!(serde_json::from_value::<Event>(json.clone()).unwrap(), event);
        let mut later = json;
        later["kind"] = "hologram".into();
        assert_eq!(serde_json::from_value::<Event>(later).unwrap().kind, EventKind::Unknown);
    }
}
