//! Whether a message is pinned to its conversation.

use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::limit;
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

/// The pinned messages of a conversation, as they are listed. Each message says for itself whether it is pinned: this is found
/// again from them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinsRow {
    /// With the places of their pins, in the order of the log.
    #[serde(rename = "p")]
    of: Vec<(u64, MessageId)>,
    /// There are earlier ones, which are not listed.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl PinsRow {
    /// A message is pinned, by what lies at this position.
    pub(crate) fn put(&mut self, position: u64, id: MessageId) {
        self.of.retain(|(_, known)| *known != id);
        let behind = self.of.partition_point(|known| *known < (position, id));
        self.of.insert(behind, (position, id));
        if self.of.len() > limit::PINS {
            self.of.remove(0);
            self.more = true;
        }
    }

    /// The messages, the one first that was pinned first.
    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.of.iter().map(|(_, id)| *id).collect()
    }
}

impl State {
    /// A message was pinned, or is not pinned any more. Where nobody looked for pins yet there is nothing to keep.
    pub(crate) fn note_pin(&mut self, group: GroupId, row: &MessageRow) {
        let pin = row.pin.as_ref().filter(|pin| !pin.removed).map(|pin| (pin.position, row.id));
        let Some(pins) = self.pins.get(&group) else { return };
        let known = pins.of.iter().find(|(_, id)| *id == row.id).copied();
        if known == pin {
            return;
        }
        if pins.more && pin.is_none() {
            // There is room for one that is not listed: they are looked for again.
            self.pins.remove(&group);
        } else if let Some(pins) = self.pins.get_mut(&group) {
            match pin {
                Some((position, id)) => pins.put(position, id),
                None => pins.of.retain(|(_, id)| *id != row.id),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> MessageId {
        let mut bytes = [0; MessageId::LEN];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    #[test]
    fn the_latest_pins_are_listed_in_the_order_of_the_log() {
        let mut pins = PinsRow::default();
        for n in [5, 3, 9] {
            pins.put(n, id(n));
        }
        pins.put(7, id(3));
        assert_eq!(pins.ids(), [5, 3, 9].map(id), "pinned again it is the one that was pinned last");
        let most = limit::PINS as u64;
        for n in 0..most {
            pins.put(100 + n, id(100 + n));
        }
        assert!(pins.more);
        assert_eq!(pins.ids(), (100..100 + most).map(id).collect::<Vec<_>>());
        pins.put(1, id(1));
        assert_eq!(pins.ids().len(), limit::PINS, "an old pin that comes late is not among the latest");
        assert!(!pins.ids().contains(&id(1)));
    }
}
