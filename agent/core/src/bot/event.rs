//! Bots inside the core: events in the order of their conversation, and outcomes that commit as one.
//!
//! A bot that failed sees the event again; a bot that answered cannot answer twice, because cursor, memory and
//! messages are in one transaction, and a repeated outcome finds the cursor already there.

use std::collections::BTreeSet;

use cipher_api::command::bot;
use cipher_api::view::{BotChange, BotChangeView, BotEventView, BotMemberView, GroupEvent, GroupState};
use cipher_api::{Advice, ErrorKind, Reply, Result};
use cipher_broker::answer::BotSay;
use cipher_broker::certificate::Kind;
use cipher_broker::emoji;
use cipher_broker::id::{AccountId, FileId, GroupId};
use cipher_broker::limit;
use cipher_broker::wire::content::Content;
use cipher_broker::wire::group::Role;

use crate::bot::due::is_of_members;
use crate::machine::Core;
use crate::state::{BotRow, Change, MessageRow, Place, RowBody};

impl Core {
    /// What a bot has to handle in the conversations whose turn it is. They share the room for it evenly, so a busy one
    /// fills no page.
    pub(super) fn bot_events(&mut self, bot: &str, limit: usize, busy: &[GroupId]) -> Result<Reply> {
        self.state.identity()?;
        self.know_bot(bot)?;
        let mut passed: BTreeSet<GroupId> = busy.iter().copied().collect();
        loop {
            let turns = self.next_turns(bot, limit, &passed);
            let share = limit.checked_div(turns.len()).unwrap_or_default();
            let (mut events, before) = (Vec::new(), passed.len());
            for group in turns {
                let some = self.events_in(bot, group, share)?;
                if some.is_empty() {
                    passed.insert(group);
                }
                events.extend(some);
            }
            if passed.len() == before {
                return Ok(Reply::BotEvents(events));
            }
            // Others take the room.
        }
    }

    /// What waits in a conversation and can be told now. Where nothing is left, because its author took it back or was
    /// blocked, nothing waits any more.
    fn events_in(&mut self, bot: &str, group: GroupId, most: usize) -> Result<Vec<BotEventView>> {
        let known = self.history.bot(bot, &group)?;
        let handled = self.handled(bot, &group)?;
        let rows = self.due_behind(&group, handled, most)?;
        if rows.is_empty() {
            self.waits_no_more(bot, group);
        }
        let mut events = Vec::new();
        for (place, row) in rows {
            if self.waits_for_names(group, &row) {
                break;
            }
            events.push(self.bot_event(group, place, &row, known.as_ref())?);
        }
        Ok(events)
    }

    fn bot_event(
        &mut self,
        group: GroupId,
        place: Place,
        row: &MessageRow,
        known: Option<&BotRow>,
    ) -> Result<BotEventView> {
        let (by, who) = match row.body() {
            // Others carry it out; who wished it is the one that goes.
            RowBody::Event(GroupEvent::Left, who) => (who, Some(who)),
            RowBody::Event(_, who) => (row.account, Some(who)),
            RowBody::Text
            | RowBody::Poll
            | RowBody::Missing
            | RowBody::Grant
            | RowBody::Granted(_)
            | RowBody::Unknown(_)
            | RowBody::Change(..)
            | RowBody::Silent => (row.account, None),
        };
        let (by, who) = (self.bot_member(group, by, row)?, who.map(|who| self.bot_member(group, who, row)));
        let changed = match row.body() {
            RowBody::Change(_, of) => self.history.find(group, &of, self.state.went_back(&group))?,
            _ => None,
        };
        let changed_at = changed.is_some().then_some(row.at.unwrap_or(row.sent_at));
        let change = match row.body() {
            RowBody::Change(change, _) => told(change, row, changed.as_ref().map(|(_, message)| message))
                .map(|what| BotChangeView { what, hops: row.hops }),
            _ => None,
        };
        let (stands, shown) = changed.as_ref().map_or((place, row), |(stands, message)| (*stands, message));
        Ok(BotEventView {
            message: self.message_view(group, stands, shown),
            changed_at,
            change,
            position: place.0,
            place: place.1,
            by,
            who: who.transpose()?,
            memory: known.and_then(|row| row.memory.as_ref()).map(|memory| memory.to_vec()),
            group_name: self.state.conversation_name(&group),
            direct: self.state.groups.get(&group).is_some_and(|row| row.direct),
        })
    }

    fn bot_member(&mut self, group: GroupId, account: AccountId, row: &MessageRow) -> Result<BotMemberView> {
        let here: Option<(Kind, Role)> = if self.state.is_member(&group) {
            self.with_live(group, |_, live| {
                let leaf = live.roster.values().find(|leaf| leaf.account == account);
                Ok(leaf.map(|leaf| (leaf.kind, live.data.role_of(&account))))
            })?
        } else {
            None
        };
        let elsewhere = || {
            let own = self.state.identity.as_ref().filter(|own| own.account == account).map(|own| own.kind);
            let actor = (row.account == account).then_some(row.sender_kind);
            own.or(actor).or_else(|| self.state.accounts.get(&account).map(|row| row.kind))
        };
        Ok(BotMemberView {
            handle: self.state.handle_of(&account),
            account_id: account,
            kind: here.map(|(kind, _)| kind).or_else(elsewhere),
            role: here.map(|(_, role)| role),
        })
    }

    pub(super) fn bot_handled(&mut self, handled: bot::Handled) -> Result<Reply> {
        let bot::Handled { bot, group, position, place, say, memory } = handled;
        let (bot, place): (&str, Place) = (&bot, (position, place));
        self.state.identity()?;
        self.know_bot(bot)?;
        let row = self.history.bot(bot, &group)?;
        if row.as_ref().is_some_and(|row| row.handled() >= place) {
            return Ok(Reply::Done);
        }
        let files: Vec<Vec<FileId>> = say.iter().map(|say| say.files.clone()).collect();
        let say: Vec<BotSay> = say.into_iter().map(Into::into).collect();
        if say.iter().any(|say| say.text.len() > limit::TEXT_BYTES) {
            return Err(ErrorKind::Limit.because("a bot's answer is too long"));
        }
        if files.iter().any(|files| files.len() > limit::ATTACHMENTS) {
            return Err(ErrorKind::Limit.because("a bot's answer has too many files"));
        }
        let reactions = say.iter().filter_map(|say| say.reaction.as_ref());
        if let Some(reaction) = reactions.into_iter().find(|reaction| !emoji::has_form(&reaction.emoji)) {
            return Err(ErrorKind::Usage
                .because(format!("'{}' is no emoji", reaction.emoji))
                .hint(Advice::EmojiOrName));
        }
        if say.iter().filter_map(|say| say.poll.as_ref()).any(|poll| !poll.is_sound()) {
            return Err(ErrorKind::Usage.because("a bot's poll has from 2 to 20 answers, no two alike"));
        }
        if say.iter().any(|say| say.poll.is_some() && say.text.trim().is_empty()) {
            return Err(ErrorKind::Usage.because("a bot's poll asks nothing: the question is empty"));
        }
        if !say.is_empty() && self.may_answer(group, place)? {
            // All or nothing: the event comes again when there is room.
            self.state.must_have_room(say.len())?;
            for (say, files) in say.into_iter().zip(files) {
                let attachments = self.state.uploaded_for_answer(&files, say.at)?;
                let content = Content { attachments, ..say.content() };
                self.enqueue_content(group, &content)?;
                self.state.uploads_are_said(&content.attachments);
            }
        }
        let memory = memory.or_else(|| row.and_then(|row| row.memory).map(serde_bytes::ByteBuf::into_vec));
        self.history.set_bot(bot, group, place, memory);
        self.turn_is_over(bot, group, place)?;
        Ok(Reply::Done)
    }

    /// Whether the bot is in the conversation, and has been since the event: who removed it and added it again does not
    /// wait for answers of before.
    fn may_answer(&self, group: GroupId, place: Place) -> Result<bool> {
        let Some(row) = self.state.groups.get(&group).filter(|row| row.state == GroupState::Active) else {
            return Ok(false);
        };
        if place.0 >= row.joined_at {
            return Ok(true);
        }
        let own = self.state.own_id();
        let went = |row: &MessageRow| {
            matches!(row.body(), RowBody::Event(event, who)
                if who == own && is_of_members(event) && event != GroupEvent::Role)
        };
        Ok(!self.history.behind(&group, place, usize::MAX)?.iter().any(|(_, row)| went(row)))
    }
}

/// A change as a bot is told of it; own devices tell each other some besides.
fn told(change: Change, row: &MessageRow, of: Option<&MessageRow>) -> Option<BotChange> {
    let emoji = || row.text.clone();
    Some(match change {
        Change::Edit => BotChange::Edited,
        Change::Delete => BotChange::Deleted,
        Change::React => BotChange::Reaction { emoji: emoji(), removed: false },
        Change::Unreact => BotChange::Reaction { emoji: emoji(), removed: true },
        Change::Pin => BotChange::Pinned { removed: false },
        Change::Unpin => BotChange::Pinned { removed: true },
        Change::Vote => BotChange::Vote { options: chosen(row, of) },
        Change::ClosePoll => BotChange::PollClosed,
        Change::Expire => return None,
    })
}

/// The answers that a vote chose, by the words of its poll.
fn chosen(vote: &MessageRow, poll: Option<&MessageRow>) -> Vec<String> {
    let options = poll.and_then(|poll| poll.poll.as_ref()).map(|poll| poll.options.as_slice());
    let option = |choice: &u8| options?.get(usize::from(*choice)).cloned();
    vote.choices.iter().filter_map(option).collect()
}
