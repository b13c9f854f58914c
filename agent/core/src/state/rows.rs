//! Rows of a table in memory: read when the store is opened, written when they changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::Store;
use crate::store::key::RowKey;
use crate::store::sealed::Writing;
use crate::store::table::Table;

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
    pub(super) fn load(store: &Store, table: Table) -> Result<Self> {
        let mut loaded = Self::default();
        for row in store.table(table)?.rows()? {
            let row = row?;
            let key = |bytes: &[u8]| K::from_key(bytes).ok_or_else(|| damaged(table));
            let read = |value: &[u8]| codec::decode(value).map_err(|_| damaged(table));
            match row.value() {
                Ok(value) => {
                    loaded.rows.insert(key(&row.key())?, read(&value)?);
                }
                Err(_) => {
                    // It is taken away with the next transaction, and told, unless it can be put where it belongs.
                    loaded.later.insert(key(&row.key())?);
                    if let Some((right, value)) = row.mended()? {
                        tracing::warn!(table = table.name, "a row had a damaged key, and is put right");
                        loaded.rows.insert(key(&right)?, read(&value)?);
                        loaded.later.insert(key(&right)?);
                    }
                }
            }
        }
        Ok(loaded)
    }

    /// Keys of rows that were damaged when they were loaded, until the next transaction.
    pub(crate) fn damaged(&self) -> Vec<K> {
        self.later.iter().filter(|key| !self.rows.contains_key(key)).copied().collect()
    }

    pub(super) fn flush(&self, writing: &Writing<'_>, table: Table) -> Result<()> {
        if self.dirty.is_empty() && self.later.is_empty() {
            return Ok(());
        }
        let mut table = writing.table(table)?;
        for key in self.dirty.union(&self.later) {
            match self.rows.get(key) {
                Some(row) => table.put_row(&key.to_key(), row)?,
                None => table.remove(&key.to_key())?,
            }
        }
        Ok(())
    }
}

fn damaged(table: Table) -> cipher_api::Error {
    ErrorKind::Storage
        .because(format!("the store of this profile is damaged: a row of '{}' cannot be read", table.name))
        .hint(Advice::StoreDamaged)
}
