//! Edits, deletions and reactions: asked for by the person, read from the log, and applied to the message that they are about.
//!
//! ```text
//! edit ID TEXT ─► may one? ──► outbox ─► the log ────┐
//!                                                    ├─► timeline::apply ─► the row of the message ─► news
//! a member's change in the log ──────────────────────┘        │ not here yet: waits in `changes`
//! a message that was waited for (log, history of an own device) ┘
//! ```

use cipher_api::command::message::MessageRef;
use cipher_api::{Advice, Error, ErrorKind, Event, Hint, Reply, Result, Target};
use cipher_broker::emoji;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::wire::content::Body;

use crate::content::send::check_text_size;
use crate::content::timeline::{self, Changing};
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::{Change, Fact, MessageRow, Place, RowBody, WaitingChange};

/// Messages of which changes wait, per conversation, and bytes of their words: they are kept in memory, and anybody who may
/// speak there makes them. The oldest go.
const WAITING: usize = 1_000;
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// The message that a person named; without a row it waits in the outbox.
pub(super) struct Meant {
    pub group: GroupId,
    pub id: MessageId,
    pub row: Option<(Place, MessageRow)>,
}

/// What a person can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nameable {
    Messages,
    /// Events too, which have ids and can be given no other words.
    Lines,
}

impl Core {
    /// Gives an own message other words. They lie in the log like any message.
    pub(super) fn message_edit(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        text: String,
    ) -> Result<Option<Reply>> {
        check_text_size(&text)?;
        let (group, of) = self.own_words(message, Change::Edit)?;
        self.say_change(ticket, group, Body::Edit { of, text })
    }

    /// Takes an own message back for everybody, or lets go of the words of any message on this device only.
    pub(super) fn message_delete(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        local: bool,
    ) -> Result<Option<Reply>> {
        if local {
            return self.delete_here(message).map(Some);
        }
        let (group, of) = self.own_words(message, Change::Delete)?;
        if let Some(reply) = self.take_back_unsaid(group, of)? {
            return Ok(Some(reply));
        }
        self.say_change(ticket, group, Body::Delete { of })
    }

    /// Puts an emoji under a message, or takes an own one away.
    pub(super) fn message_react(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        text: &str,
        removed: bool,
    ) -> Result<Option<Reply>> {
        let emoji = emoji::meant(text).ok_or_else(|| {
            ErrorKind::Usage.because(format!("'{text}' is no emoji")).hint(Advice::EmojiOrName)
        })?;
        let Meant { group, id: of, row } = self.meant(message)?;
        self.state.must_be_active(group)?;
        self.state.must_reach_peer(&group)?;
        let Some((_, mut row)) = row else { return Err(not_in_log()) };
        if row.failed {
            return Err(undelivered(&message.id));
        }
        if row.deleted {
            return Err(deleted_already());
        }
        let own = self.state.own_id();
        // As it will be once what waits is said.
        let stands = self
            .queued_reaction(group, of, emoji)
            .unwrap_or_else(|| row.reactions.of(&own, emoji).is_some_and(|known| !known.removed));
        if stands != removed {
            let why = if removed {
                format!("there is no {emoji} of yours under this message")
            } else {
                format!("your {emoji} is under this message already")
            };
            return Err(ErrorKind::Refused.because(why).hint(Advice::NothingChanged));
        }
        let change = if removed { Change::Unreact } else { Change::React };
        let changing = Changing { by: own, position: u64::MAX, change, text: emoji };
        if let Err(timeline::Without(rule)) = timeline::apply(&mut row, &changing) {
            let error = match rule {
                "R-CONTENT-12" => {
                    ErrorKind::Limit.because("there are too many different emoji under this message")
                }
                _ => ErrorKind::Refused
                    .because("this line is no message that a member said: nothing can be put under it"),
            };
            return Err(error.hint(Advice::NothingChanged));
        }
        let body = Body::Reaction { of, emoji: emoji.to_owned(), removed };
        self.say_change(ticket, group, body)
    }

    /// Whether an own reaction that waits puts this emoji there; `None` if none waits.
    fn queued_reaction(&self, group: GroupId, message: MessageId, wanted: &str) -> Option<bool> {
        let waiting = self.run.delivery.rows_of(group).filter_map(|row| Some(self.queued(row)?.1.body));
        let last = waiting.filter_map(|body| match body {
            Body::Reaction { of, emoji, removed } if of == message && emoji == wanted => Some(!removed),
            _ => None,
        });
        last.last()
    }

    /// R-CONTENT-08: a message that never left this device is not said at all, nor is what was to change it. Once its bytes
    /// are sealed they may lie in the log, whatever is known of it.
    fn take_back_unsaid(&mut self, group: GroupId, of: MessageId) -> Result<Option<Reply>> {
        let rows: Vec<u64> = self.run.delivery.rows_of(group).collect();
        let said = |row: &u64| self.state.outbox.get(row).is_some_and(|row| row.seal.is_some());
        let is_it = |row: &u64| self.queued(*row).is_some_and(|(id, _)| id == of);
        let Some(unsaid) = rows.iter().copied().find(|row| is_it(row) && !said(row)) else { return Ok(None) };
        // What a log lost is said again: the others had it.
        if self.history.seen(&group, &of)?.is_some() {
            return Ok(None);
        }
        let Some(mut view) = self.outbox_view(unsaid) else { return Ok(None) };
        let changes =
            |row: &u64| self.queued(*row).is_some_and(|(_, content)| content.body.changes() == Some(of));
        for row in rows.iter().copied().filter(changes).chain([unsaid]).collect::<Vec<_>>() {
            self.dequeue(row);
            if let Some((ticket, _)) = self.run.waits.sends.remove(&row) {
                let gone = ErrorKind::Refused.because("the message was deleted before it was sent");
                self.run.reply(ticket, Err(gone));
            }
        }
        (view.text, view.deleted) = (String::new(), true);
        self.notify(Event::Changed { message: Box::new(view.clone()) });
        Ok(Some(Reply::Message(Box::new(view))))
    }

    fn say_change(&mut self, ticket: Ticket, group: GroupId, body: Body) -> Result<Option<Reply>> {
        let content = self.content(body, None);
        let row = self.enqueue_message(group, &content)?;
        self.sent_or_queued(ticket, group, row)
    }

    fn delete_here(&mut self, message: &MessageRef) -> Result<Reply> {
        let Meant { group, id, row } = self.meant(message)?;
        let Some((place, mut row)) = row else { return Err(not_in_log()) };
        if !row.is_words() {
            return Err(no_words());
        }
        let unread = self.is_unread(&group, place.0, &row);
        self.forget_sealed(group, &id, &mut row)?;
        row.take_back();
        let view = Box::new(self.message_view(group, place, &row));
        self.history.insert(group, place, row);
        self.state.changes.remove(&(group, id));
        if unread {
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        self.tell(Fact::Changed(group, place), Event::Changed { message: view.clone() });
        Ok(Reply::Message(view))
    }

    /// An own message that the person may change, and its conversation.
    fn own_words(&self, message: &MessageRef, change: Change) -> Result<(GroupId, MessageId)> {
        let Meant { group, id, row } = self.meant(message)?;
        self.state.must_be_active(group)?;
        let taken_back = |row: u64| {
            self.queued(row)
                .is_some_and(|(_, content)| matches!(content.body, Body::Delete { of } if of == id))
        };
        if self.run.delivery.rows_of(group).any(taken_back) {
            return Err(deleted_already());
        }
        if let Some((_, row)) = row {
            if !row.is_words() {
                return Err(no_words());
            }
            if row.account != self.state.own_id() {
                let author = self.state.handle_of(&row.account);
                return Err(ErrorKind::Refused
                    .because(format!("only @{author}, who said it, can change this message"))
                    .hint(Hint::MessageDeleteLocal { id: message.id.clone() }));
            }
            if row.failed {
                return Err(undelivered(&message.id));
            }
            if row.deleted {
                return Err(deleted_already());
            }
            if change == Change::Edit && row.body() != RowBody::Text {
                return Err(ErrorKind::Refused
                    .because("this version cannot edit a message of this kind")
                    .hint(Advice::DeleteAndSayAnew));
            }
        }
        Ok((group, id))
    }

    /// The one message that a whole id or a beginning of one names.
    pub(super) fn meant(&self, message: &MessageRef) -> Result<Meant> {
        self.named(message, Nameable::Messages)
    }

    /// The same of any line, events too.
    pub(super) fn line_meant(&self, message: &MessageRef) -> Result<Meant> {
        self.named(message, Nameable::Lines)
    }

    /// The message that is answered: a whole id is taken as it is, for what it names may not be here.
    pub(super) fn replied_to(&self, target: &Target, id: String) -> Result<MessageId> {
        match id.parse() {
            Ok(id) => Ok(id),
            Err(_) => Ok(self.meant(&MessageRef { id, within: Some(target.clone()) })?.id),
        }
    }

    fn named(&self, message: &MessageRef, what: Nameable) -> Result<Meant> {
        self.state.identity()?;
        let (first, last) = MessageId::beginning_with(&message.id)
            .map_err(|invalid| ErrorKind::Usage.because(invalid.to_string()))?;
        let groups = match &message.within {
            Some(target) => self.conversations(target, self.resolve(target)?),
            None => self.state.groups.iter().filter(|(_, row)| !row.personal).map(|(id, _)| *id).collect(),
        };
        let mut found = Vec::new();
        for group in groups {
            found.extend(self.named_in(group, (first, last), what)?);
        }
        match found.len() {
            0 => Err(ErrorKind::NotFound
                .because(format!("there is no message whose id begins with '{}'", message.id))
                .hint(Hint::MessageRead)),
            1 => Ok(found.swap_remove(0)),
            several => Err(ErrorKind::Usage
                .because(format!("{several} messages have ids that begin with '{}'", message.id))
                .hint(Advice::MoreOfId)),
        }
    }

    /// Messages of a conversation whose ids lie between two: in the log, in the outbox, or never delivered.
    fn named_in(
        &self,
        group: GroupId,
        (first, last): (MessageId, MessageId),
        what: Nameable,
    ) -> Result<Vec<Meant>> {
        let mut found = Vec::new();
        let mut ids = self.history.ids_between(&group, first, last)?;
        ids.sort();
        ids.dedup();
        for id in ids {
            // Changes and what devices tell each other have ids, and no line that a person sees.
            let row = self
                .history
                .find(group, &id, self.state.went_back(&group))?
                .filter(|(_, row)| row.is_shown());
            found.extend(row.map(|row| Meant { group, id, row: Some(row) }));
        }
        let waiting = self.run.delivery.rows_of(group);
        let waiting = waiting.filter_map(|row| self.queued(row));
        let waiting = waiting.filter(|(id, content)| (first..=last).contains(id) && content.body.has_line());
        for (id, _) in waiting.collect::<Vec<_>>() {
            if found.iter().all(|known| known.id != id) {
                found.push(Meant { group, id, row: None });
            }
        }
        if found.is_empty() {
            let has = |row: &MessageRow| row.failed || (what == Nameable::Lines && !row.is_said());
            let fits = |row: &MessageRow| has(row) && (first..=last).contains(&row.id);
            let failed = self.history.before(&group, (u64::MAX, u16::MAX), 2, fits)?;
            found.extend(failed.into_iter().map(|row| Meant { group, id: row.1.id, row: Some(row) }));
        }
        Ok(found)
    }

    /// A change of a message took its place in the log. The position of the message if it has an effect now.
    pub(super) fn change_came(
        &mut self,
        group: GroupId,
        waiting: &WaitingChange,
        of: MessageId,
    ) -> Result<Option<u64>> {
        match self.history.find(group, &of, self.state.went_back(&group))? {
            Some((place, row)) => Ok(self.change(group, place, row, waiting)?.then_some(place.0)),
            None => {
                self.keep_waiting(group, of, waiting.clone());
                Ok(None)
            }
        }
    }

    /// R-CONTENT-05: a change that comes before its message waits for it, and counts as if it had come after. Of a message
    /// that this device never gets nothing is shown.
    fn keep_waiting(&mut self, group: GroupId, of: MessageId, waiting: WaitingChange) {
        let key = (group, of);
        let mut row = self.state.changes.remove(&key).unwrap_or_default();
        row.at = self.run.now;
        row.add(waiting);
        self.state.changes.insert(key, row);
        let of = |id| (group, MessageId::from_bytes([id; MessageId::LEN]));
        let of_group = self.state.changes.range(of(0)..=of(u8::MAX));
        let mut of_group: Vec<_> = of_group.map(|(key, row)| (row.at, *key, row.bytes())).collect();
        of_group.sort();
        let (mut messages, mut bytes) =
            (of_group.len(), of_group.iter().map(|(.., bytes)| bytes).sum::<usize>());
        for (_, key, freed) in of_group {
            if messages <= WAITING && bytes <= WAITING_BYTES {
                break;
            }
            self.state.changes.remove(&key);
            (messages, bytes) = (messages.saturating_sub(1), bytes.saturating_sub(freed));
        }
    }

    /// A message came: what waited for it counts now.
    pub(super) fn change_arrived(&mut self, group: GroupId, place: Place, id: &MessageId) -> Result<()> {
        let Some(row) = self.state.changes.remove(&(group, *id)) else { return Ok(()) };
        let mut waiting = row.waiting;
        waiting.sort_by_key(|waiting| waiting.position);
        for waiting in waiting {
            if let Some(row) = self.history.at(&group, place)? {
                self.change(group, place, row, &waiting)?;
            }
        }
        Ok(())
    }

    /// Gives a message other words, if the rules let them have an effect; whether they did.
    pub(super) fn change(
        &mut self,
        group: GroupId,
        place: Place,
        mut row: MessageRow,
        waiting: &WaitingChange,
    ) -> Result<bool> {
        let unread = self.is_unread(&group, place.0, &row);
        let WaitingChange { account: by, position, change, text, .. } = waiting;
        let before = row.clone();
        let changing = Changing { by: *by, position: *position, change: *change, text };
        if let Err(timeline::Without(rule)) = timeline::apply(&mut row, &changing) {
            tracing::debug!(rule, group = group.short(), position, "a change has no effect");
            return Ok(false);
        }
        let id = row.id;
        match change {
            Change::Edit => self.keep_as_sealed(group, place.0, before, &mut row),
            Change::Delete => self.forget_sealed(group, &id, &mut row)?,
            Change::React | Change::Unreact => {}
        }
        self.state.changed_for_newcomers(group, place, &row);
        let hidden = self.state.hides(&row);
        let view = (!hidden).then(|| Box::new(self.message_view(group, place, &row)));
        self.history.insert(group, place, row);
        if unread && *change == Change::Delete {
            // R-CONTENT-07: nobody has to read what was taken back; an edit makes nothing unread.
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        if let Some(view) = view {
            self.tell(Fact::Changed(group, place), Event::Changed { message: view });
        }
        Ok(true)
    }

    /// The account and words of a change, for [`Core::change_came`].
    pub(super) fn waiting_change(
        id: MessageId,
        account: AccountId,
        position: u64,
        body: &Body,
    ) -> Option<(MessageId, WaitingChange)> {
        let (of, change, text) = match body {
            Body::Edit { of, text } => (*of, Change::Edit, text.clone()),
            Body::Delete { of } => (*of, Change::Delete, String::new()),
            Body::Reaction { of, emoji, removed } => {
                (*of, if *removed { Change::Unreact } else { Change::React }, emoji.clone())
            }
            Body::Text(_)
            | Body::ContactAccepted
            | Body::Sync(_)
            | Body::Missing(_)
            | Body::Receipt(_)
            | Body::Unknown { .. } => {
                return None;
            }
        };
        Some((of, WaitingChange { id, account, position, change, text }))
    }

    /// An own message gets other words: the log has the first ones, and they are what is given back to a log that lost
    /// them.
    pub(super) fn keep_as_sealed(
        &mut self,
        group: GroupId,
        position: u64,
        before: MessageRow,
        row: &mut MessageRow,
    ) {
        let Some(sealed) = row.sealed.take() else { return };
        let key = sealed.key;
        if let Some(sent) = sealed.into_sent(&before, position) {
            self.ledger.keep_sent(group, key, sent);
        }
    }
}

fn not_in_log() -> Error {
    ErrorKind::Refused.because("this message is not in the log yet").hint(Advice::WaitOrTakeBack)
}

fn undelivered(id: &str) -> Error {
    ErrorKind::Refused
        .because("nobody has this message: it was never delivered")
        .hint(Hint::MessageSendAgain { id: id.to_owned() })
}

fn deleted_already() -> Error {
    ErrorKind::Refused.because("this message was deleted already")
}

fn no_words() -> Error {
    ErrorKind::Refused.because("this line is no message that a member said: it cannot be edited or deleted")
}
