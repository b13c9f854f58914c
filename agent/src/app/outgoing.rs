//! A file that is to be sent: its bytes, and what tells them from all others.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use cipher_api::{Error, ErrorKind, Hint};
use cipher_seal::{Chunks, Key};
use data_encoding::HEXLOWER;
use rand_core::OsRng;
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};

use crate::app::size::in_words;
use crate::profile::Profile;

/// Longer than the clock of a file system stands still.
const TICK: Duration = Duration::from_millis(60);
/// Content of one chunk of a spool, bytes.
const SPOOLED: usize = 64 * 1024;
/// Files that a system makes while they are read say sizes up to this that mean nothing.
const MADE: u64 = 64 * 1024;

/// What a person named.
pub enum Named {
    /// A file that can be read again.
    File(Outgoing),
    /// What can be read once, and how much it is is known at its end.
    Stream {
        /// What receivers are told.
        name: String,
        /// It is read to its end.
        from: Box<dyn Read + Send>,
    },
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::File(_)) { "File" } else { "Stream" })
    }
}

/// A file that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// What receivers are told.
    name: String,
    /// Tells it from everything else, with other bytes too.
    pub(super) origin: String,
    pub(super) source: Source,
    pub(super) size: u64,
    /// Another command finds the same bytes again, and can go on with them.
    pub(super) again: bool,
    /// Every device of the account names it alike: its origin says what it holds.
    pub(super) repeatable: bool,
    /// Whether no other command sends it.
    pub(super) hold: Hold,
    /// Whether receivers get a small picture of it, if it is one.
    pub(super) preview: bool,
}

/// Whether a command may go on with an upload: two that send one file at once have an upload each.
#[derive(Debug)]
pub(super) enum Hold {
    /// Nobody else can come upon it.
    Alone,
    /// It is this command's, until this is dropped.
    Ours(#[expect(dead_code, reason = "it is held, and let go of when it is dropped")] Held),
    /// It is that of another command, which lives.
    Others,
}

/// A file that is locked by its process, named by what is sent.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    _locked: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever waits for the lock looks whether what it locked still has this name.
        drop(fs::remove_file(&self.path));
    }
}

impl Hold {
    fn of(profile: &Profile, origin: &str) -> Self {
        let named = Sha256::digest(origin).to_vec();
        let name = HEXLOWER.encode(named.get(..16).unwrap_or(&named));
        let path = profile.dir().join(format!(".sending-{name}"));
        loop {
            let opened = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            // Where no file can be made or locked, two at once are not told apart.
            let Ok(file) = opened else { return Self::Alone };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Self::Others,
                Err(_) => return Self::Alone,
            }
            let place = |of: io::Result<fs::Metadata>| of.ok().map(|of| (of.dev(), of.ino()));
            if place(file.metadata()) == place(fs::symlink_metadata(&path)) {
                return Self::Ours(Held { path, _locked: file });
            }
        }
    }
}

/// Where the bytes are.
pub(super) enum Source {
    /// In a file of the sender, which had this stamp.
    Named(File, Stamp),
    /// In a file of ours, sealed.
    Spooled(Spool),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Named(..)) { "Named" } else { "Spooled" })
    }
}

impl Source {
    /// Goes back to the first byte.
    fn rewind(&mut self) -> io::Result<()> {
        match self {
            Self::Named(file, _) => file.rewind(),
            Self::Spooled(spool) => spool.rewind(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Named(file, _) => file.read(into),
            Self::Spooled(spool) => spool.read(into),
        }
    }
}

/// What changes when the bytes of a file change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Source {
    /// Fails if the bytes may not be those any more that were read.
    pub(super) fn unchanged(&self) -> Result<(), Error> {
        match self {
            Self::Named(file, stamp) if Stamp::of(file).ok() != Some(*stamp) => Err(changed()),
            Self::Named(..) | Self::Spooled(_) => Ok(()),
        }
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let of = file.metadata()?;
        Ok(Self {
            place: (of.dev(), of.ino()),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        })
    }

    /// Whether a change from now on gives it another stamp: clocks of file systems tick.
    fn settled(&self) -> bool {
        let (seconds, nanos) = self.changed;
        let since = u64::try_from(seconds).unwrap_or(0);
        let changed = UNIX_EPOCH + Duration::new(since, u32::try_from(nanos).unwrap_or(0));
        changed.elapsed().is_ok_and(|age| age >= TICK)
    }
}

impl Named {
    /// What is piped in, under a name.
    pub fn piped(name: String) -> Self {
        Self::Stream { name, from: Box::new(io::stdin()) }
    }

    /// What is in memory, under a name.
    pub(crate) fn held(name: String, bytes: Vec<u8>) -> Self {
        Self::Stream { name, from: Box::new(io::Cursor::new(bytes)) }
    }

    /// Opens a file that is to be sent to somebody.
    pub fn open(path: &Path, to: &str) -> Result<Self, Error> {
        let shown = path.display();
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound
                .because(format!("there is no file {shown}"))
                .hint(Hint::text("nothing was sent; check the path")),
            io::ErrorKind::PermissionDenied => ErrorKind::Refused
                .because(format!("{shown} cannot be read: you may not"))
                .hint(Hint::text("nothing was sent; run the command as a user who may read it")),
            _ => ErrorKind::Misuse.because_of(format_args!("{shown} cannot be read"), error),
        };
        let kind = fs::metadata(path).map_err(unreadable)?.file_type();
        if kind.is_dir() {
            return Err(ErrorKind::Usage
                .because(format!("{shown} is a folder, and files are sent one by one"))
                .hint(Hint::text("nothing was sent; pack it into an archive, or name the files in it")));
        }
        if !kind.is_file() {
            let what = if kind.is_fifo() || kind.is_char_device() {
                "standard input can be sent: --file -"
            } else {
                "name a file"
            };
            return Err(ErrorKind::Usage
                .because(format!("{shown} is no ordinary file"))
                .hint(Hint::text(format!("nothing was sent; {what}"))));
        }
        // Were it another thing by now, opening it must not wait.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file =
            fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().or_else(|| place.file_name()).unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if is_made_when_read(&file.metadata().map_err(unreadable)?) {
            return Ok(Self::Stream { name, from: Box::new(file) });
        }
        let mut stamp = Stamp::of(&file).map_err(unreadable)?;
        if !stamp.settled() {
            std::thread::sleep(TICK);
            stamp = Stamp::of(&file).map_err(unreadable)?;
        }
        // What is being written now is not gone on with later.
        let again = stamp.settled();
        let nonce = if again { String::new() } else { crate::net::token::unguessable() };
        let origin = format!("{to}\n{}\n{stamp:?}\n{nonce}", place.display());
        let source = Source::Named(file, stamp);
        let (hold, preview, repeatable) = (Hold::Alone, true, false);
        let size = stamp.size;
        Ok(Self::File(Outgoing { name, origin, size, source, again, repeatable, hold, preview }))
    }

    /// What is to be sent. A stream is read to its end first, at most so many bytes of it, while others are served.
    pub async fn read(self, profile: &Profile, most: u64) -> Result<Outgoing, Error> {
        let (name, from) = match self {
            Self::File(file) if file.again => {
                return Ok(Outgoing { hold: Hold::of(profile, &file.origin), ..file });
            }
            Self::File(file) => return Ok(file),
            Self::Stream { name, from } => (name, from),
        };
        let profile = profile.clone();
        let read = tokio::task::spawn_blocking(move || Outgoing::spool(from, &name, &profile, most)).await;
        read.map_err(|error| ErrorKind::Bug.because_of("what is to be sent is not read to its end", error))?
    }
}

/// Whether the system makes a content while it is read, as below /proc: then what it says of its size means nothing.
fn is_made_when_read(of: &fs::Metadata) -> bool {
    of.size() == 0 || (of.blocks() == 0 && of.size() <= MADE)
}

impl Outgoing {
    /// Takes what is read, at most so many bytes, as a file of this name. It lies sealed in a file without a name until it
    /// was sent.
    fn spool(mut from: impl Read, name: &str, profile: &Profile, most: u64) -> Result<Self, Error> {
        let unwritten = |error| {
            ErrorKind::Storage
                .because_of("what is read cannot be kept until it is sent", error)
                .hint(Hint::text("nothing was sent; make room where the profile lies, or name a file"))
        };
        let mut spool = Spool::new(profile.dir()).map_err(unwritten)?;
        let mut size = 0_u64;
        loop {
            let mut chunk = Vec::with_capacity(SPOOLED + Chunks::OVERHEAD);
            let taken = u64::try_from(SPOOLED).unwrap_or(u64::MAX);
            (&mut from).take(taken).read_to_end(&mut chunk).map_err(|error| {
                ErrorKind::Misuse.because_of(format_args!("{name} cannot be read"), error)
            })?;
            if chunk.is_empty() {
                break;
            }
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if size > most {
                return Err(too_large(name, None, most));
            }
            spool.keep(chunk).map_err(unwritten)?;
        }
        spool.rewind().map_err(unwritten)?;
        let origin = format!("read once\n{}", crate::net::token::unguessable());
        let (name, source, hold) = (name.to_owned(), Source::Spooled(spool), Hold::Alone);
        Ok(Self { name, origin, size, source, again: false, repeatable: false, hold, preview: true })
    }

    /// The same file under another name.
    pub(crate) fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Known by its name and what it holds, for one purpose: every device of the account that brings that for it brings
    /// one file.
    pub(crate) async fn repeatable(mut self, purpose: &str) -> Result<Self, Error> {
        let failed =
            |error: io::Error| ErrorKind::Misuse.because_of("the file cannot be read to its end", error);
        let (source, hash) = tokio::task::spawn_blocking(move || {
            let mut hasher = Sha256::new();
            let mut some = vec![0; SPOOLED];
            loop {
                match self.source.read(&mut some)? {
                    0 => break,
                    read => hasher.update(some.get(..read).unwrap_or_default()),
                }
            }
            self.source.rewind()?;
            Ok((self.source, HEXLOWER.encode(&hasher.finalize())))
        })
        .await
        .map_err(|error| ErrorKind::Bug.because_of("a file is not read to its end", error))?
        .map_err(failed)?;
        let origin = format!("{purpose}\n{}\n{hash}", self.name);
        // Builds that draw another one, or none, must say the same.
        // Its origin is that of one answer: what others send of the same file is apart from it.
        let hold = Hold::Alone;
        Ok(Self { origin, source, again: true, repeatable: true, preview: false, hold, ..self })
    }

    /// Bytes of it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Receivers get no small picture of it, whatever it is.
    pub const fn without_preview(&mut self) {
        self.preview = false;
    }

    /// Another command goes on with what it sends: this one sends it on its own.
    pub(super) fn goes_apart(&mut self) {
        self.origin.push_str(&crate::net::token::unguessable());
        self.again = false;
    }

    /// Fails if it is larger than what the site takes.
    pub(crate) fn fits(&self, largest: u64) -> Result<(), Error> {
        if self.size > largest { Err(too_large(&self.name, Some(self.size), largest)) } else { Ok(()) }
    }
}

/// What was read from a pipe: in a file without a name, under a key that nothing keeps.
pub(super) struct Spool {
    file: File,
    chunks: Chunks,
    position: u32,
    /// What of the chunk that was opened last is still to be read.
    opened: Vec<u8>,
    at: usize,
}

impl Spool {
    fn new(folder: &Path) -> io::Result<Self> {
        let chunks = Chunks::new(&Key::random(&mut OsRng), b"cipher-spool", &mut OsRng);
        Ok(Self { file: unnamed(folder)?, chunks, position: 0, opened: Vec::new(), at: 0 })
    }

    /// Goes back to the first byte.
    fn rewind(&mut self) -> io::Result<()> {
        self.position = 0;
        self.opened.clear();
        self.at = 0;
        self.file.rewind()
    }

    fn keep(&mut self, mut chunk: Vec<u8>) -> io::Result<()> {
        let full = chunk.len() == SPOOLED;
        self.chunks.seal(self.position, !full, &mut chunk);
        self.position = self.position.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        self.file.write_all(&chunk)
    }
}

impl Read for Spool {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.opened.len() {
            self.opened.clear();
            self.at = 0;
            let taken = u64::try_from(SPOOLED + Chunks::OVERHEAD).unwrap_or(u64::MAX);
            (&mut self.file).take(taken).read_to_end(&mut self.opened)?;
            if self.opened.is_empty() {
                return Ok(0);
            }
            let full = self.opened.len() == SPOOLED + Chunks::OVERHEAD;
            self.chunks.open(self.position, !full, &mut self.opened).map_err(io::Error::other)?;
            self.position += 1;
        }
        let read = self.opened.get(self.at..).unwrap_or_default().read(into)?;
        self.at += read;
        Ok(read)
    }
}

/// A file that has no name, and goes with its process.
fn unnamed(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system can make one.
        Err(_) => {
            let path: PathBuf = folder.join(format!(".spool-{}", crate::net::token::unguessable()));
            let file =
                fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        }
    }
}

fn too_large(name: &str, size: Option<u64>, most: u64) -> Error {
    let has = size.map_or_else(|| "has more".to_owned(), |size| format!("has {}", in_words(size)));
    ErrorKind::Limit
        .because(format!("{name} {has}, and files of at most {} are taken here", in_words(most)))
        .hint(Hint::text("nothing was sent; the limit is the operator's"))
}

pub(super) fn changed() -> Error {
    ErrorKind::Conflict
        .because("the file changed while it was sent")
        .hint(Hint::text("nothing was said; send it again when it is complete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ordinary_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path, to: &str| match Named::open(path, to) {
            Ok(Named::File(file)) => Ok(file),
            Ok(Named::Stream { name, .. }) => panic!("{name} is a stream"),
            Err(error) => Err(error.kind),
        };
        let kind = |path: &Path| open(path, "ops").map(drop).unwrap_err();
        assert_eq!(kind(folder.path()), ErrorKind::Usage);
        assert_eq!(kind(&folder.path().join("none")), ErrorKind::NotFound);
        assert_eq!(kind(Path::new("/dev/null")), ErrorKind::Usage);
        let file = folder.path().join("a.txt");
        fs::write(&file, "x").unwrap();
        let first = open(&file, "ops").unwrap();
        assert_eq!((first.name(), first.size()), ("a.txt", 1));
        assert_eq!(open(&file, "ops").unwrap().origin, first.origin);
        assert_ne!(open(&file, "dev").unwrap().origin, first.origin);
        fs::write(&file, "y").unwrap();
        assert_ne!(open(&file, "ops").unwrap().origin, first.origin, "the same size, another content");
    }

    /// The lock of a process that was killed goes with it; its file may stay.
    #[tokio::test]
    async fn a_file_that_two_commands_send_at_once_is_held_by_one_of_them() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        let path = home.path().join("a.txt");
        fs::write(&path, "x").unwrap();
        let read = async |to| Named::open(&path, to).unwrap().read(&profile, 100).await.unwrap();
        let (first, mut second, elsewhere) = (read("ops").await, read("ops").await, read("dev").await);
        assert!(matches!((&first.hold, &second.hold), (Hold::Ours(_), Hold::Others)), "{first:?} {second:?}");
        assert!(matches!(elsewhere.hold, Hold::Ours(_)), "{elsewhere:?}");
        assert_eq!(first.origin, second.origin, "in one command it is one file");
        second.goes_apart();
        assert!(first.origin != second.origin && !second.again);
        drop((first, elsewhere));
        fs::write(profile.dir().join(".sending-0"), "").unwrap();
        assert!(matches!(read("ops").await.hold, Hold::Ours(_)));
        let left = fs::read_dir(profile.dir())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert_eq!(left.filter(|name| name.starts_with(".sending-")).count(), 1, "the one of before");
    }

    #[test]
    fn what_is_read_from_a_pipe_is_bounded_and_leaves_no_file() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        let before = fs::read_dir(profile.dir()).unwrap().count();
        let content: Vec<u8> = (0..150_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut spooled = Outgoing::spool(content.as_slice(), "stdin", &profile, 150_000).unwrap();
        assert_eq!((spooled.size(), spooled.name()), (150_000, "stdin"));
        let mut read = Vec::new();
        spooled.source.read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
        let larger = Outgoing::spool(content.as_slice(), "stdin", &profile, 149_999);
        assert_eq!(larger.map(drop).unwrap_err().kind, ErrorKind::Limit);
        assert_eq!(fs::read_dir(profile.dir()).unwrap().count(), before);
    }

    /// Below /proc files say that they have no bytes, and have some.
    #[tokio::test]
    async fn what_a_system_makes_while_it_is_read_is_read_to_its_end() {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::new(home.path(), "ana").unwrap();
        profile.prepare().unwrap();
        let empty = home.path().join("empty");
        fs::write(&empty, "").unwrap();
        for (path, is_empty) in [(Path::new("/proc/self/status"), false), (empty.as_path(), true)] {
            let named = Named::open(path, "ops").unwrap();
            assert!(matches!(named, Named::Stream { .. }), "{}", path.display());
            let mut read = named.read(&profile, 1 << 20).await.unwrap();
            let mut content = String::new();
            read.source.read_to_string(&mut content).unwrap();
            assert_eq!((content.is_empty(), content.len() as u64), (is_empty, read.size()));
            assert!(is_empty || content.contains("VmRSS"), "{content}");
        }
        let larger = Named::open(Path::new("/proc/self/status"), "ops").unwrap().read(&profile, 10).await;
        assert_eq!(larger.map(drop).unwrap_err().kind, ErrorKind::Limit);
    }
}
