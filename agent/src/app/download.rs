//! A file on its way from the broker: fetched chunk by chunk, opened, written and hashed by threads, and whole before it gets its
//! name.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use bytes::Bytes;
use cipher_api::view::OpenFileView;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::id::FileId;
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::chunks as count_of;
use cipher_seal::Chunks;
use cipher_seal::new_file::{folder_of, take_name};
use futures::StreamExt as _;
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::app::upload::chunks;
use crate::net::connect::Network;
use crate::net::file::{self as broker, Ungot};
use crate::runtime::timer;

/// Chunks that wait for the disk.
const AHEAD: usize = 2;
/// Chunks that are written and wait to be hashed.
const HASHED_AFTER: usize = 2;
/// Bytes after which the disk begins with what was written, so that little is left at the end.
const SYNCED_EVERY: u64 = 16 * 1024 * 1024;
/// Names that are tried: `NAME`, `NAME (1)` and so on.
const NAMES: u32 = 10_000;

/// Where a download goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into a folder, under the sender's name or one beside it.
    Folder(PathBuf),
    /// Under exactly this name.
    File(PathBuf),
}

impl Destination {
    /// What a person named: a folder, or the name of a file that is to come. Fails where neither can be.
    pub fn named(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let shown = path.display();
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let parent = folder_of(path);
        let asks_for_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if asks_for_folder || path.file_name().is_none() || !parent.is_dir() {
            return Err(ErrorKind::NotFound
                .because(format!(
                    "there is no folder {}",
                    if asks_for_folder { shown } else { parent.display() }
                ))
                .hint(Hint::text("nothing was fetched; make the folder first, or name another one")));
        }
        Ok(Self::File(path.to_owned()))
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::File(path) => folder_of(path),
        }
    }
}

fn taken(path: &Path) -> Error {
    ErrorKind::Conflict
        .because(format!("{} is there already", path.display()))
        .hint(Hint::text("nothing is overwritten: choose another name"))
}

/// Fetches a file, or the rest of it. Gives the path where it lies then.
pub(crate) async fn download(
    network: &Network,
    wanted: &OpenFileView,
    to: &Destination,
    let_go: Option<Timestamp>,
    mut progress: impl FnMut(u64, u64),
) -> Result<PathBuf, Error> {
    let file = &wanted.file.file;
    let part = Part::open(to.folder(), &file.name, &file.id)?;
    loop {
        let fetched = fetch(network, wanted, &part, let_go, &mut progress).await;
        match fetched.inspect_err(|error| part.forget_after(error))? {
            Fetched::Whole => return part.name(to, &file.name),
            // What an earlier run left there may have been torn by a power cut.
            Fetched::Other { resumed: true } => {
                part.file.set_len(0).map_err(|error| unwritten(&part.path, error))?;
            }
            Fetched::Other { resumed: false } => {
                part.forget();
                return Err(other(wanted));
            }
        }
    }
}

/// What all the chunks of a file are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    /// What its sender said.
    Whole,
    /// Something else; `resumed` if some of it lay there from an earlier run.
    Other { resumed: bool },
}

/// A download under way: a hidden file beside where it is to lie.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(folder: &Path, name: &str, id: &FileId) -> Result<Self, Error> {
        let path = folder.join(format!(".{name}.{}.part", id.short()));
        loop {
            let part = Self { file: Self::locked(folder, &path, name)?, path: path.clone() };
            // Its lock may be one of a command that has ended since, and what was opened has its name now or is gone.
            if part.is_there().map_err(|error| unwritten(folder, error))? {
                return Ok(part);
            }
        }
    }

    /// Whether the file that is open is the one that has the name of the part.
    fn is_there(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn locked(folder: &Path, path: &Path, name: &str) -> Result<File, Error> {
        let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nofollow)
            .open(path)
            .map_err(|error| unwritten(folder, error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(ErrorKind::Conflict
                .because(format!("another command fetches {name} into this folder"))
                .hint(Hint::text("nothing was fetched: wait until it ends"))),
            Err(error) => Err(ErrorKind::Storage
                .because_of(format_args!("{} cannot be locked", path.display()), io::Error::from(error))
                .hint(Hint::text(
                    "nothing was fetched; name a folder of a file system that has locks, with --to",
                ))),
        }
    }

    fn length(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().map_err(|error| unwritten(&self.path, error))?.len())
    }

    /// What can be gone on with stays: each chunk of it was opened. Of a file that is over, or when there is none, nothing
    /// does.
    fn forget_after(&self, error: &Error) {
        if error.kind == ErrorKind::NotFound || self.length().is_ok_and(|length| length == 0) {
            self.forget();
        }
    }

    fn forget(&self) {
        drop(fs::remove_file(&self.path));
    }

    /// Gives it its name, which nothing has yet.
    fn name(self, to: &Destination, name: &str) -> Result<PathBuf, Error> {
        let named = match to {
            Destination::File(path) => match take_name(&self.path, path) {
                Ok(()) => path.clone(),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(path)),
                Err(error) => return Err(unwritten(path, error)),
            },
            Destination::Folder(folder) => self.name_in(folder, name)?,
        };
        // The name must outlive a power cut as the content does.
        let synced = File::open(to.folder()).and_then(|folder| folder.sync_all());
        synced.map_err(|error| unwritten(to.folder(), error))?;
        Ok(named)
    }

    fn name_in(&self, folder: &Path, name: &str) -> Result<PathBuf, Error> {
        for n in 0..NAMES {
            let path = folder.join(numbered(name, n));
            match take_name(&self.path, &path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritten(&path, error)),
            }
        }
        Err(taken(&folder.join(name)))
    }
}

/// `NAME (1).txt` for `NAME.txt`.
fn numbered(name: &str, n: u32) -> String {
    if n == 0 {
        return name.to_owned();
    }
    match name.rfind('.').filter(|dot| *dot > 0).and_then(|dot| name.split_at_checked(dot)) {
        Some((stem, ending)) => format!("{stem} ({n}){ending}"),
        None => format!("{name} ({n})"),
    }
}

async fn fetch(
    network: &Network,
    wanted: &OpenFileView,
    part: &Part,
    let_go: Option<Timestamp>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Fetched, Error> {
    let OpenFileView { file, key, hash, chunk_bytes } = wanted;
    let (id, size) = (file.file.id, file.file.size);
    let count = count_of(size, *chunk_bytes)
        .ok_or_else(|| ErrorKind::Trust.because("this file says of itself what no file can be"))?;
    let there = u32::try_from(part.length()? / u64::from(*chunk_bytes)).unwrap_or(u32::MAX);
    // The last one says that it is the last, so it is opened in any case.
    let from = there.min(count.saturating_sub(1));
    let handle = part.file.try_clone().map_err(|error| unwritten(&part.path, error))?;
    let (fetched, arrives) = mpsc::channel::<Bytes>(AHEAD);
    let opening = chunks(&id, key)?;
    let writing =
        Writing { file: handle, path: part.path.clone(), from, count, chunk_bytes: u64::from(*chunk_bytes) };
    let mut written = tokio::task::spawn_blocking(move || writing.run(&opening, arrives));
    let bytes = |chunks: u32| (u64::from(chunks) * u64::from(*chunk_bytes)).min(size);
    progress(bytes(from), size);
    let got = futures::stream::iter(from..count)
        .map(|chunk| async move { (chunk, broker::get(network, &id, chunk).await) })
        .buffered(limit::FILE_FETCH_WINDOW);
    tokio::pin!(got);
    while let Some((chunk, sealed)) = got.next().await {
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(ungot) => {
                // What came before it is kept.
                drop(fetched);
                let kept = (&mut written).await;
                return Err(match kept {
                    Ok(Err(error)) if error.kind != ErrorKind::Bug => error,
                    _ => lost(ungot, wanted, let_go),
                });
            }
        };
        // Whoever writes has ended; why it tells.
        if fetched.send(sealed).await.is_err() {
            break;
        }
        progress(bytes(chunk + 1), size);
    }
    drop(fetched);
    let hashed = written
        .await
        .map_err(|error| ErrorKind::Bug.because_of("a file is not written to its end", error))??;
    if hashed.is_some_and(|(hashed, length)| hashed == *hash && length == size) {
        Ok(Fetched::Whole)
    } else {
        Ok(Fetched::Other { resumed: from > 0 })
    }
}

/// Fetches a file that has room in memory. It is checked as one that is saved.
pub(crate) async fn fetch_whole(
    network: &Network,
    wanted: &OpenFileView,
    let_go: Option<Timestamp>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<u8>, Error> {
    let OpenFileView { file, key, hash, chunk_bytes } = wanted;
    let (id, size) = (file.file.id, file.file.size);
    let count = count_of(size, *chunk_bytes).ok_or_else(|| other(wanted))?;
    let opening = chunks(&id, key)?;
    let got = futures::stream::iter(0..count)
        .map(|chunk| async move { (chunk, broker::get(network, &id, chunk).await) })
        .buffered(limit::FILE_FETCH_WINDOW);
    tokio::pin!(got);
    let mut content = Vec::new();
    while let Some((chunk, sealed)) = got.next().await {
        let mut bytes = Vec::from(sealed.map_err(|ungot| lost(ungot, wanted, let_go))?);
        let last = chunk + 1 == count;
        opening.open(chunk, last, &mut bytes).map_err(|_| other(wanted))?;
        content.append(&mut bytes);
        let there = content.len() as u64;
        if there > size {
            break;
        }
        progress(there, size);
    }
    let hashed = Sha256::digest(&content);
    if content.len() as u64 == size && *hash == hashed.as_slice() { Ok(content) } else { Err(other(wanted)) }
}

/// Opens what arrives, in order, and writes it; a thread beside it hashes, and another has the disk begin early.
struct Writing {
    file: File,
    path: PathBuf,
    /// First chunk that is not there.
    from: u32,
    count: u32,
    chunk_bytes: u64,
}

impl Writing {
    /// Hash and length of the whole, once it is on the disk; `None` if it ends before its end.
    fn run(
        mut self,
        opening: &Chunks,
        arrives: mpsc::Receiver<Bytes>,
    ) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let path = self.path.clone();
        let failed = |error| unwritten(&path, error);
        let length = u64::from(self.from) * self.chunk_bytes;
        self.file.set_len(length).map_err(failed)?;
        let mut hasher = self.hashed(length).map_err(failed)?;
        self.file.seek(SeekFrom::Start(length)).map_err(failed)?;
        let (file, (opened, hashes), (back, spare), (due, syncs)) =
            (&self.file, sync_channel(HASHED_AFTER), channel(), sync_channel(1));
        let (hashed, length) = std::thread::scope(|threads| {
            let hashing = threads.spawn(move || {
                for chunk in hashes {
                    let chunk: Vec<u8> = chunk;
                    hasher.update(&chunk);
                    // Whoever opens may have ended.
                    drop(back.send(chunk));
                }
                hasher.finalize().to_vec()
            });
            threads.spawn(move || {
                for () in syncs {
                    // What fails here fails again at the end.
                    drop(file.sync_data());
                }
            });
            let length = self.open_all(opening, arrives, &opened, &spare, &due);
            drop((opened, due));
            (hashing.join(), length)
        });
        let Some(length) = length? else { return Ok(None) };
        let hashed = hashed.map_err(|_| ErrorKind::Bug.because("a file is not hashed to its end"))?;
        self.file.sync_all().map_err(failed)?;
        Ok(Some((hashed, length)))
    }

    /// Length of the whole, once it is written; `None` if it ends before its end.
    fn open_all(
        &self,
        opening: &Chunks,
        mut arrives: mpsc::Receiver<Bytes>,
        opened: &SyncSender<Vec<u8>>,
        spare: &Receiver<Vec<u8>>,
        due: &SyncSender<()>,
    ) -> Result<Option<u64>, Error> {
        let mut length = u64::from(self.from) * self.chunk_bytes;
        let (mut position, mut unsynced) = (self.from, 0);
        while let Some(sealed) = arrives.blocking_recv() {
            // What was used before is there already, and near the processor.
            let mut chunk = spare.try_recv().unwrap_or_default();
            chunk.clear();
            chunk.extend_from_slice(&sealed);
            drop(sealed);
            let last = position + 1 == self.count;
            opening.open(position, last, &mut chunk).map_err(|_| {
                ErrorKind::Trust
                    .because("the broker gives other bytes than were sent: the file was altered there")
                    .hint(Hint::text(
                        "what came before it is kept; ask its sender to send it again, and tell the operator",
                    ))
            })?;
            let whole = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if !last && whole != self.chunk_bytes {
                return Ok(None);
            }
            (&self.file).write_all(&chunk).map_err(|error| unwritten(&self.path, error))?;
            // It hashes until this end of it is dropped.
            drop(opened.send(chunk));
            length = length.saturating_add(whole);
            position += 1;
            unsynced += whole;
            if unsynced >= SYNCED_EVERY && due.try_send(()).is_ok() {
                unsynced = 0;
            }
        }
        Ok((position >= self.count).then_some(length))
    }

    /// The hash of what is there already.
    fn hashed(&mut self, length: u64) -> io::Result<Sha256> {
        let mut hasher = Sha256::new();
        self.file.rewind()?;
        let mut there = (&self.file).take(length);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match there.read(&mut buffer)? {
                0 => return Ok(hasher),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    }
}

fn other(wanted: &OpenFileView) -> Error {
    ErrorKind::Trust
        .because(format!(
            "{} is not what its sender said it is: its hash is another one",
            wanted.file.file.name
        ))
        .hint(Hint::text("nothing of it was kept; ask its sender to send it again"))
}

/// A chunk that cannot be had.
fn lost(ungot: Ungot, wanted: &OpenFileView, let_go: Option<Timestamp>) -> Error {
    let file = &wanted.file.file;
    match (ungot, file.expires) {
        (Ungot::Silent, _) => broker::silent(),
        (Ungot::Missing, Some(expires)) if expires <= timer::now() => ErrorKind::NotFound
            .because(format!("{} has expired: the broker kept it until {expires}", file.name))
            .hint(Hint::text("ask its sender to send it again")),
        (Ungot::Missing, _) if let_go.is_some_and(|until| wanted.file.at <= until) => ErrorKind::NotFound
            .because(format!("{} is gone: the broker's operator made room", file.name))
            .hint(Hint::text("ask its sender to send it again")),
        (Ungot::Missing, _) => {
            ErrorKind::Trust.because(format!("the broker has lost a part of {}", file.name)).hint(Hint::text(
                "what was fetched is kept; ask its sender to send it again, and tell the operator",
            ))
        }
    }
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => (
            ErrorKind::Storage,
            "what was fetched is kept: make room there, then run the command again, and it goes on",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Refused, "name a folder where you may write, with --to")
        }
        _ => (ErrorKind::Storage, "check the folder and its disk, then run the command again"),
    };
    kind.because_of(format_args!("{} cannot be written", path.display()), error).hint(Hint::text(hint))
}

#[cfg(test)]
mod tests {
    use cipher_api::view::{AttachmentView, FileView, SenderView};
    use cipher_broker::certificate::Kind;
    use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};

    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number_before_its_ending() {
        for (name, n, expected) in [
            ("a.txt", 0, "a.txt"),
            ("a.txt", 1, "a (1).txt"),
            ("a.tar.gz", 2, "a.tar (2).gz"),
            ("README", 3, "README (3)"),
        ] {
            assert_eq!(numbered(name, n), expected);
        }
    }

    #[test]
    fn nothing_is_overwritten_and_a_part_is_hidden_until_it_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let to = Destination::named(folder.path()).unwrap();
        let id = FileId::from_bytes([1; 16]);
        for (n, expected) in ["a.txt", "a (1).txt", "a (2).txt"].into_iter().enumerate() {
            let part = Part::open(folder.path(), "a.txt", &id).unwrap();
            assert!(part.path.file_name().unwrap().to_str().unwrap().starts_with('.'));
            assert_eq!(
                Part::open(folder.path(), "a.txt", &id).map(drop).unwrap_err().kind,
                ErrorKind::Conflict
            );
            (&part.file).write_all(n.to_string().as_bytes()).unwrap();
            assert_eq!(part.name(&to, "a.txt").unwrap(), folder.path().join(expected));
        }
        assert_eq!(fs::read_to_string(folder.path().join("a.txt")).unwrap(), "0");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join("a.txt")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let kind = |path: &Path| Destination::named(path).map(drop).map_err(|error| error.kind);
        assert_eq!(kind(&folder.path().join("a.txt")), Err(ErrorKind::Conflict));
        assert_eq!(kind(&folder.path().join("new.txt")), Ok(()));
        assert_eq!(kind(&folder.path().join("none/new.txt")), Err(ErrorKind::NotFound));
        assert_eq!(kind(&folder.path().join("none/")), Err(ErrorKind::NotFound));
        let exact = Destination::File(folder.path().join("a (1).txt"));
        let part = Part::open(folder.path(), "b.txt", &id).unwrap();
        assert_eq!(part.name(&exact, "b.txt").map(drop).unwrap_err().kind, ErrorKind::Conflict);
    }

    #[test]
    fn a_file_that_is_gone_says_whether_it_expired_was_let_go_of_or_was_lost() {
        let (past, soon) =
            (Timestamp::from_millis(1_000), timer::now().plus(std::time::Duration::from_secs(99)));
        let wanted = |expires| OpenFileView {
            file: FileView {
                file: AttachmentView {
                    name: "a.txt".into(),
                    size: 1,
                    mime: String::new(),
                    id: FileId::from_bytes([1; 16]),
                    expires,
                    preview: None,
                },
                message: MessageId::from_bytes([2; 16]),
                group: GroupId::from_bytes([3; 16]),
                from: SenderView {
                    handle: "bob".into(),
                    account_id: AccountId::from_bytes([4; 32]),
                    device_id: DeviceId::from_bytes([5; 16]),
                    kind: Kind::Person,
                },
                at: Timestamp::from_millis(500),
            },
            key: vec![0; 32],
            hash: vec![0; 32],
            chunk_bytes: 4096,
        };
        for (ungot, expires, let_go, kind, words) in [
            (Ungot::Missing, Some(past), None, ErrorKind::NotFound, "has expired"),
            (Ungot::Missing, Some(soon), Some(past), ErrorKind::NotFound, "made room"),
            (Ungot::Missing, Some(soon), Some(Timestamp::from_millis(400)), ErrorKind::Trust, "has lost"),
            (Ungot::Missing, None, None, ErrorKind::Trust, "has lost"),
            (Ungot::Silent, Some(past), None, ErrorKind::Unreachable, "does not answer"),
        ] {
            let error = lost(ungot, &wanted(expires), let_go);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(words) && error.hint.is_some(), "{error}");
        }
    }

    /// One command ends while another waits to open what it fetched.
    #[test]
    fn what_has_its_name_already_is_no_part_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let to = Destination::named(folder.path()).unwrap();
        let id = FileId::from_bytes([1; 16]);
        let first = Part::open(folder.path(), "a.txt", &id).unwrap();
        (&first.file).write_all(b"whole").unwrap();
        let late = Part {
            path: first.path.clone(),
            file: File::options().read(true).write(true).open(&first.path).unwrap(),
        };
        assert!(late.is_there().unwrap());
        let named = first.name(&to, "a.txt").unwrap();
        assert!(!late.is_there().unwrap(), "it is gone");
        let second = Part::open(folder.path(), "a.txt", &id).unwrap();
        assert!(second.is_there().unwrap() && !late.is_there().unwrap(), "another one is there");
        second.file.set_len(0).unwrap();
        assert_eq!(fs::read(named).unwrap(), b"whole");
    }

    #[test]
    fn a_part_stays_unless_nothing_can_go_on_with_it() {
        for (kind, content, stays) in [
            (ErrorKind::Unreachable, "x", true),
            (ErrorKind::Storage, "x", true),
            (ErrorKind::Trust, "x", true),
            (ErrorKind::Refused, "x", true),
            (ErrorKind::NotFound, "x", false),
            (ErrorKind::Unreachable, "", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let part = Part::open(folder.path(), "a", &FileId::from_bytes([1; 16])).unwrap();
            (&part.file).write_all(content.as_bytes()).unwrap();
            part.forget_after(&kind.because("why"));
            assert_eq!(part.path.exists(), stays, "{kind:?} {content}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_part_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let id = FileId::from_bytes([1; 16]);
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(format!(".a.{}.part", id.short()))).unwrap();
        assert!(Part::open(folder.path(), "a", &id).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    }
}
