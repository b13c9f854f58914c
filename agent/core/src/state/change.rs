//! Changes of messages that are not here yet.

use cipher_broker::id::{AccountId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{Change, State};

/// A change that waits for its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingChange {
    /// The message that carries it.
    #[serde(rename = "i")]
    pub id: MessageId,
    /// The account that says so: only that of the message counts (R-CONTENT-01).
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "k")]
    pub change: Change,
    /// The words of an edit.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// All that waits for one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangesRow {
    #[serde(rename = "c")]
    pub waiting: Vec<WaitingChange>,
    /// When the last of them came, by the own clock: what waits longer than a log keeps anything is forgotten.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Edits and deletions that wait for one message, and reactions: anybody makes those, and they must push out no deletion.
const CHANGES: usize = 16;
const REACTIONS: usize = 64;

impl ChangesRow {
    /// One more waits. The oldest of its sort gives way.
    pub(crate) fn add(&mut self, waiting: WaitingChange) {
        let reacts = waiting.change.reacts().is_some();
        let most = if reacts { REACTIONS } else { CHANGES };
        let of_sort = |known: &WaitingChange| known.change.reacts().is_some() == reacts;
        if self.waiting.iter().filter(|known| of_sort(known)).count() >= most
            && let Some(oldest) = self.waiting.iter().position(of_sort)
        {
            self.waiting.remove(oldest);
        }
        self.waiting.push(waiting);
    }

    /// Bytes of the words that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.text.len()).sum()
    }
}

impl State {
    /// Forgets changes whose messages no log can bring any more.
    pub(crate) fn prune_changes(&mut self, now: Timestamp) {
        let oldest = now.minus(limit::RETENTION);
        let old = self.changes.iter().filter(|(_, row)| row.at < oldest).map(|(key, _)| *key);
        for key in old.collect::<Vec<_>>() {
            self.changes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(change: Change, position: u64) -> WaitingChange {
        let (id, account) = (MessageId::from_bytes([1; 16]), AccountId::from_bytes([2; 32]));
        WaitingChange { id, account, position, change, text: String::new() }
    }

    #[test]
    fn r_content_05_reactions_that_wait_are_bounded_and_push_out_no_deletion() {
        let mut row = ChangesRow::default();
        row.add(waits(Change::Delete, 1));
        for position in 2..200 {
            row.add(waits(Change::React, position));
        }
        assert_eq!(row.waiting.len(), 1 + REACTIONS);
        assert_eq!(row.waiting.first(), Some(&waits(Change::Delete, 1)));
        assert_eq!(row.waiting.last(), Some(&waits(Change::React, 199)));
        for position in 200..300 {
            row.add(waits(Change::Edit, position));
        }
        let edits = row.waiting.iter().filter(|waiting| waiting.change == Change::Edit);
        assert_eq!(edits.map(|waiting| waiting.position).collect::<Vec<_>>(), (284..300).collect::<Vec<_>>());
        assert_eq!(row.waiting.len(), CHANGES + REACTIONS);
    }
}
