//! A table that notes what is written to it, so that a copy of the store elsewhere can make the same changes.
//!
//! Rows are copied, not requests: a replica needs no rule of `op/` to follow, so it cannot come to another result,
//! not even while replicas run different versions.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::ops::RangeBounds;
use std::rc::Rc;

use redb::{
    AccessGuard, Key, Range, ReadableTable, ReadableTableMetadata, StorageError, Table, TableHandle,
    TableStats, Value,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::StoreError;

/// One row that was written or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Name of the table.
    #[serde(rename = "t")]
    pub(crate) table: String,
    /// The key as redb stores it.
    #[serde(rename = "k")]
    pub(crate) key: ByteBuf,
    /// The value as redb stores it; `None`: the row was removed.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<ByteBuf>,
}

/// What was written in one transaction, in order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    rows: Vec<Change>,
    bytes: usize,
}

impl Changes {
    /// Bytes of keys and values.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_rows(self) -> Vec<Change> {
        self.rows
    }
}

/// Where changes are noted, when anybody wants to know.
pub(crate) type Notes = Option<Rc<RefCell<Changes>>>;

/// A table of a transaction that writes.
#[derive(Debug)]
pub(crate) struct Rows<'t, K: Key + 'static, V: Value + 'static> {
    table: Table<'t, K, V>,
    notes: Notes,
}

impl<'t, K: Key + 'static, V: Value + 'static> Rows<'t, K, V> {
    pub(super) const fn new(table: Table<'t, K, V>, notes: Notes) -> Self {
        Self { table, notes }
    }

    /// Writes a row; gives what was there.
    pub(crate) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        if self.notes.is_some() {
            self.note(
                K::as_bytes(key.borrow()).as_ref(),
                Some(V::as_bytes(value.borrow()).as_ref().to_vec().into()),
            );
        }
        self.table.insert(key, value)
    }

    /// Removes a row; gives what was there.
    pub(crate) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        if self.notes.is_some() {
            self.note(K::as_bytes(key.borrow()).as_ref(), None);
        }
        self.table.remove(key)
    }

    fn note(&self, key: &[u8], value: Option<ByteBuf>) {
        if let Some(notes) = &self.notes {
            let mut notes = notes.borrow_mut();
            let bytes = key.len().saturating_add(value.as_ref().map_or(0, |value| value.len()));
            notes.bytes = notes.bytes.saturating_add(bytes);
            let (table, key) = (self.table.name().to_owned(), ByteBuf::from(key));
            notes.rows.push(Change { table, key, value });
        }
    }
}

impl<K: Key + 'static, V: Value + 'static> ReadableTableMetadata for Rows<'_, K, V> {
    fn stats(&self) -> Result<TableStats, StorageError> {
        self.table.stats()
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.table.len()
    }
}

impl<K: Key + 'static, V: Value + 'static> ReadableTable<K, V> for Rows<'_, K, V> {
    fn get<'a>(&self, key: impl Borrow<K::SelfType<'a>>) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.table.get(key)
    }

    fn range<'a, KR>(&self, range: impl RangeBounds<KR> + 'a) -> Result<Range<'_, K, V>, StorageError>
    where
        KR: Borrow<K::SelfType<'a>> + 'a,
    {
        self.table.range(range)
    }

    fn first(&self) -> Result<Option<(AccessGuard<'_, K>, AccessGuard<'_, V>)>, StorageError> {
        self.table.first()
    }

    fn last(&self) -> Result<Option<(AccessGuard<'_, K>, AccessGuard<'_, V>)>, StorageError> {
        self.table.last()
    }
}

/// A table without its types, for making the changes of another.
pub(crate) trait Raw {
    /// The name that changes carry.
    fn name(&self) -> &str;

    /// Writes or removes a row. The bytes come from [`Rows`] of the same table: their maker is verified before.
    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError>;

    /// Hands over every row, in the order of keys.
    fn each(&self, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;
}

impl<K: Key + 'static, V: Value + 'static> Raw for Rows<'_, K, V> {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let fits = |width: Option<usize>, bytes: &[u8]| width.is_none_or(|width| width == bytes.len());
        if !fits(K::fixed_width(), key) || !value.is_none_or(|value| fits(V::fixed_width(), value)) {
            return Err(StoreError::Row("change"));
        }
        match value {
            Some(value) => {
                self.table.insert(K::from_bytes(key), V::from_bytes(value))?;
            }
            None => {
                self.table.remove(K::from_bytes(key))?;
            }
        }
        Ok(())
    }

    fn each(&self, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for found in self.table.iter()? {
            let (key, value) = found?;
            row(K::as_bytes(&key.value()).as_ref(), V::as_bytes(&value.value()).as_ref());
        }
        Ok(())
    }
}
