//! Sums of the blocks of a database, beside it (`store.sums`): a flipped bit is found before redb sees it.
//!
//! redb checks its pages after an end that was not in order, and trusts them otherwise: a bit that flips in a closed file
//! could take a row away, or make redb panic. So whoever closes a database in order leaves the sum of every block. They count
//! only beside the very header that they were written for: a process that was killed, an older version, or a power cut that
//! kept one file and lost the other make redb look at every page instead.
//!
//! Sums guard against accidents. Against those who change bytes on purpose there is the seal of each value.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};
use twox_hash::XxHash3_64;

use crate::store::place::{Place, forward_locks};

/// Name of the file.
pub(crate) const FILE: &str = "store.sums";

/// Bytes of a block: a page of redb.
const BLOCK: usize = 4096;

/// Beginning of the file; then the sum of each block, and that of all before.
const MAGIC: &[u8; 8] = b"chsums\0\x01";

/// A block whose sum is not known.
const UNKNOWN: u64 = 0;

/// Where the header says whether a database was closed in order, and the bit that says that it was not.
const FLAGS: usize = 9;
const OPEN: u8 = 2;

/// The file of a database, and the sums of its blocks.
#[derive(Debug)]
pub(crate) struct Summed {
    file: Box<dyn StorageBackend>,
    place: Arc<dyn Place>,
    /// `None` until something is read: then the file is this process's.
    sums: Mutex<Option<Vec<u64>>>,
    /// Whether nothing is read without sums that count.
    is_strict: bool,
    watch: Arc<Watch>,
}

/// The sums cannot be read. redb hands it on like an error of the database.
#[derive(Debug)]
struct Unread(io::Error);

impl Unread {
    fn of(error: io::Error) -> io::Error {
        // Whatever it is, it is no damage of the database.
        io::Error::other(Self(error))
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FILE} cannot be read: {}", self.0)
    }
}

impl std::error::Error for Unread {}

/// What the system said of the sums, if it was they that could not be read; else the error as it was.
pub(crate) fn unread(error: io::Error) -> Result<io::Error, io::Error> {
    error.downcast::<Unread>().map(|Unread(error)| error)
}

/// What came out about the file of a database.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// There are no sums that count.
    unknown: AtomicBool,
    /// A block was not what it had been.
    torn: AtomicBool,
}

impl Watch {
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown.load(Ordering::Relaxed)
    }

    pub(crate) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }
}

impl Summed {
    /// A file whose sums have to be there.
    pub(crate) fn known(file: Box<dyn StorageBackend>, place: &Arc<dyn Place>, watch: &Arc<Watch>) -> Self {
        Self { is_strict: true, ..Self::any(file, place, watch) }
    }

    /// A file that redb looks through: its sums are those of what it finds.
    pub(crate) fn any(file: Box<dyn StorageBackend>, place: &Arc<dyn Place>, watch: &Arc<Watch>) -> Self {
        let (place, watch) = (Arc::clone(place), Arc::clone(watch));
        Self { file, place, sums: Mutex::new(None), is_strict: false, watch }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<u64>>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the sums.
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u64>) -> T) -> io::Result<T> {
        let sums = &mut *self.lock();
        if sums.is_none() {
            let header = header(self.file.as_ref())?;
            let known = self.place.read(FILE).map_err(Unread::of)?.and_then(|bytes| decode(&bytes));
            let known = known.filter(|sums| sums.first() == Some(&sum(&header)) && is_in_order(&header));
            if known.is_none() && self.is_strict {
                self.watch.unknown.store(true, Ordering::Relaxed);
                return Err(io::Error::other("nothing says what it was"));
            }
            *sums = known;
        }
        Ok(work(sums.get_or_insert_default()))
    }

    /// Whole blocks as they are now, from the one at `first`. What was not known of them is known then.
    fn compare(&self, first: usize, blocks: &[u8]) -> io::Result<()> {
        let is_same = self.with(|sums| {
            (first..).zip(blocks.chunks(BLOCK)).all(|(n, block)| {
                let now = sum(block);
                if sums.len() <= n {
                    sums.resize(n.saturating_add(1), UNKNOWN);
                }
                match sums.get_mut(n) {
                    Some(known) if *known == UNKNOWN => *known = now,
                    known => return known.is_some_and(|known| *known == now),
                }
                true
            })
        })?;
        if is_same {
            return Ok(());
        }
        self.watch.torn.store(true, Ordering::Relaxed);
        Err(io::Error::new(io::ErrorKind::InvalidData, "a part of it is not what was written"))
    }

    /// What was known of some blocks holds no more.
    fn forget(&self, first: usize, count: usize) -> io::Result<()> {
        self.with(|sums| sums.iter_mut().skip(first).take(count).for_each(|sum| *sum = UNKNOWN))
    }

    /// The blocks in which some bytes lie, and which is the first.
    fn around(&self, offset: u64, bytes: usize) -> io::Result<(usize, Vec<u8>)> {
        let length = at(self.file.len()?);
        let first = at(offset) / BLOCK;
        let begin = first.saturating_mul(BLOCK);
        let end = at(offset).saturating_add(bytes).div_ceil(BLOCK).saturating_mul(BLOCK).min(length);
        let mut blocks = vec![0; end.saturating_sub(begin)];
        self.file.read(begin as u64, &mut blocks)?;
        Ok((first, blocks))
    }
}

/// Whether bytes are whole blocks.
fn is_whole(offset: u64, bytes: usize) -> bool {
    at(offset).is_multiple_of(BLOCK) && bytes.is_multiple_of(BLOCK)
}

/// A number of the file system; files are no longer than what memory can address.
fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Whether a header says that its database was closed in order.
fn is_in_order(header: &[u8]) -> bool {
    header.get(FLAGS).is_some_and(|flags| flags & OPEN == 0)
}

fn header(file: &dyn StorageBackend) -> io::Result<Vec<u8>> {
    let mut header = vec![0; BLOCK.min(at(file.len()?))];
    file.read(0, &mut header)?;
    Ok(header)
}

/// The sum of a block.
fn sum(block: &[u8]) -> u64 {
    let sum = XxHash3_64::oneshot(block);
    if sum == UNKNOWN { !UNKNOWN } else { sum }
}

fn encode(sums: &[u64]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    bytes.extend(sum(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<u64>> {
    let (bytes, last) = bytes.split_last_chunk::<8>()?;
    if sum(bytes) != u64::from_le_bytes(*last) {
        return None;
    }
    let (sums, odd) = bytes.strip_prefix(MAGIC)?.as_chunks::<8>();
    odd.is_empty().then(|| sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect())
}

impl StorageBackend for Summed {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if is_whole(offset, out.len()) {
            self.file.read(offset, out)?;
            return self.compare(at(offset) / BLOCK, out);
        }
        let (first, blocks) = self.around(offset, out.len())?;
        self.compare(first, &blocks)?;
        let from = at(offset) % BLOCK;
        let found = blocks.get(from..from.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.with(|sums| sums.truncate(at(len).div_ceil(BLOCK)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // Whatever of it arrives if this fails, it is not what was there.
        let end = at(offset).saturating_add(data.len()).div_ceil(BLOCK);
        self.forget(at(offset) / BLOCK, end.saturating_sub(at(offset) / BLOCK))?;
        self.file.write(offset, data)?;
        if is_whole(offset, data.len()) {
            return self.compare(at(offset) / BLOCK, data);
        }
        let (first, blocks) = self.around(offset, data.len())?;
        self.compare(first, &blocks)
    }

    fn close(&self) -> io::Result<()> {
        let sums = self.lock().take();
        if let (Some(sums), Ok(header)) = (sums, header(self.file.as_ref()))
            && is_in_order(&header)
            && sums.first() == Some(&sum(&header))
            && !self.watch.is_torn()
            && let Err(error) = self.place.put(FILE, &encode(&sums))
        {
            tracing::debug!(%error, "the store is looked through when it is opened next");
        }
        self.file.close()
    }

    forward_locks!(file);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_tells_every_bit_and_its_file_tells_its_own() {
        let block: Vec<u8> = (0..BLOCK).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let whole = sum(&block);
        for bit in (0..BLOCK * 8).step_by(7) {
            let mut other = block.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&other), whole, "{bit}");
        }
        let sums = vec![whole, UNKNOWN, 7];
        let bytes = encode(&sums);
        assert_eq!(decode(&bytes), Some(sums));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&other), None);
        }
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None);
        }
    }
}
