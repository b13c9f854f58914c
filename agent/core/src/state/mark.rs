//! Where a log was read to, and what it lost.

use cipher_broker::sign::wire_hash;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{GroupRow, State};

/// What was read last: enough to know it again, not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The broker's time of the entry.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// A hash of its size and beginning.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
}

/// How much of an entry its mark covers: anybody may write large ones, and each is hashed by everybody.
pub(crate) const MARKED_BYTES: usize = 512;

/// The last time the broker turned out to have lost something, as `doctor` tells it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct IncidentRow {
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Conversations concerned.
    #[serde(rename = "g")]
    pub conversations: u64,
    /// Own messages that are sent again.
    #[serde(rename = "m")]
    pub messages: u64,
    /// Changes of groups that this device published again.
    #[serde(rename = "c")]
    pub commits: u64,
}

impl Mark {
    /// The mark of these bytes, stored at this time by the broker's clock.
    pub fn of(at: Timestamp, bytes: &[u8]) -> Self {
        let beginning = bytes.get(..MARKED_BYTES).unwrap_or(bytes);
        let hash = wire_hash(&[&(bytes.len() as u64).to_be_bytes(), beginning].concat());
        Self { at, hash }
    }
}

impl State {
    /// What was read last of a log, if the log as it is now had it.
    pub(crate) fn mark_of(&self, source: &Source) -> Option<Mark> {
        match source {
            Source::Group(group) => self.groups.get(group).and_then(|row| row.mark),
            Source::Inbox(_) if *source == self.inbox() => self.meta.inbox_mark,
            _ => None,
        }
    }

    /// Where reading a log goes on; `None` while nothing of it matters here.
    pub(crate) fn after(&self, source: &Source) -> Option<u64> {
        match source {
            Source::Group(group) => Some(self.groups.get(group).map_or(0, GroupRow::after)),
            Source::Inbox(inbox) => Some(self.link_cursor(inbox).unwrap_or(self.meta.inbox_cursor)),
            // Before the first head nothing of it matters here.
            Source::Log => self.meta.log_cursor,
            _ => None,
        }
    }
}
