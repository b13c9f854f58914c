//! Key packages in the store: per device and suite one shelf of one-time packages and one last resort.
//!
//! Taking a package writes only where its shelf begins now. What was handed out is thrown away when the device refills:
//! packages are large and lie all over the file, so a claim that removed its own would rewrite ten times as much.

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use redb::ReadableTable;

use crate::error::StoreError;
use crate::store::rows::Rows;

type Stock<'t> = Rows<'t, &'static [u8; 58], (u64, &'static [u8])>;
type Shelves<'t> = Rows<'t, &'static [u8; 50], (u64, u64)>;

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
    /// The shelf whose rows have this prefix.
    pub(crate) fn of(prefix: &[u8; 50]) -> Option<Self> {
        let (account, rest) = prefix.split_first_chunk()?;
        let (device, suite) = rest.split_first_chunk()?;
        let (account, device) = (AccountId::from_bytes(*account), DeviceId::from_bytes(*device));
        Some(Self { account, device, suite: u16::from_be_bytes(suite.try_into().ok()?) })
    }

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

/// Numbers of the packages of a shelf: the first that was not handed out, and the one that the next will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    front: u64,
    back: u64,
}

/// Stores of before schema 3 have packages and no row for the shelf: there nothing lies that was handed out.
fn span(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelves: &impl ReadableTable<&'static [u8; 50], (u64, u64)>,
    shelf: &Shelf,
) -> Result<Span, StoreError> {
    if let Some(row) = shelves.get(&shelf.prefix())? {
        let (front, back) = row.value();
        return Ok(Span { front, back });
    }
    let (first, last) = (shelf.row(0), shelf.row(u64::MAX));
    let mut range = stock.range::<&[u8; 58]>(&first..=&last)?;
    let Some((key, _)) = range.next().transpose()? else { return Ok(Span { front: 0, back: 0 }) };
    let front = number(key.value())?;
    let back = range.next_back().transpose()?.map_or(Ok(front), |(key, _)| number(key.value()))?;
    Ok(Span { front, back: back.checked_add(1).ok_or(StoreError::Row("stock"))? })
}

/// What is on a shelf, oldest first.
pub(crate) fn rows(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelves: &impl ReadableTable<&'static [u8; 50], (u64, u64)>,
    shelf: &Shelf,
) -> Result<Vec<Row>, StoreError> {
    lying(stock, shelf, span(stock, shelves, shelf)?.front)
}

/// Rows of a shelf from a number on.
fn lying(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelf: &Shelf,
    from: u64,
) -> Result<Vec<Row>, StoreError> {
    let (first, last) = (shelf.row(from), shelf.row(u64::MAX));
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
    shelves: &impl ReadableTable<&'static [u8; 50], (u64, u64)>,
    shelf: &Shelf,
    good: impl Fn(Timestamp) -> bool,
) -> Result<usize, StoreError> {
    Ok(rows(stock, shelves, shelf)?.into_iter().filter(|row| good(row.not_after)).count())
}

/// Reads the front of a shelf, for nothing but the pages: who takes from it next on the thread that writes does not
/// wait for the disk, while everybody else waits for that thread.
pub(crate) fn warm(
    stock: &impl ReadableTable<&'static [u8; 58], (u64, &'static [u8])>,
    shelves: &impl ReadableTable<&'static [u8; 50], (u64, u64)>,
    shelf: &Shelf,
) -> Result<(), StoreError> {
    let Span { front, .. } = span(stock, shelves, shelf)?;
    stock.get(&shelf.row(front))?;
    Ok(())
}

fn number(key: &[u8; 58]) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(*key.last_chunk::<8>().ok_or(StoreError::Row("stock"))?))
}

/// Puts a package behind the others.
pub(crate) fn push(
    stock: &mut Stock<'_>,
    shelves: &mut Shelves<'_>,
    shelf: &Shelf,
    not_after: Timestamp,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let Span { front, back } = span(stock, shelves, shelf)?;
    stock.insert(&shelf.row(back), (not_after.as_millis(), bytes))?;
    shelves.insert(&shelf.prefix(), (front, back.checked_add(1).ok_or(StoreError::Row("stock"))?))?;
    Ok(())
}

/// A package that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    /// How many are left, told by numbers. Some that were thrown away in between, or have grown old, count too.
    pub(crate) left: u64,
}

/// Takes the oldest package that is `good`; those in front of it that are not are never handed out.
pub(crate) fn take(
    stock: &Stock<'_>,
    shelves: &mut Shelves<'_>,
    shelf: &Shelf,
    good: impl Fn(Timestamp) -> bool,
) -> Result<Option<Taken>, StoreError> {
    let Span { front, back } = span(stock, shelves, shelf)?;
    let (first, last) = (shelf.row(front), shelf.row(u64::MAX));
    let (mut next, mut taken) = (back, None);
    // One row at a time: reading the whole shelf for the first one would cost a page per package.
    for row in stock.range::<&[u8; 58]>(&first..=&last)? {
        let (key, value) = row?;
        let (not_after, bytes) = value.value();
        if good(Timestamp::from_millis(not_after)) {
            next = number(key.value())?.saturating_add(1);
            taken = Some(Taken { bytes: bytes.to_vec(), left: back.saturating_sub(next) });
            break;
        }
    }
    if next != front {
        shelves.insert(&shelf.prefix(), (next, back))?;
    }
    Ok(taken)
}

/// Throws away the packages of a shelf that were handed out or are `bad`.
pub(crate) fn discard(
    stock: &mut Stock<'_>,
    shelves: &Shelves<'_>,
    shelf: &Shelf,
    bad: impl Fn(&Row) -> bool,
) -> Result<(), StoreError> {
    let Span { front, .. } = span(stock, shelves, shelf)?;
    for row in lying(stock, shelf, 0)? {
        if number(&row.key)? < front || bad(&row) {
            stock.remove(&row.key)?;
        }
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

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::{Store, Txn};

    const SHELF: Shelf =
        Shelf { account: AccountId::from_bytes([1; 32]), device: DeviceId::from_bytes([2; 16]), suite: 3 };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn with(work: impl FnOnce(&mut Txn<'_>)) {
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let txn = store.begin().unwrap();
        work(&mut Txn::of(&txn).unwrap());
        txn.abort().unwrap();
    }

    fn bring(txn: &mut Txn<'_>, packages: &[u8]) {
        for package in packages {
            push(&mut txn.stock, &mut txn.shelves, &SHELF, at((*package).into()), &[*package]).unwrap();
        }
    }

    fn take_one(txn: &mut Txn<'_>, from: u64) -> Option<(u8, u64)> {
        let taken = take(&txn.stock, &mut txn.shelves, &SHELF, |end| end >= at(from)).unwrap()?;
        Some((taken.bytes[0], taken.left))
    }

    fn lying_there(txn: &Txn<'_>) -> usize {
        lying(&txn.stock, &SHELF, 0).unwrap().len()
    }

    #[test]
    fn each_package_is_taken_once_in_order_and_thrown_away_at_the_refill() {
        with(|txn| {
            assert_eq!(take_one(txn, 0), None);
            bring(txn, &[10, 11, 12]);
            assert_eq!(take_one(txn, 0), Some((10, 2)));
            assert_eq!(take_one(txn, 0), Some((11, 1)));
            assert_eq!(count(&txn.stock, &txn.shelves, &SHELF, |_| true).unwrap(), 1);
            assert_eq!(lying_there(txn), 3);
            discard(&mut txn.stock, &txn.shelves, &SHELF, |_| false).unwrap();
            assert_eq!(lying_there(txn), 1);
            assert_eq!(take_one(txn, 0), Some((12, 0)));
            assert_eq!(take_one(txn, 0), None);
            // An empty shelf goes on where it was: what was handed out does not come back.
            discard(&mut txn.stock, &txn.shelves, &SHELF, |_| true).unwrap();
            bring(txn, &[20]);
            assert_eq!(take_one(txn, 0), Some((20, 0)));
        });
    }

    #[test]
    fn old_packages_are_passed_over_and_gaps_do_no_harm() {
        with(|txn| {
            bring(txn, &[1, 2, 30, 31, 32]);
            discard(&mut txn.stock, &txn.shelves, &SHELF, |row| row.not_after == at(31)).unwrap();
            assert_eq!(take_one(txn, 30), Some((30, 2)));
            assert_eq!(take_one(txn, 30), Some((32, 0)));
            assert_eq!(take_one(txn, 30), None);
        });
    }

    #[test]
    fn a_shelf_of_an_older_schema_begins_where_its_packages_do() {
        with(|txn| {
            for number in [7, 8] {
                txn.stock.insert(&SHELF.row(number), (number, [9_u8].as_slice())).unwrap();
            }
            assert_eq!(take_one(txn, 0), Some((9, 1)));
            assert_eq!(take_one(txn, 0), Some((9, 0)));
            assert_eq!(take_one(txn, 0), None);
        });
    }
}
