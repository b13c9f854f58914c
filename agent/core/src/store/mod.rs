//! The redb file of a profile: opening it, and writing one batch in one transaction.
//!
//! Rows live in memory ([`crate::state`]) and in the OpenMLS overlay ([`mls`]); both are written here, together,
//! or not at all. Nothing else in the crate touches redb.

pub(crate) mod mls;
pub(crate) mod provider;
pub(crate) mod table;

use std::path::Path;
use std::sync::Arc;

use cipher_api::{Advice, Error, ErrorKind, Result};
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, WriteTransaction};

/// Page cache of redb. Rows that are used often are in memory anyway.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// An open store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    db: Arc<Database>,
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

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            Self::make(path)?;
        }
        Self::ready(builder().open(path).map_err(|error| opening(Some(path), error))?)
    }

    /// Makes a store whole or not at all: beside its place, on disk, and only then under its name. redb writes the
    /// mark of a valid file last, so a file that was cut off while it was made would never open again.
    fn make(path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!("{name}.new-{}", std::process::id()));
        let made = (|| {
            // Before redb sees it: redb would make the file with the rights of the umask.
            let file = private_file(&beside).map_err(redb::Error::from)?;
            Self::ready(builder().create(&beside).map_err(redb::Error::from)?)
                .map(drop)
                .map_err(|error| redb::Error::Io(std::io::Error::other(error.message)))?;
            file.sync_all().map_err(redb::Error::from)?;
            match std::fs::hard_link(&beside, path) {
                // Another process was faster: its store is the one.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
            .map_err(redb::Error::from)
        })();
        let removed = std::fs::remove_file(&beside);
        made.map_err(|error: redb::Error| storage(error))?;
        removed.map_err(redb::Error::from).map_err(storage)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(redb::Error::from)
            .map_err(storage)
    }

    pub(crate) fn open_on(backend: impl StorageBackend) -> Result<Self> {
        let db = builder().create_with_backend(backend).map_err(|error| opening(None, error))?;
        Self::ready(db)
    }

    fn ready(db: Database) -> Result<Self> {
        let store = Self { db: Arc::new(db) };
        let known = {
            let read = store.db.begin_read().map_err(storage)?;
            match read.open_table(table::META) {
                Ok(meta) => meta.get("schema").map_err(storage)?.map(|row| row.value().to_vec()),
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(storage(error)),
            }
        };
        match known {
            // Tables that came later are made when an older store is opened.
            Some(bytes) if bytes == table::SCHEMA.to_be_bytes() && store.is_complete()? => {}
            Some(bytes) if bytes == table::SCHEMA.to_be_bytes() => store.write(table::create_all)?,
            Some(_) => {
                return Err(ErrorKind::Storage
                    .because("the store of this profile was written by a newer version")
                    .hint(Advice::StoreNewer));
            }
            None => store.write(|txn| {
                table::create_all(txn)?;
                let mut meta = txn.open_table(table::META).map_err(storage)?;
                meta.insert("schema", table::SCHEMA.to_be_bytes().as_slice()).map_err(storage)?;
                Ok(())
            })?,
        }
        Ok(store)
    }

    fn is_complete(&self) -> Result<bool> {
        table::all_there(&self.db.begin_read().map_err(storage)?)
    }

    /// The database, for reads.
    pub(crate) fn db(&self) -> &Database {
        &self.db
    }

    /// One transaction, one fsync. An error leaves the file as it was.
    pub(crate) fn write(&self, work: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        let txn = self.db.begin_write().map_err(storage)?;
        match work(&txn) {
            Ok(()) => txn.commit().map_err(storage),
            Err(error) => {
                // The first error is the one to tell; a failed abort leaves the file unchanged just the same.
                let _ = txn.abort();
                Err(error)
            }
        }
    }
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Why a store does not open. Only what is wrong *in* the file may cost an account: a permission, a full disk or a
/// read-only mount is mended from outside.
fn opening(path: Option<&Path>, error: DatabaseError) -> Error {
    let damaged = |why: Box<dyn std::error::Error + Send + Sync>| {
        ErrorKind::Storage.because_of("the store of this profile is damaged", why).hint(Advice::StoreDamaged)
    };
    let place =
        path.map_or_else(|| "the store of this profile".to_owned(), |path| path.display().to_string());
    match error {
        DatabaseError::DatabaseAlreadyOpen => storage(redb::Error::DatabaseAlreadyOpen),
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            damaged(error.into())
        }
        DatabaseError::Storage(StorageError::Io(error)) => {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => Advice::StorePermission,
                std::io::ErrorKind::ReadOnlyFilesystem => Advice::StoreReadOnly,
                _ => Advice::CheckDiskFirst,
            };
            ErrorKind::Storage.because_of(format_args!("{place} cannot be opened"), error).hint(hint)
        }
        other => damaged(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// L01, and half-made files: a store appears whole, private, and alone in its folder.
    #[test]
    fn l01_a_store_is_made_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        drop(Store::open(&path).unwrap());
        drop(Store::open(&path).unwrap());
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["store.redb"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_store_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        for bytes in [b"".as_slice(), b"not a store"] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Store::open(&path).unwrap_err().kind, ErrorKind::Storage);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    /// D05: what is mended from outside never costs an account. (Root opens everything but a folder as a file.)
    #[test]
    fn d05_only_damage_in_the_file_is_called_damage() {
        let folder = tempfile::tempdir().unwrap();
        let io = |kind: std::io::ErrorKind| DatabaseError::Storage(StorageError::Io(kind.into()));
        let path = folder.path().join("store.redb");
        for (kind, advice) in [
            (std::io::ErrorKind::PermissionDenied, Advice::StorePermission),
            (std::io::ErrorKind::ReadOnlyFilesystem, Advice::StoreReadOnly),
            (std::io::ErrorKind::StorageFull, Advice::CheckDiskFirst),
        ] {
            let error = opening(Some(&path), io(kind));
            assert!(error.message.contains("store.redb"), "{error}");
            assert_eq!(error.hint, Some(advice.into()));
        }
        std::fs::create_dir(&path).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(!error.message.contains("damaged"), "{error:?}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, b"not a store").unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.message.contains("damaged"), "{error}");
        assert_eq!(error.hint, Some(Advice::StoreDamaged.into()));
    }

    #[test]
    fn a_store_has_one_opener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let first = Store::open(&path).unwrap();
        assert_eq!(Store::open(&path).unwrap_err().kind, ErrorKind::Locked);
        drop(first);
        assert!(Store::open(&path).is_ok());
    }
}
