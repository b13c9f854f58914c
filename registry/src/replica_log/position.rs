//! Where in the log a replica is: kept in its redb, written in the transaction of the rows.

use std::fmt;

use rand_core::{OsRng, RngCore};
use redb::{ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::Store;

/// One run of a replica. Not kept: a replica that restarts is somebody new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ReplicaId(#[serde(with = "serde_bytes")] [u8; 16]);

impl ReplicaId {
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        f.write_str(text.get(..6).unwrap_or(&text))
    }
}

/// What is known of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last record whose changes were made here; 0 before the first.
    pub(crate) applied: u64,
    /// Its hash; before the first: of the rows that are here.
    pub(crate) hash: [u8; 32],
    /// The reign it belongs to; 0 before the first.
    pub(crate) term: u64,
    /// Who wrote it.
    pub(crate) writer: ReplicaId,
}

/// `"position"` → the four fields, one behind the other. Not a table of `store/table.rs`: it is this replica's own
/// and never copied.
const REPLICA: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("replica");
const ROW: &str = "position";

impl Position {
    /// At the beginning of a log, on rows with this hash.
    pub(crate) const fn start(base: [u8; 32]) -> Self {
        Self { applied: 0, hash: base, term: 0, writer: ReplicaId([0; 16]) }
    }

    /// What the store says. `None`: it never followed a log.
    pub(crate) fn read(txn: &redb::WriteTransaction) -> Result<Option<Self>, StoreError> {
        let table = txn.open_table(REPLICA)?;
        let Some(row) = table.get(ROW)? else { return Ok(None) };
        decode(row.value()).map(Some).ok_or(StoreError::Row("position"))
    }

    /// Writes it.
    pub(crate) fn write(&self, txn: &redb::WriteTransaction) -> Result<(), StoreError> {
        let mut table: Table<'_, &str, &[u8]> = txn.open_table(REPLICA)?;
        table.insert(ROW, self.encode().as_slice())?;
        Ok(())
    }

    /// Makes the store one of its own when it followed the log of replicas; says whether it did. It cannot follow
    /// that log any more.
    pub(crate) fn forget(store: &Store) -> Result<bool, StoreError> {
        let txn = store.begin()?;
        let followed = {
            let mut table: Table<'_, &str, &[u8]> = txn.open_table(REPLICA)?;
            table.remove(ROW)?.is_some()
        };
        store.commit(txn)?;
        Ok(followed)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        row.extend(self.applied.to_be_bytes());
        row.extend(self.term.to_be_bytes());
        row.extend(self.hash);
        row.extend(self.writer.0);
        row
    }
}

fn decode(row: &[u8]) -> Option<Position> {
    let (applied, rest) = row.split_first_chunk::<8>()?;
    let (term, rest) = rest.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let writer = <[u8; 16]>::try_from(rest).ok()?;
    Some(Position {
        applied: u64::from_be_bytes(*applied),
        term: u64::from_be_bytes(*term),
        hash: *hash,
        writer: ReplicaId(writer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_and_nothing_else_is_one() {
        let position = Position { applied: 7, hash: [1; 32], term: 3, writer: ReplicaId([9; 16]) };
        let row = position.encode();
        assert_eq!(decode(&row), Some(position));
        for cut in 0..row.len() {
            assert_eq!(decode(&row[..cut]), None);
        }
    }
}
