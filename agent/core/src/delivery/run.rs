//! What is known of logs and publishes while the process runs, and learned again by the next one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::delivery::outbox::Attempt;
use crate::input::Reading;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Logs that are being read.
    pub(super) following: BTreeMap<Source, Reading>,
    /// Readings that were begun.
    pub(super) readings: u64,
    /// Logs read to their end since the connection came up.
    pub(super) caught_up: BTreeSet<Source>,
    /// Logs that were read to their end once since the connection came up: nothing is sent into others.
    pub(super) read: BTreeSet<Source>,
    /// Groups from whose log age took the entry at our cursor: what followed it may be gone too.
    pub(super) gone: BTreeSet<GroupId>,
    /// Groups whose handshake subject is empty, as the broker said: retention took the last commit away.
    pub(super) emptied: BTreeSet<GroupId>,
    /// Invitations were sent again since the connection came up, because an inbox lost what it had.
    pub(super) reposted: bool,
    /// It was told since the connection came up that the broker's operator made room.
    pub(super) room_told: bool,
    /// Outbox rows whose publish is on its way.
    pub(super) in_flight: BTreeSet<u64>,
    /// Publishes whose outcome is open.
    pub(super) attempts: BTreeMap<u64, Attempt>,
    /// Outbox rows of each group, and rows by the hash of their bytes.
    pub(super) by_group: BTreeMap<GroupId, BTreeSet<u64>>,
    pub(super) by_hash: HashMap<[u8; 32], u64>,
    /// The latest time by which the broker stored anything that was read since the start.
    pub(super) broker_at: Option<Timestamp>,
    /// When the broker last took anything.
    pub(super) stored_at: Option<Timestamp>,
    /// Groups of whose log this batch brought junk, and whether it brought nothing else.
    pub(super) junk: BTreeMap<GroupId, bool>,
    /// Groups on whose handshake subject junk lies, and how long that counts.
    pub(super) disputed: BTreeMap<GroupId, Timestamp>,
}

impl Run {
    /// Outbox rows of a conversation, in the order in which they were queued.
    pub(crate) fn rows_of(&self, group: GroupId) -> impl Iterator<Item = u64> + '_ {
        self.by_group.get(&group).into_iter().flatten().copied()
    }

    /// Conversations for which something waits in the outbox.
    pub(crate) fn groups_with_rows(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.by_group.keys().copied()
    }

    /// The outbox row whose sealed bytes have this hash.
    pub(crate) fn row_with(&self, hash: &[u8; 32]) -> Option<u64> {
        self.by_hash.get(hash).copied()
    }

    /// Whether a log is being read.
    pub(crate) fn follows(&self, source: &Source) -> bool {
        self.following.contains_key(source)
    }

    /// The reading of a log that goes on.
    #[cfg(test)]
    pub(crate) fn reading_of(&self, source: &Source) -> Option<Reading> {
        self.following.get(source).copied()
    }

    /// Whether a log was read to its end since the connection came up.
    pub(crate) fn is_caught_up(&self, source: &Source) -> bool {
        self.caught_up.contains(source)
    }

    /// Whether a log was read to its end once since the connection came up: something may be sent into it.
    pub(crate) fn is_read(&self, source: &Source) -> bool {
        self.read.contains(source)
    }

    /// A log is known to hold more than was read of it.
    pub(crate) fn is_behind(&mut self, source: &Source) {
        self.caught_up.remove(source);
    }

    /// A group was made here: its log is known to be empty.
    pub(crate) fn begins(&mut self, group: GroupId) {
        self.read.insert(Source::Group(group));
    }

    /// The log of a group went back: what is known of it does not hold any more.
    pub(crate) fn went_back(&mut self, group: &GroupId) {
        let source = Source::Group(*group);
        self.read.remove(&source);
        self.caught_up.remove(&source);
        self.emptied.remove(group);
    }

    /// Whether the handshake subject of a group is empty, because retention took the last commit away.
    pub(crate) fn has_no_commit(&self, group: &GroupId) -> bool {
        self.emptied.contains(group)
    }

    /// A commit of a group was seen.
    pub(crate) fn has_commit(&mut self, group: &GroupId) {
        self.emptied.remove(group);
    }

    /// Whether age took the entry at our cursor from the log of a group: what followed it may be gone too.
    pub(crate) fn has_lost_entries(&self, group: &GroupId) -> bool {
        self.gone.contains(group)
    }

    /// The same, noted now: it is said once.
    pub(crate) fn notes_lost_entries(&mut self, group: &GroupId) -> bool {
        self.gone.remove(group)
    }

    /// The latest time by which the broker stored anything that was read since the start.
    pub(crate) const fn broker_at(&self) -> Option<Timestamp> {
        self.broker_at
    }

    /// What the next batch goes on with when this one is lost: no reading may have the number of an earlier one.
    pub(crate) fn after_abort(&self) -> Self {
        Self { readings: self.readings, ..Self::default() }
    }
}
