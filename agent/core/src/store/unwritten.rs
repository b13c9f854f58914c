//! A file that stays as it is: what is written to it is kept in memory, and forgotten when it is closed.
//!
//! redb looks through a database that it opens for writing, and writes while it does; a look must not cost a store that works.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use crate::store::place::forward_locks;

/// What is kept at a time.
const BLOCK: u64 = 4096;

/// The file, and what it would hold.
#[derive(Debug)]
pub(super) struct Unwritten {
    file: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// So much of the file still counts: it was cut off there.
    kept: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Unwritten {
    pub(super) fn of(file: Box<dyn StorageBackend>) -> io::Result<Self> {
        let length = file.len()?;
        Ok(Self { file, written: Mutex::new(Written { length, kept: length, blocks: BTreeMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the file, with zeros behind its end.
    fn of_file(&self, block: u64, kept: u64) -> io::Result<Vec<u8>> {
        let begins = block.saturating_mul(BLOCK);
        let mut bytes = vec![0; size(BLOCK)];
        let there = bytes.get_mut(..size(kept.saturating_sub(begins).min(BLOCK))).unwrap_or_default();
        if !there.is_empty() {
            self.file.read(begins, there)?;
        }
        Ok(bytes)
    }
}

impl StorageBackend for Unwritten {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.lock();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for part in Part::all(offset, out.len()) {
            let of_file;
            let block = match written.blocks.get(&part.block) {
                Some(block) => block,
                None => {
                    of_file = self.of_file(part.block, written.kept)?;
                    &of_file
                }
            };
            copy(block.get(part.of_block), out.get_mut(part.of_data))?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.lock();
        for part in Part::all(offset, data.len()) {
            let mut block = match written.blocks.remove(&part.block) {
                Some(block) => block,
                None => self.of_file(part.block, written.kept)?,
            };
            copy(data.get(part.of_data), block.get_mut(part.of_block))?;
            written.blocks.insert(part.block, block);
        }
        written.length = written.length.max(offset.saturating_add(data.len() as u64));
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.lock();
        written.length = length;
        written.kept = written.kept.min(length);
        written.blocks.split_off(&length.div_ceil(BLOCK));
        let cut = size(length % BLOCK);
        if cut > 0
            && let Some(last) = written.blocks.get_mut(&(length / BLOCK))
        {
            last.iter_mut().skip(cut).for_each(|byte| *byte = 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    forward_locks!(file);
}

/// What some bytes have in common with one block.
struct Part {
    block: u64,
    of_block: Range<usize>,
    of_data: Range<usize>,
}

impl Part {
    fn all(offset: u64, length: usize) -> impl Iterator<Item = Self> {
        let end = offset.saturating_add(length as u64);
        (offset / BLOCK..end.div_ceil(BLOCK)).map(move |block| {
            let begins = block.saturating_mul(BLOCK);
            let (from, to) = (offset.max(begins), end.min(begins.saturating_add(BLOCK)));
            let within = |of: u64| size(from.saturating_sub(of))..size(to.saturating_sub(of));
            Self { block, of_block: within(begins), of_data: within(offset) }
        })
    }
}

fn copy(from: Option<&[u8]>, to: Option<&mut [u8]>) -> io::Result<()> {
    let (Some(from), Some(to)) = (from, to) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    to.copy_from_slice(from);
    Ok(())
}

/// A number of bytes that memory holds.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn contents(file: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; size(file.len().unwrap())];
        file.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_again_as_from_a_file_and_the_file_stays_as_it_was() {
        let of = |bytes: &[u8]| {
            let file = InMemoryBackend::new();
            file.set_len(bytes.len() as u64).unwrap();
            file.write(0, bytes).unwrap();
            file
        };
        let before: Vec<u8> = (0..10_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        let real = of(&before);
        let unwritten = Unwritten::of(Box::new(of(&before))).unwrap();
        let both: [&dyn StorageBackend; 2] = [&real, &unwritten];
        let write =
            |offset, length: usize, byte| both.map(|file| file.write(offset, &vec![byte; length]).unwrap());
        let set_len = |length| both.map(|file| file.set_len(length).unwrap());
        let same = || assert!(contents(&real) == contents(&unwritten));
        same();
        write(4_000, 200, 7);
        same();
        write(0, 4_096, 8);
        write(9_999, 1, 9);
        same();
        set_len(5_000);
        same();
        set_len(20_000);
        same();
        write(12_288, 4_096, 3);
        set_len(13_000);
        set_len(16_384);
        same();
        let mut out = [0; 2];
        assert!(unwritten.read(16_383, &mut out).is_err());
        assert_eq!(contents(unwritten.file.as_ref()), before);
    }
}
