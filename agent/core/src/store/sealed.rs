//! Tables whose values are sealed: reading and writing them.

use std::borrow::Cow;
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::time::Timestamp;
use cipher_seal::{Draft, Plain};
use redb::{AccessGuard, ReadOnlyTable, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use serde::Serialize;

use crate::store::seal::{self, Seal, is_damage};
use crate::store::table::{self, Table};
use crate::store::{Store, storage};

type Bytes = &'static [u8];

/// A table for reading: a snapshot of when it was opened.
pub(crate) struct Reading {
    table: Table,
    rows: ReadOnlyTable<Bytes, Bytes>,
    store: Store,
}

/// What a value took the place of.
pub(crate) enum Replaced {
    Nothing,
    Value(Plain),
    /// It did not open.
    Damaged,
}

/// A row: its key, and its value that is opened when it is asked for.
pub(crate) struct Row<'r> {
    key: AccessGuard<'r, Bytes>,
    value: AccessGuard<'r, Bytes>,
    reading: &'r Reading,
}

impl Row<'_> {
    pub(crate) fn key(&self) -> Vec<u8> {
        self.reading.store.seal().show(self.reading.table, self.key.value()).into_owned()
    }

    /// Bytes of key and sealed value.
    pub(crate) fn length(&self) -> usize {
        self.key.value().len().saturating_add(self.value.value().len())
    }

    pub(crate) fn value(&self) -> Result<Plain> {
        self.reading.open(self.key.value(), self.value.value())
    }

    /// The key and the value of one that does not open, if one bit of the key was flipped.
    pub(crate) fn mended(&self) -> Result<Option<(Vec<u8>, Plain)>> {
        let table = self.reading.table;
        let mut seal = self.reading.store.seal();
        let Some((hidden, plain)) = seal.mend(table, self.key.value(), self.value.value()) else {
            return Ok(None);
        };
        let key = seal.show(table, &hidden).into_owned();
        drop(seal);
        // Written anew meanwhile: what was hit is of before.
        let is_there = self.reading.rows.get(hidden.as_slice()).map_err(storage)?.is_some();
        Ok((!is_there).then_some((key, plain)))
    }
}

impl Reading {
    pub(super) const fn new(table: Table, rows: ReadOnlyTable<Bytes, Bytes>, store: Store) -> Self {
        Self { table, rows, store }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Plain>> {
        let hidden = self.hide(key);
        let value = self.rows.get(hidden.as_ref()).map_err(storage)?;
        value.map(|value| self.open(&hidden, value.value())).transpose()
    }

    /// The same; a damaged value is none. It is told ([`Store::damage`]).
    pub(crate) fn get_whole(&self, key: &[u8]) -> Result<Option<Plain>> {
        match self.get(key) {
            Err(error) if is_damage(&error) => Ok(None),
            other => other,
        }
    }

    /// Rows of a conversation, or of a table whose keys are numbers, from one key to another, from either end. Conversations have
    /// an order that nothing says.
    pub(crate) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Row<'_>>>> {
        let (from, to) = (from.map(|key| self.hide(key)), to.map(|key| self.hide(key)));
        let bounds = (from.as_ref().map(AsRef::as_ref), to.as_ref().map(AsRef::as_ref));
        let rows = self.rows.range::<&[u8]>(bounds).map_err(storage)?;
        Ok(rows.map(|row| {
            let (key, value) = row.map_err(storage)?;
            Ok(Row { key, value, reading: self })
        }))
    }

    /// All rows.
    pub(crate) fn rows(&self) -> Result<impl DoubleEndedIterator<Item = Result<Row<'_>>>> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Number of rows.
    pub(crate) fn count(&self) -> Result<u64> {
        self.rows.len().map_err(storage)
    }

    fn hide<'k>(&self, key: &'k [u8]) -> Cow<'k, [u8]> {
        self.store.seal().hide(self.table, key)
    }

    fn open(&self, hidden: &[u8], sealed: &[u8]) -> Result<Plain> {
        self.store.seal().open(self.table, hidden, sealed)
    }
}

/// The transaction of a batch.
pub(crate) struct Writing<'t> {
    txn: &'t WriteTransaction,
    store: &'t Store,
    now: Timestamp,
}

impl<'t> Writing<'t> {
    pub(super) const fn new(txn: &'t WriteTransaction, store: &'t Store, now: Timestamp) -> Self {
        Self { txn, store, now }
    }

    /// A table for writing; one of each at a time.
    pub(crate) fn table(&self, table: Table) -> Result<Sealing<'_>> {
        let rows = self.txn.open_table(table.definition()).map_err(storage)?;
        Ok(Sealing { table, rows, writing: self })
    }

    /// What stands in a key of a table for a name.
    pub(crate) fn name(&self, table: Table, name: &str) -> [u8; 16] {
        self.store.name(table, name)
    }

    /// The time of the batch.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Notes that something in a chapter died.
    fn dirty(&self, table: Table, key: &[u8]) -> Result<()> {
        if !table.forgets {
            return Ok(());
        }
        let Some(row) = self.store.seal().died(table, key, self.now) else { return Ok(()) };
        let mut dirty = self.txn.open_table(table::DIRTY).map_err(storage)?;
        dirty.insert(row.as_slice(), self.now.as_millis().to_be_bytes().as_slice()).map_err(storage)?;
        Ok(())
    }
}

/// The key of a row and its opened value.
pub(crate) type Opened = (Vec<u8>, Option<Plain>);

/// A table for writing.
pub(crate) struct Sealing<'w> {
    table: Table,
    rows: redb::Table<'w, Bytes, Bytes>,
    writing: &'w Writing<'w>,
}

impl Sealing<'_> {
    /// Seals a value and stores it, in place of the one that was there.
    pub(crate) fn put(&mut self, key: &[u8], plain: &[u8]) -> Result<()> {
        self.put_written(key, |draft| draft.write(plain), false).map(drop)
    }

    /// The same for a value that is encoded ([`codec`]).
    pub(crate) fn put_row(&mut self, key: &[u8], row: &impl Serialize) -> Result<()> {
        self.put_written(key, |draft| codec::encode_into(draft, row), false).map(drop)
    }

    /// The same, and gives the value that was there.
    pub(crate) fn replace_row(&mut self, key: &[u8], row: &impl Serialize) -> Result<Replaced> {
        self.put_written(key, |draft| codec::encode_into(draft, row), true)
    }

    fn put_written(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Draft),
        wants_old: bool,
    ) -> Result<Replaced> {
        let mut seal = self.writing.store.seal();
        let key = &*seal.hide(self.table, key);
        if !seal.is_ready(self.table, key) {
            self.begin_chapter(&mut seal, key)?;
        }
        let sealed = seal.seal(self.table, key, write)?;
        let (superseded, length) = (self.rows.insert(key, sealed).map_err(storage)?, sealed.len());
        let Some(superseded) = superseded else { return Ok(Replaced::Nothing) };
        let old = match wants_old.then(|| seal.open(self.table, key, superseded.value())) {
            Some(Ok(old)) => Replaced::Value(old),
            Some(Err(_)) => Replaced::Damaged,
            None => Replaced::Nothing,
        };
        seal.superseded(self.table, key, length);
        drop(superseded);
        drop(seal);
        self.writing.dirty(self.table, key)?;
        Ok(old)
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<()> {
        let key = self.writing.store.seal().hide(self.table, key);
        if self.rows.remove(key.as_ref()).map_err(storage)?.is_some() {
            self.writing.dirty(self.table, &key)?;
        }
        Ok(())
    }

    /// Removes rows from one key to another, at most so many, those too that this transaction wrote. Gives how many. The keys of
    /// the table are numbers.
    pub(crate) fn remove_between(&mut self, from: &[u8], to: &[u8], most: usize) -> Result<usize> {
        let mut keys = Vec::new();
        for row in self.rows.range(from..to).map_err(storage)?.take(most) {
            keys.push(row.map_err(storage)?.0.value().to_vec());
        }
        for key in &keys {
            self.remove(key)?;
        }
        Ok(keys.len())
    }

    /// The row with the smallest key; its value is `None` if it is damaged.
    pub(crate) fn first(&self) -> Result<Option<Opened>> {
        let Some((key, value)) = self.rows.first().map_err(storage)? else { return Ok(None) };
        let mut seal = self.writing.store.seal();
        let plain = seal.open(self.table, key.value(), value.value());
        Ok(Some((seal.show(self.table, key.value()).into_owned(), plain.ok())))
    }

    /// Makes sure that a row has a chapter. One begins before the first row of a table, and behind a last one that is full.
    fn begin_chapter(&self, seal: &mut Seal, key: &[u8]) -> Result<()> {
        if let Some(damaged) = seal.unusable_chapter(self.table, key) {
            // What it sealed cannot be opened by anybody; what comes now can.
            return self.begin(seal, &damaged);
        }
        let last = match seal.chapter(self.table, key) {
            None => None,
            Some((first, _)) if seal.next(self.table, first).is_some() => return Ok(()),
            Some((first, chapter)) => Some((first.to_vec(), chapter.filled)),
        };
        // The first chapter has everything in front of it too: rows come in any order.
        let begins = if last.is_some() { key } else { &[] };
        if let Some((first, filled)) = last {
            let filled = match filled {
                Some(filled) => filled,
                None => self.count(&first)?,
            };
            let is_full = filled.0 >= seal::ROWS || filled.1 >= seal::BYTES;
            let behind_all =
                is_full && self.rows.last().map_err(storage)?.is_none_or(|(last, _)| last.value() < key);
            seal.looked_at(self.table, &first, filled, is_full && !behind_all);
            if !behind_all {
                return Ok(());
            }
        }
        self.begin(seal, begins)
    }

    fn begin(&self, seal: &mut Seal, first: &[u8]) -> Result<()> {
        let wrap = seal.ring.current(self.table.heat);
        let (row, value) = seal.begin(self.table, first, wrap)?;
        let mut keys = self.writing.txn.open_table(table::KEYS).map_err(storage)?;
        keys.insert(row.as_slice(), value.as_slice()).map_err(storage)?;
        Ok(())
    }

    /// Rows and bytes of the last chapter, no further than what fills one.
    fn count(&self, first: &[u8]) -> Result<(usize, usize)> {
        let mut filled = (0usize, 0usize);
        for row in self.rows.range(first..).map_err(storage)?.take(seal::ROWS) {
            let (_, value) = row.map_err(storage)?;
            filled = (filled.0.saturating_add(1), filled.1.saturating_add(value.value().len()));
        }
        Ok(filled)
    }
}
