//! Where a store's files lie: a folder, or a simulated disk in tests.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use cipher_seal::key_file;
use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

/// The locks of a file that lies in a field.
macro_rules! forward_locks {
    ($field:tt) => {
        fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.$field.try_lock_range(start, end)
        }

        fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.$field.try_lock_shared_range(start, end)
        }

        fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.$field.lock_range(start, end)
        }

        fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.$field.lock_shared_range(start, end)
        }

        fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
            self.$field.unlock_range(start, end)
        }

        fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
            self.$field.query_lock_range(start, end)
        }
    };
}
pub(super) use forward_locks;

/// A folder with the files of one store. Whatever changes a name is on the disk when it returns.
pub trait Place: fmt::Debug + Send + Sync {
    /// The file of a database, which is there, or is made: empty and private (0600).
    fn backend(&self, name: &str, make: bool) -> io::Result<Box<dyn StorageBackend>>;

    /// Opens a database, or makes it. [`DatabaseError::DatabaseAlreadyOpen`] while another process has it.
    fn database(&self, name: &str, builder: &Builder, make: bool) -> Result<Database, DatabaseError> {
        let file = self.backend(name, make).map_err(redb::StorageError::from)?;
        builder.create_with_backend(Any(file))
    }

    /// Length of a file; `None` if there is none.
    fn length(&self, name: &str) -> io::Result<Option<u64>>;

    /// What a small file holds; `None` if there is none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes a small private file, whole or not at all; `false` if there is one already.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool>;

    /// Writes a small private file, also over one of that name. It is not synced, and may be cut off: what reads it has to tell.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes a small private file in the place of one of that name, whole or not at all, and overwrites what was there. What a
    /// process leaves that is killed meanwhile has `.new` behind the name.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file the name of another one, and overwrites what had that name.
    fn supersede(&self, from: &str, to: &str) -> io::Result<()>;

    /// Gives a file a second name, unless another file has that name.
    fn link(&self, name: &str, second: &str) -> io::Result<()>;

    /// Gives a file another name, and takes that name from a file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away, if it is there. The file stays under its other names.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Overwrites a file and takes its name away.
    fn erase(&self, name: &str) -> io::Result<()>;

    /// How a person finds a file.
    fn shown(&self, name: &str) -> String;
}

/// A real folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of a store; it must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl Place for Folder {
    fn backend(&self, name: &str, make: bool) -> io::Result<Box<dyn StorageBackend>> {
        let path = self.0.join(name);
        let file =
            if make { private_file(&path)? } else { OpenOptions::new().read(true).write(true).open(path)? };
        FileBackend::new(file).map(|file| Box::new(file) as _).map_err(io::Error::other)
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        found(self.0.join(name).metadata()).map(|file| file.map(|file| file.len()))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(std::fs::read(self.0.join(name)))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        key_file::make(&self.0.join(name), bytes)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = private_file(&self.0.join(name))?;
        file.set_len(bytes.len() as u64)?;
        io::Write::write_all(&mut file, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        key_file::replace(&self.0.join(name), bytes)
    }

    fn supersede(&self, from: &str, to: &str) -> io::Result<()> {
        let before = found(OpenOptions::new().write(true).open(self.0.join(to)))?;
        self.rename(from, to)?;
        before.map_or(Ok(()), |file| key_file::overwrite(&file))
    }

    fn link(&self, name: &str, second: &str) -> io::Result<()> {
        std::fs::hard_link(self.0.join(name), self.0.join(second))?;
        self.sync()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        found(std::fs::remove_file(self.0.join(name)))?;
        self.sync()
    }

    fn erase(&self, name: &str) -> io::Result<()> {
        let path = self.0.join(name);
        if let Some(file) = found(OpenOptions::new().write(true).open(&path))? {
            key_file::overwrite(&file)?;
        }
        self.remove(name)
    }

    fn shown(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

/// A file of a kind that only its place knows.
#[derive(Debug)]
struct Any(Box<dyn StorageBackend>);

impl StorageBackend for Any {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    forward_locks!(0);
}

/// A file that is not there is no failure.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file that only its owner can read.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_replaced_file_is_private_whole_and_alone_and_what_it_held_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let place = Folder::new(folder.path());
        assert!(place.create("a", b"before").unwrap());
        assert!(!place.create("a", b"never").unwrap());
        place.link("a", "same").unwrap();
        assert!(place.create("b", b"after").unwrap());
        place.supersede("b", "a").unwrap();
        assert_eq!(place.read("a").unwrap().unwrap(), b"after");
        assert_eq!(place.read("same").unwrap().unwrap(), [0; 6], "the old bytes are gone");
        assert_eq!(folder.path().join("a").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        place.erase("same").unwrap();
        place.erase("same").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(place.read("none").unwrap(), None);
    }
}
