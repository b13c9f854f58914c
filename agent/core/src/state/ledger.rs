//! What this store can give back to a log that lost it: the last commits of each group, by anybody, and the own
//! messages of the retention; invitations on their way. Also how own bytes are known when they come again.
//!
//! Of an own message that lies in the log where history has it, the history row says how it was sealed ([`SealedAs`]):
//! nothing else is written for it. A [`SentRow`] is for the others: bytes that others took the place of, messages that
//! were said again or that history does not show.
//!
//! Rows of the running batch lie in front of those on disk, as in [`crate::history`].

use std::collections::BTreeMap;
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use cipher_broker::{codec, limit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::state::history::History;
use crate::state::{KeptRow, Print, SealKey, SentRow, key};
use crate::store::Store;
use crate::store::key::{RowKey, of_group};
use crate::store::sealed::Writing;
use crate::store::table::{self, Table};

/// Commits kept per group.
const COMMITS: u64 = 64;
/// Bytes of commits kept per group.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Ledger {
    store: Store,
    commits: BTreeMap<(GroupId, u64), Option<KeptRow>>,
    sent: BTreeMap<(GroupId, SealKey), Option<SentRow>>,
    /// Where own messages stand in history, of groups in whose logs own bytes were met elsewhere than there.
    places: BTreeMap<GroupId, BTreeMap<SealKey, u64>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("pending", &self.sent.len()).finish_non_exhaustive()
    }
}

impl Ledger {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, commits: BTreeMap::new(), sent: BTreeMap::new(), places: BTreeMap::new() }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.commits.is_empty() && self.sent.is_empty()
    }

    /// The batch is written.
    pub(crate) fn flushed(&mut self) {
        self.commits.clear();
        self.sent.clear();
    }

    /// The batch is not written.
    pub(crate) fn discard(&mut self) {
        self.flushed();
        self.places.clear();
    }

    pub(crate) fn flush(&self, writing: &Writing<'_>) -> Result<()> {
        if !self.commits.is_empty() {
            flush_rows(writing, table::COMMITS, &self.commits)?;
        }
        if !self.sent.is_empty() {
            flush_rows(writing, table::SENT, &self.sent)?;
        }
        Ok(())
    }

    /// Keeps the commit that ended an epoch. The oldest give way.
    pub(crate) fn keep_commit(&mut self, group: GroupId, epoch: u64, row: KeptRow) -> Result<()> {
        let mut room = COMMIT_BYTES.saturating_sub(row.bytes.len());
        let mut kept = 1u64;
        for (older, row) in self.commits_of(&group)?.into_iter().rev() {
            room = room.saturating_sub(row.bytes.len());
            kept = kept.saturating_add(1);
            if older >= epoch || kept > COMMITS || room == 0 {
                self.commits.insert((group, older), None);
            }
        }
        self.commits.insert((group, epoch), Some(row));
        Ok(())
    }

    /// The commit that was seen again is at another place now.
    pub(crate) fn move_commit(&mut self, group: GroupId, epoch: u64, row: KeptRow) {
        self.commits.insert((group, epoch), Some(row));
    }

    pub(crate) fn commit(&self, group: &GroupId, epoch: u64) -> Result<Option<KeptRow>> {
        if let Some(row) = self.commits.get(&(*group, epoch)) {
            return Ok(row.clone());
        }
        let row = self.store.table(table::COMMITS)?.get_whole(&(*group, epoch).to_key())?;
        Ok(row.and_then(|row| codec::decode(&row).ok()))
    }

    /// Kept commits of a group by the epoch that they ended.
    pub(crate) fn commits_of(&self, group: &GroupId) -> Result<BTreeMap<u64, KeptRow>> {
        let mut found = BTreeMap::new();
        for (epoch, row) in self.rows_of(table::COMMITS, group, 8)? {
            found.insert(epoch, row);
        }
        for ((_, epoch), row) in self.commits.range((*group, 0)..=(*group, u64::MAX)) {
            match row {
                Some(row) => found.insert(*epoch, row.clone()),
                None => found.remove(epoch),
            };
        }
        Ok(found)
    }

    /// The group goes on somewhere else, or without us: its commits are of no use to anybody.
    pub(crate) fn forget_commits(&mut self, group: &GroupId) -> Result<()> {
        for epoch in self.commits_of(group)?.into_keys() {
            self.commits.insert((*group, epoch), None);
        }
        Ok(())
    }

    pub(crate) fn put_sent(&mut self, group: GroupId, print: &Print, row: SentRow) {
        self.sent.insert((group, key(print)), Some(row));
    }

    /// History says no longer how an own message was sealed: it is kept here.
    pub(crate) fn keep_sent(&mut self, group: GroupId, key: SealKey, row: SentRow) {
        self.sent.insert((group, key), Some(row));
    }

    /// The message goes out in other bytes, or not again; these stay known as ours.
    pub(crate) fn spend(&mut self, group: GroupId, key: SealKey, row: SentRow) {
        let row = SentRow { id: None, content: ByteBuf::new(), ..row };
        self.sent.insert((group, key), Some(row));
    }

    /// What is known of bytes that may be ours.
    pub(crate) fn sent(&self, group: &GroupId, print: &Print) -> Result<Option<SentRow>> {
        if let Some(row) = self.sent.get(&(*group, key(print))) {
            return Ok(row.clone());
        }
        let row = self.store.table(table::SENT)?.get_whole(&(*group, key(print)).to_key())?;
        Ok(row.and_then(|row| codec::decode(&row).ok()))
    }

    /// What this store sealed for a group and history does not have at its place.
    pub(crate) fn sent_of(&self, group: &GroupId) -> Result<BTreeMap<SealKey, SentRow>> {
        let mut found = BTreeMap::new();
        for (key, row) in self.rows_of(table::SENT, group, 16)? {
            found.insert(key, row);
        }
        for ((_, key), row) in self.sent.range((*group, [0; 16])..=(*group, [u8::MAX; 16])) {
            match row {
                Some(row) => found.insert(*key, row.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    /// The same, in the order of their keys, from behind one of them on, so many at most.
    pub(crate) fn sent_behind(
        &self,
        group: &GroupId,
        behind: Option<SealKey>,
        most: usize,
    ) -> Result<Vec<(SealKey, SentRow)>> {
        let (first, last) = of_group(group, 16);
        let from = behind.map(|key| (*group, key).to_key());
        let from = from.as_deref().map_or(Bound::Included(first.as_slice()), Bound::Excluded);
        let mut found = BTreeMap::new();
        for row in self.store.table(table::SENT)?.range(from, Bound::Included(&last))?.take(most) {
            let row = row?;
            let key = <(GroupId, SealKey)>::from_key(&row.key()).map(|(_, key)| key);
            let value = row.value().ok().and_then(|value| codec::decode(&value).ok());
            found.extend(key.zip(value));
        }
        // What this batch wrote is newer; what it took away is emptied once more, so that a full page stays one.
        let after = behind.map_or(Bound::Included((*group, [0; 16])), |key| Bound::Excluded((*group, key)));
        let written = self.sent.range((after, Bound::Included((*group, [u8::MAX; 16]))));
        found.extend(written.filter_map(|((_, key), row)| Some((*key, row.clone()?))));
        Ok(found.into_iter().take(most).collect())
    }

    /// Where the own message with this seal stands in history. The first question for a group reads its history, so that
    /// copies of own bytes, which anybody can put into a log, cost little each.
    pub(crate) fn place_of(
        &mut self,
        history: &History,
        group: &GroupId,
        key: &SealKey,
        oldest: Timestamp,
    ) -> Result<Option<u64>> {
        if !self.places.contains_key(group) {
            let sealed = history.sealed_since(group, oldest)?;
            let places = sealed.into_iter().map(|(place, _, sealed)| (sealed.key, place.0)).collect();
            self.places.insert(*group, places);
        }
        Ok(self.places.get(group).and_then(|places| places.get(key)).copied())
    }

    /// An own message stands in history, sealed like this.
    pub(crate) fn placed(&mut self, group: &GroupId, key: SealKey, position: u64) {
        if let Some(places) = self.places.get_mut(group) {
            places.insert(key, position);
        }
    }

    /// Forgets what no log holds any more.
    pub(crate) fn prune(&mut self, now: Timestamp) -> Result<()> {
        let oldest = now.minus(limit::RETENTION);
        for row in self.store.table(table::SENT)?.rows()? {
            let row = row?;
            if row.value().is_ok_and(|row| codec::decode::<SentRow>(&row).is_ok_and(|row| row.at >= oldest)) {
                continue;
            }
            if let Some(key) = RowKey::from_key(&row.key()) {
                self.sent.entry(key).or_insert(None);
            }
        }
        Ok(())
    }

    /// What a table has of a conversation, by the rest of its key. What cannot be read is left out.
    fn rows_of<K: RowKey, V: DeserializeOwned>(
        &self,
        table: Table,
        group: &GroupId,
        rest: usize,
    ) -> Result<Vec<(K, V)>> {
        let (first, last) = of_group(group, rest);
        let mut found = Vec::new();
        for row in self.store.table(table)?.range(Bound::Included(&first), Bound::Included(&last))? {
            let row = row?;
            let key = <(GroupId, K)>::from_key(&row.key()).map(|(_, key)| key);
            let value = row.value().ok().and_then(|value| codec::decode(&value).ok());
            found.extend(key.zip(value));
        }
        Ok(found)
    }
}

/// Writes what changed in a table.
fn flush_rows<K: RowKey, V: Serialize>(
    writing: &Writing<'_>,
    table: Table,
    rows: &BTreeMap<K, Option<V>>,
) -> Result<()> {
    let mut table = writing.table(table)?;
    for (key, row) in rows {
        match row {
            Some(row) => table.put_row(&key.to_key(), row)?,
            None => table.remove(&key.to_key())?,
        }
    }
    Ok(())
}
