//! From text to a sealed application message, and to its place in history.

use std::time::Duration;

use cipher_api::view::MessageState;
use cipher_api::{Advice, Error, ErrorKind, Event, Notice, Reply, Result, Target};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content, Mention};
use cipher_broker::{codec, limit};

use crate::content::change::Came;
use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::{Fact, MessageRow, OutboxKind, OutboxRow, Words};

/// How often a person may have a device ask once more whether it is a member.
const INSISTS: Duration = Duration::from_secs(3600);

/// How what is said gets to whom it is meant for.
enum Way {
    /// In a conversation in which this device is.
    Open(GroupId),
    /// This account asked for a conversation, which is accepted by answering.
    Asked(GroupId, AccountId),
    /// There is none yet.
    New(Handle),
}

impl Core {
    pub(super) fn send(&mut self, ticket: Ticket, target: Target, words: Words) -> Result<Option<Reply>> {
        self.state.identity()?;
        check_expire(words.expire)?;
        check_words(words.text(), words.attachments.len())?;
        let group = match self.way_to(&target)? {
            Way::Open(group) => group,
            Way::Asked(group, account) => {
                self.accept_request(group, account)?;
                self.state.must_be_active(group)?;
                group
            }
            Way::New(handle) => {
                self.begin_errand(Some(ticket), Goal::Say(words), vec![handle])?;
                return Ok(None);
            }
        };
        let mentions = self.mentions_in(group, words.text());
        let row = self.enqueue_words(group, words, mentions)?;
        self.sent_or_queued(ticket, group, row)
    }

    /// How what is said gets to whom it is meant for; an error where it cannot.
    fn way_to(&self, target: &Target) -> Result<Way> {
        if let Target::Account(handle) = target {
            let account = self.state.account_of(handle);
            if account == Some(self.state.own_id()) {
                return Err(ErrorKind::Usage.because("one does not send messages to oneself"));
            }
            let Some(account) = account else { return Ok(Way::New(handle.clone())) };
            self.state.must_be_unchanged(&account)?;
            self.state.must_not_be_blocked(&account)?;
            if self.state.direct_with(&account).is_none() {
                return Ok(match self.state.direct_invite_of(&account) {
                    Some(group) => Way::Asked(group, account),
                    None => Way::New(handle.clone()),
                });
            }
        }
        let group = self.resolve(target)?;
        self.state.must_be_active(group)?;
        self.state.must_reach_peer(&group)?;
        Ok(Way::Open(group))
    }

    /// Whether such a message with so many files could be said now. Nothing is said, and no request is accepted.
    pub(super) fn check_send(
        &mut self,
        ticket: Ticket,
        target: &Target,
        words: &Words,
        files: usize,
    ) -> Result<Option<Reply>> {
        self.state.identity()?;
        check_expire(words.expire)?;
        check_words(words.text(), files)?;
        self.state.must_have_room(1)?;
        match self.way_to(target)? {
            Way::Open(_) | Way::Asked(..) => Ok(Some(Reply::Done)),
            Way::New(handle) => {
                self.begin_errand(Some(ticket), Goal::Reach, vec![handle])?;
                Ok(None)
            }
        }
    }

    /// Answers for a message in the outbox: when the broker has it, or at once if that may take long.
    pub(super) fn sent_or_queued(
        &mut self,
        ticket: Ticket,
        group: GroupId,
        row: u64,
    ) -> Result<Option<Reply>> {
        // Of a place that was lost nobody knows when it is found again.
        if self.run.connected && !self.state.is_lost(&group) {
            self.await_sent(row, ticket);
            return Ok(None);
        }
        self.person_insists(group);
        self.queued_reply(row).map(Some)
    }

    /// Has whoever sends wait until the broker has the message, or until it is known to take its time.
    fn await_sent(&mut self, row: u64, ticket: Ticket) {
        self.run.waits.sends.insert(row, (ticket, self.run.now));
    }

    /// A message's payload, with fresh salt. A bot's answers have theirs from [`cipher_broker::answer::BotSay::content`].
    pub(super) fn content(&self, body: Body, reply_to: Option<MessageId>) -> Content {
        let salt = self.provider.bytes();
        Content { reply_to, ..Content::new(salt, self.run.now, body) }
    }

    /// Says something in a conversation; `ticket` is answered when the broker has it. Gives the row in which it waits.
    pub(crate) fn say(&mut self, group: GroupId, words: Words, ticket: Option<Ticket>) -> Result<u64> {
        // Of a person these are the first ones in a conversation of two: nobody has to be called there.
        let row = self.enqueue_words(group, words, Vec::new())?;
        if let Some(ticket) = ticket {
            self.await_sent(row, ticket);
        }
        Ok(row)
    }

    fn enqueue_words(&mut self, group: GroupId, words: Words, mentions: Vec<Mention>) -> Result<u64> {
        let Words { body, reply_to, thread, forwarded, attachments, expire } = words;
        if let Body::Text(text) = &body {
            check_words(text, attachments.len())?;
        }
        // R-FORGET-10: members would see to it; so do agents that know no such setting of a group.
        let of_group = self.with_live(group, |_, live| Ok(live.data.settings.expire_seconds))?;
        let expire = expire.into_iter().chain(of_group.map(u64::from)).min().filter(|_| body.has_line());
        let beside = self.content(body, reply_to);
        let content = Content { mentions, thread, forwarded, attachments, expire, ..beside };
        let row = self.enqueue_message(group, &content)?;
        self.state.uploads_are_said(&content.attachments);
        Ok(row)
    }

    pub(super) fn enqueue_message(&mut self, group: GroupId, content: &Content) -> Result<u64> {
        self.state.must_have_room(1)?;
        let mut content = content.clone();
        content.head = self.gossip(group);
        self.enqueue_content(group, &content)
    }

    /// A message in exactly this content: its id is known before.
    pub(crate) fn enqueue_content(&mut self, group: GroupId, content: &Content) -> Result<u64> {
        self.state.must_have_room(1)?;
        // Others would pass over it.
        if content.body.text_bytes() > limit::TEXT_BYTES {
            return Err(too_long(content.body.text_bytes()));
        }
        let content = codec::encode(content);
        let id = MessageId::of_content(&group, &self.state.own_id(), &content);
        Ok(self.enqueue(OutboxRow::new(group, OutboxKind::Message { content, id }, None)))
    }

    /// An own message has its place in the log: history, news, reply.
    pub(crate) fn settle_message(&mut self, id: u64, sequence: u64) -> Result<()> {
        let ticket = self.run.waits.sends.remove(&id).map(|(ticket, _)| ticket);
        let Some(row) = self.dequeue(id) else { return Ok(()) };
        let (OutboxKind::Message { content: payload, id: message }, Some(seal)) = (row.kind, row.seal) else {
            return Ok(());
        };
        let content: Content = codec::decode(&payload)
            .map_err(|_| ErrorKind::Storage.because("an own message on disk is damaged"))?;
        let group = row.group;
        if !matches!(content.body, Body::Receipt(_)) {
            self.note_unsure(group, &payload);
        }
        if let Body::Sync(data) = &content.body {
            self.keep_said(group, &seal, sequence, (message, payload), None);
            // Said again because the log lost it: it counts where it was.
            if self.history.seen(&group, &message)?.is_some() {
                return Ok(());
            }
            self.history.mark_seen(group, message, sequence);
            return self.told_by_us(data);
        }
        if let Body::Receipt(receipt) = &content.body {
            // It is not said again: the next one says more.
            self.keep_sealed(group, &seal);
            let account = self.state.own_id();
            return self.receipt_counts(group, account, sequence, self.run.now, receipt);
        }
        let identity = self.state.identity()?;
        let mut stored = MessageRow::own(identity, message, content.clone(), false);
        self.will_expire(group, (sequence, 0), &mut stored, seal.powers);
        // As the group was when it was sealed, which is how everybody else judges it.
        let change = Self::waiting_change(message, stored.account, sequence, &content, seal.powers);
        let first = self.history.seen(&group, &message)?.is_none();
        let mut shown = !content.body.is_silent();
        if first && let Some(line) = self.own_grant_line(group, &content, seal.powers, message) {
            (stored.text, shown) = (line, true);
        }
        let row = (first && shown).then_some((&mut stored, &content));
        self.keep_said(group, &seal, sequence, (message, payload), row);
        if first {
            self.history.mark_seen(group, message, sequence);
        }
        if let Some((of, change)) = change {
            let mut came = Came::Waits;
            if first {
                self.leaves_a_mark(&mut stored);
                self.history.insert(group, (sequence, 0), stored);
                came = self.change_came(group, &change, of)?;
                let found = self.history.find(group, &of, self.state.went_back(&group))?;
                if found.is_some_and(|(_, row)| row.deleted || row.forgotten) {
                    // R-FORGET-12: its message went before it was said.
                    self.state.note_unsaid(group, of);
                    self.run.wake_at(self.run.now.plus(Duration::from_millis(1)));
                }
            }
            return self.tell_changed_one(group, &of, came, ticket);
        }
        if let Body::HistoryGrant(grant) = &content.body
            && !(first && shown)
        {
            // Another piece told of it.
            let line = self.line_of_grant(group, grant)?;
            let view = line.map(|(place, row)| Box::new(self.message_view(group, place, &row)));
            if let (Some(ticket), Some(view)) = (ticket, view) {
                self.run.reply(ticket, Ok(Reply::Message(view)));
            }
            return Ok(());
        }
        let view = self.message_view(group, (sequence, 0), &stored);
        if first {
            if !shown {
                return Ok(());
            }
            let delivered = self.run.delivered.entry(group).or_default();
            *delivered = delivered.saturating_add(1);
            self.history.insert(group, (sequence, 0), stored);
            let sent = Event::State { group, id: message, state: MessageState::Sent };
            self.tell(Fact::Sent(group, (sequence, 0)), sent);
            self.tell_message((sequence, 0), Box::new(view.clone()));
            self.change_arrived(group, (sequence, 0), &message)?;
        }
        if let Some(ticket) = ticket {
            self.run.reply(ticket, Ok(Reply::Message(Box::new(view))));
        }
        Ok(())
    }

    /// Who changed a message is answered with the message as it is now. What others said meanwhile may have kept the change
    /// from having an effect: then its person is told so.
    fn tell_changed_one(
        &mut self,
        group: GroupId,
        of: &MessageId,
        came: Came,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        let Some((place, row)) = self.history.find(group, of, self.state.went_back(&group))? else {
            if let Some(ticket) = ticket {
                let gone = ErrorKind::NotFound.because("the message that was changed is not here any more");
                self.run.reply(ticket, Err(gone));
            }
            return Ok(());
        };
        let error = match came {
            Came::Without(without) if !without.is_outdone() => Some(self.no_effect(without, &row)),
            Came::Without(_) | Came::Counts(_) | Came::Waits => None,
        };
        match (ticket, error) {
            (Some(ticket), Some(error)) => self.run.reply(ticket, Err(error)),
            (Some(ticket), None) => {
                let view = Box::new(self.message_view(group, place, &row));
                self.run.reply(ticket, Ok(Reply::Message(view)));
            }
            (None, Some(error)) => {
                let name = self.state.conversation_name(&group);
                self.warn(Notice::ChangeNotDelivered { group, name, error: Box::new(error) });
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// The reply to a `send` whose message waits.
    pub(crate) fn queued_reply(&self, row: u64) -> Result<Reply> {
        self.outbox_view(row)
            .map(|view| Reply::Message(Box::new(view)))
            .ok_or_else(|| ErrorKind::Bug.because("a queued message is gone"))
    }

    /// A person says something in a group that is thought to be over: the device asks once more.
    pub(super) fn person_insists(&mut self, group: GroupId) {
        let now = self.run.now;
        let lost = self.state.groups.get_mut(&group).and_then(|row| row.lost.as_mut());
        if let Some(lost) = lost
            && now.since(lost.asked) >= INSISTS
            && let Some(denied) = lost.denied.as_mut().filter(|denied| denied.over)
        {
            denied.over = false;
            lost.asked = Timestamp::default();
            self.run.touched.insert(group);
        }
    }
}

/// A message with files needs no words.
fn check_words(text: &str, files: usize) -> Result<()> {
    if files > 0 && text.is_empty() { Ok(()) } else { check_text_size(text) }
}

/// R-FORGET-02: there is an end to it.
fn check_expire(expire: Option<u64>) -> Result<()> {
    match expire {
        Some(0) => Err(ErrorKind::Usage.because("a message is to be readable for a second at least")),
        Some(seconds) if seconds > limit::EXPIRE_SECONDS => {
            Err(ErrorKind::Limit.because("a message is forgotten after 366 days at most"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_text_size(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(ErrorKind::Usage.because("there is nothing to send: the text is empty"));
    }
    if text.len() > limit::TEXT_BYTES { Err(too_long(text.len())) } else { Ok(()) }
}

fn too_long(bytes: usize) -> Error {
    let most = limit::TEXT_BYTES;
    ErrorKind::Limit
        .because(format!("a message has at most {most} bytes; this one has {bytes}"))
        .hint(Advice::SplitText)
}
