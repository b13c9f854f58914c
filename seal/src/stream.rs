//! A file of any length that is sealed in chunks, for what does not fit into memory: a backup.
//!
//! ```text
//! "cipher-stream" ‖ 1 ‖ kind of content ‖ its version ‖ number of slots ‖ slots ‖ chunk ‖ … ‖ last chunk
//! ```
//!
//! The chunks are the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance", 2015): each is sealed with its position and with whether it is the last, so none is
//! changed, moved, left out or added, and a file that was cut off says so. Each is sealed with the header too. The file
//! key is made for one file and seals nothing else, so the nonces begin with zeros.
//!
//! What is read is authentic chunk by chunk; that it is *all*, only the end of the stream says. Who acts on a part of it must
//! be able to take that back.

use std::io::{self, ErrorKind, Read, Write};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::stream::{DecryptorBE32, EncryptorBE32};
use rand_core::{CryptoRng, RngCore};
use zeroize::{Zeroize as _, Zeroizing};

use crate::Key;
use crate::passphrase::Costs;
use crate::slot::{self, KeySlot, SlotKind, Unlock};

/// Beginning of every sealed stream.
const MAGIC: &[u8] = b"cipher-stream";
const VERSION: u8 = 1;
/// Most slots of a stream.
const SLOTS: usize = 8;
/// Content of every chunk but the last, which has at most as much.
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// The file key is used once.
const NONCE: [u8; 19] = [0; 19];

/// Why a sealed stream does not open, or ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It begins like none, or has another content than the reader asked for.
    #[error("this is not such a file")]
    Foreign,
    /// A later version of the format, or of its content.
    #[error("the file was written by a newer version")]
    Newer,
    /// No slot opens with what was given.
    #[error("the key or passphrase does not open the file")]
    WrongKey,
    /// It was changed or cut off.
    #[error("the file is damaged or cut off")]
    Damaged,
    /// The system does not let it be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

impl StreamError {
    /// What the error of a [`Reader`] says of the stream; `None` if the system failed.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Unreadable(error) => error,
            of_stream => Self::new(ErrorKind::InvalidData, of_stream),
        }
    }
}

/// Whether a file begins as a sealed stream does, of whatever version and content.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Seals what is written to it. What is never [finished](Writer::finish) is no whole stream.
pub struct Writer<W> {
    file: W,
    header: Vec<u8>,
    cipher: EncryptorBE32<XChaCha20Poly1305>,
    /// It never grows, so nothing of it is left elsewhere.
    chunk: Zeroizing<Vec<u8>>,
    /// What failed once goes on failing: a part may have been written.
    failed: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a stream of this kind of content (255 bytes at most) and version of it, with one slot.
    ///
    /// # Panics
    /// If the system has no 32 MiB to stretch a passphrase.
    pub fn new(
        file: W,
        what: &str,
        version: u32,
        unlock: &Unlock,
        random: &mut (impl RngCore + CryptoRng),
    ) -> io::Result<Self> {
        let key = Key::random(random).locked();
        let slot = KeySlot::costing(Costs::OF_STREAM, unlock, MAGIC, &key, random);
        Self::with(file, what, version, &key, &[slot])
    }

    fn with(mut file: W, what: &str, version: u32, key: &Key, slots: &[KeySlot]) -> io::Result<Self> {
        let too_long = || io::Error::new(ErrorKind::InvalidInput, "a kind of content has 255 bytes at most");
        let length = u8::try_from(what.len()).map_err(|_| too_long())?;
        let count = u8::try_from(slots.len()).unwrap_or(u8::MAX);
        let mut header =
            [MAGIC, &[VERSION, length], what.as_bytes(), &version.to_be_bytes(), &[count]].concat();
        for slot in slots {
            header.extend_from_slice(slot.bytes());
        }
        file.write_all(&header)?;
        Ok(Self {
            file,
            header,
            cipher: EncryptorBE32::new(key.expose().into(), &NONCE.into()),
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)),
            failed: false,
        })
    }

    /// Seals the last chunk and gives the file back, flushed; to sync it is the caller's.
    pub fn finish(mut self) -> io::Result<W> {
        self.may_go_on()?;
        self.cipher.encrypt_last_in_place(&self.header, &mut *self.chunk).map_err(|_| too_much())?;
        self.file.write_all(&self.chunk)?;
        self.file.flush()?;
        Ok(self.file)
    }

    fn seal_chunk(&mut self) -> io::Result<()> {
        self.failed = true;
        self.cipher.encrypt_next_in_place(&self.header, &mut *self.chunk).map_err(|_| too_much())?;
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        self.failed = false;
        Ok(())
    }

    fn may_go_on(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("an earlier write failed")) } else { Ok(()) }
    }
}

/// 2^32 chunks are 256 TiB.
fn too_much() -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, "no more fits into one sealed file")
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.may_go_on()?;
        // A full chunk waits for what follows it: it may be the last.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal_chunk()?;
        }
        let room = CHUNK.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// What was sealed; a chunk that is not full stays.
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// A stream whose header was read: what opens it is known, nothing of it is proven.
#[derive(Debug)]
pub struct Locked<R> {
    file: R,
    header: Vec<u8>,
    version: u32,
    slots: Vec<KeySlot>,
}

impl<R: Read> Locked<R> {
    /// Reads the header of a stream of this kind of content, of versions up to `newest`.
    pub fn read(mut file: R, what: &str, newest: u32) -> Result<Self, StreamError> {
        let mut header = Vec::new();
        if take(&mut file, &mut header, MAGIC.len()).map_err(foreign_if_cut)? != MAGIC {
            return Err(StreamError::Foreign);
        }
        match *take(&mut file, &mut header, 1)? {
            [VERSION] => {}
            [version] if version > VERSION => return Err(StreamError::Newer),
            _ => return Err(StreamError::Damaged),
        }
        let length = one(take(&mut file, &mut header, 1)?);
        if take(&mut file, &mut header, length)? != what.as_bytes() {
            return Err(StreamError::Foreign);
        }
        let version = take(&mut file, &mut header, 4)?.first_chunk().copied().map_or(0, u32::from_be_bytes);
        if version > newest {
            return Err(StreamError::Newer);
        }
        let count = one(take(&mut file, &mut header, 1)?);
        if !(1..=SLOTS).contains(&count) {
            return Err(StreamError::Damaged);
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = take(&mut file, &mut header, slot::LEN)?.first_chunk().copied();
            slots.push(KeySlot::from_bytes(bytes.ok_or(StreamError::Damaged)?));
        }
        let work: Option<u64> = slots.iter().map(KeySlot::work).sum();
        if work.is_none_or(|work| work > Costs::MOST_WORK) {
            return Err(StreamError::Damaged);
        }
        Ok(Self { file, header, version, slots })
    }

    /// What opens it, slot by slot.
    pub fn slots(&self) -> Vec<SlotKind> {
        self.slots.iter().map(KeySlot::kind).collect()
    }

    /// Unlocks it and opens its first chunk.
    pub fn unlock(self, unlock: &Unlock) -> Result<Reader<R>, StreamError> {
        let key = self.slots.iter().find_map(|slot| slot.open(unlock, MAGIC)).ok_or(StreamError::WrongKey)?;
        let mut reader = Reader {
            file: self.file,
            header: self.header,
            version: self.version,
            state: State::Within(DecryptorBE32::new(key.expose().into(), &NONCE.into())),
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK + TAG + 1)),
            at: 0,
            ahead: None,
        };
        // Now the header is known to be true.
        reader.open_chunk()?;
        Ok(reader)
    }
}

/// Opens what is read from it. It ends only after the chunk that was sealed as the last; a stream that was changed or cut
/// off ends in an error, each time that it is read.
pub struct Reader<R> {
    file: R,
    header: Vec<u8>,
    version: u32,
    state: State,
    chunk: Zeroizing<Vec<u8>>,
    /// What of the chunk was read.
    at: usize,
    /// First byte of the next chunk.
    ahead: Option<u8>,
}

enum State {
    Within(DecryptorBE32<XChaCha20Poly1305>),
    LastOpened,
    Failed,
}

impl<R: Read> Reader<R> {
    /// Opens a stream of this kind of content, of versions up to `newest`. `unlock` is told what opens it, and asks for
    /// it; if that may fail, [`Locked`] does the same in two steps.
    pub fn open(
        file: R,
        what: &str,
        newest: u32,
        unlock: impl FnOnce(&[SlotKind]) -> Unlock,
    ) -> Result<Self, StreamError> {
        let locked = Locked::read(file, what, newest)?;
        let unlock = unlock(&locked.slots());
        locked.unlock(&unlock)
    }

    /// Version of the content.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Puts the next chunk into the place of the one that was read.
    fn open_chunk(&mut self) -> Result<(), StreamError> {
        let State::Within(mut cipher) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(StreamError::Damaged);
        };
        self.chunk.zeroize();
        self.at = 0;
        self.chunk.extend(self.ahead.take());
        // One byte further: whether the stream goes on tells whether this chunk must be the last.
        let wanted = (CHUNK + TAG + 1).saturating_sub(self.chunk.len());
        (&mut self.file).take(wanted.try_into().unwrap_or(u64::MAX)).read_to_end(&mut self.chunk)?;
        self.ahead = if self.chunk.len() > CHUNK + TAG { self.chunk.pop() } else { None };
        self.state = if self.ahead.is_some() {
            cipher.decrypt_next_in_place(&self.header, &mut *self.chunk).map_err(|_| StreamError::Damaged)?;
            State::Within(cipher)
        } else {
            cipher.decrypt_last_in_place(&self.header, &mut *self.chunk).map_err(|_| StreamError::Damaged)?;
            State::LastOpened
        };
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::Failed) {
            return Err(StreamError::Damaged.into());
        }
        if self.at >= self.chunk.len() && matches!(self.state, State::Within(_)) {
            self.open_chunk()?;
        }
        let read = self.chunk.get(self.at..).unwrap_or_default().read(into)?;
        self.at = self.at.saturating_add(read);
        Ok(read)
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Reads so many bytes more of the header.
fn take<'a>(file: &mut impl Read, header: &'a mut Vec<u8>, length: usize) -> Result<&'a [u8], StreamError> {
    let before = header.len();
    let wanted = length.try_into().unwrap_or(u64::MAX);
    if file.take(wanted).read_to_end(header)? < length {
        return Err(StreamError::Damaged);
    }
    Ok(header.get(before..).unwrap_or_default())
}

fn one(bytes: &[u8]) -> usize {
    bytes.first().copied().map_or(0, usize::from)
}

fn foreign_if_cut(error: StreamError) -> StreamError {
    if matches!(error, StreamError::Damaged) { StreamError::Foreign } else { error }
}

#[cfg(test)]
#[path = "stream_test.rs"]
mod tests;
