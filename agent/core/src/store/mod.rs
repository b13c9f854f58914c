//! The redb file of a profile: opening it, and writing one batch in one transaction.
//!
//! Rows live in memory ([`crate::state`]) and in the OpenMLS overlay ([`mls`]); both are written here, together,
//! or not at all. Nothing else in the crate touches redb.

pub(crate) mod mls;
pub(crate) mod table;

use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, WriteTransaction};

use crate::error::{CoreError, ErrorKind, Result};

/// Page cache of redb. Rows that are used often are in memory anyway.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// An open store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    db: Arc<Database>,
}

/// What went wrong in redb, as an error of the core.
pub(crate) fn storage(error: impl Into<redb::Error>) -> CoreError {
    let error: redb::Error = error.into();
    match error {
        redb::Error::DatabaseAlreadyOpen => ErrorKind::Locked
            .because("the store of this profile is open in another process")
            .hint("wait for it to end, or let commands of this profile go through it"),
        other => ErrorKind::Storage
            .because(format!("the store of this profile cannot be read or written: {other}"))
            .hint("check the disk and its free space, then run the command again"),
    }
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let db = builder().create(path).map_err(opening)?;
        Self::ready(db)
    }

    pub(crate) fn open_on(backend: impl StorageBackend) -> Result<Self> {
        let db = builder().create_with_backend(backend).map_err(opening)?;
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
            Some(bytes) if bytes == table::SCHEMA.to_be_bytes() => {}
            Some(_) => {
                return Err(ErrorKind::Storage
                    .because("the store of this profile was written by a newer version")
                    .hint("use the version that wrote it, or a newer one"));
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

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn opening(error: DatabaseError) -> CoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => storage(redb::Error::DatabaseAlreadyOpen),
        other => ErrorKind::Storage
            .because(format!("the store of this profile cannot be opened: {other}"))
            .hint("if the file is damaged, move it away and restore a copy"),
    }
}
