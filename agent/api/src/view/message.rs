//! What stands in a conversation: what members said, and what this agent observed.

use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::kind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

use crate::encoding::{Time, maybe_time, time};
use crate::error::Error;
use crate::view::{AttachmentView, GrantView, GrantedView};

/// What stands at one place of a conversation: what a member said, or what this agent observed. No payload of a member makes
/// the latter. In JSON its `type` is `message` or `event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Derived from group, sender and content.
    pub id: MessageId,
    /// The conversation.
    pub group: GroupId,
    /// Sequence in the stream; `None` while queued.
    pub seq: Option<u64>,
    /// The account and device that sent it.
    pub from: SenderView,
    /// When the sender says it was written; for an observation the broker's time.
    pub sent_at: Timestamp,
    /// When the broker stored it, as far as it is known here.
    pub at: Option<Timestamp>,
    /// Another account's words that were not shown yet.
    pub unread: bool,
    /// Whether it is worth telling the person at once: neither muted nor read elsewhere, as rules R-NOTIFY say.
    pub notify: bool,
    /// Words, or what was observed.
    pub body: Body,
    /// The member's text; for an observation a sentence of this agent.
    pub text: String,
    /// Where it stands.
    pub state: MessageState,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// What that message says, as it stands here now.
    pub quoted: Option<QuotedView>,
    /// Bots in a row that led to it.
    pub hops: u8,
    /// Its author gave it other words: `text` is these.
    pub edited: bool,
    /// Its author took it back, or the person let go of it here: `text` is empty.
    pub deleted: bool,
    /// Emoji that members put under it, the first one first.
    pub reactions: Vec<ReactionView>,
    /// Files under it; its text may be empty then.
    pub attachments: Vec<AttachmentView>,
    /// Of an own message: who came how far with it, as these accounts say.
    pub receipts: Vec<ReceiptView>,
    /// Of an own message that failed: why, and what to do; `None` where that was not kept.
    pub failure: Option<Box<Error>>,
    /// When its author says that the words it has now were written, if they are other ones.
    pub edited_at: Option<Timestamp>,
    /// The account that took it back, if another one than its author did: handle, when known, else the account id.
    pub deleted_by: Option<String>,
    /// The accounts that its text names, in the order of the text: handles, when known, else account ids.
    pub mentions: Vec<String>,
    /// Whether this account is one of them.
    pub mentions_own: bool,
    /// The message that began the thread in which it stands.
    pub thread: Option<MessageId>,
    /// Whether its sender says that the words are somebody else's.
    pub forwarded: bool,
    /// The account that pinned it: handle, when known, else the account id; `None` while it is not pinned.
    pub pinned_by: Option<String>,
    /// How many seconds after it was read, or sent, it disappears.
    pub expire: Option<u64>,
    /// When it disappears here; `None` while that does not count yet.
    pub expires_at: Option<Timestamp>,
    /// It disappeared: nothing of it is left.
    pub expired: bool,
}

/// How far an account came with an own message, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// `delivered` or `read`.
    pub state: MessageState,
    /// When the broker stored its word; `null` where that is not known any more.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub at: Option<Timestamp>,
}

/// A poll, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PollView {
    /// The answers, in the order in which their author gave them.
    pub options: Vec<PollOptionView>,
    /// Whether an account may choose several.
    pub multiple: bool,
    /// Whether it takes no more votes: the counts are its result.
    pub closed: bool,
    /// Number of accounts that chose something.
    pub voters: usize,
}

/// An answer of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PollOptionView {
    /// The answer.
    pub text: String,
    /// Number of accounts that chose it.
    pub votes: usize,
    /// These accounts: handles, when known, else account ids.
    pub by: Vec<String>,
    /// Whether this account is one of them.
    pub own: bool,
}

/// Words of a message at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditView {
    /// The message.
    pub message: MessageId,
    /// The words.
    pub text: String,
    /// When their author says that they were written.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// Whether they are the words that it has now.
    pub current: bool,
}

/// What a message answers, as it stands here now: told by this agent from what it has, whatever the answer says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotedView {
    /// Handle, when known, else the account id, of the account that said it; `null` when it is not here.
    pub from: Option<String>,
    /// Whether its words are here.
    pub state: QuotedState,
    /// The beginning of its words: one line of at most 200 characters, with `…` where more follows.
    pub text: String,
}

/// Whether the words of an answered message are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuotedState {
    /// They are.
    Here,
    /// They were taken back, or this device let go of them.
    Deleted,
    /// The message is not here: it was said before this device came, is lost, never was, or a blocked account said it.
    Missing,
    /// Something that this version has no word for: a newer peer says it.
    #[serde(other)]
    Unknown,
}

/// An emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionView {
    /// The emoji.
    pub emoji: String,
    /// The accounts that put it there: handles, when known, else account ids.
    pub by: Vec<String>,
    /// Whether this account is one of them.
    #[serde(default)]
    pub own: bool,
}

impl MessageView {
    /// Words of another account, and nothing besides: to be taken as a beginning by who makes one that has more.
    pub fn received(
        id: MessageId,
        group: GroupId,
        from: SenderView,
        sent_at: Timestamp,
        text: impl Into<String>,
    ) -> Self {
        Self {
            id,
            group,
            seq: None,
            from,
            sent_at,
            at: None,
            unread: false,
            notify: false,
            body: Body::Text,
            text: text.into(),
            state: MessageState::Received,
            reply_to: None,
            quoted: None,
            hops: 0,
            edited: false,
            deleted: false,
            reactions: Vec::new(),
            receipts: Vec::new(),
            failure: None,
            attachments: Vec::new(),
            edited_at: None,
            deleted_by: None,
            mentions: Vec::new(),
            mentions_own: false,
            thread: None,
            forwarded: false,
            pinned_by: None,
            expire: None,
            expires_at: None,
            expired: false,
        }
    }

    /// Whether it is a member's words.
    pub fn is_text(&self) -> bool {
        self.body == Body::Text
    }

    /// It disappears.
    pub fn leave_nothing(&mut self) {
        self.text.clear();
        self.reactions.clear();
        self.receipts.clear();
        self.attachments.clear();
        (self.reply_to, self.expire, self.expires_at) = (None, None, None);
        (self.edited, self.deleted, self.unread, self.expired) = (false, false, false, true);
        self.mentions.clear();
        (self.edited_at, self.deleted_by, self.pinned_by, self.thread) = (None, None, None, None);
        (self.mentions_own, self.forwarded) = (false, false);
        (self.quoted, self.notify) = (None, false);
        if matches!(self.body, Body::Poll(_) | Body::Granted(_)) {
            self.body = Body::Text;
        }
    }

    /// What was observed, if it is no member's word.
    pub fn event(&self) -> Option<GroupEvent> {
        match &self.body {
            Body::Event { event, .. } => Some(*event),
            Body::Text
            | Body::Poll(_)
            | Body::Unknown(_)
            | Body::Missing(_)
            | Body::Grant(_)
            | Body::Granted(_) => None,
        }
    }
}

/// Words, or what was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A member's words.
    Text,
    /// A member's question, with answers to choose from. Everybody counts the same votes.
    Poll(PollView),
    /// A member sent a kind of message that this version does not know. The name of the kind is the member's too.
    Unknown(String),
    /// A member says that the log lost messages; these are the ones of them that are not here, by the accounts that had
    /// said them.
    Missing(Vec<MissingView>),
    /// A member gave another one messages of before it came.
    Grant(GrantView),
    /// A message of before this account came, as the member in `from` says that gave it: `text`, `sent_at` and `at` are that
    /// member's word.
    Granted(GrantedView),
    /// This agent observed a change of the group; `from` is the member that made it.
    Event {
        /// The change.
        event: GroupEvent,
        /// The accounts it is about.
        who: Vec<WhoView>,
    },
}

impl Body {
    /// The answers, if it is a poll.
    pub const fn poll(&self) -> Option<&PollView> {
        if let Self::Poll(poll) = self { Some(poll) } else { None }
    }

    /// What is missing, if it is a word about that.
    pub fn missing(&self) -> &[MissingView] {
        if let Self::Missing(missing) = self { missing } else { &[] }
    }

    /// What was given to whom, if it is that.
    pub const fn grant(&self) -> Option<&GrantView> {
        if let Self::Grant(grant) = self { Some(grant) } else { None }
    }

    /// What was said before, if it is a word about that.
    pub const fn granted(&self) -> Option<&GrantedView> {
        if let Self::Granted(granted) = self { Some(granted) } else { None }
    }
}

/// A change of a group, as this agent observed it in a commit; or what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupEvent {
    /// An account was added by another one.
    Added,
    /// An account came by itself.
    Joined,
    /// An account was removed by another one.
    Removed,
    /// An account went by its own wish.
    Left,
    /// An account's role changed.
    Role,
    /// The group has another name.
    Renamed,
    /// The group has another topic, or none any more.
    Topic,
    /// The group wants something else of what is said in it.
    Settings,
    /// An account that was a member before has one more device.
    DeviceAdded,
    /// An account that stays a member has one device less.
    DeviceRemoved,
    /// An account was banned.
    Banned,
    /// A ban was lifted.
    Unbanned,
    /// A link to join by was made.
    Link,
    /// A link to join by was revoked.
    LinkRevoked,
    /// No change: this device could not read what was said here, because it was gone from the log before.
    Missed,
    /// Something that this version has no word for: a newer own device saw it, or a newer peer says it.
    #[serde(other)]
    Other,
}

/// An account that something is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
}

/// How many messages of an account a member says are missing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// Number of messages.
    pub count: u64,
}

/// The account and device that sent a message: from the MLS leaf, never from the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SenderView {
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// The device that sealed it.
    pub device_id: DeviceId,
    /// Person or bot.
    pub kind: Kind,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// Own, waits for the broker.
    Queued,
    /// Own, stored by the broker in the right epoch.
    Sent,
    /// Own, and a device of another member has it, as that member says.
    Delivered,
    /// Own, and another member was shown it, as that member says.
    Read,
    /// Another account's.
    Received,
    /// Own, and the broker or the group will never take it.
    Failed,
    /// A state that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// Own messages of one conversation that were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveredView {
    /// The conversation.
    pub group: GroupId,
    /// What it is called here; `@handle` for a direct one.
    pub name: String,
    /// Number of messages.
    pub messages: u64,
}

/// A line of a conversation.
#[expect(clippy::large_enum_variant, reason = "it borrows a view for as long as that is written or read")]
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Entry<'a> {
    /// What a member said.
    Message {
        /// Derived from group, sender and content.
        id: MessageId,
        /// The conversation.
        group: GroupId,
        /// Sequence in the stream; `null` while queued.
        seq: Option<u64>,
        /// The account and device that sent it.
        from: Cow<'a, SenderView>,
        /// When the sender says it was written.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        sent_at: Timestamp,
        /// When the broker stored it; `null` while that is not known.
        #[serde(default, with = "maybe_time")]
        #[schemars(with = "Option<Time>")]
        at: Option<Timestamp>,
        /// Another account's words that were not shown yet.
        #[serde(default)]
        unread: bool,
        /// Whether it is worth telling the person at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        notify: bool,
        /// `text`, `poll`, `missing`, `history-grant`, `granted`, or the name that the sender gave to a kind that this version does not know.
        kind: Cow<'a, str>,
        /// The member's text.
        text: Cow<'a, str>,
        /// Where it stands.
        state: MessageState,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// What that message says, as it stands here now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quoted: Option<Cow<'a, QuotedView>>,
        /// Bots in a row that led to it.
        #[serde(default)]
        hops: u8,
        /// Its author gave it other words: `text` is these.
        #[serde(default)]
        edited: bool,
        /// Its author took it back, or the person let go of it here: `text` is empty.
        #[serde(default)]
        deleted: bool,
        /// Emoji that members put under it, the first one first.
        #[serde(default, skip_serializing_if = "<[ReactionView]>::is_empty")]
        reactions: Cow<'a, [ReactionView]>,
        /// Files under it; its text may be empty then.
        #[serde(default, skip_serializing_if = "<[AttachmentView]>::is_empty")]
        attachments: Cow<'a, [AttachmentView]>,
        /// When its author says that the words it has now were written, if they are other ones.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Time>")]
        edited_at: Option<Timestamp>,
        /// The account that took it back, if another one than its author did: handle, when known, else the account id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deleted_by: Option<Cow<'a, str>>,
        /// The accounts that its text names, in the order of the text: handles, when known, else account ids.
        #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
        mentions: Cow<'a, [String]>,
        /// Whether this account is one of them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        mentions_own: bool,
        /// The message that began the thread in which it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<MessageId>,
        /// Whether its sender says that the words are somebody else's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forwarded: bool,
        /// The account that pinned it: handle, when known, else the account id; left out while it is not pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned_by: Option<Cow<'a, str>>,
        /// Of kind `poll`: its answers, and how many chose which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        poll: Option<Cow<'a, PollView>>,
        /// Of kind `missing`: messages that the sender says were lost and that are not here.
        #[serde(default, skip_serializing_if = "<[MissingView]>::is_empty")]
        missing: Cow<'a, [MissingView]>,
        /// Of kind `history-grant`: what the sender gave to whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<Cow<'a, GrantView>>,
        /// Of kind `granted`: what the message was, as the sender says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted: Option<Cow<'a, GrantedView>>,
        /// Of kind `granted`: the handle of the sender, whose word all of it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        granted_by: Option<Cow<'a, str>>,
        /// Of an own message: who came how far with it, as these accounts say.
        #[serde(default, skip_serializing_if = "<[ReceiptView]>::is_empty")]
        receipts: Cow<'a, [ReceiptView]>,
        /// Of an own message that failed: why, and what to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Cow<'a, Error>>,
        /// How many seconds after it was read, or sent, it disappears.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expire: Option<u64>,
        /// When it disappears here; not there while that does not count yet.
        #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Time>")]
        expires_at: Option<Timestamp>,
        /// It disappeared: nothing of it is left.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        expired: bool,
    },
    /// What this agent observed of a group.
    Event {
        /// Derived from group, sender and commit.
        id: MessageId,
        /// The group.
        group: GroupId,
        /// Sequence in the stream.
        seq: Option<u64>,
        /// What was observed.
        event: GroupEvent,
        /// Handle, when known, else the account id, of the member that did it to others; `null` when it is about that
        /// member only.
        by: Option<Cow<'a, str>>,
        /// The accounts it is about: handles, when known, else account ids.
        who: Vec<Cow<'a, str>>,
        /// The same accounts with their ids.
        about: Cow<'a, [WhoView]>,
        /// The account and device whose commit it was.
        from: Cow<'a, SenderView>,
        /// The broker's time.
        #[serde(with = "time")]
        #[schemars(with = "Time")]
        at: Timestamp,
        /// When the broker stored it; `null` while that is not known.
        #[serde(default, with = "maybe_time")]
        #[schemars(with = "Option<Time>")]
        stored_at: Option<Timestamp>,
        /// Whether it was not shown yet.
        #[serde(default)]
        unread: bool,
        /// One sentence of this agent.
        text: Cow<'a, str>,
        /// `received` for what others did; where an own change stands.
        state: MessageState,
    },
}

impl<'a> From<&'a MessageView> for Entry<'a> {
    fn from(view: &'a MessageView) -> Self {
        let kind = match &view.body {
            Body::Text => kind::TEXT,
            Body::Poll(_) => kind::POLL,
            Body::Unknown(kind) => kind,
            Body::Missing(_) => kind::MISSING,
            Body::Grant(_) => kind::HISTORY_GRANT,
            Body::Granted(_) => kind::GRANTED,
            Body::Event { event, who } => {
                let alone = matches!(event, GroupEvent::Joined | GroupEvent::Left | GroupEvent::Missed);
                return Self::Event {
                    id: view.id,
                    group: view.group,
                    seq: view.seq,
                    event: *event,
                    by: (!alone).then(|| view.from.handle.as_str().into()),
                    who: who.iter().map(|who| who.handle.as_str().into()).collect(),
                    about: who.into(),
                    from: Cow::Borrowed(&view.from),
                    at: view.sent_at,
                    stored_at: view.at,
                    unread: view.unread,
                    text: view.text.as_str().into(),
                    state: view.state,
                };
            }
        };
        Self::Message {
            id: view.id,
            group: view.group,
            seq: view.seq,
            from: Cow::Borrowed(&view.from),
            sent_at: view.sent_at,
            at: view.at,
            unread: view.unread,
            notify: view.notify,
            kind: kind.into(),
            text: view.text.as_str().into(),
            state: view.state,
            reply_to: view.reply_to,
            quoted: view.quoted.as_ref().map(Cow::Borrowed),
            hops: view.hops,
            edited: view.edited,
            deleted: view.deleted,
            reactions: Cow::Borrowed(&view.reactions),
            attachments: Cow::Borrowed(&view.attachments),
            edited_at: view.edited_at,
            deleted_by: view.deleted_by.as_deref().map(Cow::Borrowed),
            mentions: Cow::Borrowed(&view.mentions),
            mentions_own: view.mentions_own,
            thread: view.thread,
            forwarded: view.forwarded,
            pinned_by: view.pinned_by.as_deref().map(Cow::Borrowed),
            poll: view.body.poll().map(Cow::Borrowed),
            missing: Cow::Borrowed(view.body.missing()),
            grant: view.body.grant().map(Cow::Borrowed),
            granted: view.body.granted().map(Cow::Borrowed),
            granted_by: view.body.granted().map(|_| view.from.handle.as_str().into()),
            receipts: Cow::Borrowed(&view.receipts),
            failure: view.failure.as_deref().map(Cow::Borrowed),
            expire: view.expire,
            expires_at: view.expires_at,
            expired: view.expired,
        }
    }
}

impl From<Entry<'_>> for MessageView {
    fn from(entry: Entry<'_>) -> Self {
        match entry {
            Entry::Message {
                id,
                group,
                seq,
                from,
                sent_at,
                at,
                unread,
                notify,
                kind,
                text,
                state,
                reply_to,
                quoted,
                hops,
                edited,
                deleted,
                reactions,
                attachments,
                edited_at,
                deleted_by,
                mentions,
                mentions_own,
                thread,
                forwarded,
                pinned_by,
                poll,
                missing,
                grant,
                granted,
                granted_by: _,
                receipts,
                failure,
                expire,
                expires_at,
                expired,
            } => Self {
                id,
                group,
                seq,
                from: from.into_owned(),
                sent_at,
                at,
                unread,
                notify,
                body: match &*kind {
                    kind::TEXT => Body::Text,
                    kind::POLL => poll.map_or_else(
                        || Body::Unknown(kind::POLL.into()),
                        |poll| Body::Poll(poll.into_owned()),
                    ),
                    kind::MISSING => Body::Missing(missing.into_owned()),
                    kind::HISTORY_GRANT => grant.map_or_else(
                        || Body::Unknown(kind::HISTORY_GRANT.into()),
                        |grant| Body::Grant(grant.into_owned()),
                    ),
                    kind::GRANTED => granted.map_or_else(
                        || Body::Unknown(kind::GRANTED.into()),
                        |granted| Body::Granted(granted.into_owned()),
                    ),
                    _ => Body::Unknown(kind.into_owned()),
                },
                text: text.into_owned(),
                state,
                reply_to,
                quoted: quoted.map(Cow::into_owned),
                hops,
                edited,
                deleted,
                reactions: reactions.into_owned(),
                receipts: receipts.into_owned(),
                failure: failure.map(|why| Box::new(why.into_owned())),
                attachments: attachments.into_owned(),
                edited_at,
                deleted_by: deleted_by.map(Cow::into_owned),
                mentions: mentions.into_owned(),
                mentions_own,
                thread,
                forwarded,
                pinned_by: pinned_by.map(Cow::into_owned),
                expire,
                expires_at,
                expired,
            },
            Entry::Event {
                id, group, seq, event, about, from, at, stored_at, unread, text, state, ..
            } => Self {
                seq,
                at: stored_at,
                unread,
                body: Body::Event { event, who: about.into_owned() },
                state,
                ..Self::received(id, group, from.into_owned(), at, text)
            },
        }
    }
}

impl Serialize for MessageView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Entry::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MessageView {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Entry::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for MessageView {
    fn schema_name() -> Cow<'static, str> {
        "Message".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Entry::json_schema(generator)
    }
}
