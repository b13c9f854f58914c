//! What a bot is told. Plain data, the same in the process of the host and as JSON on a pipe.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, FileId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;

/// Which event: the same one has the same id however often it is delivered. A bot gives it back as it came.
///
/// ```text
/// {"conversation":"…","position":4398046511111,"place":0}      something in the log of a conversation
/// {"conversation":"…","timer":"remind-7","at":1767225600000}   a timer; no host has timers yet
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum EventId {
    /// Something in the log of a conversation.
    Log(LogId),
    /// A timer that the bot had set and that ran out. No host has timers yet.
    Timer(TimerId),
    /// An id of a later host, as it came.
    Unknown(Value),
}

/// A place in the log of a conversation. Places of one conversation are ordered as they happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogId {
    /// Where it happened.
    pub conversation: GroupId,
    /// Position in the log; grows, with gaps. Below 2^53, so that every reader of JSON keeps it.
    pub position: u64,
    /// Its place among the events of that position, from 0: one change of a group may concern several members.
    #[serde(default)]
    pub place: u16,
}

/// One time at which a timer ran out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimerId {
    /// The conversation it was set in.
    pub conversation: GroupId,
    /// What the bot called it.
    pub timer: String,
    /// When it was to run out: one that is set again is another event.
    pub at: Timestamp,
}

impl EventId {
    /// Its place, if it is something in the log of a conversation.
    pub fn log(&self) -> Option<&LogId> {
        match self {
            Self::Log(id) => Some(id),
            Self::Timer(_) | Self::Unknown(_) => None,
        }
    }

    /// For logs: it holds nothing that anybody wrote.
    pub fn short(&self) -> String {
        match self {
            Self::Log(id) => format!("{}/{}.{}", id.conversation.short(), id.position, id.place),
            Self::Timer(id) => format!("{}/timer at {}", id.conversation.short(), id.at),
            Self::Unknown(_) => "unknown".into(),
        }
    }
}

impl From<LogId> for EventId {
    fn from(id: LogId) -> Self {
        Self::Log(id)
    }
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
    Joined {
        /// Who let it in.
        by: Member,
    },
    /// The bot is no member any more. What it answers to this, and to what is left from before, is not sent.
    Left {
        /// Who removed it; the bot itself when it left.
        by: Member,
    },
    /// Another member came, went or changed role: one event for each.
    MemberChanged(MemberChange),
    /// Somebody said something. The bot's own messages arrive too.
    Message(Message),
    /// The author of a message gave it other words: these, which are those that stand now. A bot that was away may have been
    /// told them already. What the bot itself changes is not told to it. `hops` is that of the change.
    Edited(Message),
    /// The author of a message took it back, maybe before the bot was told of it.
    Deleted {
        /// The message.
        message_id: MessageId,
        /// Who took it back: the account that had said it, or one that the group lets do so.
        sender: Sender,
        /// How many bots in a row led to it; 0 from people.
        #[serde(default)]
        hops: u8,
    },
    /// A member put an emoji under a message, or took it away.
    Reaction(Reaction),
    /// A member chose of a poll, in the place of what it chose before.
    Vote(Vote),
    /// A poll takes no more votes.
    PollClosed {
        /// The poll.
        message_id: MessageId,
        /// Who closed it.
        sender: Sender,
        /// How many bots in a row led to it; 0 from people.
        #[serde(default)]
        hops: u8,
    },
    /// A member pinned a message, or took the pin away.
    Pinned {
        /// The message.
        message_id: MessageId,
        /// Who did it.
        sender: Sender,
        /// Whether the pin was taken away.
        #[serde(default)]
        removed: bool,
        /// How many bots in a row led to it; 0 from people.
        #[serde(default)]
        hops: u8,
    },
    /// A member gave another one messages of before that one came; bots are not told these.
    HistoryGranted {
        /// The message that says so.
        message_id: MessageId,
        /// Who gave them.
        sender: Sender,
        /// Who got them: the handle where it is known.
        to: String,
        /// The account that got them.
        to_id: AccountId,
        /// How many.
        count: u32,
        /// The group does not let it: nobody has got anything.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// Something a later host knows.
    #[serde(other)]
    Unknown,
}

/// A change of the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// Whom it is about.
    pub who: Member,
    /// How.
    pub change: Change,
    /// Who did it: `who` when that account came or went by its own wish.
    pub by: Member,
}

/// An account that came, went or changed, or did so to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its handle, without `@`.
    pub handle: Handle,
    /// Its account: what to compare by, because handles can move.
    pub account_id: AccountId,
    /// Person or bot; `None` for one that is no member now and that the host never looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Its role now; `None` when it is no member now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
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
    /// Files that came with it; the text may be empty then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The accounts that it names, in the order of the text: handles where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Whether the bot is one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mentions_me: bool,
    /// The message that began the thread in which it stands: an answer belongs there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
    /// Whether its sender says that the words are somebody else's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The answers to choose from, if it is a poll: the text is the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What its sender calls it, made harmless: good as the name of a file, in no folder.
    pub name: String,
    /// Bytes of its content, by the sender's word.
    pub size: u64,
    /// Media type, by the sender's word; empty when it is not known.
    #[serde(default)]
    pub mime: String,
    /// Names it where files are named: `cipher-chat download ID`.
    pub id: FileId,
}

/// What a member chose of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The poll.
    pub message_id: MessageId,
    /// The answers; none: the vote was taken back.
    pub options: Vec<String>,
    /// Who chose, proven by MLS.
    pub sender: Sender,
    /// How many bots in a row led to it; 0 from people.
    #[serde(default)]
    pub hops: u8,
}

/// An emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The message.
    pub message_id: MessageId,
    /// The emoji.
    pub emoji: String,
    /// Whether it was taken away.
    #[serde(default)]
    pub removed: bool,
    /// Who did it, proven by MLS.
    pub sender: Sender,
    /// How many bots in a row led to it; 0 from people.
    #[serde(default)]
    pub hops: u8,
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

impl EventKind {
    /// A change of the members as it is told to the bot `me`, for hosts.
    pub fn of_members(me: &Me, change: MemberChange) -> Self {
        let concerns_me = change.who.account_id == me.account;
        match change.change {
            Change::Added if concerns_me => Self::Joined { by: change.by },
            Change::Removed if concerns_me => Self::Left { by: change.by },
            Change::Added | Change::Removed | Change::Role => Self::MemberChanged(change),
        }
    }
}

impl Event {
    /// The message, if it is one.
    pub fn message(&self) -> Option<&Message> {
        match &self.kind {
            EventKind::Message(message) => Some(message),
            EventKind::Joined { .. }
            | EventKind::Left { .. }
            | EventKind::MemberChanged(_)
            | EventKind::Edited(_)
            | EventKind::Deleted { .. }
            | EventKind::Reaction(_)
            | EventKind::Vote(_)
            | EventKind::PollClosed { .. }
            | EventKind::Pinned { .. }
            | EventKind::HistoryGranted { .. }
            | EventKind::Unknown => None,
        }
    }

    /// Who said or did it, and how many bots in a row led to it, if it is something that a bot may answer in words.
    pub(crate) fn origin(&self) -> Option<(&Sender, u8)> {
        match &self.kind {
            EventKind::Message(message) | EventKind::Edited(message) => Some((&message.sender, message.hops)),
            EventKind::Deleted { sender, hops, .. }
            | EventKind::PollClosed { sender, hops, .. }
            | EventKind::Pinned { sender, hops, .. } => Some((sender, *hops)),
            EventKind::HistoryGranted { sender, .. } => Some((sender, 0)),
            EventKind::Reaction(reaction) => Some((&reaction.sender, reaction.hops)),
            EventKind::Vote(vote) => Some((&vote.sender, vote.hops)),
            EventKind::Joined { .. }
            | EventKind::Left { .. }
            | EventKind::MemberChanged(_)
            | EventKind::Unknown => None,
        }
    }

    /// What the host writes into every message that answers this event: one more bot in the row.
    pub fn hops_of_answers(&self) -> u8 {
        self.origin().map_or(0, |(_, hops)| hops).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_the_json_that_scripts_read_and_later_kinds_do_not_stop_a_bot() {
        let event = crate::testing::event(7, "alice", "hi");
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], "message");
        assert_eq!(json["sender"]["handle"], "alice");
        assert_eq!(json["sender"]["kind"], "person");
        assert_eq!(json["id"]["position"], 7);
        assert_eq!(json["id"]["place"], 0);
        assert_eq!(serde_json::from_value::<Event>(json.clone()).unwrap(), event);
        let mut later = json;
        later["kind"] = "hologram".into();
        assert_eq!(serde_json::from_value::<Event>(later).unwrap().kind, EventKind::Unknown);
    }

    #[test]
    fn an_id_names_a_place_a_timer_or_what_a_later_host_knows_and_comes_back_as_it_came() {
        let conversation = GroupId::from_bytes([2; 16]);
        let read = |json: Value| {
            let id: EventId = serde_json::from_value(json.clone()).unwrap();
            let again = serde_json::to_value(&id).unwrap();
            (id, again == json)
        };
        let place = LogId { conversation, position: 7, place: 1 };
        let json = json!({"conversation": conversation, "position": 7, "place": 1});
        assert_eq!(read(json), (EventId::Log(place), true));
        let json = json!({"conversation": conversation, "position": 7});
        assert_eq!(read(json).0, EventId::Log(LogId { place: 0, ..place }), "of a host of before places");
        let at = Timestamp::from_millis(1_767_225_600_000);
        let json = json!({"conversation": conversation, "timer": "remind-7", "at": at});
        assert_eq!(
            read(json),
            (EventId::Timer(TimerId { conversation, timer: "remind-7".into(), at }), true)
        );
        // Nothing of it is taken for something else, and nothing is left out.
        for json in [
            json!({"conversation": conversation, "position": 7, "place": 1, "thread": 3}),
            json!({"webhook": "deploy", "n": 4}),
        ] {
            assert_eq!(read(json.clone()), (EventId::Unknown(json), true));
        }
    }

    #[test]
    fn what_became_of_members_is_the_json_that_scripts_read() {
        let member = |name: &str, n: u8| Member {
            handle: name.parse().unwrap(),
            account_id: AccountId::from_bytes([n; 32]),
            kind: Some(Kind::Person),
            role: None,
        };
        let me = Me { handle: "echo".parse().unwrap(), account: AccountId::from_bytes([9; 32]) };
        let told = |who: (&str, u8), change| {
            let change = MemberChange { who: member(who.0, who.1), change, by: member("alice", 1) };
            let kind = EventKind::of_members(&me, change);
            let json = serde_json::to_value(&kind).unwrap();
            assert_eq!(serde_json::from_value::<EventKind>(json.clone()).unwrap(), kind);
            json
        };
        let carol = told(("carol", 3), Change::Added);
        assert_eq!((&carol["kind"], &carol["change"]), (&json!("member-changed"), &json!("added")));
        assert_eq!((&carol["who"]["handle"], &carol["by"]["handle"]), (&json!("carol"), &json!("alice")));
        assert_eq!(carol["who"].get("role"), None, "no member now");
        for (change, kind) in [(Change::Added, "joined"), (Change::Removed, "left")] {
            let own = told(("echo", 9), change);
            assert_eq!((&own["kind"], &own["by"]["handle"]), (&json!(kind), &json!("alice")));
        }
        assert_eq!(told(("echo", 9), Change::Role)["kind"], "member-changed");
    }
}
