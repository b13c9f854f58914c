//! What can be read of a damaged database, in a new one.
//!
//! A walk through the leaves of every table needs less of a file to be whole than redb does. What is found is what lay
//! there, row by row: a row whose bytes were hit stays where it is, does not open, and is told like any damaged value. What a
//! walk cannot vouch for is refused: a row that is there twice, rows too few or too many, a page that makes no sense.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cipher_api::Result;
use redb::{
    BackendError, ConcurrencyMode, Database, DatabaseError, ReadTransaction, ReadableDatabase as _,
    ReadableTable as _, ReadableTableMetadata as _, StorageBackend, TableHandle as _, WriteTransaction,
};

use crate::store::guard::watched;
use crate::store::open::{self, FILE, damaged, given_up, opening, storage_io};
use crate::store::place::Place;
use crate::store::table::{self, Definition};
use crate::store::{storage, sums};

/// The new database while it is made.
const DRAFT: &str = "store.redb.mended";

/// Where the header says how a database was closed: bits of one byte.
const FLAGS: u64 = 9;
const OPEN: u8 = 2;
const SYNCED: u8 = 4;

/// A file that is only read, and reads as one that was closed in order. redb's locks are not passed on: the whole file is
/// locked already.
#[derive(Debug)]
struct Bare {
    file: Arc<dyn StorageBackend>,
    /// Reads that are left: damage may lead in a circle.
    left: AtomicU64,
}

impl StorageBackend for Bare {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let more = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        more.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its pages lead in a circle"))?;
        self.file.read(offset, out)?;
        let flags = FLAGS.checked_sub(offset).and_then(|at| out.get_mut(usize::try_from(at).ok()?));
        if let Some(flags) = flags {
            *flags &= !OPEN;
        }
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// Puts what can be read of the database in its place. `by_us`: whatever its last owner wrote is in the file, because that
/// was this process. Otherwise only a database whose last transaction was on the disk before it counted is read: what a power
/// cut left of another one may be a mixture.
pub(super) fn salvage(place: &Arc<dyn Place>, by_us: bool) -> Result<()> {
    let file: Arc<dyn StorageBackend> = place.backend(FILE, false).map_err(storage_io)?.into();
    match file.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) | Err(BackendError::Unsupported) => {}
        Ok(false) => return Err(opening(place.as_ref(), DatabaseError::DatabaseAlreadyOpen)),
        Err(error) => return Err(storage_io(io::Error::other(error))),
    }
    let mended = mend(place.as_ref(), &file, by_us);
    // The new one has its place, or nothing has changed.
    let closed = file.close().map_err(storage_io);
    mended.and(closed)
}

fn mend(place: &dyn Place, file: &Arc<dyn StorageBackend>, by_us: bool) -> Result<()> {
    let mut flags = [0];
    file.read(FLAGS, &mut flags).map_err(storage_io)?;
    if flags[0] & SYNCED == 0 && !by_us {
        return Err(damaged(place, "and it was not closed in order".into()));
    }
    place.remove(DRAFT).map_err(storage_io)?;
    let draft = place.database(DRAFT, &open::builder(), true).map_err(|error| opening(place, error))?;
    let blocks = file.len().map_err(storage_io)? / 4096;
    let bare = Bare { file: Arc::clone(file), left: blocks.saturating_mul(16).saturating_add(4096).into() };
    let copied = watched(|| copy(place, bare, &draft)).unwrap_or_else(|panic| Err(given_up(place, panic)));
    drop(draft);
    if let Err(error) = copied {
        place.remove(DRAFT).map_err(storage_io)?;
        return Err(error);
    }
    place.remove(sums::FILE).map_err(storage_io)?;
    place.supersede(DRAFT, FILE).map_err(storage_io)?;
    tracing::warn!("the store was damaged: what could be read of it is in a new file");
    Ok(())
}

fn copy(place: &dyn Place, bare: Bare, draft: &Database) -> Result<()> {
    let mut builder = open::builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_cache_size(0);
    let damaged_by = |error: redb::Error| damaged(place, error.into());
    let source = builder.open_read_only_with_backend(bare).map_err(|error| opening(place, error))?;
    let read = source.begin_read().map_err(|error| damaged_by(error.into()))?;
    let txn = draft.begin_write().map_err(storage)?;
    table::create_all(&txn)?;
    {
        let from = read.open_table(table::FORMAT).map_err(|error| damaged_by(error.into()))?;
        let schema = from.get("schema").map_err(|error| damaged_by(error.into()))?;
        let schema = schema.map(|row| row.value().to_vec()).unwrap_or_default();
        if schema != table::SCHEMA.to_be_bytes() {
            return Err(damaged(place, "and is of another format".into()));
        }
        let mut to = txn.open_table(table::FORMAT).map_err(storage)?;
        to.insert("schema", schema.as_slice()).map_err(storage)?;
        to.insert(open::MENDED, [].as_slice()).map_err(storage)?;
    }
    // The index of words would lack rows without a word of it: it is made anew.
    for definition in table::definitions().filter(|table| table.name() != table::INDEX.name) {
        rows(&read, &txn, definition).map_err(damaged_by)?;
    }
    txn.commit().map_err(storage)
}

/// Copies the rows of a table: each once, and as many as it has. One whose key was hit does not open in its new place.
fn rows(
    read: &ReadTransaction,
    txn: &WriteTransaction,
    table: Definition,
) -> std::result::Result<(), redb::Error> {
    let from = match read.open_table(table) {
        Ok(from) => from,
        // A store of an earlier build lacks what came later.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut to = txn.open_table(table)?;
    let wrong = |what: &str| redb::Error::Corrupted(format!("the rows of '{}' are {what}", table.name()));
    let mut count = 0_u64;
    for row in from.iter()? {
        let (key, value) = row?;
        if to.insert(key.value(), value.value())?.is_some() {
            return Err(wrong("there twice"));
        }
        count = count.saturating_add(1);
    }
    if count == from.len()? { Ok(()) } else { Err(wrong("not all there")) }
}
