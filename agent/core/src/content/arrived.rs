//! History that another own device sends.

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::wire::sync::SyncMessage;

use crate::machine::Core;
use crate::state::position;
use crate::state::{Change, MessageRow, Place, WaitingChange};

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
                        self.change(group, place, known, &change)?;
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
        self.history.insert(group, place, MessageRow::from_sync(message, era));
        self.change_arrived(group, place, &id)
    }
}

/// What a message of the history was through, as its author and others made it.
fn changes(message: &SyncMessage, era: u16) -> Vec<WaitingChange> {
    let id = message.id;
    let here = |(sequence, ago): (u64, u16)| position::of(era.saturating_sub(ago), sequence);
    let by_author = match message.edited {
        _ if message.deleted => Some((Change::Delete, 0)),
        Some(place) => Some((Change::Edit, here(place))),
        None => None,
    };
    let by_author = by_author.map(|(change, position)| {
        let (account, text) = (message.account, message.text.clone());
        WaitingChange { id, account, position, change, text }
    });
    let reactions = message.reactions.iter().map(|reaction| WaitingChange {
        id,
        account: reaction.account,
        position: here(reaction.place),
        change: if reaction.removed { Change::Unreact } else { Change::React },
        text: reaction.emoji.clone(),
    });
    by_author.into_iter().chain(reactions).collect()
}
