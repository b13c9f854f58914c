//! Key packages in the store: per device and suite one shelf of one-time packages and one last resort.

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use redb::ReadableTable;

use crate::error::StoreError;
use crate::store::rows::Rows;

/// Packages whose pages are read ahead: the one that is taken, and the neighbours that its page may be joined with.
const WARM: usize = 4;

type Stock<'t> = Rows<'t, &'static [u8; 58], (u64, &'static [u8])>;

/// Where packages of one device and suite are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shelf {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) suite: u16,
}

/// One package on a shelf, without its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) not_after: Timestamp,
    key: [u8; 58],
}

impl Shelf {
    fn prefix(&self) -> [u8; 50] {
        let mut prefix = [0; 50];
        let suite = self.suite.to_be_bytes();
        let parts = self.account.as_bytes().iter().chain(self.device.as_bytes()).chain(&suite);
        for (to, from) in prefix.iter_mut().zip(parts) {
            *to = *from;
        }
        prefix
    }

    fn row(&self, number: u64) -> [u8; 58] {
        let mut row = [0; 58];
        for (to, from) in row.iter_mut().zip(self.prefix().into_iter().chain(number.to_be_bytes())) {
            *to = from;
        }
        row
    }
}

/// What is on a shelf, oldest first.
pub(crate) fn rows(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelf: &Shelf,
) -> Result<Vec<Row>, StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    let mut found = Vec::new();
    for row in stock.range::<&[u8; 58]>(&first..=&last)? {
        let (key, value) = row?;
        found.push(Row { not_after: Timestamp::from_millis(value.value().0), key: *key.value() });
    }
    Ok(found)
}

/// How many packages on a shelf are `good`.
pub(crate) fn count(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelf: &Shelf,
    good: impl Fn(Timestamp) -> bool,
) -> Result<usize, StoreError> {
    Ok(rows(stock, shelf)?.into_iter().filter(|row| good(row.not_after)).count())
}

/// Reads the front of a shelf, for nothing but the pages: who takes from it next on the thread that writes does not
/// wait for the disk, while everybody else waits for that thread.
pub(crate) fn warm(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelf: &Shelf,
) -> Result<(), StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    for row in stock.range::<&[u8; 58]>(&first..=&last)?.take(WARM) {
        row?;
    }
    Ok(())
}

fn number(key: &[u8; 58]) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(*key.last_chunk::<8>().ok_or(StoreError::Row("stock"))?))
}

/// Puts a package behind the others.
pub(crate) fn push(
    stock: &mut Stock<'_>,
    shelf: &Shelf,
    not_after: Timestamp,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    let next = match stock.range::<&[u8; 58]>(&first..=&last)?.next_back().transpose()? {
        None => 0,
        Some((key, _)) => number(key.value())?.checked_add(1).ok_or(StoreError::Row("stock"))?,
    };
    stock.insert(&shelf.row(next), (not_after.as_millis(), bytes))?;
    Ok(())
}

/// A package that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    /// How many are left, told by the numbers of the first and the last: two pages are read, however many there are.
    /// Some that were thrown away in between, or have grown old, count too.
    pub(crate) left: u64,
}

/// Takes the oldest package that is `good`; those in front of it that are not go away.
pub(crate) fn take(
    stock: &mut Stock<'_>,
    shelf: &Shelf,
    good: impl Fn(Timestamp) -> bool,
) -> Result<Option<Taken>, StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    loop {
        // One row at a time: reading the whole shelf for the first one would cost a page per package.
        let (front, left) = {
            let mut range = stock.range::<&[u8; 58]>(&first..=&last)?;
            let Some((key, _)) = range.next().transpose()? else { return Ok(None) };
            let front = *key.value();
            let back = range.next_back().transpose()?.map_or(front, |(key, _)| *key.value());
            (front, number(&back)?.saturating_sub(number(&front)?))
        };
        let removed = stock.remove(&front)?.ok_or(StoreError::Row("stock"))?;
        let (not_after, bytes) = removed.value();
        if good(Timestamp::from_millis(not_after)) {
            return Ok(Some(Taken { bytes: bytes.to_vec(), left }));
        }
    }
}

/// Throws away the packages of a shelf that are `bad`.
pub(crate) fn discard(
    stock: &mut Stock<'_>,
    shelf: &Shelf,
    bad: impl Fn(&Row) -> bool,
) -> Result<(), StoreError> {
    for row in rows(stock, shelf)?.into_iter().filter(bad) {
        stock.remove(&row.key)?;
    }
    Ok(())
}

/// The package for when the shelf is empty, and when it ends.
pub(crate) fn last_resort(
    table: &impl ReadableTable<&'static [u8; 50], (u64, &'static [u8])>,
    shelf: &Shelf,
) -> Result<Option<(Timestamp, Vec<u8>)>, StoreError> {
    Ok(table.get(&shelf.prefix())?.map(|row| {
        let (not_after, bytes) = row.value();
        (Timestamp::from_millis(not_after), bytes.to_vec())
    }))
}

/// Replaces the package for when the shelf is empty.
pub(crate) fn put_last_resort(
    table: &mut Rows<'_, &'static [u8; 50], (u64, &'static [u8])>,
    shelf: &Shelf,
    not_after: Timestamp,
    bytes: &[u8],
) -> Result<(), StoreError> {
    table.insert(&shelf.prefix(), (not_after.as_millis(), bytes))?;
    Ok(())
}

/// Throws away the package for when the shelf is empty.
pub(crate) fn remove_last_resort(
    table: &mut Rows<'_, &'static [u8; 50], (u64, &'static [u8])>,
    shelf: &Shelf,
) -> Result<(), StoreError> {
    table.remove(&shelf.prefix())?;
    Ok(())
}
