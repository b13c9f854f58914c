//! Files on their way to the broker: read and sealed by a thread, stored chunk by chunk, and known to the core all along.

use std::collections::BTreeSet;
use std::io::Read as _;

use bytes::Bytes;
use cipher_api::command::file;
use cipher_api::view::UploadView;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::id::FileId;
use cipher_broker::limit;
use cipher_broker::wire::content::chunks as count_of;
use cipher_seal::{Chunks, Key};
use futures::future::{Fuse, FusedFuture as _};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::app::outgoing::{Hold, Outgoing, Source, changed};
use crate::app::preview;
use crate::net::connect::Network;
use crate::net::file::{self as broker, Terms};
use crate::session::Session;

/// Chunks that are read ahead.
const AHEAD: usize = 2;
/// Chunks after which the core is told: with those that are under way they are what is sent twice when the process dies.
const TOLD_EVERY: u32 = 4;
/// Bytes by which the kind of a file is known.
const HEAD: usize = 8 * 1024;
/// What every chunk of a file is sealed with, before the id of the file.
const BOUND: &[u8] = b"cipher-file\x01";
/// What a broker keeps beside the content of a chunk, bytes, at most: the seal, the subject, headers, and its own.
const BESIDE: u64 = 192;

const _: () = assert!(Chunks::OVERHEAD == limit::FILE_CHUNK_OVERHEAD, "streams have room for sealed chunks");

/// The chunks of a file with this id and key.
pub(super) fn chunks(id: &FileId, key: &[u8]) -> Result<Chunks, Error> {
    let key = Key::from_slice(key).ok_or_else(|| ErrorKind::Bug.because("the key of a file has 32 bytes"))?;
    Ok(Chunks::new(&key, &[BOUND, id.as_bytes().as_slice()].concat(), &mut OsRng))
}

/// Files that the core knows of, in the order in which a message is to name them.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(crate) ids: Vec<FileId>,
    /// Those of them that no other command can go on with.
    once: Vec<FileId>,
    /// No other command goes on with them before they are said.
    held: Vec<Hold>,
}

impl Brought {
    /// Nothing names them, and nothing will: their keys go.
    pub(crate) async fn are_not_said(self, session: &Session) {
        for id in self.once {
            drop(session.ask(file::Drop { id }).await);
        }
    }
}

/// Brings files to the broker, or the rest of them. What can be known to be wrong with any of them is told before anything
/// of any of them is sent.
pub(crate) async fn upload(
    session: &Session,
    network: &Network,
    terms: &Terms,
    files: Vec<Outgoing>,
    progress: impl FnMut(&str, u64, u64),
) -> Result<Brought, Error> {
    files.iter().try_for_each(|file| file.fits(terms.largest))?;
    let mut brought = Brought::default();
    let done = bring(session, network, terms, files, &mut brought, progress).await;
    match done {
        Ok(()) => Ok(brought),
        Err(error) => {
            brought.are_not_said(session).await;
            Err(error)
        }
    }
}

async fn bring(
    session: &Session,
    network: &Network,
    terms: &Terms,
    files: Vec<Outgoing>,
    brought: &mut Brought,
    mut progress: impl FnMut(&str, u64, u64),
) -> Result<(), Error> {
    let mut begun: Vec<(Outgoing, UploadView)> = Vec::with_capacity(files.len());
    let mut origins = BTreeSet::new();
    for mut file in files {
        // Named twice, it is one file.
        if !origins.insert(file.origin.clone()) {
            continue;
        }
        if matches!(file.hold, Hold::Others) {
            file.goes_apart();
        }
        let (origin, name, size) = (file.origin.clone(), file.name().to_owned(), file.size);
        let begin = file::Begin { origin, name, size, repeatable: file.repeatable };
        let view = session.ask(begin).await?;
        brought.ids.push(view.id);
        brought.held.push(std::mem::replace(&mut file.hold, Hold::Alone));
        if !file.again {
            brought.once.push(view.id);
        }
        begun.push((file, view));
    }
    let needed = begun.iter().map(|(file, view)| left(file.size, view)).fold(0, u64::saturating_add);
    if terms.room.is_some_and(|room| needed > room) {
        for (_, view) in begun.iter().filter(|(_, view)| view.done == 0) {
            drop(session.ask(file::Drop { id: view.id }).await);
        }
        return Err(no_room(begun.iter().map(|(file, _)| file.name())));
    }
    for (file, view) in begun {
        let name = file.name().to_owned();
        bring_one(session, network, view, file, &mut |done, total| progress(&name, done, total)).await?;
    }
    Ok(())
}

/// What a broker has to keep of an upload that it does not have yet, bytes.
fn left(size: u64, view: &UploadView) -> u64 {
    let count = count_of(size, view.chunk_bytes).unwrap_or(u32::MAX);
    let there = u64::from(view.done).saturating_mul(u64::from(view.chunk_bytes)).min(size);
    let beside = u64::from(count.saturating_sub(view.done)).saturating_mul(BESIDE);
    (size - there).saturating_add(beside)
}

fn no_room<'a>(names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = names.collect();
    ErrorKind::Limit
        .because(format!("the broker has no room for {}", names.join(", ")))
        .hint(Hint::BrokerRoom)
}

async fn bring_one(
    session: &Session,
    network: &Network,
    begun: UploadView,
    file: Outgoing,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), Error> {
    let id = begun.id;
    let sent = transfer(session, network, begun, file, progress).await;
    match sent {
        Ok(Content { hash, mime, picture }) => {
            let preview = match picture {
                Some(picture) => preview::made(picture).await,
                None => None,
            };
            session.ask(file::Finish { id, hash, mime, preview }).await.map(drop)
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
    file: Outgoing,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Content, Error> {
    let UploadView { id, key, chunk_bytes, done } = begun;
    let Outgoing { source, size, preview: is_previewed, .. } = file;
    let (sealing, opening) = (chunks(&id, &key)?, chunks(&id, &key)?);
    let (opening, count) = (&opening, count_of(size, chunk_bytes).unwrap_or_default());
    let (sealed, mut ready) = mpsc::channel(AHEAD);
    let reading = Reading { source, size, chunk_bytes, from: done, is_previewed };
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
                Some((position, sealed)) => flying.push({
                    let last = position.saturating_add(1) == count;
                    let same = move |left: &Bytes, right: &Bytes| is_same(opening, (position, last), left, right);
                    async move { broker::put(network, &id, position, &sealed, same).await.map(|()| position) }
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
    is_previewed: bool,
}

/// What is known of a file that was read to its end.
struct Content {
    /// SHA-256 of the whole.
    hash: Vec<u8>,
    mime: String,
    /// All of it, if a preview is made of it.
    picture: Option<Vec<u8>>,
}

impl Reading {
    fn run(mut self, sealing: &Chunks, to: &mpsc::Sender<(u32, Bytes)>) -> Result<Content, Error> {
        let mut hasher = Sha256::new();
        let mut head = Vec::new();
        let mut picture = None;
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
                picture = (self.is_previewed && preview::may_be_made(&head, self.size)).then(Vec::new);
            }
            if let Some(picture) = &mut picture {
                picture.extend_from_slice(&chunk);
            }
            if position >= self.from {
                self.source.unchanged()?;
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
        self.source.unchanged()?;
        Ok(Content { hash: hasher.finalize().to_vec(), mime: media_type(&head).to_owned(), picture })
    }
}

/// Whether two sealed chunks have one content: they were sealed by two processes.
fn is_same(opening: &Chunks, (position, last): (u32, bool), left: &Bytes, right: &Bytes) -> bool {
    let opened = |sealed: &Bytes| {
        let mut chunk = sealed.to_vec();
        opening.open(position, last, &mut chunk).ok().map(|()| chunk)
    };
    left == right || opened(left).is_some_and(|left| opened(right) == Some(left))
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
    fn a_chunk_that_another_process_sealed_is_the_same_if_its_content_is() {
        let chunks = || chunks(&FileId::from_bytes([1; 16]), &[2; 32]).unwrap();
        let sealed = |content: &[u8]| {
            let mut chunk = content.to_vec();
            chunks().seal(3, false, &mut chunk);
            Bytes::from(chunk)
        };
        let (one, again, other) = (sealed(b"one"), sealed(b"one"), sealed(b"two"));
        assert_ne!(one, again);
        for (left, right, same) in [(&one, &again, true), (&one, &one, true), (&one, &other, false)] {
            assert_eq!(is_same(&chunks(), (3, false), left, right), same);
        }
        let junk = Bytes::from_static(b"junk");
        assert!(!is_same(&chunks(), (3, false), &one, &junk) && !is_same(&chunks(), (3, true), &one, &again));
    }

    #[test]
    fn what_a_broker_has_of_an_upload_needs_no_room_again() {
        let view =
            |done| UploadView { id: FileId::from_bytes([1; 16]), key: vec![0; 32], chunk_bytes: 1000, done };
        for (size, done, expected) in
            [(2500, 0, 2500 + 3 * BESIDE), (2500, 2, 500 + BESIDE), (2500, 3, 0), (0, 0, BESIDE), (0, 1, 0)]
        {
            assert_eq!(left(size, &view(done)), expected, "{size} {done}");
        }
    }
}
