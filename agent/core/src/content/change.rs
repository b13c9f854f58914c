//! What changes of messages make of them: read from the log, and applied to the message that they are about.
//!
//! ```text
//! edit ID TEXT ─► may one? ──► outbox ─► the log ────┐
//!                                                    ├─► timeline::apply ─► the row of the message ─► news
//! a member's change in the log ──────────────────────┘        │ not here yet: waits in `changes`
//! a message that was waited for (log, history of an own device) ┘
//! ```

use cipher_api::{Event, Result};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::wire::content::{Body, Content};

use crate::content::timeline::{self, Without};
use crate::machine::Core;
use crate::state::{Change, Fact, MessageRow, Place, Powers, WaitingChange, mention};

/// Messages of which changes wait, per conversation, and bytes of their words: they are kept in memory, and anybody who may
/// speak there makes them. The oldest go.
const WAITING: usize = 1_000;
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// What a change of a message came to when it took its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It has an effect on the message at this position.
    Counts(u64),
    /// A rule keeps it from having one.
    Without(Without),
    /// Its message is not here.
    Waits,
}

impl Came {
    /// The position of the message, if the change has an effect.
    pub(super) const fn counts(self) -> Option<u64> {
        match self {
            Self::Counts(position) => Some(position),
            Self::Without(_) | Self::Waits => None,
        }
    }
}

impl Core {
    /// A change of a message took its place in the log.
    pub(super) fn change_came(
        &mut self,
        group: GroupId,
        waiting: &WaitingChange,
        of: MessageId,
    ) -> Result<Came> {
        Ok(match self.history.find(group, &of, self.state.went_back(&group))? {
            Some((place, row)) => match self.change(group, place, row, waiting)? {
                Ok(()) => Came::Counts(place.0),
                Err(without) => Came::Without(without),
            },
            None => {
                self.granted_taken_back(group, of, waiting)?;
                self.keep_waiting(group, of, waiting.clone());
                Came::Waits
            }
        })
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
                let _ = self.change(group, place, row, &waiting)?;
            }
        }
        Ok(())
    }

    /// Makes of a message what a change says, if the rules let it have an effect.
    pub(super) fn change(
        &mut self,
        group: GroupId,
        place: Place,
        mut row: MessageRow,
        waiting: &WaitingChange,
    ) -> Result<Result<(), Without>> {
        let unread = self.is_unread(&group, place.0, &row);
        let before = row.clone();
        if let Err(without) = timeline::apply(&mut row, waiting) {
            tracing::debug!(
                rule = without.0,
                group = group.short(),
                waiting.position,
                "a change has no effect"
            );
            if row != before {
                // Nothing that is shown: words between two others, a vote before another one.
                self.state.changed_for_newcomers(group, place, &row);
                self.history.insert(group, place, row);
            }
            return Ok(Err(without));
        }
        match waiting.change {
            // R-FORGET-04: its time stays.
            Change::Edit => self.keep_as_sealed(group, place.0, before, &mut row),
            Change::Delete => self.forget_sealed(group, place.0, &before, &mut row),
            Change::React
            | Change::Unreact
            | Change::Pin
            | Change::Unpin
            | Change::Vote
            | Change::ClosePoll
            | Change::Expire => {}
        }
        self.state.note_pin(group, &row);
        self.state.changed_for_newcomers(group, place, &row);
        let hidden = self.state.hides(&row) || waiting.change == Change::Expire;
        let view = (!hidden).then(|| Box::new(self.message_view(group, place, &row)));
        self.history.insert(group, place, row);
        if unread && matches!(waiting.change, Change::Delete | Change::Edit) {
            // R-CONTENT-07: nobody has to read what was taken back; an edit makes nothing unread, and may name others.
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        if let Some(view) = view {
            self.tell(Fact::Changed(group, place), Event::changed(view));
        }
        Ok(Ok(()))
    }

    /// The change that a message makes of another one, for [`Core::change_came`].
    pub(super) fn waiting_change(
        id: MessageId,
        account: AccountId,
        position: u64,
        content: &Content,
        powers: Powers,
    ) -> Option<(MessageId, WaitingChange)> {
        let mut waiting = WaitingChange::new(id, account, position, Change::Edit);
        let (of, change) = match &content.body {
            Body::Edit { of, text } => {
                text.clone_into(&mut waiting.text);
                // They wait in memory: only those that the words hold.
                waiting.mentions = mention::sound(text, &content.mentions);
                (*of, Change::Edit)
            }
            Body::Delete { of } => (*of, Change::Delete),
            Body::Reaction { of, emoji, removed } => {
                emoji.clone_into(&mut waiting.text);
                (*of, if *removed { Change::Unreact } else { Change::React })
            }
            Body::Pin { of, removed } => (*of, if *removed { Change::Unpin } else { Change::Pin }),
            Body::Vote { of, choices } => {
                choices.clone_into(&mut waiting.choices);
                (*of, Change::Vote)
            }
            Body::PollClosed { of } => (*of, Change::ClosePoll),
            Body::Text(_)
            | Body::Poll { .. }
            | Body::ContactAccepted
            | Body::Sync(_)
            | Body::Missing(_)
            | Body::Receipt(_)
            | Body::HistoryGrant(_)
            | Body::Unknown { .. } => return None,
        };
        (waiting.change, waiting.sent_at, waiting.powers) = (change, content.sent_at, powers);
        Some((of, waiting))
    }

    /// R-FORGET-12: what a change says goes into its message, and goes with it. Its own row marks the place; to a bot it tells what
    /// was put there or chosen, until the bot was told.
    pub(super) fn leaves_a_mark(&self, row: &mut MessageRow) {
        if self.state.identity.as_ref().is_none_or(|own| own.kind != Kind::Bot) {
            row.text.clear();
            row.choices.clear();
        }
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
