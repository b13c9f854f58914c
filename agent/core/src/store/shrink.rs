//! Giving the disk back what a store does not use any more.

use std::sync::Arc;

use cipher_api::Result;
use redb::CompactionError;

use crate::store::open::{FILE, storage_io};
use crate::store::{Store, storage};

/// Below this it does not pay.
const LEAST: u64 = 16 * 1024 * 1024;
/// A file is rewritten when it is so many times as long as what is in use. redb doubles a file that is full, so twice is
/// usual.
const TIMES: u64 = 3;

impl Store {
    /// Rewrites the file when most of it is unused. Nothing that is forgotten depends on it: what died cannot be opened wherever
    /// it lies ([`crate::store::rotate`]).
    pub(crate) fn shrink(&self) -> Result<()> {
        let length = self.place().length(FILE).map_err(storage_io)?.unwrap_or_default();
        if length < LEAST || self.in_use()?.saturating_mul(TIMES) > length {
            return Ok(());
        }
        let mut open = self.lock();
        let Some(db) = open.take() else { return Ok(()) };
        match Arc::try_unwrap(db) {
            Ok(mut db) => {
                let done = db.compact();
                *open = Some(Arc::new(db));
                match done {
                    // Something is being read.
                    Ok(_) | Err(CompactionError::TransactionInProgress) => Ok(()),
                    Err(error) => Err(storage(error)),
                }
            }
            Err(shared) => {
                *open = Some(shared);
                Ok(())
            }
        }
    }

    /// Bytes of the pages that are in use.
    fn in_use(&self) -> Result<u64> {
        let txn = self.db()?.begin_write().map_err(storage)?;
        let stats = txn.stats().map_err(storage)?;
        txn.abort().map_err(storage)?;
        Ok(stats.allocated_pages().saturating_mul(stats.page_size() as u64))
    }
}

#[cfg(test)]
mod tests {
    use cipher_broker::time::Timestamp;

    use super::*;
    use crate::store::memory::{Memory, unlock};
    use crate::store::place::Place as _;
    use crate::store::table::MESSAGES;

    const ROWS: u16 = 300;
    const STAY: u16 = 7;

    fn open(memory: &Memory, seed: u8) -> Store {
        Store::open(Arc::new(memory.clone()), || Ok(unlock()), [seed; 32]).unwrap()
    }

    fn value(n: u16) -> Vec<u8> {
        [&n.to_be_bytes()[..], &vec![7; 64 * 1024]].concat()
    }

    fn is_whole(store: &Store) {
        let messages = store.table(MESSAGES).unwrap();
        assert_eq!(messages.count().unwrap(), u64::from(STAY));
        for n in 0..STAY {
            assert_eq!(messages.get(&n.to_be_bytes()).unwrap().as_deref(), Some(value(n).as_slice()));
        }
    }

    #[test]
    fn a_file_that_is_mostly_unused_shrinks_and_stays_whole_wherever_the_process_ends() {
        let memory = Memory::default();
        let store = open(&memory, 1);
        let length = |memory: &Memory| memory.length(FILE).unwrap().unwrap();
        let written = store.write(Timestamp::default(), |writing| {
            let mut messages = writing.table(MESSAGES)?;
            (0..ROWS).try_for_each(|n| messages.put(&n.to_be_bytes(), &value(n)))
        });
        written.unwrap();
        let full = length(&memory);
        store.shrink().unwrap();
        assert_eq!(length(&memory), full, "it is all in use");
        let removed = store.write(Timestamp::default(), |writing| {
            let mut messages = writing.table(MESSAGES)?;
            (STAY..ROWS).try_for_each(|n| messages.remove(&n.to_be_bytes()))
        });
        removed.unwrap();
        store.rotate().unwrap();
        // redb itself gives back what is unused at the end, to the half.
        assert!(length(&memory) > LEAST, "{}", length(&memory));
        drop(store);
        let before = memory.bytes();
        let mut ends = 0;
        for call in 0.. {
            let memory = Memory::dying_at(&before, usize::MAX);
            let store = open(&memory, 2);
            memory.dies_at(call);
            let done = store.shrink();
            assert!(done.is_ok() || memory.is_dead(), "{done:?}");
            drop(store);
            let died = memory.is_dead();
            let memory = Memory::dying_at(&memory.bytes(), usize::MAX);
            let store = open(&memory, 3);
            is_whole(&store);
            if !died {
                assert!(length(&memory) < LEAST / 2, "{}", length(&memory));
                break;
            }
            ends += 1;
        }
        assert!(ends > 10, "{ends}");
    }
}
