//! Stored messages and events as people see them.

use std::collections::BTreeMap;

use cipher_api::Target;
use cipher_api::command::message::TextMark;
use cipher_api::view::{
    Body, GrantView, GrantedView, GroupEvent, MessageState, MessageView, PollOptionView, PollView,
    QuotedState, QuotedView, ReactionView, SenderView, WhoView,
};
use cipher_broker::certificate::Kind;
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Content;

use crate::content::notify::{self, Said};
use crate::content::{file, missing, query};
use crate::machine::Core;
use crate::state::mention;
use crate::state::position::sequence_of;
use crate::state::{Author, GrantLine, MessageRow, OutboxKind, Place, PollRow, RowBody};

/// Most characters of a message that an answer to it repeats.
const QUOTED: usize = 200;

impl Core {
    /// A stored message as people see it.
    pub(crate) fn message_view(&self, group: GroupId, place: Place, row: &MessageRow) -> MessageView {
        // R-CONTACT-02: of what a blocked account said there is nothing but that it was there, whatever asks for it.
        if self.state.hides(row) {
            let mut hidden = row.clone();
            hidden.take_back();
            return self.view_of(group, place, &hidden);
        }
        self.view_of(group, place, row)
    }

    fn view_of(&self, group: GroupId, place: Place, row: &MessageRow) -> MessageView {
        // Whichever of the own devices said it.
        let own_id = self.state.identity.as_ref().map(|own| own.account);
        let own = own_id == Some(row.account);
        let (state, receipts) = match (row.failed, own) {
            (true, _) => (MessageState::Failed, Vec::new()),
            (false, true) => self.reached(&group, place, row),
            (false, false) => (MessageState::Received, Vec::new()),
        };
        let unread = self.is_unread(&group, place.0, row);
        let answered = row.reply_to.and_then(|of| self.answered_row(group, &of));
        let mut view = MessageView {
            id: row.id,
            group,
            seq: (!row.failed).then_some(sequence_of(place.0)),
            from: SenderView {
                handle: self.state.handle_of(&row.account),
                account_id: row.account,
                device_id: row.device,
                kind: row.sender_kind,
            },
            sent_at: row.sent_at,
            at: row.at,
            unread,
            notify: self.notifies(group, row, unread, answered.as_ref()),
            body: self.body(row),
            text: self.sentence(row),
            state,
            receipts,
            failure: row.failure.map(|why| Box::new(why.error(&self.state.conversation_name(&group)))),
            reply_to: row.reply_to,
            quoted: row.reply_to.map(|_| self.quoted(group, answered.as_ref())),
            hops: row.hops,
            edited: row.edited.is_some(),
            deleted: row.deleted,
            reactions: self.reactions(row),
            attachments: row.attachments.iter().map(file::view).collect(),
            edited_at: row.edited_at,
            deleted_by: row.deleted_by.map(|account| self.state.handle_of(&account)),
            mentions: row.mentions.iter().map(|mention| self.state.handle_of(&mention.account)).collect(),
            mentions_own: self.names_us(row),
            thread: row.thread,
            forwarded: row.forwarded,
            pinned_by: row.pin.filter(|pin| !pin.removed).map(|pin| self.state.handle_of(&pin.account)),
            expire: row.expire,
            // As long as nobody read it here it does not count.
            expires_at: row.expires_at.filter(|_| !unread),
            expired: false,
        };
        // R-FORGET-06: whether it was forgotten already or not.
        if row.forgotten || self.state.is_over(&group, row, self.run.now) {
            view.leave_nothing();
        }
        view
    }

    /// The words of a row, with the members that they name as they are called now.
    pub(super) fn words(&self, row: &MessageRow) -> String {
        mention::shown(&row.text, &row.mentions, |account| self.name_in_words(account))
    }

    fn name_in_words(&self, account: &AccountId) -> Option<String> {
        Some(self.state.named(account)).filter(|name| name.starts_with('@'))
    }

    /// Marks in the words of a row, in them as they are shown.
    pub(super) fn marks_shown(&self, row: &MessageRow, marks: Vec<TextMark>) -> Vec<TextMark> {
        if row.mentions.is_empty() {
            return marks;
        }
        let place = mention::place_shown(&row.text, &row.mentions, |account| self.name_in_words(account));
        let moved = marks
            .into_iter()
            .map(|TextMark { from, to }| TextMark { from: place(from, false), to: place(to, true) });
        query::apart(moved.collect())
    }

    /// A poll as it stands. Everybody counts the same: also what blocked accounts chose.
    fn poll(&self, poll: &PollRow) -> PollView {
        let own = self.state.identity.as_ref().map(|own| own.account);
        let counted = poll.counted();
        let options = (0_u8..).zip(&poll.options).map(|(number, text)| {
            let of = counted.iter().filter(|vote| vote.choices.contains(&number));
            let by: Vec<AccountId> = of.map(|vote| vote.account).collect();
            PollOptionView {
                text: text.clone(),
                votes: by.len(),
                own: by.iter().any(|account| Some(*account) == own),
                by: by.iter().map(|account| self.state.handle_of(account)).collect(),
            }
        });
        PollView {
            options: options.collect(),
            multiple: poll.multiple,
            closed: poll.closed.is_some(),
            voters: counted.len(),
        }
    }

    /// Whether a message is worth telling the person at once.
    fn notifies(
        &self,
        group: GroupId,
        row: &MessageRow,
        unread: bool,
        answered: Option<&MessageRow>,
    ) -> bool {
        // Most that is shown was read long ago.
        let Some(own) = self.state.identity.as_ref().filter(|_| unread) else { return false };
        let bot_answers_us = (row.sender_kind == Kind::Bot)
            .then_some(row.reply_to)
            .flatten()
            .map(|_| answered.is_some_and(|answered| answered.account == own.account));
        let said = Said {
            own: row.account == own.account,
            blocked: self.state.hides(row),
            unread,
            names_us: self.names_us(row),
            bot_answers_us,
        };
        let muted = self.state.groups.get(&group).and_then(|row| row.muted);
        notify::notifies(said, muted, self.run.now).is_ok()
    }

    /// The message that another one answers, if it is here and may be shown.
    fn answered_row(&self, group: GroupId, of: &MessageId) -> Option<MessageRow> {
        let (_, row) = self.stands_or_waits(group, of)?;
        Some(row).filter(|row| row.is_shown() && !self.state.hides(row))
    }

    /// What a message answers: of what stands here, and never of what the answer says.
    fn quoted(&self, group: GroupId, answered: Option<&MessageRow>) -> QuotedView {
        let Some(row) = answered else {
            return QuotedView { from: None, state: QuotedState::Missing, text: String::new() };
        };
        // R-FORGET-06: what was forgotten, or is to be by now, is repeated by nobody.
        let gone = row.deleted || row.forgotten || self.state.is_over(&group, row, self.run.now);
        QuotedView {
            from: Some(self.state.handle_of(&row.account)),
            state: if gone { QuotedState::Deleted } else { QuotedState::Here },
            text: if gone { String::new() } else { beginning(&self.sentence(row)) },
        }
    }

    /// What stands under a message, without what blocked accounts put there.
    fn reactions(&self, row: &MessageRow) -> Vec<ReactionView> {
        let own = self.state.identity.as_ref().map(|own| own.account);
        let standing = row.reactions.standing().into_iter();
        let views = standing.map(|(emoji, mut by)| {
            by.retain(|account| !self.state.blocks(account));
            ReactionView {
                emoji: emoji.to_owned(),
                own: by.iter().any(|account| Some(*account) == own),
                by: by.iter().map(|account| self.state.handle_of(account)).collect(),
            }
        });
        views.filter(|view| !view.by.is_empty()).collect()
    }

    fn body(&self, row: &MessageRow) -> Body {
        match row.body() {
            RowBody::Text => Body::Text,
            RowBody::Poll => row
                .poll
                .as_ref()
                .map_or_else(|| Body::Unknown(String::new()), |poll| Body::Poll(self.poll(poll))),
            RowBody::Missing => Body::Missing(self.missing_views(&row.text)),
            RowBody::Grant => Body::Grant(self.grant_view(&row.text)),
            RowBody::Granted(of) => Body::Granted(GrantedView {
                message: of.id,
                from: self.state.handle_of(&of.account),
                account_id: of.account,
                reply_to: of.reply_to,
                edited: of.edited,
            }),
            RowBody::Unknown(kind) => Body::Unknown(kind.to_owned()),
            RowBody::Change(..) | RowBody::Silent => Body::Unknown(String::new()),
            RowBody::Event(event, who) => Body::Event {
                event,
                who: vec![WhoView { handle: self.state.handle_of(&who), account_id: who }],
            },
        }
    }

    /// What a member gave to whom, as the row of the line keeps it.
    fn grant_view(&self, text: &str) -> GrantView {
        let nobody = AccountId::from_bytes([0; 32]);
        let (from, until) = (Timestamp::default(), Timestamp::default());
        let nothing = GrantLine { to: nobody, count: 0, from, until, refused: true };
        let GrantLine { to, count, from, until, refused } = GrantLine::of_text(text).unwrap_or(nothing);
        GrantView { to: self.state.handle_of(&to), account_id: to, count, from, until, refused }
    }

    /// System lines are stored as facts and become sentences when they are shown, when handles are known.
    fn sentence(&self, row: &MessageRow) -> String {
        let (event, who) = match row.body() {
            RowBody::Event(event, who) => (event, who),
            RowBody::Missing => return missing::sentence(&self.missing_views(&row.text)),
            RowBody::Grant => return granting(&self.grant_view(&row.text)),
            RowBody::Granted(_)
            | RowBody::Text
            | RowBody::Poll
            | RowBody::Unknown(_)
            | RowBody::Change(..)
            | RowBody::Silent => {
                return self.words(row);
            }
        };
        let (actor, subject) = (self.state.handle_of(&row.account), self.state.handle_of(&who));
        match event {
            GroupEvent::Joined => format!("@{subject} joined"),
            GroupEvent::Added => format!("@{actor} added @{subject}"),
            GroupEvent::DeviceAdded if actor == subject => {
                format!("@{actor} added {}", self.device_text(&row.text, None))
            }
            GroupEvent::DeviceAdded => {
                format!("@{actor} brought {} back", self.device_text(&row.text, Some(&subject)))
            }
            GroupEvent::DeviceRemoved => {
                format!("{} was removed", self.device_text(&row.text, Some(&subject)))
            }
            GroupEvent::Removed => format!("@{actor} removed @{subject}"),
            GroupEvent::Left => format!("@{subject} left"),
            GroupEvent::Banned => format!("@{actor} banned @{subject}"),
            GroupEvent::Unbanned => format!("@{actor} lifted the ban of @{subject}"),
            GroupEvent::Link => format!("@{actor} made a link to join by"),
            GroupEvent::LinkRevoked => format!("@{actor} revoked a link to join by"),
            GroupEvent::Renamed => format!("@{actor} renamed the group to '{}'", row.text),
            GroupEvent::Topic if row.text.is_empty() => format!("@{actor} removed the topic"),
            GroupEvent::Topic => format!("@{actor} set the topic to '{}'", row.text),
            GroupEvent::Settings => format!("@{actor} set {}", row.text),
            GroupEvent::Role => format!("@{actor} made @{subject} {}", row.text),
            GroupEvent::Missed if row.text.is_empty() => "messages may be missing here".to_owned(),
            GroupEvent::Missed => {
                format!("messages since {} may be missing: this device could not read them", row.text)
            }
            GroupEvent::Other => format!("@{actor} changed something that this version has no word for"),
        }
    }

    /// The device of an event as a person knows it: own devices by their name, others by their id; earlier versions did
    /// not keep which one it was.
    fn device_text(&self, id: &str, whose: Option<&str>) -> String {
        let of = whose.map_or_else(String::new, |whose| format!(" of @{whose}"));
        let Ok(device) = id.parse::<DeviceId>() else { return format!("a device{of}") };
        let own = self.state.identity.as_ref();
        let name = own.and_then(|own| own.names.get(&device)).filter(|name| !name.is_empty());
        match name {
            Some(name) => format!("the device '{name}'{of}"),
            None => format!("the device {}{of}", device.short()),
        }
    }

    /// An own message that is not in the log yet; of an own change the message as it will be.
    pub(super) fn outbox_view(&self, row: u64) -> Option<MessageView> {
        let (id, content) = self.queued(row)?;
        self.queued_view(row, id, content)
    }

    /// The same, if it has a line of its own: no change, and nothing that the device says by itself.
    pub(super) fn queued_line(&self, row: u64) -> Option<MessageView> {
        let (id, content) = self.queued(row).filter(|(_, content)| content.body.has_line())?;
        self.queued_view(row, id, content)
    }

    /// An own message in the outbox.
    pub(super) fn queued(&self, row: u64) -> Option<(MessageId, Content)> {
        let OutboxKind::Message { content, id } = &self.state.outbox.get(&row)?.kind else { return None };
        Some((*id, codec::decode(content).ok()?))
    }

    /// A change is shown as the message that it is about, as that will be.
    fn queued_view(&self, row: u64, id: MessageId, content: Content) -> Option<MessageView> {
        let waiting = self.state.outbox.get(&row)?;
        let (group, author) = (waiting.group, self.author()?);
        let stored = waiting.seal.as_ref().and_then(|seal| seal.stored_at);
        let state = if stored.is_some() { MessageState::Sent } else { MessageState::Queued };
        let (place, message) = match content.body.changes() {
            None => (None, MessageRow::said(id, author, content)),
            Some(of) => {
                let (place, mut message) = self.stands_or_waits(group, &of)?;
                self.will_be(&mut message, row, id, &content);
                (place, message)
            }
        };
        let mut view = self.message_view(group, place.unwrap_or_default(), &message);
        if place.is_none() {
            // Nobody has it yet.
            (view.seq, view.receipts) = (None, Vec::new());
        }
        Some(MessageView { state, unread: false, notify: false, ..view })
    }

    /// This device, as the author of what it says.
    fn author(&self) -> Option<Author> {
        let own = self.state.identity.as_ref()?;
        Some(Author { account: own.account, device: own.device, kind: own.kind })
    }

    /// A message in history with its place; or an own one that waits.
    pub(super) fn stands_or_waits(
        &self,
        group: GroupId,
        id: &MessageId,
    ) -> Option<(Option<Place>, MessageRow)> {
        if let Ok(Some((place, row))) = self.history.find(group, id, self.state.went_back(&group)) {
            return Some((Some(place), row));
        }
        let mut rows = self.run.delivery.rows_of(group).filter_map(|row| self.queued(row));
        let (id, said) = rows.find(|(waiting, _)| waiting == id)?;
        Some((None, MessageRow::said(id, self.author()?, said)))
    }

    /// What the person changed while the broker could not be reached is shown as it will be, and that it waits.
    pub(super) fn show_waiting_changes(&self, group: GroupId, views: &mut [MessageView]) {
        let rows = self.run.delivery.rows_of(group).filter_map(|row| Some((row, self.queued(row)?)));
        let mut changes: BTreeMap<MessageId, Vec<(u64, MessageId, Content)>> = BTreeMap::new();
        for (row, (id, content)) in rows {
            if let Some(of) = content.body.changes() {
                changes.entry(of).or_default().push((row, id, content));
            }
        }
        for (of, changes) in changes {
            let Some(view) = views.iter_mut().find(|view| view.id == of) else { continue };
            let Some((place, mut message)) = self.stands_or_waits(group, &of) else { continue };
            for (row, id, content) in &changes {
                self.will_be(&mut message, *row, *id, content);
            }
            let stored =
                |row: &u64| self.state.outbox.get(row).and_then(|row| row.seal.as_ref()?.stored_at).is_some();
            let sent = changes.last().is_some_and(|(row, ..)| stored(row));
            let state = if sent { MessageState::Sent } else { MessageState::Queued };
            let (seq, unread, receipts) = (view.seq, view.unread, std::mem::take(&mut view.receipts));
            let shown = self.message_view(group, place.unwrap_or_default(), &message);
            *view = MessageView { state, seq, unread, receipts, ..shown };
        }
    }

    /// The conversations that a target means, of which `found` is one. With an account that is every direct one that we
    /// are or were in: two people who write to each other for the first time at once make two, and one that somebody left is
    /// followed by another.
    pub(super) fn conversations(&self, target: &Target, found: GroupId) -> Vec<GroupId> {
        let Target::Account(handle) = target else { return vec![found] };
        let Some(account) = self.state.account_of(handle) else { return vec![found] };
        let with = self.state.groups.iter().filter(|(_, row)| row.direct && row.peer == Some(account));
        with.map(|(group, _)| *group).collect()
    }
}

/// The first line that has words, and no more of it than [`QUOTED`].
fn beginning(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let more = lines.next().is_some() || line.chars().nth(QUOTED).is_some();
    let mut begun: String = line.chars().take(if more { QUOTED - 1 } else { QUOTED }).collect();
    if more {
        begun.push('…');
    }
    begun
}

/// R-GRANT-06: as people read it; who gave it stands before it.
fn granting(grant: &GrantView) -> String {
    let (to, messages) = (&grant.to, if grant.count == 1 { "message" } else { "messages" });
    if grant.refused {
        return format!("wanted to give @{to} earlier messages, which this group does not allow");
    }
    format!("gave @{to} the last {} {messages}, from {} to {}", grant.count, grant.from, grant.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_one_line_of_what_it_answers_and_not_much_of_that() {
        for (text, shown) in
            [("hi", "hi"), ("  \n\n one \n", "one"), ("one\ntwo", "one…"), ("", ""), ("\n \n", "")]
        {
            assert_eq!(beginning(text), shown, "{text:?}");
        }
        assert_eq!(beginning(&"漢".repeat(200)), "漢".repeat(200));
        assert_eq!(beginning(&"漢".repeat(201)), format!("{}…", "漢".repeat(199)));
    }
}
