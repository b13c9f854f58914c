//! A file on its way to the broker: read and sealed by a thread, stored chunk by chunk, and known to the core all along.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use cipher_api::command::file;
use cipher_api::view::UploadView;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::id::FileId;
use cipher_broker::limit;
use cipher_seal::{Chunks, Key};
use futures::future::{Fuse, FusedFuture as _};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::net::connect::Network;
use crate::net::file::{self as broker, Terms};
use crate::profile::Profile;
use crate::session::Session;

/// Chunks that are read ahead.
const AHEAD: usize = 2;
/// Chunks after which the core is told: with those that are under way they are what is sent twice when the process dies.
const TOLD_EVERY: u32 = 4;
/// Longer than the clock of a file system stands still.
const TICK: Duration = Duration::from_millis(60);
/// Content of one chunk of a spool, bytes.
const SPOOLED: usize = 64 * 1024;
/// Bytes by which the kind of a file is known.
const HEAD: usize = 8 * 1024;
/// What every chunk of a file is sealed with, before the id of the file.
const BOUND: &[u8] = b"cipher-file\x01";

/// The chunks of a file with this id and key.
pub(super) fn chunks(id: &FileId, key: &[u8]) -> Result<Chunks, Error> {
    let key = Key::from_slice(key).ok_or_else(|| ErrorKind::Bug.because("the key of a file has 32 bytes"))?;
    Ok(Chunks::new(&key, &[BOUND, id.as_bytes().as_slice()].concat()))
}

/// A file that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// What receivers are told.
    name: String,
    /// Tells it from everything else, with other bytes too.
    origin: String,
    source: Source,
    size: u64,
}

/// Where the bytes are.
enum Source {
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
struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
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
}

impl Stamp {
    /// Whether a change from now on gives it another stamp: clocks of file systems tick.
    fn settled(&self) -> bool {
        let (seconds, nanos) = self.changed;
        let since = u64::try_from(seconds).unwrap_or(0);
        let changed = UNIX_EPOCH + Duration::new(since, u32::try_from(nanos).unwrap_or(0));
        changed.elapsed().is_ok_and(|age| age >= TICK)
    }
}

impl Outgoing {
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
        let mut stamp = Stamp::of(&file).map_err(unreadable)?;
        if !stamp.settled() {
            std::thread::sleep(TICK);
            stamp = Stamp::of(&file).map_err(unreadable)?;
        }
        // What is being written now is not gone on with later.
        let nonce = if stamp.settled() { String::new() } else { crate::net::token::unguessable() };
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().or_else(|| place.file_name()).unwrap_or_default().to_string_lossy();
        let origin = format!("{to}\n{}\n{stamp:?}\n{nonce}", place.display());
        Ok(Self { name: name.into_owned(), origin, size: stamp.size, source: Source::Named(file, stamp) })
    }

    /// Takes what is read, at most so many bytes, as a file of this name. It lies sealed in a file without a name until it
    /// was sent.
    pub fn spool(mut from: impl Read, name: &str, profile: &Profile, most: u64) -> Result<Self, Error> {
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
            (&mut from)
                .take(taken)
                .read_to_end(&mut chunk)
                .map_err(|error| ErrorKind::Misuse.because_of("standard input cannot be read", error))?;
            if chunk.is_empty() {
                break;
            }
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if size > most {
                return Err(too_large(name, None, most));
            }
            spool.keep(chunk).map_err(unwritten)?;
        }
        spool.file.rewind().map_err(unwritten)?;
        spool.position = 0;
        let origin = format!("standard input\n{}", crate::net::token::unguessable());
        Ok(Self { name: name.to_owned(), origin, size, source: Source::Spooled(spool) })
    }

    /// Bytes of it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fails if it is larger than what the site takes.
    pub(crate) fn fits(&self, terms: &Terms) -> Result<(), Error> {
        if self.size > terms.largest {
            return Err(too_large(&self.name, Some(self.size), terms.largest));
        }
        if terms.room.is_some_and(|room| self.size > room) {
            return Err(ErrorKind::Limit
                .because(format!("the broker has no room for {}", self.name))
                .hint(Hint::BrokerRoom));
        }
        Ok(())
    }
}

/// What was read from a pipe: in a file without a name, under a key that nothing keeps.
struct Spool {
    file: File,
    chunks: Chunks,
    position: u32,
    /// What of the chunk that was opened last is still to be read.
    opened: Vec<u8>,
    at: usize,
}

impl Spool {
    fn new(folder: &Path) -> io::Result<Self> {
        let chunks = Chunks::new(&Key::random(&mut OsRng), b"cipher-spool");
        Ok(Self { file: unnamed(folder)?, chunks, position: 0, opened: Vec::new(), at: 0 })
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

/// A size as people say it.
pub fn in_words(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < KIB {
        return format!("{bytes} bytes");
    }
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "";
    for name in UNITS {
        if whole < KIB {
            break;
        }
        tenths = (whole % KIB) * 10 / KIB;
        whole /= KIB;
        unit = name;
    }
    if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

/// Brings a file to the broker, or the rest of it. Gives the id by which a message names it.
pub(crate) async fn upload(
    session: &Session,
    network: &Network,
    outgoing: Outgoing,
    mut progress: impl FnMut(u64, u64),
) -> Result<FileId, Error> {
    let Outgoing { name, origin, source, size } = outgoing;
    let begun = session.ask(file::Begin { origin, name: name.clone(), size }).await?;
    let id = begun.id;
    let sent = transfer(session, network, begun, (source, size), &mut progress).await;
    match sent {
        Ok((hash, mime)) => {
            session.ask(file::Finish { id, hash, mime }).await?;
            Ok(id)
        }
        Err(error) => {
            // What can be gone on with stays; a place that others wrote into, and bytes that are no more, do not.
            if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Limit) {
                drop(session.ask(file::Drop { id }).await);
            }
            Err(error)
        }
    }
}

async fn transfer(
    session: &Session,
    network: &Network,
    begun: UploadView,
    (source, size): (Source, u64),
    progress: &mut impl FnMut(u64, u64),
) -> Result<(Vec<u8>, String), Error> {
    let UploadView { id, key, chunk_bytes, done } = begun;
    let sealing = chunks(&id, &key)?;
    let (sealed, mut ready) = mpsc::channel(AHEAD);
    let reading = Reading { source, size, chunk_bytes, from: done };
    let read = tokio::task::spawn_blocking(move || reading.run(&sealing, &sealed));
    let mut flying = FuturesUnordered::new();
    let (mut stored, mut early, mut told) = (done, BTreeSet::new(), done);
    let mut telling = Fuse::terminated();
    let mut all_read = false;
    let bytes = |chunks: u32| (u64::from(chunks) * u64::from(chunk_bytes)).min(size);
    progress(bytes(stored), size);
    while !all_read || !flying.is_empty() {
        tokio::select! {
            biased;
            Some(outcome) = flying.next(), if !flying.is_empty() => {
                early.insert(outcome?);
                while early.remove(&stored) {
                    stored += 1;
                }
                progress(bytes(stored), size);
            }
            outcome = &mut telling => outcome?,
            chunk = ready.recv(), if !all_read && flying.len() < limit::FILE_WINDOW => match chunk {
                Some((position, sealed)) => flying.push(async move {
                    broker::put(network, &id, position, &sealed).await.map(|()| position)
                }),
                None => all_read = true,
            },
        }
        if stored >= told.saturating_add(TOLD_EVERY) && telling.is_terminated() {
            told = stored;
            telling = Box::pin(async move { session.ask(file::Progress { id, done: told }).await.map(drop) })
                .fuse();
        }
    }
    read.await.map_err(|error| ErrorKind::Bug.because_of("a file is not read to its end", error))?
}

/// Reads a file to its end, and seals what the broker does not have.
struct Reading {
    source: Source,
    size: u64,
    chunk_bytes: u32,
    /// First chunk that the broker does not have.
    from: u32,
}

impl Reading {
    /// The hash of the whole, and its media type.
    fn run(mut self, sealing: &Chunks, to: &mpsc::Sender<(u32, Bytes)>) -> Result<(Vec<u8>, String), Error> {
        let mut hasher = Sha256::new();
        let mut head = Vec::new();
        let (mut left, mut position) = (self.size, 0_u32);
        loop {
            let length = left.min(u64::from(self.chunk_bytes));
            left -= length;
            let mut chunk = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + Chunks::OVERHEAD);
            (&mut self.source)
                .take(length)
                .read_to_end(&mut chunk)
                .map_err(|error| ErrorKind::Misuse.because_of("the file cannot be read to its end", error))?;
            if u64::try_from(chunk.len()).ok() != Some(length) {
                return Err(changed());
            }
            hasher.update(&chunk);
            if head.is_empty() {
                head = chunk.get(..HEAD).unwrap_or(&chunk).to_vec();
            }
            if position >= self.from {
                self.unchanged()?;
                sealing.seal(position, left == 0, &mut chunk);
                if to.blocking_send((position, chunk.into())).is_err() {
                    return Err(ErrorKind::Misuse.because("the file is not sent any more"));
                }
            }
            if left == 0 {
                break;
            }
            position += 1;
        }
        self.unchanged()?;
        Ok((hasher.finalize().to_vec(), media_type(&head).to_owned()))
    }

    /// The same chunk must never be sealed with other content.
    fn unchanged(&self) -> Result<(), Error> {
        match &self.source {
            Source::Named(file, stamp) if Stamp::of(file).ok() != Some(*stamp) => Err(changed()),
            Source::Named(..) | Source::Spooled(_) => Ok(()),
        }
    }
}

fn changed() -> Error {
    ErrorKind::Conflict
        .because("the file changed while it was sent")
        .hint(Hint::text("nothing was said; send it again when it is complete"))
}

/// The media type of a content, by its beginning; empty when it is not known.
fn media_type(head: &[u8]) -> &'static str {
    if let Some(kind) = infer::get(head) {
        return kind.mime_type();
    }
    // The last letter may be cut off.
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            head.get(..error.valid_up_to()).and_then(|head| std::str::from_utf8(head).ok())
        }
        Err(_) => None,
    };
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    if text.is_some_and(|text| !text.is_empty() && text.chars().all(plain)) { "text/plain" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_that_of_the_content() {
        for (head, mime) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), "image/png"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"hello\n", "text/plain"),
            ("gr\u{fc}n".as_bytes(), "text/plain"),
            (&"gr\u{fc}n".as_bytes()[..3], "text/plain"),
            (b"\0\x01\x02", ""),
            (b"\xff\xfe\xfd", ""),
            (b"", ""),
        ] {
            assert_eq!(media_type(head), mime, "{head:?}");
        }
    }

    #[test]
    fn a_size_is_said_as_people_say_it() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (100 * 1024 * 1024, "100 MiB"),
            (120_000_000, "114.4 MiB"),
            (3 << 30, "3 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn what_is_no_ordinary_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| Outgoing::open(path, "ops").map(drop).unwrap_err().kind;
        assert_eq!(kind(folder.path()), ErrorKind::Usage);
        assert_eq!(kind(&folder.path().join("none")), ErrorKind::NotFound);
        assert_eq!(kind(Path::new("/dev/null")), ErrorKind::Usage);
        let file = folder.path().join("a.txt");
        fs::write(&file, "x").unwrap();
        let first = Outgoing::open(&file, "ops").unwrap();
        assert_eq!((first.name(), first.size()), ("a.txt", 1));
        assert_eq!(Outgoing::open(&file, "ops").unwrap().origin, first.origin);
        assert_ne!(Outgoing::open(&file, "dev").unwrap().origin, first.origin);
        fs::write(&file, "y").unwrap();
        assert_ne!(
            Outgoing::open(&file, "ops").unwrap().origin,
            first.origin,
            "the same size, another content"
        );
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
}
