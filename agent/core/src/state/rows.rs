//! Rows of a table in memory: read when the store is opened, written when they changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Store, storage};

/// Rows of one table, all in memory, with the keys that changed.
#[derive(Debug)]
pub(crate) struct Rows<K, V> {
    rows: BTreeMap<K, V>,
    dirty: BTreeSet<K>,
    /// Changed too, and no reason for a transaction: written along with the next one.
    later: BTreeSet<K>,
}

impl<K: Ord + Copy, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), dirty: BTreeSet::new(), later: BTreeSet::new() }
    }
}

impl<K: Ord + Copy, V> Rows<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// For changing: the row is written at the end of the batch.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.dirty.insert(*key);
        Some(row)
    }

    /// For changing what lives only as long as the process: the row is not written.
    pub(crate) fn volatile_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key)
    }

    /// For changing what may be lost with the process: the row is written when something else is.
    pub(crate) fn later_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.later.insert(*key);
        Some(row)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.rows.insert(key, value);
        self.dirty.insert(key);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key)?;
        self.dirty.insert(*key);
        Some(row)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(crate) fn range(&self, range: RangeInclusive<K>) -> impl Iterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.rows.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// All that changed is on the disk.
    pub(super) fn flushed(&mut self) {
        self.dirty.clear();
        self.later.clear();
    }
}

impl<K: Ord + Copy + RowKey, V: Serialize + DeserializeOwned> Rows<K, V> {
    pub(super) fn load(
        store: &Store,
        definition: TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<Self> {
        let read = store.db().begin_read().map_err(storage)?;
        let table = read.open_table(definition).map_err(storage)?;
        let mut rows = BTreeMap::new();
        for row in table.iter().map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            let key = K::from_key(key.value()).ok_or_else(|| damaged(&definition))?;
            rows.insert(key, codec::decode(value.value()).map_err(|_| damaged(&definition))?);
        }
        Ok(Self { rows, dirty: BTreeSet::new(), later: BTreeSet::new() })
    }

    pub(super) fn flush(
        &self,
        txn: &WriteTransaction,
        definition: TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<()> {
        if self.dirty.is_empty() && self.later.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(definition).map_err(storage)?;
        for key in self.dirty.union(&self.later) {
            match self.rows.get(key) {
                Some(row) => table.insert(key.to_key().as_slice(), codec::encode(row).as_slice()),
                None => table.remove(key.to_key().as_slice()),
            }
            .map_err(storage)?;
        }
        Ok(())
    }
}

fn damaged(definition: &TableDefinition<'_, &'static [u8], &'static [u8]>) -> cipher_api::Error {
    use redb::TableHandle as _;
    ErrorKind::Storage
        .because(format!(
            "the store of this profile is damaged: a row of '{}' cannot be read",
            definition.name()
        ))
        .hint(Advice::StoreDamaged)
}

/// How a key is written.
pub(crate) trait RowKey: Sized {
    fn to_key(&self) -> Vec<u8>;
    fn from_key(bytes: &[u8]) -> Option<Self>;
}

impl RowKey for GroupId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for AccountId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for DeviceId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for (GroupId, MessageId) {
    fn to_key(&self) -> Vec<u8> {
        [self.0.as_bytes().as_slice(), self.1.as_bytes()].concat()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        let (group, message) = bytes.split_at_checked(GroupId::LEN)?;
        Some((GroupId::from_slice(group).ok()?, MessageId::from_slice(message).ok()?))
    }
}

impl RowKey for u64 {
    fn to_key(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}
