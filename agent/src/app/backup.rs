//! Backups of a profile: one file, sealed by a passphrase of its own.
//!
//! ```text
//! the core's parts ──► length ‖ part ‖ … ──► sealed stream ──► a file beside FILE ──read again──► FILE
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

use cipher_api::command::{account, bot, device};
use cipher_api::view::AccountView;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_core::BackupOf;
use cipher_seal::Unlock;
use cipher_seal::new_file::NewFile;
use cipher_seal::stream::{Locked, Reader, StreamError, Writer};
use rand_core::OsRng;
use rustix::fs::{FlockOperation, OFlags};
use zeroize::Zeroizing;

use crate::app::error::{ProfileError, Result};
use crate::app::new_file::{self, taken, unwritable};
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

/// Fails if a backup cannot get this name: something has it, or its folder takes no file. Nothing is overwritten, and nobody is
/// asked for a passphrase in vain.
pub fn is_free(file: &Path) -> Result<(), Error> {
    names_a_file(file, "written to standard output")?;
    new_file::is_free(file)
}

/// A backup is read twice, as a restore does, and again once it was written.
fn names_a_file(file: &Path, stream: &str) -> Result<(), Error> {
    if file.as_os_str() == "-" {
        return Err(ErrorKind::Usage
            .because(format!("a backup is a file, which cannot be {stream}"))
            .hint(Hint::text("nothing was done: name a file")));
    }
    new_file::names_a_file(file)
}

/// Backs a profile up; gives the number of messages. `progress` is told how many of how many are done.
pub async fn write(
    profile: &OpenProfile<'_>,
    file: &Path,
    unlock: &Unlock,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64> {
    is_free(file)?;
    let failed = |error: io::Error| unwritable(file, error);
    let new = NewFile::beside(file, &mut OsRng).map_err(failed)?;
    let to = BufWriter::new(new.file());
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
    let again = Parts::open(new.path(), unlock).and_then(|parts| {
        parts.each(|part| {
            read.take(part);
            Ok(())
        })
    });
    if again.is_err() || read != written {
        let error = ErrorKind::Storage
            .because(format!("{} was not read again as it was written", file.display()))
            .hint(Hint::text("no backup was made: check the disk, then run the command again"));
        return Err(again.err().into_iter().fold(error, Error::caused_by).into());
    }
    new.name(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(file),
        _ => failed(error),
    })?;
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
            None => unreadable(&self.path, error),
        }
    }
}

/// A file whose beginning is that of a backup. Nothing is asked for a file that is none.
pub fn is_backup(file: &Path) -> Result<(), Error> {
    names_a_file(file, "read from standard input")?;
    locked(file).map(drop)
}

fn locked(path: &Path) -> Result<Locked<BufReader<File>>, Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound
            .because(format!("there is no file {}", path.display()))
            .hint(Hint::text("nothing was written: name the file that `backup` wrote")),
        _ => unreadable(path, &error),
    };
    // A pipe would keep the command waiting, and is read once only.
    let waits_for_nothing = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(waits_for_nothing).open(path).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a folder" } else { "a pipe or device" };
        return Err(ErrorKind::Storage
            .because(format!("{} is {what}, and no backup of a profile", path.display()))
            .hint(Hint::text("nothing was written: name the file that `backup` wrote, or a copy of it")));
    }
    Locked::read(BufReader::new(file), WHAT, VERSION).map_err(|error| refused(path, &error))
}

/// A backup that was read to its end.
#[derive(Debug)]
pub struct Verified {
    /// Whose it is.
    pub of: BackupOf,
    parts: u64,
}

/// Reads a backup to its end.
pub fn verify(file: &Path, unlock: &Unlock) -> Result<Verified, Error> {
    let (mut parts, mut of) = (0, None);
    Parts::open(file, unlock)?.each(|part| {
        parts += 1;
        if of.is_none() {
            of = Some(whose(file, part)?);
        }
        Ok(())
    })?;
    let of = of.ok_or_else(|| refused(file, &StreamError::Damaged))?;
    Ok(Verified { of, parts })
}

/// The first part is authentic, so who cannot read it is of an older version.
fn whose(file: &Path, first: &[u8]) -> Result<BackupOf, Error> {
    BackupOf::read(first).map_err(|error| refused(file, &StreamError::Newer).caused_by(error))
}

/// Fails if this backup is not for the profile in force: a person has no owner, and a bot has one who must sign for it.
pub async fn fits(front: &dyn FrontEnd, file: &Path, of: &BackupOf, owner: Option<&str>) -> Result {
    let (file, handle, profile) = (file.display(), &of.handle, &front.settings().profile);
    let wrong =
        |message: String, hint: String| Err(ErrorKind::Usage.because(message).hint(Hint::text(hint)).into());
    let (account, owner) = match (of.owner, owner) {
        (None, None) => return Ok(()),
        (None, Some(_)) if profile.contains('/') => {
            return wrong(
                format!("{file} is the backup of @{handle}, a person, and {profile} is the place of a bot"),
                "nothing was written: restore it into a profile of its own, --profile NAME".into(),
            );
        }
        (None, Some(_)) => {
            return wrong(
                format!("{file} is the backup of @{handle}, a person, who has no owner"),
                "nothing was written: leave --owner away".into(),
            );
        }
        (Some(_), None) => {
            return wrong(
                format!("{file} is the backup of the bot @{handle}, for which its owner has to sign"),
                format!(
                    "nothing was written: restore it inside its owner's profile, --profile OWNER/{handle}, or name that profile with --owner PROFILE"
                ),
            );
        }
        (Some(account), Some(owner)) => (account, owner),
    };
    let owners = OpenProfile::open_profile(front, owner, Need::Local).await?;
    let shown = owners.ask(account::Show {}).await;
    owners.close().await;
    let shown = shown.map_err(|error| match error {
        // It speaks of another profile than the one in force.
        ProfileError::Core(error) if error.hint == Some(Hint::DeviceRestoreGoOn) => ErrorKind::Misuse
            .because(format!(
                "{file} is the backup of the bot @{handle}, and profile {owner}, which has to sign for it, waits for its own restore"
            ))
            .hint(Hint::text("nothing was written: finish the restore of that profile first"))
            .caused_by(error)
            .into(),
        other => other,
    })?;
    if shown.account_id == account {
        return Ok(());
    }
    Err(ErrorKind::Refused
        .because(format!(
            "{file} is the backup of the bot @{handle}, which belongs to another account than @{} of profile {owner}",
            shown.handle
        ))
        .hint(Hint::text("nothing was written: restore it where its owner's profile is"))
        .into())
}

/// Fails if the place of a profile has the keys of a store that is not there: who moved it away still needs them. What a restore
/// that was killed left is in nobody's way.
pub fn is_vacant(profile: &Profile) -> Result<(), Error> {
    if profile.beside().dir().exists() || profile.keys().symlink_metadata().is_err() {
        return Ok(());
    }
    let (store, keys) = (profile.store(), profile.keys());
    Err(ErrorKind::Conflict
        .because(format!("{} is there, and the store that it opens is not", keys.display()))
        .hint(Hint::text(format!(
            "nothing was written: put {} back, or restore into another profile with --profile NAME; if the store is lost for good, remove {}",
            store.display(),
            keys.display()
        ))))
}

/// The profile in force exists: fails unless a backup waits in it to be finished.
pub async fn waits(front: &dyn FrontEnd) -> Result {
    let profile = OpenProfile::fresh(front, Need::Local).await?;
    let shown = profile.session.ask(account::Show {}).await;
    let (name, place) = (profile.name().to_owned(), profile.place());
    profile.close().await;
    if shown.is_err_and(|error| error.hint == Some(Hint::DeviceRestoreGoOn)) {
        return Ok(());
    }
    Err(ErrorKind::Conflict
        .because(format!("profile {name} is there already, and no backup waits in it to be finished"))
        .hint(Hint::text(format!(
            "nothing was written: choose another profile with --profile NAME; or, if nothing in it is worth anything, remove {}",
            store_and_keys(&place?)
        )))
        .into())
}

/// Fails unless it is this backup that waits in the profile in force; gives whose it is.
pub async fn is_what_waits(front: &dyn FrontEnd, file: &Path, unlock: &Unlock) -> Result<BackupOf> {
    let first = Parts::open(file, unlock)?.next()?.ok_or_else(|| refused(file, &StreamError::Damaged))?;
    let of = whose(file, &first)?;
    let profile = OpenProfile::open_profile(front, &front.settings().profile, Need::Local).await?;
    let same = profile.session.ask(device::Restore { part: first.to_vec() }).await;
    let (name, place) = (profile.name().to_owned(), profile.place());
    profile.close().await;
    match same {
        Ok(_) => Ok(of),
        Err(error) if error.kind == ErrorKind::Conflict => Err(ErrorKind::Conflict
            .because(format!("another backup than {} waits in profile {name} to be finished", file.display()))
            .hint(Hint::text(format!(
                "nothing was written: go on with the file of that one, or restore this one into another profile with --profile NAME; to give up what waits there, remove {}",
                store_and_keys(&place?)
            )))
            .into()),
        Err(error) => Err(error.into()),
    }
}

/// What makes a profile one.
fn store_and_keys(profile: &Profile) -> String {
    format!("{} and {}", profile.store().display(), profile.keys().display())
}

/// Takes a backup that was verified into the profile in force, which must not exist. It gets its name once all is in it.
pub async fn take_in(
    front: &dyn FrontEnd,
    file: &Path,
    unlock: &Unlock,
    verified: &Verified,
    mut progress: impl FnMut(u64, u64),
) -> Result {
    let settings = front.settings();
    let profile = Profile::new(&settings.home, &settings.profile).map_err(ProfileError::Name)?;
    let beside = profile.beside();
    let disk = |error: io::Error| unmade(beside.dir(), error);
    let above = beside.dir().ancestors().skip(1).take_while(|folder| !folder.exists());
    let made: Vec<&Path> = above.collect();
    private_folder(beside.dir()).map_err(disk)?;
    let lock = File::open(beside.dir()).map_err(disk)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        ErrorKind::Conflict
            .because("another command restores a backup into this profile")
            .hint(Hint::text("nothing was written: wait until it ends, and see what is there then"))
    })?;
    let filled = async {
        empty(beside.dir()).map_err(disk)?;
        let session = Session::open(&beside, &settings.unlocking, settings.network(), Need::Local).await?;
        let taken = fill(&session, file, unlock, verified.parts, &mut progress).await;
        session.close().await;
        taken?;
        if profile.exists() {
            return Err(ErrorKind::Conflict
                .because(format!("profile {} has come into being meanwhile", settings.profile))
                .hint(Hint::text("nothing was written: choose another profile with --profile NAME")));
        }
        settle(&beside, &profile).map_err(|error| unmade(profile.dir(), error))
    };
    let done = filled.await;
    if done.is_err() {
        // Nothing of it is any use.
        let _ = empty(beside.dir()).and_then(|()| fs::remove_dir(beside.dir()));
        // Of what was not there before, only what is empty.
        made.into_iter().for_each(|folder| drop(fs::remove_dir(folder)));
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

/// Removes what a restore left that was killed before all of it was in the profile, which begins anew. Nothing while a restore
/// is at it.
pub(crate) fn clear(profile: &Profile) {
    let beside = profile.beside();
    let Ok(folder) = File::open(beside.dir()) else { return };
    if rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    if let Err(error) = empty(beside.dir()).and_then(|()| fs::remove_dir(beside.dir())) {
        tracing::debug!(%error, "something is left of a restore");
    }
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

/// A profile whose folder does not take it.
fn unmade(folder: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => unwritable(folder, error)
            .hint(Hint::text("nothing was written: choose a folder in which you may write, with --home DIR")),
        _ => unwritable(folder, error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "nothing was written: run the command as a user who may read the file"
        }
        _ => "nothing was written: check the disk, or use another copy of the file",
    };
    ErrorKind::Storage.because(format!("{} cannot be read: {error}", path.display())).hint(Hint::text(hint))
}

/// Why a file is not restored from.
fn refused(path: &Path, error: &StreamError) -> Error {
    let file = path.display();
    let (message, hint) = match error {
        StreamError::Foreign => (
            format!("{file} is no backup of a profile"),
            "nothing was written: name the file that `backup` wrote",
        ),
        StreamError::Newer => (
            format!("{file} was written by a newer version"),
            "nothing was written: use the version that wrote it, or a newer one",
        ),
        StreamError::WrongKey => (
            format!("the passphrase does not open {file}"),
            "nothing was written: give the one that the backup was made with; if it is that one, the file is damaged, and another copy may open",
        ),
        StreamError::Damaged => {
            (format!("{file} is damaged or cut off"), "nothing was written: use another copy of the file")
        }
        StreamError::Unreadable(error) => return unreadable(path, error),
    };
    ErrorKind::Storage.because(message).hint(Hint::text(hint))
}
