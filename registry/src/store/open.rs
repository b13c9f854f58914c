//! Opens the store and protects its folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, StorageBackend, WriteTransaction};
use rustix::fs::{Advice, fadvise};

use crate::error::StoreError;
use crate::store::table::View;
use crate::store::{guard, restored, schema};

/// Name of the database in the data folder.
const FILE: &str = "registry.redb";
/// Memory for pages, taken as it is used: the working set is handles, device keys, the upper levels of every table and
/// the front of each stock. With a quarter of it a store of 100,000 accounts reads its way down again for every claim.
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// The open store. Clones share it; it closes with the last one.
#[derive(Debug, Clone)]
pub struct Store {
    // Before the database: whoever reads must have ended when it closes.
    shown: Arc<RwLock<Arc<View>>>,
    db: Arc<Database>,
}

impl Store {
    /// Makes the data folder (0700) if it is not there.
    pub fn prepare(data_dir: &Path) -> Result<(), StoreError> {
        let failed = |doing| move |source| StoreError::File { doing, path: data_dir.to_owned(), source };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(failed("create the data folder"))?;
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700))
            .map_err(failed("protect the data folder"))
    }

    /// Whether a data folder holds a database.
    pub(crate) fn is_in(data_dir: &Path) -> bool {
        data_dir.join(FILE).is_file()
    }

    /// Opens the database (0600) in a data folder, making both if they are not there.
    pub fn open_folder(data_dir: &Path) -> Result<Self, StoreError> {
        Self::prepare(data_dir)?;
        restored::finish(data_dir)?;
        let path = data_dir.join(FILE);
        let failed = |doing| {
            let path = path.clone();
            move |source| StoreError::File { doing, path, source }
        };
        if !fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            make(&path, FileBackend::new)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open the store"))?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed("protect the store"))?;
        let same = file.try_clone().map_err(failed("open the store"))?;
        let opened = |builder: &Builder| {
            let file = file.try_clone().map_err(redb::StorageError::from)?;
            builder.create_with_backend(FileBackend::new(file)?)
        };
        let store = guard::opened(&mut builder(), opened, Self::ready)?;
        // Opened, and walked through where that was necessary, in order; from now on pages are read one by one, from
        // anywhere, and what lies behind them is not worth reading. Only advice.
        if let Err(error) = fadvise(&same, 0, None, Advice::Random) {
            tracing::debug!(%error, "the store cannot be told how it is read");
        }
        Ok(store)
    }

    /// Opens on any backend: tests use redb's memory.
    pub fn open(backend: impl StorageBackend) -> Result<Self, StoreError> {
        Self::ready(builder().create_with_backend(backend)?)
    }

    /// An empty store in a folder, without a name: nothing of it is left when it is closed, or when the process is killed.
    pub(crate) fn unnamed(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(format!("{FILE}.unnamed-{}", std::process::id()));
        let failed =
            |source| StoreError::File { doing: "create a store for a look in", path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        Self::open(FileBackend::new(file)?)
    }

    fn ready(db: Database) -> Result<Self, StoreError> {
        let txn = db.begin_write()?;
        schema::settle(&txn)?;
        txn.commit()?;
        let shown = Arc::new(View::of(&db.begin_read()?)?);
        Ok(Self { shown: Arc::new(RwLock::new(shown)), db: Arc::new(db) })
    }

    /// The snapshot that was shown last. Everybody reads the same one, so a request opens no tables.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows what is committed by now.
    pub(crate) fn show(&self) -> Result<(), StoreError> {
        let now = Arc::new(View::of(&self.db.begin_read()?)?);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// Commits and shows it.
    pub(crate) fn commit(&self, txn: WriteTransaction) -> Result<(), StoreError> {
        txn.commit()?;
        self.show()
    }

    /// Begins to write. The default durability, `Immediate`, is what is wanted: a reply after a commit is true
    /// after a power cut too.
    pub(crate) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        Ok(self.db.begin_write()?)
    }
}

/// Makes a store whole or not at all: beside its place, on the disk, and only then under its name. redb writes the mark of
/// a valid file last, so a file that was cut off while it was made would never open again.
fn make<B: StorageBackend>(
    path: &Path,
    backend: impl FnOnce(File) -> Result<B, redb::DatabaseError>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { doing: "create the store", path: path.to_owned(), source };
    // Two processes that begin at once have a draft each.
    let draft = path.with_added_extension(format!("new-{}", std::process::id()));
    let made = fill(&draft, backend, &failed).and_then(|()| give_name(&draft, path).map_err(failed));
    // What is left of it is of no use, and in nobody's way: a later attempt of this process number removes it.
    let _ = fs::remove_file(&draft);
    made
}

fn fill<B: StorageBackend>(
    draft: &Path,
    backend: impl FnOnce(File) -> Result<B, redb::DatabaseError>,
    failed: &impl Fn(io::Error) -> StoreError,
) -> Result<(), StoreError> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(draft).map_err(failed)?;
    let same = file.try_clone().map_err(failed)?;
    drop(Store::ready(builder().create_with_backend(backend(file)?)?)?);
    same.sync_all().map_err(failed)
}

/// Another process may have been faster: then its store is the one.
fn give_name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        // Left empty by a version that made it in its place, and was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::metadata(path)?.len() == 0 => {
            fs::rename(draft, path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::SCHEMA_ROW;
    use crate::store::table::{META, SCHEMA, Txn};
    use redb::Durability;
    use redb::backends::InMemoryBackend;

    #[test]
    fn folder_and_file_are_for_the_owner_only_and_opened_once() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        let store = Store::open_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(folder.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Store::open_folder(&folder), Err(StoreError::Locked)));
        drop(store);
        Store::open_folder(&folder).unwrap();
    }

    /// What the writer of replicas relies on while a record is on its way.
    #[test]
    fn what_is_committed_is_read_when_it_is_shown_and_can_be_taken_back_before() {
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let write = |handle: &str| {
            let mut txn = store.begin().unwrap();
            let before = txn.ephemeral_savepoint().unwrap();
            Txn::of(&txn).unwrap().handles.insert(handle, &[7; 32]).unwrap();
            txn.set_durability(Durability::None).unwrap();
            txn.commit().unwrap();
            before
        };
        let known = |handle: &str| store.view().handles.get(handle).unwrap().is_some();
        write("ana");
        assert!(!known("ana"));
        store.show().unwrap();
        assert!(known("ana"));
        let before = write("ben");
        let mut txn = store.begin().unwrap();
        txn.restore_savepoint(&before).unwrap();
        txn.set_durability(Durability::None).unwrap();
        store.commit(txn).unwrap();
        assert!(known("ana") && !known("ben"));
    }

    #[test]
    fn a_store_of_a_newer_version_is_refused() {
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let txn = store.begin().unwrap();
        txn.open_table(META).unwrap().insert(SCHEMA_ROW, SCHEMA + 1).unwrap();
        txn.commit().unwrap();
        drop(store.shown);
        let db = Arc::into_inner(store.db).unwrap();
        assert!(matches!(Store::ready(db), Err(StoreError::Newer(4))));
    }

    /// A disk that takes so many writes more; then the process is dead.
    #[derive(Debug)]
    struct Dying {
        file: FileBackend,
        left: std::sync::atomic::AtomicI64,
    }

    impl Dying {
        fn lives(&self) -> io::Result<()> {
            let left = self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            if left > 0 { Ok(()) } else { Err(io::Error::other("killed")) }
        }
    }

    impl StorageBackend for Dying {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.lives()?;
            self.file.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.lives()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.lives()?;
            self.file.write(offset, data)
        }
    }

    #[test]
    fn a_registry_that_was_killed_at_any_moment_while_it_made_its_store_starts_again() {
        let mut deaths = 0;
        for left in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            let made = make(&path, |file| Ok(Dying { file: FileBackend::new(file)?, left: left.into() }));
            if made.is_ok() {
                break;
            }
            deaths += 1;
            Store::open_folder(folder.path()).unwrap_or_else(|error| panic!("{left} writes: {error}"));
        }
        assert!(deaths > 10, "{deaths}");
        // A version that made it in its place was killed at once.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "").unwrap();
        Store::open_folder(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    /// E9: a bit anywhere in a store that was closed. It opens, or says that it is damaged.
    #[test]
    fn e9_a_store_with_a_flipped_bit_opens_or_says_that_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_folder(folder.path()).unwrap();
        let txn = store.begin().unwrap();
        for n in 0..2000_u32 {
            Txn::of(&txn).unwrap().handles.insert(format!("somebody-{n}").as_str(), &[7; 32]).unwrap();
        }
        store.commit(txn).unwrap();
        drop(store);
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        let mut refused = 0;
        let mut random = 1_u64;
        for _ in 0..300 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let bit = usize::try_from(random >> 16).unwrap() % (whole.len() * 8);
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            match Store::open_folder(folder.path()) {
                Ok(store) => drop(store),
                Err(StoreError::Damaged(_) | StoreError::Row(_) | StoreError::Newer(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused < 300, "most bits are of rows, or of nothing");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), [7; 9000]).unwrap();
        assert!(matches!(Store::open_folder(folder.path()), Err(StoreError::Damaged(_))));
    }
}
