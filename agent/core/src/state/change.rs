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

impl ChangesRow {
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
