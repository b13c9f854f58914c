//! What stands in a conversation: messages of members, and what this agent observed.

use cipher_api::Error;
use cipher_api::view::{
    AttachmentView, Body, EditView, GrantView, GrantedView, GroupEvent, MessageState, MessageView,
    MissingView, PollView, QuotedView, ReactionView, ReceiptView, SenderView,
};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::wire::content::kind;
use serde::Serialize;

use crate::cli::show::line::Line;

/// A message as scripts see it.
#[derive(Debug, Serialize)]
pub struct MessageLine<'a> {
    id: MessageId,
    group: GroupId,
    seq: Option<u64>,
    from: &'a SenderView,
    /// RFC 3339, by the sender's clock.
    sent_at: String,
    /// RFC 3339, by the broker's clock; null while it waits for the broker.
    at: Option<String>,
    kind: &'a str,
    text: &'a str,
    state: MessageState,
    /// Whether it is worth telling the person at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    notify: bool,
    reply_to: Option<MessageId>,
    /// What that message says, as it stands here now.
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted: Option<&'a QuotedView>,
    edited: bool,
    deleted: bool,
    /// Emoji under it, each with the handles of who put it there.
    reactions: &'a [ReactionView],
    /// Files under it; its text may be empty then.
    attachments: &'a [AttachmentView],
    hops: u8,
    /// When its author gave it other words, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    /// Who took it back, if another account than its author did.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<&'a str>,
    /// Handles of the members that it names.
    mentions: &'a [String],
    /// The message that began its thread.
    thread: Option<MessageId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    /// Who pinned it, if it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_by: Option<&'a str>,
    /// Of kind `poll`: its answers, and who chose which.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<&'a PollView>,
    /// Of kind `missing`: whose messages the sender says were lost and are not here, and how many.
    #[serde(skip_serializing_if = "<[MissingView]>::is_empty")]
    missing: &'a [MissingView],
    /// Of kind `history-grant`: what the sender gave to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'a GrantView>,
    /// Of kind `granted`: what the message was, as the sender says.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<&'a GrantedView>,
    /// Of kind `granted`: the sender's handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_by: Option<&'a str>,
    /// Of an own message: who came how far with it, as these accounts say.
    #[serde(skip_serializing_if = "<[ReceiptView]>::is_empty")]
    receipts: &'a [ReceiptView],
    /// Of an own message that was not sent: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureLine<'a>>,
    /// Seconds after reading, or sending, after which it disappears.
    #[serde(skip_serializing_if = "Option::is_none")]
    expire: Option<u64>,
    /// RFC 3339: when it disappears here.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// It disappeared.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    expired: bool,
}

/// Why an own message was not sent.
#[derive(Debug, Serialize)]
pub struct FailureLine<'a> {
    kind: &'static str,
    message: &'a str,
    hint: Option<String>,
}

impl FailureLine<'_> {
    /// One sentence, and what to do.
    pub fn words(&self) -> String {
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{}{hint}", self.message)
    }
}

/// A change of a group, with the names that scripts rely on.
#[derive(Debug, Serialize)]
pub struct EventLine<'a> {
    event: GroupEvent,
    id: MessageId,
    group: GroupId,
    seq: Option<u64>,
    at: String,
    by: Option<&'a str>,
    who: Vec<&'a str>,
    text: &'a str,
}

impl EventLine<'_> {
    /// What was observed.
    pub const fn event(&self) -> GroupEvent {
        self.event
    }

    /// When, RFC 3339.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// One sentence of this agent.
    pub const fn text(&self) -> &str {
        self.text
    }
}

impl MessageLine<'_> {
    /// Who sent it.
    pub const fn from(&self) -> &SenderView {
        self.from
    }

    /// When, by its sender's clock; RFC 3339.
    pub fn sent_at(&self) -> &str {
        &self.sent_at
    }

    /// When, by the broker's clock; RFC 3339. `None` while it waits for the broker.
    pub fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// The name of its kind, as its sender gave it.
    pub const fn kind(&self) -> &str {
        self.kind
    }

    /// Its text.
    pub const fn text(&self) -> &str {
        self.text
    }

    /// Where it stands.
    pub const fn state(&self) -> MessageState {
        self.state
    }

    /// Whether its author gave it other words.
    pub const fn is_edited(&self) -> bool {
        self.edited
    }

    /// Whether its words were taken back.
    pub const fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Emoji under it.
    pub const fn reactions(&self) -> &[ReactionView] {
        self.reactions
    }

    /// Seconds after which it disappears.
    pub const fn expire(&self) -> Option<u64> {
        self.expire
    }

    /// Whether it disappeared.
    pub const fn is_expired(&self) -> bool {
        self.expired
    }

    /// Why it was not sent.
    pub const fn failure(&self) -> Option<&FailureLine<'_>> {
        self.failure.as_ref()
    }

    /// Files under it.
    pub const fn attachments(&self) -> &[AttachmentView] {
        self.attachments
    }

    /// Who took it back, if another account than its author did.
    pub const fn deleted_by(&self) -> Option<&str> {
        self.deleted_by
    }

    /// Whether it stands in a thread.
    pub const fn is_in_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Whether its words are somebody else's.
    pub const fn is_forwarded(&self) -> bool {
        self.forwarded
    }

    /// Whether it is pinned.
    pub const fn is_pinned(&self) -> bool {
        self.pinned_by.is_some()
    }

    /// Its answers, if it is a poll.
    pub const fn poll(&self) -> Option<&PollView> {
        self.poll
    }

    /// What it was, if its sender says that it was said before.
    pub const fn granted(&self) -> Option<&GrantedView> {
        self.granted
    }

    /// What it answers.
    pub const fn quoted(&self) -> Option<&QuotedView> {
        self.quoted
    }
}

impl<'a> Line<'a> {
    /// Words of a message at one time.
    pub fn edit(edit: &'a EditView) -> Self {
        let EditView { message, text, at, current } = edit;
        Self::Edit { message: *message, text, at: at.to_string(), current: *current }
    }

    /// What stands at one place of a conversation: a member's words are a message, whatever they call themselves, and
    /// only what this agent observed is an event. `hint` words what to do about an error.
    pub fn message(message: &'a MessageView, hint: impl Fn(&Error) -> Option<String>) -> Self {
        let name = match &message.body {
            Body::Text => kind::TEXT,
            Body::Poll(_) => kind::POLL,
            Body::Unknown(name) => name,
            Body::Missing(_) => kind::MISSING,
            Body::Grant(_) => kind::HISTORY_GRANT,
            Body::Granted(_) => kind::GRANTED,
            Body::Event { event, who } => {
                let alone = matches!(event, GroupEvent::Joined | GroupEvent::Left | GroupEvent::Missed);
                return Self::Event(Box::new(EventLine {
                    event: *event,
                    id: message.id,
                    group: message.group,
                    seq: message.seq,
                    at: message.sent_at.to_string(),
                    by: (!alone).then_some(message.from.handle.as_str()),
                    who: who.iter().map(|who| who.handle.as_str()).collect(),
                    text: &message.text,
                }));
            }
        };
        Self::Message(Box::new(MessageLine {
            id: message.id,
            group: message.group,
            seq: message.seq,
            from: &message.from,
            sent_at: message.sent_at.to_string(),
            at: message.at.map(|at| at.to_string()),
            kind: name,
            text: &message.text,
            state: message.state,
            notify: message.notify,
            reply_to: message.reply_to,
            quoted: message.quoted.as_ref(),
            edited: message.edited,
            deleted: message.deleted,
            reactions: &message.reactions,
            attachments: &message.attachments,
            hops: message.hops,
            edited_at: message.edited_at.map(|at| at.to_string()),
            deleted_by: message.deleted_by.as_deref(),
            mentions: &message.mentions,
            thread: message.thread,
            forwarded: message.forwarded,
            pinned_by: message.pinned_by.as_deref(),
            poll: message.body.poll(),
            missing: message.body.missing(),
            grant: message.body.grant(),
            granted: message.body.granted(),
            granted_by: message.body.granted().map(|_| message.from.handle.as_str()),
            receipts: &message.receipts,
            failure: message.failure.as_deref().map(|why| FailureLine {
                kind: why.kind.name(),
                message: &why.message,
                hint: hint(why),
            }),
            expire: message.expire,
            expires_at: message.expires_at.map(|at| at.to_string()),
            expired: message.expired,
        }))
    }
}
