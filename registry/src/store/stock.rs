//! Key packages in the store: per device and suite one shelf of one-time packages and one last resort.

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use redb::ReadableTable;

use crate::error::StoreError;
use crate::store::rows::Rows;

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

/// How many packages on a shelf are `good`; counts no further than `most`.
pub(crate) fn count(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelf: &Shelf,
    most: usize,
    good: impl Fn(Timestamp) -> bool,
) -> Result<usize, StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    let mut found = 0_usize;
    for row in stock.range::<&[u8; 58]>(&first..=&last)? {
        if found >= most {
            break;
        }
        if good(Timestamp::from_millis(row?.1.value().0)) {
            found = found.saturating_add(1);
        }
    }
    Ok(found)
}

/// Puts a package behind the others.
pub(crate) fn push(
    stock: &mut Stock<'_>,
    shelf: &Shelf,
    not_after: Timestamp,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    let number = match stock.range::<&[u8; 58]>(&first..=&last)?.next_back().transpose()? {
        None => 0,
        Some((key, _)) => {
            let number = key.value().last_chunk::<8>().ok_or(StoreError::Row("stock"))?;
            u64::from_be_bytes(*number).checked_add(1).ok_or(StoreError::Row("stock"))?
        }
    };
    stock.insert(&shelf.row(number), (not_after.as_millis(), bytes))?;
    Ok(())
}

/// Takes the oldest package that is `good`; those in front of it that are not go away.
pub(crate) fn take(
    stock: &mut Stock<'_>,
    shelf: &Shelf,
    good: impl Fn(Timestamp) -> bool,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    loop {
        // One row at a time: reading the whole shelf for the first one would cost a page per package.
        let front = match stock.range::<&[u8; 58]>(&first..=&last)?.next().transpose()? {
            None => return Ok(None),
            Some((key, _)) => *key.value(),
        };
        let removed = stock.remove(&front)?.ok_or(StoreError::Row("stock"))?;
        let (not_after, bytes) = removed.value();
        if good(Timestamp::from_millis(not_after)) {
            return Ok(Some(bytes.to_vec()));
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
