//! Backup and restore: the lines of an export with the registry's key in front, sealed by a passphrase of their own.
//!
//! ```text
//! {"type":"key","key":"<hex>"}    then the lines of archive.rs, to the end
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use cipher_seal::Unlock;
use cipher_seal::new_file::{NewFile, folder_of};
use cipher_seal::stream::{Locked, Reader, StreamError, Writer};
use cipher_seal::typed::{self, TypedError};
use data_encoding::HEXLOWER;
use rand_core::OsRng;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{Error, StoreError};
use crate::key::RegistryKey;
use crate::operate::archive::{self, Extent, Extract};
use crate::operate::snapshot;
use crate::settings::Settings;
use crate::store::{Store, restored};

/// Kind of content of the sealed file.
const WHAT: &str = "registry backup";
/// Its version.
const VERSION: u32 = 1;
/// Longest first line.
const KEY_LINE: usize = 256;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum KeyLine {
    /// Hex of the seed.
    Key { key: String },
}

/// What a command is doing, for a person who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file is written.
    Writing,
    /// It is read again.
    Verifying,
    /// A data folder is made of it.
    Restoring,
}

/// Told now and then: the stage, and how many bytes of content went through.
pub type Progress<'a> = dyn FnMut(Stage, u64) + 'a;

/// Where the content comes from.
enum Source {
    /// The registry does not run.
    Stopped(Store),
    Running(UnixStream),
}

impl Source {
    fn of(data_dir: &Path) -> Result<Self, Error> {
        // Making an empty store here would look like losing everything.
        if !Store::is_in(data_dir) {
            return Err(Error::NotFound(format!(
                "there is no store of a registry in {}",
                data_dir.display()
            )));
        }
        match Store::open_folder(data_dir) {
            Ok(store) => Ok(Self::Stopped(store)),
            Err(StoreError::Locked) => match snapshot::ask(data_dir) {
                Ok(stream) => Ok(Self::Running(stream)),
                // Another command, or a registry of before there were backups.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    Err(StoreError::Locked.into())
                }
                Err(source) => {
                    let path = data_dir.to_owned();
                    Err(Error::File { doing: "ask for a snapshot in", path, source })
                }
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes everything to a file that must not exist yet, also while the registry serves.
pub fn backup(
    settings: &Settings,
    file: &Path,
    passphrase_fd: Option<u32>,
    progress: &mut Progress<'_>,
) -> Result<Value, Error> {
    let failed = |source| Error::File { doing: "write", path: file.to_owned(), source };
    if file.symlink_metadata().is_ok() {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    let settings = &with_key_passphrase(settings, passphrase_fd)?;
    let key = RegistryKey::load(settings)?;
    let passphrase = match passphrase_fd {
        Some(number) => typed::from_descriptor(number),
        None => {
            typed::twice_at_terminal(&format!("New passphrase of {}: ", file.display()), "The same again: ")
        }
    };
    let unlock = Unlock::Passphrase(passphrase.map_err(no_passphrase("make", file))?);
    let source = Source::of(&settings.data_dir)?;
    let new = NewFile::beside(file, &mut OsRng).map_err(failed)?;
    write(&new, file, source, &key, &unlock, progress)?;
    let written = verify(new.path(), file, &key, &unlock, progress)?;
    new.name(file).map_err(failed)?;
    Ok(written.told("backup"))
}

/// Seals it all into a new file. `path`: the name that it will have.
fn write(
    new: &NewFile,
    path: &Path,
    source: Source,
    key: &RegistryKey,
    unlock: &Unlock,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let failed = |source| Error::File { doing: "write", path: path.to_owned(), source };
    let writer = Writer::new(new.file(), WHAT, VERSION, unlock, &mut OsRng).map_err(failed)?;
    let mut out = Counted { inner: writer, stage: Stage::Writing, bytes: 0, progress };
    key_line(key).and_then(|line| out.write_all(&line)).map_err(failed)?;
    match source {
        Source::Stopped(store) => {
            archive::write(&store.view(), Extent::Backup, &mut out, path)?;
        }
        Source::Running(stream) => copy(stream, &mut out, path)?,
    }
    out.inner.finish().and_then(|file| file.sync_all()).map_err(failed)
}

/// Copies what comes from the process that serves. Whether it was all, the verification tells.
fn copy(mut stream: UnixStream, out: &mut impl Write, path: &Path) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Error::Backup {
                    doing: "make",
                    path: path.to_owned(),
                    reason: format!("the registry that serves hands it out no more: {error}"),
                    hint: "no backup was made; another one may be under way: see the log of the registry, and try again",
                });
            }
        };
        out.write_all(buffer.get(..read).unwrap_or_default()).map_err(|source| Error::File {
            doing: "write",
            path: path.to_owned(),
            source,
        })?;
    }
}

/// Reads what was written again, to its end. `file`: the name that it will have.
fn verify(
    draft: &Path,
    file: &Path,
    key: &RegistryKey,
    unlock: &Unlock,
    progress: &mut Progress<'_>,
) -> Result<Extract, Error> {
    let unusable = |error| unusable("make", file, error);
    let written = File::open(draft).map_err(|error| unusable(error.into()))?;
    let opened = Locked::read(written, WHAT, VERSION).and_then(|locked| locked.unlock(unlock));
    let mut content = Content::of("make", file, opened.map_err(unusable)?, Stage::Verifying, progress);
    if content.key()?.public() != key.public() {
        return Err(unusable(StreamError::Damaged));
    }
    content.read(|input, file| archive::check(folder_of(draft), input, file))
}

/// Makes a data folder of a backup: all of it or nothing (R-REG-26).
pub fn restore(
    settings: &Settings,
    file: &Path,
    passphrase_fd: Option<u32>,
    progress: &mut Progress<'_>,
) -> Result<Value, Error> {
    let data_dir = &settings.data_dir;
    let there = File::open(file).map_err(|error| unusable("open", file, error.into()))?;
    let locked = Locked::read(there, WHAT, VERSION).map_err(|error| unusable("open", file, error))?;
    is_free(data_dir)?;
    let settings = &with_key_passphrase(settings, passphrase_fd)?;
    let passphrase = match passphrase_fd {
        Some(number) => typed::from_descriptor(number),
        None => typed::at_terminal(&format!("Passphrase of {}: ", file.display())),
    };
    let unlock = Unlock::Passphrase(passphrase.map_err(no_passphrase("open", file))?);
    let opened = locked.unlock(&unlock).map_err(|error| unusable("open", file, error))?;
    let content = Content::of("open", file, opened, Stage::Restoring, progress);
    let was_there = data_dir.exists();
    let told = fill(settings, content);
    if told.is_err() && !was_there {
        // Only if it is empty.
        let _ = fs::remove_dir(data_dir);
    }
    told
}

fn fill(settings: &Settings, mut content: Content<'_, '_>) -> Result<Value, Error> {
    let data_dir = &settings.data_dir;
    let failed = |source| Error::File { doing: "restore into", path: data_dir.clone(), source };
    Store::prepare(data_dir)?;
    let folder = File::open(data_dir).map_err(failed)?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        // Another restore.
        Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked.into()),
        locked => locked.map_err(|error| failed(error.into()))?,
    }
    restored::finish(data_dir)?;
    is_free(data_dir)?;
    let draft = Folder(data_dir.join(restored::DRAFT));
    // What a restore left that was killed.
    match fs::remove_dir_all(&draft.0) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(&draft.0).map_err(failed)?;
    let key = content.key()?;
    let taken = {
        let store = Store::open_folder(&draft.0)?;
        content.read(|input, file| archive::take(&store, input, file))?
    };
    key.place(&draft.0, &settings.unlocking)?;
    restored::declare(data_dir).map_err(failed)?;
    restored::finish(data_dir)?;
    let mut told = taken.told("restored");
    if let Some(told) = told.as_object_mut() {
        told.insert("registry_key".into(), HEXLOWER.encode(&key.public()).into());
    }
    Ok(told)
}

/// Nothing is ever written over a registry.
fn is_free(data_dir: &Path) -> Result<(), Error> {
    if !Store::is_in(data_dir) && !RegistryKey::is_in(data_dir) {
        return Ok(());
    }
    Err(Error::Taken(format!(
        "{} holds a registry already: restore into an empty folder, or move registry.redb, registry.key and registry.unlock \
         away",
        data_dir.display()
    )))
}

fn key_line(key: &RegistryKey) -> io::Result<Zeroizing<Vec<u8>>> {
    let seed = Zeroizing::new(key.signer().to_bytes());
    let mut line = KeyLine::Key { key: HEXLOWER.encode(seed.as_slice()) };
    // With room: what would be moved would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LINE));
    let written = serde_json::to_writer(&mut *bytes, &line);
    let KeyLine::Key { key } = &mut line;
    key.zeroize();
    written.map_err(io::Error::from)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What is in a backup, as it is read.
struct Content<'a, 'p> {
    doing: &'static str,
    file: &'a Path,
    content: Counted<'a, 'p, Reader<File>>,
}

impl<'a, 'p> Content<'a, 'p> {
    fn of(
        doing: &'static str,
        file: &'a Path,
        reader: Reader<File>,
        stage: Stage,
        progress: &'a mut Progress<'p>,
    ) -> Self {
        Self { doing, file, content: Counted { inner: reader, stage, bytes: 0, progress } }
    }

    /// The key, which is the first line.
    fn key(&mut self) -> Result<RegistryKey, Error> {
        let mut line = Zeroizing::new(Vec::with_capacity(KEY_LINE));
        // Byte by byte: a buffer would keep a copy of it.
        let mut byte = Zeroizing::new([0]);
        while line.len() < KEY_LINE && !line.ends_with(b"\n") {
            if self
                .content
                .read(byte.as_mut_slice())
                .map_err(|error| failing(self.doing, self.file, error))?
                == 0
            {
                break;
            }
            line.extend_from_slice(byte.as_slice());
        }
        let key = serde_json::from_slice(&line).ok().map(|KeyLine::Key { key }| Zeroizing::new(key));
        let seed = key.and_then(|key| HEXLOWER.decode(key.as_bytes()).ok()).map(Zeroizing::new);
        let seed = seed.and_then(|seed| <[u8; 32]>::try_from(seed.as_slice()).ok()).map(Zeroizing::new);
        seed.map(|seed| RegistryKey::of_seed(&seed))
            .ok_or_else(|| unusable(self.doing, self.file, StreamError::Damaged))
    }

    /// The lines behind it.
    fn read(
        self,
        reader: impl FnOnce(&mut dyn BufRead, &Path) -> Result<Extract, Error>,
    ) -> Result<Extract, Error> {
        let Self { doing, file, content } = self;
        reader(&mut BufReader::new(content), file).map_err(|error| match error {
            Error::File { source, .. } => failing(doing, file, source),
            // The seal is whole: so it was written that way.
            Error::Export(reason) => Error::Backup {
                doing,
                path: file.to_owned(),
                reason,
                hint: match doing {
                    "make" => {
                        "no backup was made. If the registry ended meanwhile, or has another version, try again; else its \
                         store is damaged: keep its folder, and restore the last backup into an empty one"
                    }
                    _ => {
                        "nothing was written; the registry that served ended before all of it was written, had another \
                         version, or a damaged store: take another backup"
                    }
                },
            },
            other => other,
        })
    }
}

/// What the error of a read says.
fn failing(doing: &'static str, file: &Path, error: io::Error) -> Error {
    if StreamError::of(&error).is_some() {
        unusable(doing, file, StreamError::Damaged)
    } else {
        Error::File { doing: "read", path: file.to_owned(), source: error }
    }
}

/// Counts what goes through.
struct Counted<'a, 'p, T> {
    inner: T,
    stage: Stage,
    bytes: u64,
    progress: &'a mut Progress<'p>,
}

impl<T> Counted<'_, '_, T> {
    fn count(&mut self, bytes: usize) -> usize {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        (self.progress)(self.stage, self.bytes);
        bytes
    }
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        Ok(self.count(read))
    }
}

impl<W: Write> Write for Counted<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        Ok(self.count(written))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A folder that is not complete yet. It is removed unless it gets another name.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn no_passphrase(doing: &'static str, file: &Path) -> impl FnOnce(TypedError) -> Error {
    move |reason| Error::Passphrase { doing, path: file.to_owned(), reason }
}

/// Settings for a command that takes two passphrases. Of a descriptor that is for both, the first line opens the registry's key, whichever
/// of the two is needed first, and whether or not the key needs one.
fn with_key_passphrase(settings: &Settings, of_backup: Option<u32>) -> Result<Settings, Error> {
    let mut settings = settings.clone();
    if of_backup.is_some() && of_backup == settings.unlocking.passphrase_fd {
        settings.unlocking.read_passphrase(&settings.data_dir)?;
    }
    Ok(settings)
}

fn unusable(doing: &'static str, file: &Path, error: StreamError) -> Error {
    let (reason, hint) = match error {
        StreamError::Unreadable(source) => {
            return Error::File { doing: "read", path: file.to_owned(), source };
        }
        StreamError::Foreign => {
            ("it is no backup of a registry", "name a file that `cipher-registry backup` wrote")
        }
        StreamError::Newer => (
            "it was written by a newer version",
            "restore it with the version of cipher-registry that wrote it",
        ),
        StreamError::WrongKey => (
            "the passphrase does not open it",
            "nothing was written; give the one that it was made with; if it is that one, the file is damaged: take another copy of it",
        ),
        StreamError::Damaged if doing == "make" => {
            ("what was written is not what is read again", "no backup was made; check the disk")
        }
        StreamError::Damaged => ("it is damaged or cut off", "nothing was written; take another copy of it"),
    };
    Error::Backup { doing, path: file.to_owned(), reason: reason.into(), hint }
}
