//! The file of a profile's tokens: sealed by what opens the store, for its owner only, written whole or not at all.
//!
//! Its slot holds a key that comes from the file key of `store.keys`. While that changes (`slot remove`) the file has two slots.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cipher_api::{Advice, Error, ErrorKind, Hint};
use cipher_seal::{FileError, Key, Plain, SealedFile, Unlock, key_file};
use rand_core::OsRng;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::private_file;
use crate::profile::Profile;
use crate::token::grant::Grant;

/// What the key of the file is derived for.
pub(crate) const PURPOSE: &str = "tokens";

/// Name of the file.
const NAME: &str = "tokens";
/// Name of the file of before, which was not sealed.
const PLAIN: &str = "tokens.json";
/// Format of what is sealed.
const VERSION: u32 = 1;
/// Longest file, bytes: of one that is longer only the beginning is read.
const FILE_BYTES: usize = 1024 * 1024;

/// Who holds it may change the file. Others wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held")] File);

/// The file, and the key that opens it. Making this value touches nothing on disk.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile {
    folder: PathBuf,
    key: Key,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Page {
    version: u32,
    tokens: Vec<Grant>,
}

/// Takes the lock of the tokens in the folder of a profile.
pub(crate) fn lock(folder: &Path) -> Result<Lock, Error> {
    try_lock(folder, FlockOperation::LockExclusive).map_err(|error| unlockable(folder, error))
}

fn try_lock(folder: &Path, operation: FlockOperation) -> io::Result<Lock> {
    let folder = File::open(folder)?;
    rustix::fs::flock(&folder, operation)?;
    Ok(Lock(folder))
}

/// The file of a profile, as far as it can be looked at without a key.
pub(crate) fn look(profile: &Profile) -> Result<(), Error> {
    let path = profile.dir().join(NAME);
    match read(&path).map_err(|error| unusable(&path, error))? {
        None => Ok(()),
        Some(bytes) => SealedFile::slots_in(&bytes).map(drop).map_err(|error| unopened(&path, error)),
    }
}

fn unlockable(folder: &Path, error: io::Error) -> Error {
    ErrorKind::Storage.because_of(format_args!("the tokens in {} cannot be used", folder.display()), error)
}

impl TokenFile {
    /// Of a profile; `key` was derived for [`PURPOSE`].
    pub(crate) fn of(profile: &Profile, key: Key) -> Self {
        Self { folder: profile.dir().into(), key }
    }

    #[cfg(test)]
    pub(crate) fn in_folder(folder: &Path, key: Key) -> Self {
        Self { folder: folder.into(), key }
    }

    pub(super) fn lock(&self) -> Result<Lock, Error> {
        lock(&self.folder)
    }

    /// The bytes of the file; `None` before the first token.
    pub(super) fn bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path()).map_err(|error| self.unusable(error))
    }

    /// The tokens in bytes of the file. One that does not open has none, one that is empty neither: every token is refused.
    pub(super) fn tokens(&self, bytes: Option<&[u8]>) -> Result<Vec<Grant>, Error> {
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        let (_, body) = self.open(bytes).map_err(|error| self.unopened(error))?;
        match serde_json::from_slice::<Page>(&body) {
            Ok(Page { version: VERSION, tokens }) => Ok(tokens),
            // Nobody without the key wrote it.
            Ok(_) => Err(self.unopened(FileError::Newer)),
            Err(_) => Err(self.unopened(FileError::Damaged)),
        }
    }

    /// Puts these tokens into the place of those that were there. What was revoked stays revoked after a power cut.
    pub(super) fn write(&self, _: &Lock, tokens: Vec<Grant>) -> Result<(), Error> {
        let file = match self.bytes()? {
            None => SealedFile::make(&self.unlock(), &mut OsRng),
            Some(bytes) => self.open(&bytes).map_err(|error| self.unopened(error))?.0,
        };
        self.seal(&file, tokens)
    }

    /// Seals the file of before. The lock keeps others from writing, so that every draft is one that a killed process left.
    pub(super) fn convert(&self, lock: &Lock) -> Result<(), Error> {
        let plain = self.folder.join(PLAIN);
        let failed =
            |error| ErrorKind::Storage.because_of(format_args!("{} cannot be used", plain.display()), error);
        if let Some(bytes) = read(&plain).map_err(failed)? {
            match self.bytes()? {
                None => self.write(lock, plain_tokens(&plain, &bytes)?)?,
                // Only erasing is left of a conversion. What was revoked since is not in the sealed one any more; if that does not
                // open, nothing is erased.
                Some(sealed) => drop(self.tokens(Some(&sealed))?),
            }
            key_file::erase(&plain).map_err(failed)?;
        }
        for entry in fs::read_dir(&self.folder).map_err(failed)?.flatten() {
            if entry.file_name().to_str().is_some_and(is_draft) {
                key_file::erase(&entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The same when a store is opened. Nothing is waited for: who has the lock does it, as a command for tokens, or takes a whole
    /// profile in, in which there is nothing to do.
    pub(super) fn settle_if_free(&self) -> Result<(), Error> {
        match try_lock(&self.folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => self.settle(&lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(unlockable(&self.folder, error)),
        }
    }

    /// Seals the file of before, and from then on it opens with this key only. For who keeps others from changing the slots of
    /// the store.
    pub(crate) fn settle(&self, lock: &Lock) -> Result<(), Error> {
        self.convert(lock)?;
        let Some(bytes) = self.bytes()? else { return Ok(()) };
        if SealedFile::slots_in(&bytes).map_err(|error| self.unopened(error))?.len() > 1 {
            let tokens = self.tokens(Some(&bytes))?;
            self.seal(&SealedFile::make(&self.unlock(), &mut OsRng), tokens)?;
        }
        Ok(())
    }

    /// Lets another key open it too. One is made if there is none: who still has the key of before must not make one with it.
    /// One that this key does not open stays as it is.
    pub(crate) fn also_open_with(&self, lock: &Lock, key: &Key) -> Result<(), Error> {
        // What is not read is not lost by it either.
        let _ = self.convert(lock);
        let (mut file, tokens) = match self.bytes()? {
            None => (SealedFile::make(&self.unlock(), &mut OsRng), Vec::new()),
            Some(bytes) => match (self.open(&bytes), self.tokens(Some(&bytes))) {
                (Ok((file, _)), Ok(tokens)) => (file, tokens),
                _ => return Ok(()),
            },
        };
        file.add(&Unlock::Key(key.clone()), &mut OsRng)
            .map_err(|error| ErrorKind::Storage.because_of("the tokens cannot be sealed anew", error))?;
        self.seal(&file, tokens)
    }

    fn seal(&self, file: &SealedFile, tokens: Vec<Grant>) -> Result<(), Error> {
        let page = serde_json::to_vec(&Page { version: VERSION, tokens })
            .map(Zeroizing::new)
            .map_err(|error| ErrorKind::Bug.because_of("tokens cannot be written as JSON", error))?;
        let bytes = file.seal(&page, &mut OsRng);
        if bytes.len() > FILE_BYTES {
            return Err(ErrorKind::Limit
                .because("the tokens of this profile are for too many conversations together")
                .hint(Hint::TokenList));
        }
        private_file::write(&self.path(), &bytes).map_err(|error| self.unusable(error))
    }

    fn open(&self, bytes: &[u8]) -> Result<(SealedFile, Plain), FileError> {
        SealedFile::open(bytes, &self.unlock())
    }

    fn unlock(&self) -> Unlock {
        Unlock::Key(self.key.clone())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    fn unusable(&self, error: io::Error) -> Error {
        unusable(&self.path(), error)
    }

    fn unopened(&self, error: FileError) -> Error {
        unopened(&self.path(), error)
    }
}

fn unusable(path: &Path, error: io::Error) -> Error {
    ErrorKind::Storage.because_of(format_args!("{} cannot be used", path.display()), error)
}

fn unopened(path: &Path, error: FileError) -> Error {
    let path = path.display();
    let message = match error {
        FileError::Newer => {
            return ErrorKind::Storage
                .because(format!("{path} was written by a newer version"))
                .hint(Advice::StoreNewer);
        }
        FileError::WrongKey => {
            format!("{path}, which holds the tokens, does not open with the keys of this profile")
        }
        FileError::Foreign | FileError::Damaged => format!("{path}, which holds the tokens, is damaged"),
    };
    ErrorKind::Storage
        .because(message)
        .hint(Hint::text("every token is refused; remove the file, and make new tokens"))
}

/// What a file holds; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_BYTES as u64).read_to_end(&mut bytes).map(|_| Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a process leaves that is killed while it writes.
fn is_draft(name: &str) -> bool {
    name.strip_prefix("tokens.").is_some_and(|rest| rest.ends_with(".draft"))
}

fn plain_tokens(path: &Path, bytes: &[u8]) -> Result<Vec<Grant>, Error> {
    let unread = |what: String| {
        ErrorKind::Storage
            .because(format!("{}, which holds the tokens, {what}", path.display()))
            .hint(Hint::text("every token is refused; remove the file, and make new tokens"))
    };
    let page: Page = serde_json::from_slice(bytes)
        .map_err(|error| unread(format!("is damaged at line {}", error.line())))?;
    if page.version != VERSION {
        return Err(unread(format!("has the unknown version {}", page.version)));
    }
    Ok(page.tokens)
}

#[cfg(test)]
#[path = "file_test.rs"]
mod tests;
