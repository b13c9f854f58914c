//! History on its way to a device of the own account.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::view::HistoryPolicy;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{MessageRow, Place, State};

/// How far the history for a device is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TransferRow {
    /// What it gets.
    #[serde(rename = "p")]
    pub policy: HistoryPolicy,
    /// When the device was admitted.
    #[serde(rename = "t")]
    pub since: Timestamp,
    /// Conversations that are left, the next one last; `None` before the device is in the group of own devices.
    #[serde(rename = "g")]
    pub groups: Option<Vec<GroupId>>,
    /// In the next conversation, everything from here on was sent.
    #[serde(rename = "b")]
    pub before: Option<Place>,
    /// Messages sent so far.
    #[serde(rename = "n")]
    pub done: u64,
    /// Messages in all.
    #[serde(rename = "o")]
    pub total: u64,
    /// Messages with other words than were sent: they are sent again.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub changed: BTreeSet<(GroupId, Place)>,
    /// The last of it was sent. The row stays while there are conversations that the device is not in: what is changed there
    /// meanwhile, it cannot read itself.
    #[serde(rename = "e", default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

impl TransferRow {
    pub(crate) const fn new(policy: HistoryPolicy, since: Timestamp) -> Self {
        Self {
            policy,
            since,
            groups: None,
            before: None,
            done: 0,
            total: 0,
            changed: BTreeSet::new(),
            over: false,
        }
    }

    /// The conversation to go on with, which is the last one then.
    pub(crate) fn next_group(&mut self, waiting: &BTreeSet<GroupId>) -> Option<GroupId> {
        let begun = self.before.is_some();
        let groups = self.groups.as_mut()?;
        if !begun {
            let ready = groups.iter().rposition(|group| !waiting.contains(group))?;
            let group = groups.remove(ready);
            groups.push(group);
        }
        groups.last().copied()
    }

    /// Whether something is left to be sent, as far as is known.
    pub(crate) fn has_more(&self) -> bool {
        !self.over || !self.changed.is_empty()
    }

    /// Whether what stands at a place was sent, if it was part of it.
    fn has_sent(&self, group: &GroupId, place: Place) -> bool {
        let Some(groups) = &self.groups else { return false };
        match groups.iter().position(|left| left == group) {
            None => true,
            Some(at) => {
                at.saturating_add(1) == groups.len() && self.before.is_some_and(|before| place >= before)
            }
        }
    }

    /// Whether a message is part of it.
    pub(crate) fn wants(&self, row: &MessageRow) -> bool {
        let young = |days: u32| {
            let age = Duration::from_secs(u64::from(days).saturating_mul(86_400));
            row.sent_at >= self.since.minus(age)
        };
        !row.failed
            && !row.forgotten
            && row.is_shown()
            && match self.policy {
                HistoryPolicy::All => true,
                HistoryPolicy::None => false,
                HistoryPolicy::Days(days) => young(days),
            }
    }
}

impl State {
    /// Whether this new device still waits for groups or history.
    pub(crate) fn arriving(&self) -> bool {
        self.meta.arriving
    }

    /// A message has other words now: devices that were sent it before are sent it again.
    pub(crate) fn changed_for_newcomers(&mut self, group: GroupId, place: Place, row: &MessageRow) {
        for device in self.transfers.keys() {
            let sent = |transfer: &TransferRow| transfer.has_sent(&group, place) && transfer.wants(row);
            if self.transfers.get(&device).is_some_and(sent)
                && let Some(transfer) = self.transfers.get_mut(&device)
            {
                transfer.changed.insert((group, place));
            }
        }
    }

    /// New devices that history is still sent to.
    pub(crate) fn sends_history_to(&self) -> Vec<DeviceId> {
        self.transfers.iter().filter(|(_, row)| !row.over).map(|(device, _)| *device).collect()
    }

    /// This device was revoked, or another copy of its store goes on: it owes nobody anything.
    pub(crate) fn give_up_transfers(&mut self) {
        for device in self.transfers.keys() {
            self.transfers.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::position;

    #[test]
    fn what_was_sent_is_known_in_a_conversation_that_is_done_begun_or_left() {
        let place = |sequence: u64| (position::of(position::FIRST_ERA, sequence), 0);
        let [done, begun, left] = [1, 2, 3].map(|id| GroupId::from_bytes([id; 16]));
        let mut transfer = TransferRow::new(HistoryPolicy::All, Timestamp::from_millis(5));
        let sent = |transfer: &TransferRow| {
            [(done, 1), (begun, 7), (begun, 8), (left, 9)]
                .map(|(group, sequence)| transfer.has_sent(&group, place(sequence)))
        };
        assert_eq!(sent(&transfer), [false; 4], "nothing was");
        (transfer.groups, transfer.before) = (Some(vec![left, begun]), Some(place(8)));
        assert_eq!(sent(&transfer), [true, false, true, false]);
    }
}
