//! What this store can give back to a log that lost it: the last commits of each group, by anybody, and the own
//! messages of the retention; invitations on their way. Also how own bytes are known when they come again.
//!
//! Of an own message that lies in the log where history has it, the history row says how it was sealed ([`SealedAs`]):
//! nothing else is written for it. A [`SentRow`] is for the others: bytes that others took the place of, messages that
//! were said again or that history does not show.
//!
//! Rows of the running batch lie in front of those on disk, as in [`crate::history`].

use std::collections::BTreeMap;

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use cipher_broker::{codec, limit};
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};
use serde_bytes::ByteBuf;

use crate::state::history::History;
use crate::state::{KeptRow, Print, SealKey, SentRow, key};
use crate::store::{Store, storage, table};

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

    pub(crate) fn flush(&self, txn: &WriteTransaction) -> Result<()> {
        if !self.commits.is_empty() {
            let mut commits = txn.open_table(table::COMMITS).map_err(storage)?;
            for ((group, epoch), row) in &self.commits {
                let key = (group.as_bytes(), *epoch);
                match row {
                    Some(row) => commits.insert(key, codec::encode(row).as_slice()),
                    None => commits.remove(key),
                }
                .map_err(storage)?;
            }
        }
        if !self.sent.is_empty() {
            let mut sent = txn.open_table(table::SENT).map_err(storage)?;
            for ((group, hash), row) in &self.sent {
                let key = (group.as_bytes(), hash);
                match row {
                    Some(row) => sent.insert(key, codec::encode(row).as_slice()),
                    None => sent.remove(key),
                }
                .map_err(storage)?;
            }
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
        let read = self.store.db().begin_read().map_err(storage)?;
        let commits = read.open_table(table::COMMITS).map_err(storage)?;
        let row = commits.get((group.as_bytes(), epoch)).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
    }

    /// Kept commits of a group by the epoch that they ended.
    pub(crate) fn commits_of(&self, group: &GroupId) -> Result<BTreeMap<u64, KeptRow>> {
        let mut found = BTreeMap::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let commits = read.open_table(table::COMMITS).map_err(storage)?;
        for row in commits.range((group.as_bytes(), 0)..=(group.as_bytes(), u64::MAX)).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if let Ok(row) = codec::decode(value.value()) {
                found.insert(key.value().1, row);
            }
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
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        let row = sent.get((group.as_bytes(), &key(print))).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
    }

    /// What this store sealed for a group and history does not have at its place.
    pub(crate) fn sent_of(&self, group: &GroupId) -> Result<BTreeMap<SealKey, SentRow>> {
        let mut found = BTreeMap::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        let all = (group.as_bytes(), &[0; 16])..=(group.as_bytes(), &[u8::MAX; 16]);
        for row in sent.range(all).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if let Ok(row) = codec::decode::<SentRow>(value.value()) {
                found.insert(*key.value().1, row);
            }
        }
        for ((_, key), row) in self.sent.range((*group, [0; 16])..=(*group, [u8::MAX; 16])) {
            match row {
                Some(row) => found.insert(*key, row.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
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
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        for row in sent.iter().map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if codec::decode::<SentRow>(value.value()).is_ok_and(|row| row.at >= oldest) {
                continue;
            }
            let (group, hash) = key.value();
            self.sent.entry((GroupId::from_bytes(*group), *hash)).or_insert(None);
        }
        Ok(())
    }
}
