//! A stored message or event.

use std::borrow::Cow;
use std::time::Duration;

use cipher_api::view::GroupEvent;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{
    Attachment, Body, Content, GrantedMessage, GrantedOf, Mention, Preview, kind,
};
use cipher_broker::wire::sync::{SyncEdit, SyncMessage};
use serde::{Deserialize, Serialize};

use crate::state::fitting::fitting;
use crate::state::{
    Failure, GrantLine, IdentityRow, PinRow, PollRow, Reactions, SealedAs, mention, position,
};

/// What a row holds. R-SAY-01: a payload never becomes an `Event`, whatever it calls itself; this agent makes those from
/// commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowBody<'a> {
    /// Words of a member.
    Text,
    /// A member says what a log lost: the text is kept by [`crate::content::missing`].
    Missing,
    /// A member gave other words to this message, took it back, or put an emoji under it. The row marks the place; the message
    /// itself has the words.
    Change(Change, MessageId),
    /// A member gave another one messages of before it came: the text is kept by [`GrantLine`].
    Grant,
    /// R-GRANT-07: what was said before this account came, as the member says that gave it: no words that this agent read
    /// itself.
    Granted(&'a GrantedOf),
    /// A question of a member, with answers to choose from.
    Poll,
    /// A member sent a kind that this version does not know; the name is the member's.
    Unknown(&'a str),
    /// What no person said: stores of earlier versions may hold it.
    Silent,
    /// This agent observed it; the account is the one it is about.
    Event(GroupEvent, AccountId),
}

/// What a member may do to an earlier message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    #[serde(rename = "e")]
    Edit,
    #[serde(rename = "v")]
    Delete,
    #[serde(rename = "r")]
    React,
    #[serde(rename = "u")]
    Unreact,
    #[serde(rename = "p")]
    Pin,
    #[serde(rename = "q")]
    Unpin,
    #[serde(rename = "o")]
    Vote,
    #[serde(rename = "c")]
    ClosePoll,
    /// An own device showed it: it is forgotten at a time, in milliseconds, which stands where others have their position.
    #[serde(rename = "x")]
    Expire,
}

impl Change {
    /// Whether any member makes it, of anybody's message.
    pub(crate) const fn is_anybodys(self) -> bool {
        match self {
            Self::React | Self::Unreact | Self::Pin | Self::Unpin | Self::Vote => true,
            Self::Edit | Self::Delete | Self::ClosePoll | Self::Expire => false,
        }
    }
}

/// Words that a message had before it got others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Where they lie in the log; 0 for those that the message was said with.
    #[serde(rename = "p")]
    pub position: u64,
    /// When their author says that they were written.
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    #[serde(rename = "x")]
    pub text: String,
}

/// The account and device that said or did it, as the leaf proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Author {
    pub account: AccountId,
    pub device: DeviceId,
    pub kind: Kind,
}

/// A stored message or system line. The conversation and the position are its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    #[serde(rename = "i")]
    pub id: MessageId,
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "b")]
    pub sender_kind: Kind,
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    /// When the broker stored it. `None` for an own message that was acknowledged, and in rows of before it was kept.
    #[serde(rename = "bt", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Of words the name of their kind, as the member sent it; of an event the stored name.
    #[serde(rename = "k")]
    kind: String,
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    #[serde(rename = "h", default)]
    pub hops: u8,
    /// Own, and never delivered.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Why.
    #[serde(rename = "fw", default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The account that an event is about. Words have none: it is what tells the two apart, in every store so far.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    subject: Option<AccountId>,
    /// Own, and in the log at this very place: the bytes it was sealed in.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedAs>,
    /// The message that a change is about.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    of: Option<MessageId>,
    /// Its author gave it other words, at this position of the log; of a change the position of the
    /// message, if it had an effect when it came.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<u64>,
    /// Its words were taken back, or the person let go of them here.
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Emoji under it.
    #[serde(rename = "re", default, skip_serializing_if = "Reactions::is_empty")]
    pub reactions: Reactions,
    /// Files under it, with the keys that open them.
    #[serde(rename = "fi", default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// When its author says that the words it has now were written, if they are other ones.
    #[serde(rename = "ea", default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// The words it had before, in the order of the log.
    #[serde(rename = "ev", default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
    /// The account that took it back, if it is not the one that said it.
    #[serde(rename = "vb", default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<AccountId>,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// The message that began the thread in which it stands.
    #[serde(rename = "th", default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
    #[serde(rename = "fo", default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// What was said last of whether it is pinned.
    #[serde(rename = "pi", default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinRow>,
    /// The answers of a poll, and who chose which.
    #[serde(rename = "po", default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<PollRow>,
    /// Of a vote what it chose: the poll itself keeps the latest ones of each account.
    #[serde(rename = "ch", with = "serde_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<u8>,
    /// How many seconds after it was read, or sent, it is to be forgotten.
    #[serde(rename = "ex", default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u64>,
    /// When it is to be forgotten, whoever reads it when.
    #[serde(rename = "xa", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// It was forgotten: nothing is left of it but that it was there.
    #[serde(rename = "xx", default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// What it was, if the account gave it to this one as a message of before it came.
    #[serde(rename = "gr", default, skip_serializing_if = "Option::is_none")]
    granted: Option<GrantedOf>,
}

impl MessageRow {
    /// An own message.
    pub(crate) fn own(identity: &IdentityRow, id: MessageId, content: Content, failed: bool) -> Self {
        let author = Author { account: identity.account, device: identity.device, kind: identity.kind };
        let mut row = Self::said(id, author, content);
        row.failed = failed;
        row
    }

    /// What a member said.
    pub(crate) fn said(id: MessageId, author: Author, content: Content) -> Self {
        let name = content.body.kind().to_owned();
        let attachments = if name == kind::TEXT { content.attachments } else { Vec::new() };
        let (mut poll, mut chosen) = (None, Vec::new());
        let expire = content.expire.filter(|_| content.body.has_line());
        let (text, of) = match content.body {
            Body::Text(text) | Body::Unknown { text, .. } => (text, None),
            Body::Poll { question, poll: answers } => {
                poll = Some(PollRow::new(answers));
                (question, None)
            }
            // What they say goes into the message itself.
            Body::Edit { of, .. } | Body::Delete { of } | Body::Pin { of, .. } | Body::PollClosed { of } => {
                (String::new(), Some(of))
            }
            // Bots are told which ones.
            Body::Vote { of, choices } => {
                chosen = choices;
                (String::new(), Some(of))
            }
            Body::Reaction { of, emoji, removed: _ } => (emoji, Some(of)),
            Body::HistoryGrant(grant) => (GrantLine::of(&grant, false).to_text(), None),
            Body::ContactAccepted | Body::Sync(_) | Body::Missing(_) | Body::Receipt(_) => {
                (String::new(), None)
            }
        };
        // Those of an edit go into the message.
        let mentions = if of.is_some() { Vec::new() } else { mention::sound(&text, &content.mentions) };
        Self {
            id,
            account: author.account,
            device: author.device,
            sender_kind: author.kind,
            sent_at: content.sent_at,
            at: None,
            kind: name,
            text,
            reply_to: content.reply_to,
            hops: content.hops,
            failed: false,
            failure: None,
            subject: None,
            sealed: None,
            of,
            edited: None,
            deleted: false,
            reactions: Reactions::default(),
            attachments,
            edited_at: None,
            versions: Vec::new(),
            deleted_by: None,
            mentions,
            thread: content.thread,
            forwarded: content.forwarded,
            pin: None,
            poll,
            choices: chosen,
            expire,
            expires_at: None,
            forgotten: false,
            granted: None,
        }
    }

    /// What a member gave, in the place that it names.
    pub(crate) fn granted_by(giver: Author, group: &GroupId, message: GrantedMessage) -> Self {
        let GrantedMessage { of, sent_at, at, text, forwarded, attachments, .. } = message;
        let id = MessageId::of_granted(group, &giver.account, &of.id);
        let nothing = Content::new([0; 16], sent_at, Body::Text(text));
        let said = Self::said(id, giver, nothing);
        Self { at, kind: kind::GRANTED.into(), forwarded, attachments, granted: Some(of), ..said }
    }

    /// What this agent observed: `author` made the commit, `who` is the account it is about.
    pub(crate) fn event(
        id: MessageId,
        author: Author,
        at: Timestamp,
        event: GroupEvent,
        who: AccountId,
        text: String,
    ) -> Self {
        let nothing = Content::new([0; 16], at, Body::Text(text));
        let kind = stored_name(event).into();
        Self { at: Some(at), kind, subject: Some(who), ..Self::said(id, author, nothing) }
    }

    /// Words, a change of words, or an event.
    pub(crate) fn body(&self) -> RowBody<'_> {
        if self.forgotten {
            return RowBody::Silent;
        }
        if let Some(who) = self.subject {
            return RowBody::Event(stored_event(&self.kind, self.account == who), who);
        }
        if let Some(granted) = &self.granted {
            return RowBody::Granted(granted);
        }
        match (self.kind.as_str(), self.of) {
            (kind::TEXT, _) => RowBody::Text,
            (kind::HISTORY_GRANT, _) => RowBody::Grant,
            (kind::MISSING, _) => RowBody::Missing,
            (kind::EDIT, Some(of)) => RowBody::Change(Change::Edit, of),
            (kind::DELETE, Some(of)) => RowBody::Change(Change::Delete, of),
            (kind::REACTION, Some(of)) => RowBody::Change(Change::React, of),
            (kind::REACTION_REMOVED, Some(of)) => RowBody::Change(Change::Unreact, of),
            (kind::PIN, Some(of)) => RowBody::Change(Change::Pin, of),
            (kind::UNPIN, Some(of)) => RowBody::Change(Change::Unpin, of),
            (kind::VOTE, Some(of)) => RowBody::Change(Change::Vote, of),
            (kind::POLL_CLOSED, Some(of)) => RowBody::Change(Change::ClosePoll, of),
            (kind::POLL, _) if self.poll.is_some() => RowBody::Poll,
            (kind::CONTACT_ACCEPTED | kind::SYNC | kind::RECEIPT, _) => RowBody::Silent,
            (unknown, _) => RowBody::Unknown(unknown),
        }
    }

    /// Its words are let go of, those it had before, its files' keys, and what was put under them.
    pub(crate) fn take_back(&mut self) {
        self.text.clear();
        self.reactions = Reactions::default();
        self.attachments = Vec::new();
        (self.versions, self.mentions) = (Vec::new(), Vec::new());
        (self.pin, self.poll, self.edited_at) = (None, None, None);
        (self.deleted, self.edited) = (true, None);
    }

    /// Whether it is pinned to its conversation.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| !pin.removed)
    }

    /// Nothing is left of it but that it was there, so that it never comes again.
    pub(crate) fn forget(&mut self) {
        self.take_back();
        self.deleted = false;
        (self.reply_to, self.sealed, self.expire, self.expires_at) = (None, None, None, None);
        (self.thread, self.forwarded, self.deleted_by, self.granted) = (None, false, None, None);
        self.forgotten = true;
    }

    /// R-FORGET-03: it is forgotten then, or sooner if that was so already. Whether that is new.
    pub(crate) fn expires(&mut self, at: Timestamp) -> bool {
        let sooner = self.expire.is_some() && self.expires_at.is_none_or(|known| known > at);
        if sooner {
            self.expires_at = Some(at);
        }
        sooner
    }

    /// R-FORGET-06: what is due is shown no more, whether it was forgotten already or not.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// R-FORGET-11: it is kept for so long after the broker stored it, read or not. Of one that never got there, or of before that was
    /// noted, the time that its author names counts.
    pub(crate) fn kept_until(&self, seconds: u32) -> Timestamp {
        self.at.unwrap_or(self.sent_at).plus(Duration::from_secs(seconds.into()))
    }

    /// R-FORGET-05: what a backup of that time brings back counts as read then, for it may have been since.
    pub(crate) fn restored(mut self, made_at: Timestamp, now: Timestamp) -> Self {
        if let Some(seconds) = self.expire {
            self.expires(made_at.plus(Duration::from_secs(seconds)));
        }
        if self.is_due(now) {
            self.forget();
        }
        self
    }

    /// Whether it came from a member: no event.
    pub(crate) const fn is_said(&self) -> bool {
        self.subject.is_none()
    }

    /// Whether a member said it to be read: words, also of a kind that this version does not know.
    pub(crate) fn is_words(&self) -> bool {
        // Of a poll that was taken back nothing but its kind is left.
        matches!(self.body(), RowBody::Text | RowBody::Poll | RowBody::Unknown(_))
    }

    /// What it was, if a member gave it to this account.
    pub(crate) const fn granted(&self) -> Option<&GrantedOf> {
        self.granted.as_ref()
    }

    /// Whether it has words that are let go of when it is time: those of a member, and those that a member gave.
    pub(crate) fn has_words(&self) -> bool {
        self.is_words() || self.granted.is_some()
    }

    /// R-SEARCH-09: the words by which it is found, and behind them, each on a line, what its files are called; `None` if nobody looks for it.
    pub(crate) fn searched(&self) -> Option<Cow<'_, str>> {
        if !self.has_words() || self.deleted {
            return None;
        }
        let mut names =
            self.attachments.iter().map(|file| file.name.as_str()).filter(|name| !name.is_empty());
        let Some(first) = names.next() else {
            return (!self.text.is_empty()).then_some(Cow::Borrowed(self.text.as_str()));
        };
        let mut words = format!("{}\n{first}", self.text);
        for name in names {
            words.push('\n');
            words.push_str(name);
        }
        Some(Cow::Owned(words))
    }

    /// The name of its kind; of words as the member sent it.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether it has a line of its own in what people read.
    pub(crate) fn is_shown(&self) -> bool {
        !matches!(self.body(), RowBody::Change(..) | RowBody::Silent)
    }

    /// For another own device, which keeps it as this one does.
    /// Eras are counted by each store for itself: what travels is how many lie between.
    pub(crate) fn into_sync(self, group: GroupId, era: u16, place: Place) -> SyncMessage {
        // What members made of it travels as far as there is room beside the words, and previews before it.
        let mut room = limit::TEXT_BYTES.saturating_sub(self.text.len());
        let mut attachments = self.attachments;
        for file in &mut attachments {
            let fits =
                |preview: &Preview| room.checked_sub(preview.bytes.len()).map(|left| room = left).is_some();
            file.preview = file.preview.take().filter(fits);
        }
        let poll = self.poll.map(|poll| poll.to_sync(era, room.div_euclid(2)));
        let reactions = self.reactions.to_sync(era, room.div_euclid(4));
        let needs = |version: &Version| version.text.len().saturating_add(64);
        let edits = fitting(self.versions.into_iter().rev(), room.div_euclid(4), needs);
        let edits = edits.map(|Version { position, sent_at, text }| {
            // Those that it was said with lie nowhere else.
            let place = (position > 0).then(|| position::told(position, era));
            SyncEdit { place, sent_at, text }
        });
        SyncMessage {
            group,
            place: (position::sequence_of(place.0), place.1),
            ago: era.saturating_sub(position::era_of(place.0)),
            id: self.id,
            account: self.account,
            device: self.device,
            kind: self.sender_kind,
            sent_at: self.sent_at,
            at: self.at,
            content: self.kind,
            edits: edits.collect(),
            text: self.text,
            reply_to: self.reply_to,
            subject: self.subject,
            hops: self.hops,
            edited: self.edited.map(|at| position::told(at, era)),
            edited_at: self.edited_at,
            deleted: self.deleted,
            deleted_by: self.deleted_by,
            reactions,
            attachments,
            mentions: self.mentions,
            thread: self.thread,
            forwarded: self.forwarded,
            pin: self.pin.map(|pin| pin.to_sync(era)),
            poll,
            expire: self.expire,
            expires_at: self.expires_at,
            granted: self.granted,
        }
    }

    /// From another own device (R-SYNC-01): what it kept as words stays words here. `era` is that of the log here.
    pub(crate) fn from_sync(message: SyncMessage, era: u16) -> Self {
        let versions = message.edits.into_iter().rev().map(|SyncEdit { place, sent_at, text }| Version {
            position: place.map_or(0, |place| position::heard(place, era)),
            sent_at,
            text,
        });
        Self {
            id: message.id,
            account: message.account,
            device: message.device,
            sender_kind: message.kind,
            sent_at: message.sent_at,
            at: message.at,
            kind: message.content,
            text: message.text,
            reply_to: message.reply_to,
            hops: message.hops,
            failed: false,
            failure: None,
            subject: message.subject,
            sealed: None,
            of: None,
            edited: message.edited.map(|place| position::heard(place, era)),
            deleted: message.deleted,
            reactions: Reactions::from_sync(message.reactions, era),
            attachments: message.attachments,
            edited_at: message.edited_at,
            versions: versions.collect(),
            deleted_by: message.deleted_by,
            mentions: message.mentions,
            thread: message.thread,
            forwarded: message.forwarded,
            pin: message.pin.map(|pin| PinRow::from_sync(pin, era)),
            poll: message.poll.map(|poll| PollRow::from_sync(poll, era)),
            choices: Vec::new(),
            expire: message.expire,
            expires_at: message.expires_at,
            forgotten: false,
            granted: message.granted,
        }
    }
}

/// The name of an event in stores and between own devices. Names never change; one that is not in the list reads as `Other`.
const fn stored_name(event: GroupEvent) -> &'static str {
    match event {
        GroupEvent::Added | GroupEvent::Joined => "joined",
        GroupEvent::Removed => "removed",
        GroupEvent::Left => "left",
        GroupEvent::Role => "role",
        GroupEvent::Renamed => "renamed",
        GroupEvent::Topic => "topic",
        GroupEvent::Settings => "settings",
        GroupEvent::DeviceAdded => "device-added",
        GroupEvent::DeviceRemoved => "device-removed",
        GroupEvent::Banned => "banned",
        GroupEvent::Unbanned => "unbanned",
        GroupEvent::Link => "link",
        GroupEvent::LinkRevoked => "link-revoked",
        GroupEvent::Missed => "missed",
        GroupEvent::Other => "other",
    }
}

fn stored_event(name: &str, alone: bool) -> GroupEvent {
    match name {
        "joined" if alone => GroupEvent::Joined,
        "joined" => GroupEvent::Added,
        "removed" => GroupEvent::Removed,
        "left" => GroupEvent::Left,
        "role" => GroupEvent::Role,
        "renamed" => GroupEvent::Renamed,
        "topic" => GroupEvent::Topic,
        "settings" => GroupEvent::Settings,
        "device-added" => GroupEvent::DeviceAdded,
        "device-removed" => GroupEvent::DeviceRemoved,
        "banned" => GroupEvent::Banned,
        "unbanned" => GroupEvent::Unbanned,
        "link" => GroupEvent::Link,
        "link-revoked" => GroupEvent::LinkRevoked,
        "missed" => GroupEvent::Missed,
        _ => GroupEvent::Other,
    }
}

/// Where a message stands: its position, see [`crate::position`], and place among several lines of one commit.
pub(crate) type Place = (u64, u16);

/// A parked message. Earlier versions kept the bytes of the log alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ParkedRow {
    #[serde(rename = "bt")]
    pub at: Timestamp,
    #[serde(rename = "w", with = "serde_bytes")]
    pub bytes: Vec<u8>,
}
