//! History on its way to a device of the own account.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::view::HistoryPolicy;
use cipher_broker::id::GroupId;
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
}

impl TransferRow {
    pub(crate) const fn new(policy: HistoryPolicy, since: Timestamp) -> Self {
        Self { policy, since, groups: None, before: None, done: 0, total: 0 }
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

    /// Whether a message is part of it.
    pub(crate) fn wants(&self, row: &MessageRow) -> bool {
        let young = |days: u32| {
            let age = Duration::from_secs(u64::from(days).saturating_mul(86_400));
            row.sent_at >= self.since.minus(age)
        };
        !row.failed
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
}

impl State {
    /// This device was revoked, or another copy of its store goes on: it owes nobody anything.
    pub(crate) fn give_up_transfers(&mut self) {
        for device in self.transfers.keys() {
            self.transfers.remove(&device);
        }
    }
}
