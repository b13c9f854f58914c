//! An open store.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::time::Timestamp;
use cipher_seal::Unlock;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError, WriteTransaction};

use crate::store::convert;
use crate::store::guard::{Panic, watched};
use crate::store::place::Place;
use crate::store::ring::{self, Ring};
use crate::store::salvage::salvage;
use crate::store::seal::Seal;
use crate::store::sealed::{Reading, Writing};
use crate::store::sums::{self, Summed, Watch};
use crate::store::table::{self, Table};
use crate::store::unwritten::Unwritten;

/// Name of the database.
pub(super) const FILE: &str = "store.redb";

/// Stands beside the format of a file into which the rest of a damaged one was put, until it was told what that lost.
pub(super) const MENDED: &str = "mended";

/// Page cache of redb. Rows that are used often are in memory anyway.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// An open store. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Arc<dyn Place>,
    /// `None` only while it is opened again.
    db: Mutex<Option<Arc<Database>>>,
    /// What comes out about the file while it is open.
    watch: Mutex<Arc<Watch>>,
    /// Whether what could be read of a damaged file was put into a new one.
    is_mended: AtomicBool,
    seal: Mutex<Seal>,
    /// The file turned out to be damaged where no seal tells what it cost.
    broken: Mutex<Option<Error>>,
}

/// Closing a database writes what the next opening needs, and may find the damage that nothing else found.
impl Drop for Shared {
    fn drop(&mut self) {
        let db = self.db.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Err(panic) = watched(|| drop(db)) {
            tracing::warn!(what = %panic, "the store was not closed in order");
        }
        // What nobody can close the next process could not tell from what a power cut left.
        if self.watch.get_mut().unwrap_or_else(PoisonError::into_inner).is_torn() {
            let mended = watched(|| salvage(&self.place, true));
            tracing::warn!(
                is_mended = matches!(mended, Ok(Ok(()))),
                "the store turned out to be damaged when it was closed"
            );
        }
    }
}

/// What went wrong in redb, as an error of the core.
pub(crate) fn storage(error: impl Into<redb::Error>) -> Error {
    let error: redb::Error = error.into();
    match error {
        redb::Error::DatabaseAlreadyOpen => ErrorKind::Locked
            .because("the store of this profile is open in another process")
            .hint(Advice::StoreShared),
        other => ErrorKind::Storage
            .because_of("the store of this profile cannot be read or written", other)
            .hint(Advice::CheckDisk),
    }
}

/// What went wrong with a file of the store.
pub(super) fn storage_io(error: io::Error) -> Error {
    storage(redb::Error::Io(error))
}

impl Store {
    /// Opens the store of a place, or makes it. A store that is not sealed yet is sealed first. `unlock` is asked once
    /// the store is this process's. `seed` must be unpredictable.
    pub(crate) fn open(
        place: Arc<dyn Place>,
        unlock: impl FnOnce() -> Result<Unlock>,
        seed: [u8; 32],
    ) -> Result<Self> {
        let mut random = ChaCha20Rng::from_seed(seed);
        let length = place.length(FILE).map_err(|error| unusable(place.as_ref(), FILE, error))?;
        let found = match length {
            None => None,
            Some(0) => return Err(damaged(place.as_ref(), "the file is empty".into())),
            Some(_) => Some(Found::open(&place)?),
        };
        let keys = place.read(ring::FILE).map_err(|error| unusable(place.as_ref(), ring::FILE, error))?;
        let ring = match (keys, &found) {
            (Some(keys), _) => Ring::open(place.as_ref(), &keys, &unlock()?)?,
            (None, None | Some(Found::Plain(_))) => Ring::make(place.as_ref(), &unlock()?, &mut random)?,
            (None, Some(Found::Sealed(_))) => {
                let path = place.shown(ring::FILE);
                return Err(ErrorKind::Storage
                    .because(format!("{path} is gone: without the keys in it the store cannot be opened"))
                    .hint(Advice::StoreDamaged));
            }
        };
        if found.is_none() && has_lost_its_file(place.as_ref(), &ring)? {
            let path = place.shown(FILE);
            return Err(ErrorKind::Storage
                .because(format!("{path} is gone: the keys of the store are there, and it is not"))
                .hint(Advice::StoreDamaged));
        }
        let store = Self(Arc::new(Shared {
            place,
            db: Mutex::new(None),
            watch: Mutex::default(),
            is_mended: AtomicBool::new(false),
            seal: Mutex::new(Seal::new(ring, random)),
            broken: Mutex::new(None),
        }));
        let begun = store.guarded(|| {
            match found {
                Some(Found::Sealed(opened)) => store.take(opened),
                Some(Found::Plain(plain)) => {
                    convert::seal(&store, plain.db)?;
                    store.open_database()?;
                }
                None => {
                    store.make()?;
                    store.open_database()?;
                }
            }
            store.settle()
        });
        match begun {
            Err(_) if store.is_torn() => store.guarded(|| store.reopen())?,
            begun => begun?,
        }
        convert::forget_plain(&store)?;
        Ok(store)
    }

    /// A store in memory that nothing else opens.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        use crate::store::memory::{Memory, unlock};
        Self::open(Arc::new(Memory::default()), || Ok(unlock()), [2; 32]).unwrap()
    }

    /// Makes a store whole or not at all: beside its place, on disk, and only then under its name. redb writes the
    /// mark of a valid file last, so a file that was cut off while it was made would never open again.
    fn make(&self) -> Result<()> {
        // Two processes that begin at once have a draft each.
        let draft = format!("{FILE}.new-{}", std::process::id());
        let made = self.draft(&draft, |_| Ok(())).and_then(|()| match self.place().link(&draft, FILE) {
            // Another process was faster: its store is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(storage_io),
        });
        let removed = self.place().remove(&draft).map_err(storage_io);
        made.and(removed)
    }

    /// Makes a new database with the tables and what `fill` puts into them, and closes it.
    pub(super) fn draft(&self, name: &str, fill: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        // What a process left that was killed meanwhile.
        self.place().remove(name).map_err(storage_io)?;
        let db =
            self.place().database(name, &builder(), true).map_err(|error| opening(self.place(), error))?;
        *self.lock() = Some(Arc::new(db));
        let made = self.transaction(|txn| {
            table::create_all(txn)?;
            let mut format = txn.open_table(table::FORMAT).map_err(storage)?;
            format.insert("schema", table::SCHEMA.to_be_bytes().as_slice()).map_err(storage)?;
            Ok(())
        });
        let made = made.and_then(|()| self.reload()).and_then(|()| fill(self));
        *self.lock() = None;
        made
    }

    /// Closes the database and opens it again: what is known of it is what is on the disk. If a part of it is not what was
    /// written, what can be read of it is put into a new file.
    pub(crate) fn reopen(&self) -> Result<()> {
        let was_torn = self.is_torn();
        self.close();
        let opened = self.open_database().and_then(|()| self.settle());
        if let (Err(error), true) = (&opened, was_torn) {
            self.breaks(error.clone());
        }
        opened
    }

    fn open_database(&self) -> Result<()> {
        self.take(open(&self.0.place, self.is_torn())?);
        Ok(())
    }

    fn take(&self, opened: Opened) {
        *self.lock() = Some(Arc::new(opened.db));
        *self.0.watch.lock().unwrap_or_else(PoisonError::into_inner) = opened.watch;
    }

    /// Whether a part of the file is not what was written: nothing more is read of it before [`Self::reopen`].
    pub(crate) fn is_torn(&self) -> bool {
        self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).is_torn()
    }

    /// Fails if a part of the file was come upon that is not what was written: whoever took that for a value that is not there
    /// went on, and was wrong.
    pub(crate) fn whole(&self) -> Result<()> {
        if !self.is_torn() {
            return Ok(());
        }
        Err(damaged(self.place(), "a part of it is not what was written".into()))
    }

    /// Whether it was damaged, and what it lost was not told when it was opened.
    pub(crate) fn is_mended(&self) -> bool {
        self.0.is_mended.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    /// Why the store cannot be used any more.
    pub(crate) fn broken(&self) -> Option<Error> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn breaks(&self, error: Error) {
        *self.0.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Tables that came later are made when an older store is opened, and a rotation that was interrupted is ended.
    fn settle(&self) -> Result<()> {
        if !table::all_there(&self.db()?.begin_read().map_err(storage)?)? {
            self.transaction(table::create_all)?;
        }
        self.reload()?;
        Ring::tidy(self.place())?;
        let (is_exposed, is_behind) = {
            let seal = self.seal();
            (seal.ring.is_exposed(), seal.ring.is_behind(&seal.used()))
        };
        if is_exposed {
            self.rotate_all()?;
        } else if is_behind {
            self.destroy()?;
        }
        // Of a file that was mended it has to be known what it lost.
        let read = self.db()?.begin_read().map_err(storage)?;
        let format = read.open_table(table::FORMAT).map_err(storage)?;
        if format.get(MENDED).map_err(storage)?.is_some() {
            self.0.is_mended.store(true, Ordering::Relaxed);
            self.read_all(|_, _| ())?;
        }
        Ok(())
    }

    /// Reads what the database says of its chapters.
    fn reload(&self) -> Result<()> {
        let read = self.db()?.begin_read().map_err(storage)?;
        self.seal().load(&read)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.0.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn db(&self) -> Result<Arc<Database>> {
        self.lock().clone().ok_or_else(|| ErrorKind::Storage.because("the store of this profile is closed"))
    }

    pub(super) fn seal(&self) -> MutexGuard<'_, Seal> {
        self.0.seal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self) -> &dyn Place {
        self.0.place.as_ref()
    }

    /// What a damaged file lost was told.
    pub(crate) fn told(&self) -> Result<()> {
        if !self.is_mended() {
            return Ok(());
        }
        self.transaction(|txn| {
            txn.open_table(table::FORMAT).map_err(storage)?.remove(MENDED).map_err(storage).map(drop)
        })
    }

    /// A table for reading, as it is now.
    pub(crate) fn table(&self, table: Table) -> Result<Reading> {
        let read = self.db()?.begin_read().map_err(storage)?;
        let rows = read.open_table(table.definition()).map_err(storage)?;
        Ok(Reading::new(table, rows, self.clone()))
    }

    /// Names of the tables of values that turned out to be damaged since this was asked last, one for each.
    pub(crate) fn damage(&self) -> Vec<&'static str> {
        self.seal().untold_damage()
    }

    /// The key of a row as it stands in the file, which decides on the order of the rows.
    pub(crate) fn hidden(&self, table: Table, key: &[u8]) -> Vec<u8> {
        self.seal().hide(table, key).into_owned()
    }

    /// What stands in a key of a table for a name.
    pub(crate) fn name(&self, table: Table, name: &str) -> [u8; 16] {
        self.seal().name(table, name)
    }

    /// One transaction, one fsync. An error leaves the file as it was. `now` is when what dies in it died.
    pub(crate) fn write(&self, now: Timestamp, work: impl FnOnce(&Writing<'_>) -> Result<()>) -> Result<()> {
        self.transaction(|txn| work(&Writing::new(txn, self, now)))
    }

    pub(super) fn transaction(&self, work: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        let txn = self.db()?.begin_write().map_err(storage)?;
        let done = match work(&txn) {
            Ok(()) => txn.commit().map_err(storage),
            Err(error) => {
                // The first error is the one to tell; a failed abort leaves the file unchanged just the same.
                let _ = txn.abort();
                Err(error)
            }
        };
        if done.is_err() {
            // Chapters that were begun are not there. If they cannot be read either, opening the store again reads them.
            let _ = self.reload();
        }
        done
    }
}

/// Whether there was a store. Keys alone are what a process leaves that is killed while it makes one, and another process may
/// have made it since this one looked.
fn has_lost_its_file(place: &dyn Place, ring: &Ring) -> Result<bool> {
    let is_there = |name| match place.length(name) {
        Ok(length) => Ok(length.is_some()),
        Err(error) => Err(unusable(place, name, error)),
    };
    Ok((ring.has_rotated() || is_there(sums::FILE)?) && !is_there(FILE)?)
}

/// A database that was opened.
pub(super) struct Opened {
    pub db: Database,
    watch: Arc<Watch>,
}

/// A store that is there, open.
enum Found {
    /// Of before stores were sealed.
    Plain(Opened),
    Sealed(Opened),
}

impl Found {
    fn open(place: &Arc<dyn Place>) -> Result<Self> {
        let mut opened = open(place, false)?;
        let mut format = format_of(place.as_ref(), &opened.db);
        if format.is_err() && opened.watch.is_torn() {
            drop(watched(|| drop(opened)));
            opened = open(place, true)?;
            format = format_of(place.as_ref(), &opened.db);
        }
        match format? {
            Some(table::SCHEMA) => Ok(Self::Sealed(opened)),
            Some(1) => Ok(Self::Plain(opened)),
            Some(2) => Err(ErrorKind::Storage
                .because(
                    "the store of this profile has a format that was never released: the version that wrote it can back \
                     it up, and this one restores that",
                )
                .hint(Advice::StoreNewer)),
            Some(_) => Err(ErrorKind::Storage
                .because("the store of this profile was written by a newer version")
                .hint(Advice::StoreNewer)),
            None => Err(damaged(place.as_ref(), "it does not say its format".into())),
        }
    }
}

/// What a database says of its format.
fn format_of(place: &dyn Place, db: &Database) -> Result<Option<u32>> {
    let read = || {
        let read = db.begin_read().map_err(storage)?;
        let format = match read.open_table(table::FORMAT) {
            Ok(format) => format.get("schema").map_err(storage)?.map(|row| row.value().to_vec()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(storage(error)),
        };
        Ok(format.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes))
    };
    watched(read).unwrap_or_else(|panic| Err(given_up(place, panic)))
}

/// Opens the database of a place. If it is damaged, what can be read of it is put into a new file, which is opened instead.
/// `by_us`: this process had it open.
fn open(place: &Arc<dyn Place>, by_us: bool) -> Result<Opened> {
    let damage = match attempt(place)? {
        Ok(opened) => return Ok(opened),
        Err(damage) => damage,
    };
    if let Err(error) = salvage(place, by_us) {
        tracing::warn!(kind = error.kind.name(), why = ?std::error::Error::source(&error), "the store is damaged and cannot be mended");
        return Err(damage);
    }
    attempt(place)?
}

/// Opens a database: as it is if there are sums that tell what it was, else with a look at every page. The inner error is one
/// of damage.
fn attempt(place: &Arc<dyn Place>) -> Result<Result<Opened>> {
    let file = || place.backend(FILE, false).map_err(StorageError::from);
    let watch = Arc::default();
    let known = || builder().create_with_backend(Summed::known(file()?, place, &watch));
    let mut opened = watched(known);
    if watch.is_unknown() {
        opened = watched(|| looked_through(place, &watch));
    }
    match opened {
        Ok(Ok(db)) => Ok(Ok(Opened { db, watch })),
        Ok(Err(error)) if is_damaged(&error) => Ok(Err(opening(place.as_ref(), error))),
        Ok(Err(error)) => Err(opening(place.as_ref(), error)),
        Err(panic) => Ok(Err(given_up(place.as_ref(), panic))),
    }
}

/// Opens a database with a look at every page.
fn looked_through(
    place: &Arc<dyn Place>,
    watch: &Arc<Watch>,
) -> std::result::Result<Database, DatabaseError> {
    let file = place.backend(FILE, false).map_err(StorageError::from)?;
    let mut builder = builder();
    builder.set_check_integrity_on_open(true);
    builder.create_with_backend(Summed::any(file, place, watch))
}

/// Looks at every page of a database that nobody has open, and leaves it as it is.
pub(super) fn look_through(place: &dyn Place) -> std::result::Result<(), DatabaseError> {
    let file = place.backend(FILE, false).and_then(Unwritten::of).map_err(StorageError::from)?;
    let mut builder = builder();
    builder.set_check_integrity_on_open(true);
    builder.create_with_backend(file).map(drop)
}

/// Whether it is the bytes of a file that are wrong, and not what is around it.
pub(super) fn is_damaged(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        DatabaseError::Storage(StorageError::Io(error)) => {
            matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// A database over which redb panicked.
pub(super) fn given_up(place: &dyn Place, panic: Panic) -> Error {
    if panic.is_of_the_database() { damaged(place, panic.cause()) } else { panic.resume() }
}

pub(super) fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

pub(super) fn damaged(place: &dyn Place, why: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let path = place.shown(FILE);
    ErrorKind::Storage
        .because_of(format_args!("the store of this profile is damaged ({path})"), why)
        .hint(Advice::StoreDamaged)
}

/// A file of the store that cannot be opened.
pub(super) fn unusable(place: &dyn Place, file: &str, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => Advice::StorePermission,
        io::ErrorKind::ReadOnlyFilesystem => Advice::StoreReadOnly,
        _ => Advice::CheckDiskFirst,
    };
    let path = place.shown(file);
    ErrorKind::Storage.because_of(format_args!("{path} cannot be opened"), error).hint(hint)
}

/// Why a store does not open. Only what is wrong *in* the file may cost an account: a permission, a full disk or a
/// read-only mount is mended from outside.
pub(super) fn opening(place: &dyn Place, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => storage(redb::Error::DatabaseAlreadyOpen),
        DatabaseError::Storage(StorageError::Io(error)) => match sums::unread(error) {
            Ok(error) => unusable(place, sums::FILE, error),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                damaged(place, error.into())
            }
            Err(error) => unusable(place, FILE, error),
        },
        other => damaged(place, other.into()),
    }
}
