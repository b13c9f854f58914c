//! Sealed streams as files: each is written beside its place, and gets its name, which nothing has, once all of it is on the
//! disk.
//!
//! What is beside has a name of chance that no other program gives, so no file of a person is ever taken for it. A process
//! that is killed leaves it; the next one that writes into the folder removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::{CryptoRng, RngCore};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::stream;

/// Beginning of the name of what is not whole; 16 digits of chance follow.
const UNFINISHED: &str = "cipher-unfinished-";
const DIGITS: usize = 16;

/// A file without its name. It goes again unless it gets one.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: File,
    /// Whether no folder has it.
    unseen: bool,
}

/// Where the system shows what a process has open.
const OPEN: &str = "/proc/self/fd";

impl NewFile {
    /// Makes it (0600) in the folder of this place.
    pub fn beside(place: &Path, random: &mut (impl RngCore + CryptoRng)) -> io::Result<Self> {
        let folder = folder_of(place);
        sweep(folder);
        loop {
            let path = folder.join(format!("{UNFINISHED}{:016x}", random.next_u64()));
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            let new = Self { path, file, unseen: false };
            // Where the file system has no locks, what a kill leaves stays.
            let _ = rustix::fs::flock(&new.file, FlockOperation::NonBlockingLockExclusive);
            // Whoever swept between the two calls took it for one that was left.
            if new.file.metadata()?.nlink() > 0 {
                return Ok(new);
            }
        }
    }

    /// Makes it (0600) for this place in no folder: a kill leaves nothing of it. Where the system cannot do that, it is
    /// [beside](Self::beside), and what a kill leaves there stays unless it is a sealed stream.
    pub fn unseen(place: &Path, random: &mut (impl RngCore + CryptoRng)) -> io::Result<Self> {
        let folder = folder_of(place);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) if Path::new(OPEN).is_dir() => {
                let path = Path::new(OPEN).join(file.as_raw_fd().to_string());
                Ok(Self { path, file: file.into(), unseen: true })
            }
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                Self::beside(place, random)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where it is, until it has its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For writing; to sync it before it is [named](Self::name) is the caller's.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name. An error of the kind `AlreadyExists` if something has it.
    pub fn name(self, place: &Path) -> io::Result<()> {
        if self.unseen {
            rustix::fs::linkat(CWD, &self.path, CWD, place, AtFlags::SYMLINK_FOLLOW)?;
        } else {
            take_name(&self.path, place)?;
        }
        File::open(folder_of(place))?.sync_all()
    }
}

/// Whatever ends it, no half of a file stays. Once it has its name this finds nothing.
impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.unseen
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(%error, "a half of a file stays");
        }
    }
}

/// Gives a file another name, which nothing has. Where the file system cannot do that in one step, its first name may stay.
/// An error of the kind `AlreadyExists` if something has the name.
pub fn take_name(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        named => return Ok(named?),
    }
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists && !is_there(to)? => fs::rename(from, to),
        Err(error) => Err(error),
        Ok(()) => {
            let _ = fs::remove_file(from);
            Ok(())
        }
    }
}

/// The folder in which a place is.
pub fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_there(place: &Path) -> io::Result<bool> {
    match place.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => found.map(|_| true),
    }
}

/// Removes what killed processes left in a folder.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)).unwrap_or_default();
        let is_ours = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_ours && is_left(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether it is the beginning of a sealed stream that no process writes any more.
fn is_left(path: &Path) -> io::Result<bool> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file()
        || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    {
        return Ok(false);
    }
    let mut begins = Vec::new();
    (&file).take(64).read_to_end(&mut begins)?;
    Ok(begins.is_empty() || stream::begins(&begins))
}

#[cfg(test)]
#[path = "new_file_test.rs"]
mod tests;
