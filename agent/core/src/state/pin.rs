//! Whether a message is pinned to its conversation.

use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::sync::SyncPin;
use serde::{Deserialize, Serialize};

use crate::state::{MessageRow, State, position};

/// What was said last, also that it is not pinned any more: what comes late may be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinRow {
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where that lies in the log.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

impl PinRow {
    /// For another own device. Eras are counted by each store for itself.
    pub(crate) fn to_sync(self, era: u16) -> SyncPin {
        SyncPin { account: self.account, place: position::told(self.position, era), removed: self.removed }
    }

    /// From another own device. `era` is that of the log here.
    pub(crate) fn from_sync(pin: SyncPin, era: u16) -> Self {
        Self { account: pin.account, position: position::heard(pin.place, era), removed: pin.removed }
    }
}

impl State {
    /// A message was pinned, or is not pinned any more. Where nobody looked for pins yet there is nothing to keep.
    pub(crate) fn note_pin(&mut self, group: GroupId, row: &MessageRow) {
        let pin = row.pin.as_ref().filter(|pin| !pin.removed).map(|pin| (pin.position, row.id));
        let Some(pins) = self.groups.get(&group).and_then(|row| row.pins.as_ref()) else { return };
        let known = pins.iter().find(|(_, id)| *id == row.id).copied();
        if known == pin {
            return;
        }
        let Some(pins) = self.groups.get_mut(&group).and_then(|row| row.pins.as_mut()) else { return };
        pins.retain(|(_, id)| *id != row.id);
        pins.extend(pin);
        pins.sort_unstable();
    }
}
