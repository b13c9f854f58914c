//! Backups of a profile: one file, sealed by a passphrase of its own.
//!
//! ```text
//! the core's parts ──► length ‖ part ‖ … ──► sealed stream ──► FILE.part ──read again──► FILE
//! FILE ──read to its end──► nothing was written so far ──► <profile>.restoring ──► <profile>, a new device
//! ```
//!
//! A part is as long as the core makes it, so memory does not grow with the profile. A file under its own name is whole: it
//! was read again before it got the name. A profile under its own name is whole too: what a killed process left beside its
//! place is made anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cipher_api::command::{bot, device};
use cipher_api::view::AccountView;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::Unlock;
use cipher_seal::stream::{Locked, Reader, StreamError, Writer};
use rand_core::OsRng;
use rustix::fs::{CWD, FlockOperation, RenameFlags};
use zeroize::Zeroizing;

use crate::app::error::{ProfileError, Result};
use crate::app::notice::FrontEnd;
use crate::app::profile::OpenProfile;
use crate::profile::{Profile, private_folder};
use crate::session::{Need, Session};

/// What the sealed stream says that it holds.
const WHAT: &str = "backup of a cipher-chat profile";
/// Version of what it holds: parts behind their lengths.
const VERSION: u32 = 1;
/// Longest part. The core makes shorter ones, unless a single row is longer.
const PART_BYTES: usize = 16 * 1024 * 1024;

/// Files of a profile, the one whose being there makes it a profile last.
const FILES: [&str; 4] = ["store.key", "store.keys", "store.sums", "store.redb"];

/// A backup that is being written: beside its place until it is whole.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    /// Makes it, in place of one that a killed process left.
    fn make(path: PathBuf) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(libc_nofollow());
        let file = options.open(&path).map_err(|error| unwritable(&path, error))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            ErrorKind::Conflict.because(format!("another backup is being written to {}", path.display()))
        })?;
        let emptied = file
            .set_len(0)
            .and_then(|()| file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)));
        emptied.map_err(|error| unwritable(&path, error))?;
        Ok(Self { path, file })
    }
}

/// Whatever ends it, no half of a backup stays. Once it has its name this finds nothing.
impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "a half of a backup stays");
        }
    }
}

/// Fails if something has the name that a backup is to get: it is never overwritten.
pub fn is_free(file: &Path) -> Result<(), Error> {
    match file.symlink_metadata() {
        Ok(_) => Err(taken(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(file, error)),
    }
}

/// Backs a profile up; gives the number of messages. `progress` is told how many of how many are done.
pub async fn write(
    profile: &OpenProfile<'_>,
    file: &Path,
    unlock: &Unlock,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64> {
    is_free(file)?;
    let name = file
        .file_name()
        .ok_or_else(|| ErrorKind::Usage.because(format!("{} names no file", file.display())))?;
    let mut beside = name.to_owned();
    beside.push(".part");
    let draft = Draft::make(file.with_file_name(beside))?;
    let failed = |error: io::Error| unwritable(&draft.path, error);
    let to = BufWriter::new(draft.file.try_clone().map_err(failed)?);
    let mut stream = Writer::new(to, WHAT, VERSION, unlock, &mut OsRng).map_err(failed)?;
    let (mut behind, mut written) = (None, Content::default());
    loop {
        let device::BackupPart { part, next, done, total } = profile.ask(device::Backup { behind }).await?;
        // It has the account's key.
        let part = Zeroizing::new(part);
        written.take(&part);
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let wrote = stream.write_all(&length.to_be_bytes()).and_then(|()| stream.write_all(&part));
        wrote.map_err(failed)?;
        written.messages = done;
        progress(done, total);
        match next {
            Some(next) => behind = Some(next),
            None => break,
        }
    }
    let finished = stream.finish().and_then(|to| to.into_inner().map_err(|error| error.into_error()));
    finished.and_then(|to| to.sync_all()).map_err(failed)?;
    let mut read = Content { messages: written.messages, ..Content::default() };
    Parts::open(&draft.path, unlock)?.each(|part| {
        read.take(part);
        Ok(())
    })?;
    if read != written {
        return Err(ErrorKind::Storage
            .because(format!("{} was read back as another file than was written", draft.path.display()))
            .hint(Hint::text("nothing has its name: check the disk, then run the command again"))
            .into());
    }
    rename(&draft.path, file)?;
    Ok(written.messages)
}

/// What of a backup is counted, to know it again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    parts: u64,
    bytes: u64,
    messages: u64,
}

impl Content {
    fn take(&mut self, part: &[u8]) {
        self.parts += 1;
        self.bytes += part.len() as u64;
    }
}

/// The parts of a backup, in their order.
struct Parts {
    path: PathBuf,
    stream: Reader<BufReader<File>>,
}

impl Parts {
    fn open(path: &Path, unlock: &Unlock) -> Result<Self, Error> {
        let stream = locked(path)?.unlock(unlock).map_err(|error| refused(path, &error))?;
        Ok(Self { path: path.to_owned(), stream })
    }

    /// The next part; `None` behind the last one, when the stream has proven that it is whole.
    fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let mut length = [0; 4];
        let mut read = 0;
        while read < length.len() {
            match self.stream.read(&mut length[read..]).map_err(|error| self.failed(&error))? {
                0 if read == 0 => return Ok(None),
                0 => return Err(refused(&self.path, &StreamError::Damaged)),
                some => read += some,
            }
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > PART_BYTES {
            return Err(refused(&self.path, &StreamError::Damaged));
        }
        let mut part = Zeroizing::new(vec![0; length]);
        self.stream.read_exact(&mut part).map_err(|error| self.failed(&error))?;
        Ok(Some(part))
    }

    /// All of them; an error if that is not all of a backup.
    fn each(mut self, mut work: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        while let Some(part) = self.next()? {
            work(&part)?;
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        match StreamError::of(error) {
            Some(of_stream) => refused(&self.path, of_stream),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                refused(&self.path, &StreamError::Damaged)
            }
            None => unreadable(&self.path, error.to_string()),
        }
    }
}

/// A file whose beginning is that of a backup. Nothing is asked for a file that is none.
pub fn is_backup(file: &Path) -> Result<(), Error> {
    locked(file).map(drop)
}

fn locked(path: &Path) -> Result<Locked<BufReader<File>>, Error> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            ErrorKind::NotFound.because(format!("there is no file {}", path.display()))
        }
        _ => unreadable(path, error.to_string()),
    })?;
    Locked::read(BufReader::new(file), WHAT, VERSION).map_err(|error| refused(path, &error))
}

/// Reads a backup to its end; gives the number of its parts.
pub fn verify(file: &Path, unlock: &Unlock) -> Result<u64, Error> {
    let mut parts = 0;
    Parts::open(file, unlock)?.each(|_| {
        parts += 1;
        Ok(())
    })?;
    Ok(parts)
}

/// Takes a backup that was verified into the profile in force, which must not exist. It gets its name once all is in it.
pub async fn take_in(
    front: &dyn FrontEnd,
    file: &Path,
    unlock: &Unlock,
    parts: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result {
    let settings = front.settings();
    let profile = Profile::new(&settings.home, &settings.profile).map_err(ProfileError::Name)?;
    let beside = profile.beside();
    let disk = |error: io::Error| unwritable(beside.dir(), error);
    private_folder(beside.dir()).map_err(disk)?;
    let lock = File::open(beside.dir()).map_err(disk)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| ErrorKind::Conflict.because("another command restores a backup into this profile"))?;
    let filled = async {
        empty(beside.dir()).map_err(disk)?;
        let session = Session::open(&beside, &settings.unlocking, settings.network(), Need::Local).await?;
        let taken = fill(&session, file, unlock, parts, &mut progress).await;
        session.close().await;
        taken?;
        settle(&beside, &profile).map_err(|error| unwritable(profile.dir(), error))
    };
    let done = filled.await;
    if done.is_err() {
        // Nothing of it is any use.
        let _ = empty(beside.dir()).and_then(|()| fs::remove_dir(beside.dir()));
    }
    Ok(done?)
}

async fn fill(
    session: &Session,
    file: &Path,
    unlock: &Unlock,
    total: u64,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), Error> {
    let mut parts = Parts::open(file, unlock)?;
    let mut done = 0;
    while let Some(part) = parts.next()? {
        session.ask(device::Restore { part: part.to_vec() }).await.map_err(|error| match error.kind {
            // It is authentic, so it was made by another version.
            ErrorKind::Misuse => refused(file, &StreamError::Newer).caused_by(error),
            _ => error,
        })?;
        done += 1;
        progress(done, total);
    }
    Ok(())
}

/// Gives a whole profile its name.
fn settle(beside: &Profile, profile: &Profile) -> io::Result<()> {
    for entry in fs::read_dir(beside.dir())? {
        let entry = entry?;
        if !FILES.iter().any(|name| entry.file_name() == *name) {
            remove(&entry.path())?;
        }
    }
    if fs::rename(beside.dir(), profile.dir()).is_err() {
        // The folder is there, with bots or with what a killed process had moved.
        private_folder(profile.dir())?;
        for name in FILES {
            match fs::rename(beside.dir().join(name), profile.dir().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        File::open(profile.dir())?.sync_all()?;
        fs::remove_dir(beside.dir())?;
    }
    profile.dir().parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn empty(folder: &Path) -> io::Result<()> {
    fs::read_dir(folder)?.try_for_each(|entry| remove(&entry?.path()))
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// How a restored profile becomes a device of its account.
#[derive(Debug, Clone)]
pub struct Return {
    /// What the machine calls itself.
    pub name: String,
    /// Whether the account's other devices stay.
    pub keep_devices: Option<bool>,
    /// The profile that owns the bot, if it is one.
    pub owner: Option<String>,
}

/// Makes the restored profile in force a device of its account.
pub async fn come_back<'a>(front: &'a dyn FrontEnd, how: Return) -> Result<(OpenProfile<'a>, AccountView)> {
    let profile = OpenProfile::open_profile(front, &front.settings().profile, Need::Everything).await?;
    let account = returned(&profile, front, how).await;
    match account {
        Ok(account) => Ok((profile, account)),
        Err(error) => {
            profile.close().await;
            Err(error)
        }
    }
}

async fn returned(profile: &OpenProfile<'_>, front: &dyn FrontEnd, how: Return) -> Result<AccountView> {
    profile.reach().await?;
    let Return { name, keep_devices, owner } = how;
    let asks = |signature| device::Return { name: name.clone(), keep_devices, signature };
    let mut answer = profile.ask(asks(None)).await?;
    if let Some(certificate) = answer.certificate.take() {
        let owner = owner.ok_or_else(|| {
            ErrorKind::Misuse.because("this is the backup of a bot, which its owner has to sign for").hint(
                Hint::text("give the bot its profile inside its owner's, --profile OWNER/BOT, or name the owner's with --owner PROFILE; then run the command again"),
            )
        })?;
        let owners = OpenProfile::open_profile(front, &owner, Need::Local).await?;
        let signed = owners.ask(bot::Sign { certificate }).await;
        owners.close().await;
        answer = profile.ask(asks(Some(signed?.signature))).await?;
    }
    answer.account.ok_or_else(|| ErrorKind::Bug.because("a restored profile has no account").into())
}

/// Gives a file its name, unless something has it.
fn rename(draft: &Path, file: &Path) -> Result<(), Error> {
    let named = rustix::fs::renameat_with(CWD, draft, CWD, file, RenameFlags::NOREPLACE);
    let named = match named {
        // Of file systems that cannot do it in one step, as some sticks have.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            is_free(file)?;
            fs::rename(draft, file)
        }
        other => other.map_err(Into::into),
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match named.and_then(|()| File::open(folder)?.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(file)),
        other => other.map_err(|error| unwritable(file, error)),
    }
}

fn taken(file: &Path) -> Error {
    ErrorKind::Conflict
        .because(format!("{} is there already", file.display()))
        .hint(Hint::text("nothing was written: choose another name, a backup overwrites nothing"))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    ErrorKind::Storage
        .because_of(format_args!("{} cannot be written", path.display()), error)
        .hint(Hint::text("check the path, its rights and the free space, then run the command again"))
}

fn unreadable(path: &Path, why: String) -> Error {
    ErrorKind::Storage
        .because(format!("{} cannot be read: {why}", path.display()))
        .hint(Hint::text("nothing was restored: check the path, its rights and the disk"))
}

/// Why a file is not restored from.
fn refused(path: &Path, error: &StreamError) -> Error {
    let path = path.display();
    let (message, hint) = match error {
        StreamError::Foreign => {
            (format!("{path} is no backup of a profile"), "name the file that `backup` wrote")
        }
        StreamError::Newer => (
            format!("{path} was written by a newer version"),
            "nothing was restored: use the version that wrote it, or a newer one",
        ),
        StreamError::WrongKey => (
            format!("the passphrase does not open {path}"),
            "nothing was restored: give the one that the backup was made with",
        ),
        StreamError::Damaged => {
            (format!("{path} is damaged or cut off"), "nothing was restored: use another copy of the file")
        }
        StreamError::Unreadable(error) => {
            (format!("{path} cannot be read: {error}"), "nothing was restored: check the disk")
        }
    };
    ErrorKind::Storage.because(message).hint(Hint::text(hint))
}

/// A draft's name must not lead elsewhere.
const fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits() as i32
}
