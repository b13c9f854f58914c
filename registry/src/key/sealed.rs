//! The file of the key: sealed by this version, 32 raw bytes by those before.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cipher_seal::{FileError, SealedFile, Unlock, key_file};
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::error::{Error, OPEN_TO_OTHERS};
use crate::settings::Unlocking;

/// Longer than any key file.
const LONGEST: u64 = 64 * 1024;

type Seed = Zeroizing<[u8; 32]>;

/// What lies at the path of the key.
pub(super) enum Found {
    /// The key in the clear, of an earlier version.
    Raw(Seed),
    Sealed(Vec<u8>),
}

impl Found {
    pub(super) fn at(path: &Path) -> Result<Self, Error> {
        let file = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
        let opened = File::open(path).map_err(file("open the key file"))?;
        let mode = opened.metadata().map_err(file("examine the key file"))?.mode();
        if mode & 0o077 != 0 {
            return Err(Error::Key { path: path.to_owned(), reason: OPEN_TO_OTHERS });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        opened.take(LONGEST).read_to_end(&mut bytes).map_err(file("read the key file"))?;
        Ok(match <[u8; 32]>::try_from(bytes.as_slice()) {
            // A sealed file that was cut off may be as short.
            Ok(seed) if !SealedFile::begins(&bytes) => Self::Raw(Zeroizing::new(seed)),
            Ok(_) | Err(_) => Self::Sealed(bytes.to_vec()),
        })
    }

    /// The key, without changing anything.
    pub(super) fn read(self, path: &Path, unlocking: &Unlocking) -> Result<Seed, Error> {
        match self {
            Self::Raw(seed) => Ok(seed),
            Self::Sealed(bytes) => {
                let slots = SealedFile::slots_in(&bytes).map_err(|error| unusable(path, error))?;
                open(path, &bytes, &unlocking.find(path, Some(&slots))?)
            }
        }
    }
}

/// Makes the file of a key that is sealed from the beginning. Gives the key that is there.
pub(super) fn make(path: &Path, seed: Seed, unlocking: &Unlocking) -> Result<Seed, Error> {
    let unlock = unlocking.find(path, None)?;
    let sealed = SealedFile::make(&unlock, &mut OsRng).seal(seed.as_slice(), &mut OsRng);
    let file = |source| Error::File { doing: "create the key file", path: path.to_owned(), source };
    if key_file::make(path, &sealed).map_err(file)? {
        return Ok(seed);
    }
    // Of two processes that start at once one wins, and both use its key.
    match Found::at(path)? {
        Found::Raw(seed) => Ok(seed),
        Found::Sealed(bytes) => open(path, &bytes, &unlock),
    }
}

/// Seals a key of an earlier version in its place. At every moment one of the two is there whole; what a process that was
/// killed left behind, the next one that serves finishes.
pub(super) fn convert(path: &Path, seed: &Seed, unlocking: &Unlocking) -> Result<(), Error> {
    let unlock = unlocking.find(path, None)?;
    let file = |doing| move |source| Error::File { doing, path: path.to_owned(), source };
    let sealed = SealedFile::make(&unlock, &mut OsRng).seal(seed.as_slice(), &mut OsRng);
    let old = old(path);
    if let Ok(other) = fs::metadata(&old) {
        let same =
            fs::metadata(path).is_ok_and(|this| (this.dev(), this.ino()) == (other.dev(), other.ino()));
        if !same {
            return Err(Error::Key {
                path: old,
                reason: "is there already and is of another key: move it away",
            });
        }
        // An attempt that was cut off gave the key this second name.
        fs::remove_file(&old).map_err(file("go on with sealing the key file"))?;
    }
    // Where a file cannot have two names its old bytes stay on the disk until something is written over them.
    let kept = fs::hard_link(path, &old).is_ok();
    key_file::replace(path, &sealed).map_err(file("seal the key file"))?;
    tracing::info!(path = %path.display(), "the key file is sealed now");
    if kept {
        let_go(path, seed);
    }
    Ok(())
}

/// Overwrites and removes what a conversion replaced.
pub(super) fn let_go(path: &Path, seed: &Seed) {
    let old = old(path);
    let Ok(bytes) = fs::read(&old).map(Zeroizing::new) else { return };
    // Zeros: an attempt was cut off after it had overwritten it.
    let replaced = bytes.as_slice() == seed.as_slice() || bytes.as_slice() == [0; 32];
    let outcome = if replaced { key_file::erase(&old) } else { Err(ErrorKind::InvalidData.into()) };
    if let Err(error) = outcome {
        tracing::warn!(%error, path = %old.display(), "a key in the clear could not be erased: do it by hand");
    }
}

fn old(path: &Path) -> PathBuf {
    path.with_extension("key.old")
}

fn open(path: &Path, bytes: &[u8], unlock: &Unlock) -> Result<Seed, Error> {
    let (_, body) = SealedFile::open(bytes, unlock).map_err(|error| unusable(path, error))?;
    let seed = <[u8; 32]>::try_from(&*body).map_err(|_| unusable(path, FileError::Damaged))?;
    Ok(Zeroizing::new(seed))
}

fn unusable(path: &Path, error: FileError) -> Error {
    let path = path.to_owned();
    match error {
        FileError::Foreign => Error::Key { path, reason: "holds no key of a registry" },
        FileError::Damaged => Error::Key { path, reason: "is damaged" },
        FileError::Newer => Error::Unlock {
            path,
            reason: "it was sealed by a newer version".into(),
            hint: "start the newer version of cipher-registry that wrote it",
        },
        FileError::WrongKey => Error::Unlock {
            path,
            reason: error.to_string(),
            hint: "use what it was sealed with; nothing was changed",
        },
    }
}
