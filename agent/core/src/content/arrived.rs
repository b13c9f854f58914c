//! History that another own device sends.

use cipher_api::Result;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::sync::SyncMessage;

use crate::machine::Core;
use crate::state::position;
use crate::state::{Change, MessageRow, Place, Powers, WaitingChange};

impl Core {
    /// R-SYNC-06: history fills gaps; what this device knows itself stays as it is, unless its author changed it since
    /// (R-CONTENT-01 to 06) and this device was not there. `era` is that of the log here.
    pub(crate) fn history_arrived(
        &mut self,
        group: GroupId,
        place: Place,
        message: SyncMessage,
        era: u16,
    ) -> Result<()> {
        if let Some(known) = self.history.at(&group, place)? {
            if known.id == message.id {
                for change in changes(&message, era) {
                    if let Some(known) = self.history.at(&group, place)? {
                        let _ = self.change(group, place, known, &change)?;
                    }
                }
            }
            return Ok(());
        }
        if message.subject.is_none() && self.history.seen(&group, &message.id)?.is_some() {
            return Ok(());
        }
        let id = message.id;
        if message.subject.is_none() {
            self.history.mark_seen(group, id, place.0);
        }
        let mut row = MessageRow::from_sync(message, era);
        // R-FORGET-05: nothing comes back that is due.
        if self.state.is_over(&group, &row, self.run.now) {
            row.forget();
        }
        self.state.note_pin(group, &row);
        if row.granted().is_none() {
            self.came_itself(group, place.0, &id)?;
        }
        self.history.insert(group, place, row);
        self.change_arrived(group, place, &id)
    }
}

/// What a message of the history was through, as its author and others made it. The own device that tells it judged it.
fn changes(message: &SyncMessage, era: u16) -> Vec<WaitingChange> {
    let of = |account: AccountId, place: Option<(u64, u16)>, change: Change| {
        let position = place.map_or(0, |place| position::heard(place, era));
        WaitingChange { powers: Powers::ALL, ..WaitingChange::new(message.id, account, position, change) }
    };
    if message.deleted {
        return vec![of(message.deleted_by.unwrap_or(message.account), None, Change::Delete)];
    }
    let mut changes = Vec::new();
    for edit in message.edits.iter().rev().filter(|edit| edit.place.is_some()) {
        let change = of(message.account, edit.place, Change::Edit);
        changes.push(WaitingChange { text: edit.text.clone(), sent_at: edit.sent_at, ..change });
    }
    if message.edited.is_some() {
        let (text, mentions) = (message.text.clone(), message.mentions.clone());
        let sent_at = message.edited_at.unwrap_or(message.sent_at);
        changes.push(WaitingChange {
            text,
            mentions,
            sent_at,
            ..of(message.account, message.edited, Change::Edit)
        });
    }
    for reaction in &message.reactions {
        let change = if reaction.removed { Change::Unreact } else { Change::React };
        let change = of(reaction.account, Some(reaction.place), change);
        changes.push(WaitingChange { text: reaction.emoji.clone(), ..change });
    }
    if let Some(pin) = message.pin {
        let change = if pin.removed { Change::Unpin } else { Change::Pin };
        changes.push(of(pin.account, Some(pin.place), change));
    }
    if let Some(poll) = &message.poll {
        for vote in &poll.votes {
            let change = of(vote.account, Some(vote.place), Change::Vote);
            changes.push(WaitingChange { choices: vote.choices.clone(), ..change });
        }
        if poll.closed.is_some() {
            changes.push(of(message.account, poll.closed, Change::ClosePoll));
        }
    }
    if let Some(at) = message.expires_at {
        let change = of(message.account, None, Change::Expire);
        changes.push(WaitingChange { position: at.as_millis(), ..change });
    }
    changes
}
