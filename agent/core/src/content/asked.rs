//! Changes of messages that a person asks for: judged as every member will judge them, before they are said.

use cipher_api::command::message::MessageRef;
use cipher_api::{Advice, Error, ErrorKind, Event, Hint, Reply, Result};
use cipher_broker::emoji;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::wire::content::{Body, Content};

use crate::content::named::Meant;
use crate::content::send::check_text_size;
use crate::content::timeline::{self, Without};
use crate::input::Ticket;
use crate::machine::Core;
use crate::state::{Fact, MessageRow, Powers, RowBody};

/// Where the changes that wait are thought to lie, in their order: behind all that is in the log.
const BEHIND_THE_LOG: u64 = 1 << 62;

impl Core {
    /// Gives an own message other words. They lie in the log like any message.
    pub(super) fn message_edit(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        text: String,
    ) -> Result<Option<Reply>> {
        check_text_size(&text)?;
        let meant = self.changeable_message(message)?;
        let mentions = self.mentions_in(meant.group, &text);
        let content = Content { mentions, ..self.content(Body::Edit { of: meant.id, text }, None) };
        self.ask_change(ticket, &meant, content)
    }

    /// Takes a message back for everybody, or lets go of the words of any message on this device only.
    pub(super) fn message_delete(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        local: bool,
    ) -> Result<Option<Reply>> {
        if local {
            return self.delete_here(message).map(Some);
        }
        let meant = self.changeable_message(message)?;
        let content = self.content(Body::Delete { of: meant.id }, None);
        self.must_have_effect(&meant, &content)?;
        if let Some(reply) = self.take_back_unsaid(meant.group, meant.id)? {
            return Ok(Some(reply));
        }
        self.ask_change(ticket, &meant, content)
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
        let meant = self.said_message(message)?;
        let own = self.state.own_id();
        let stands = |row: &MessageRow| row.reactions.of(&own, emoji).is_some_and(|known| !known.removed);
        let row = self.as_it_will_be(&meant).filter(|row| !row.deleted);
        if row.is_some_and(|row| stands(&row) != removed) {
            let why = if removed {
                format!("there is no {emoji} of yours under this message")
            } else {
                format!("your {emoji} is under this message already")
            };
            return Err(ErrorKind::Refused.because(why).hint(Advice::NothingChanged));
        }
        let body = Body::Reaction { of: meant.id, emoji: emoji.to_owned(), removed };
        self.ask_change(ticket, &meant, self.content(body, None))
    }

    /// Pins a message to its conversation, or takes the pin away.
    pub(super) fn message_pin(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        removed: bool,
    ) -> Result<Option<Reply>> {
        let meant = self.said_message(message)?;
        let row = self.as_it_will_be(&meant).filter(|row| !row.deleted);
        if row.is_some_and(|row| row.is_pinned() != removed) {
            let why = if removed { "this message is not pinned" } else { "this message is pinned already" };
            return Err(ErrorKind::Refused.because(why).hint(Advice::NothingChanged));
        }
        let body = Body::Pin { of: meant.id, removed };
        self.ask_change(ticket, &meant, self.content(body, None))
    }

    /// Chooses of a poll; an answer is named by its number, the first one 1, or by its words.
    pub(super) fn poll_vote(
        &mut self,
        ticket: Ticket,
        message: &MessageRef,
        options: &[String],
    ) -> Result<Option<Reply>> {
        let meant = self.said_message(message)?;
        let row = meant.row.as_ref().map(|(_, row)| row);
        let Some(poll) = row.and_then(|row| row.poll.as_ref()) else {
            let rule = if row.is_some_and(|row| row.deleted) { "R-CONTENT-04" } else { "R-POLL-01" };
            return Err(refused(Without(rule), row));
        };
        let mut choices =
            options.iter().map(|named| answer(&poll.options, named)).collect::<Result<Vec<u8>>>()?;
        choices.sort_unstable();
        choices.dedup();
        if choices.len() > 1 && !poll.multiple {
            return Err(ErrorKind::Usage.because("this poll takes one answer only"));
        }
        let body = Body::Vote { of: meant.id, choices };
        self.ask_change(ticket, &meant, self.content(body, None))
    }

    /// Takes no more votes.
    pub(super) fn poll_close(&mut self, ticket: Ticket, message: &MessageRef) -> Result<Option<Reply>> {
        let meant = self.said_message(message)?;
        let content = self.content(Body::PollClosed { of: meant.id }, None);
        self.ask_change(ticket, &meant, content)
    }

    /// Says the change, if it will have an effect.
    fn ask_change(&mut self, ticket: Ticket, meant: &Meant, content: Content) -> Result<Option<Reply>> {
        self.must_have_effect(meant, &content)?;
        let row = self.enqueue_message(meant.group, &content)?;
        self.sent_or_queued(ticket, meant.group, row)
    }

    /// Every member judges the change behind what waits here, and so is it judged now: what has no effect is not said.
    fn must_have_effect(&mut self, meant: &Meant, content: &Content) -> Result<()> {
        let own = self.state.own_id();
        let powers = self.with_live(meant.group, |_, live| Ok(Powers::of(&live.data, &own)))?;
        let Some(mut row) = self.as_it_will_be(meant) else { return Ok(()) };
        let Some((_, change)) = Self::waiting_change(meant.id, own, u64::MAX, content, powers) else {
            return Ok(());
        };
        let before = row.clone();
        timeline::apply(&mut row, &change).map_err(|without| self.no_effect(without, &before))
    }

    /// Why a change has no effect on a message.
    pub(super) fn no_effect(&self, without: Without, row: &MessageRow) -> Error {
        match without.0 {
            "R-CONTENT-01" => self.not_its_author(row),
            _ => refused(without, Some(row)),
        }
    }

    /// A message as it will be once the own changes of it that wait are in the log.
    fn as_it_will_be(&self, meant: &Meant) -> Option<MessageRow> {
        let (_, mut row) = self.stands_or_waits(meant.group, &meant.id)?;
        for waiting in self.run.delivery.rows_of(meant.group) {
            if let Some((id, content)) = self.queued(waiting)
                && content.body.changes() == Some(meant.id)
            {
                self.will_be(&mut row, waiting, id, &content);
            }
        }
        Some(row)
    }

    /// A message as it will be once this own change of it is in the log.
    pub(super) fn will_be(&self, message: &mut MessageRow, waiting: u64, id: MessageId, content: &Content) {
        let position = BEHIND_THE_LOG.saturating_add(waiting);
        // What the group lets this member do was looked at when the person asked for it.
        let change = Self::waiting_change(id, self.state.own_id(), position, content, Powers::ALL);
        if let Some((_, change)) = change {
            let _ = timeline::apply(message, &change);
        }
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
        self.notify(Event::changed(Box::new(view.clone())));
        Ok(Some(Reply::Message(Box::new(view))))
    }

    fn delete_here(&mut self, message: &MessageRef) -> Result<Reply> {
        let Meant { group, id, row } = self.meant(message)?;
        let Some((place, mut row)) = row else { return Err(not_in_log()) };
        if !row.has_words() {
            return Err(no_words());
        }
        let unread = self.is_unread(&group, place.0, &row);
        let was = row.clone();
        self.forget_sealed(group, place.0, &was, &mut row);
        row.take_back();
        self.state.note_pin(group, &row);
        let view = Box::new(self.message_view(group, place, &row));
        self.history.insert(group, place, row);
        self.state.changes.remove(&(group, id));
        if unread {
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        self.tell(Fact::Changed(group, place), Event::changed(view.clone()));
        Ok(Reply::Message(view))
    }

    /// A message that may be changed: in a conversation that goes on, and delivered unless it waits to be.
    fn changeable_message(&self, message: &MessageRef) -> Result<Meant> {
        let meant = self.meant(message)?;
        self.state.must_be_active(meant.group)?;
        if meant.row.as_ref().is_some_and(|(_, row)| row.failed) {
            return Err(undelivered(&message.id));
        }
        Ok(meant)
    }

    /// The same, in the log: members have it, or will.
    fn said_message(&self, message: &MessageRef) -> Result<Meant> {
        let meant = self.changeable_message(message)?;
        self.state.must_reach_peer(&meant.group)?;
        if meant.row.is_none() { Err(not_in_log()) } else { Ok(meant) }
    }

    fn not_its_author(&self, row: &MessageRow) -> Error {
        ErrorKind::Refused
            .because(format!("only {}, who said it, can change this message", self.state.named(&row.account)))
            .hint(Hint::MessageDeleteLocal { id: row.id.to_string() })
    }
}

/// The number of an answer that is named by its number, the first one 1, or by its words.
fn answer(options: &[String], named: &str) -> Result<u8> {
    let by_words =
        || options.iter().position(|option| option.trim().to_lowercase() == named.trim().to_lowercase());
    let by_number = named.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let found = by_words().or_else(|| by_number.filter(|number| *number < options.len()));
    found.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| {
        let last = options.len();
        ErrorKind::Usage
            .because(format!("'{named}' is no answer of this poll; they have the numbers 1 to {last}"))
    })
}

/// Why a change has no effect on a message.
fn refused(without: Without, row: Option<&MessageRow>) -> Error {
    let event = row.is_some_and(|row| !row.is_said());
    match without.0 {
        // R-GRANT-07: it is another member's word of what was said.
        _ if row.is_some_and(|row| row.granted().is_some()) => ErrorKind::Refused
            .because("a member gave you this message of before you came: it can be answered, and not changed")
            .hint(Advice::NothingChanged),
        "R-CONTENT-04" => deleted_already(),
        "R-CONTENT-09" if event => ErrorKind::Refused
            .because("this line is no message that a member said: nothing can be put under it")
            .hint(Advice::NothingChanged),
        "R-CONTENT-12" => ErrorKind::Limit
            .because("there are too many different emoji under this message")
            .hint(Advice::NothingChanged),
        "R-CONTENT-13" => ErrorKind::Refused
            .because("it is too late to edit this message: the group wants messages to stay as they are after a while")
            .hint(Advice::SayAnew),
        "R-PINNED-01" => ErrorKind::Refused
            .because("your role in the group does not allow to pin messages")
            .hint(Advice::AskAdmin),
        "R-PINNED-02" => {
            ErrorKind::Refused.because("this line is no message that a member said: it cannot be pinned")
        }
        "R-POLL-01" => ErrorKind::Refused.because("this message is no poll").hint(Advice::NothingChanged),
        "R-POLL-04" => ErrorKind::Refused.because("this poll is closed: it takes no more votes"),
        "R-POLL-05" => ErrorKind::Refused.because("only the account that asked can close this poll"),
        "R-POLL-06" => ErrorKind::Refused.because("this poll is closed already"),
        _ if row.is_some_and(|row| row.is_words() && row.body() != RowBody::Text) => {
            ErrorKind::Refused
                .because("this version cannot edit a message of this kind")
                .hint(Advice::DeleteAndSayAnew)
        }
        _ => no_words(),
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
