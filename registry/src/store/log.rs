//! The account log in the store: every statement of every account, in the order in which they were committed.

use cipher_broker::account_log::leaf;
use cipher_broker::codec;
use cipher_broker::id::AccountId;
use cipher_broker::wire::statement::LogEntry;
use redb::{ReadableTable, ReadableTableMetadata};

use crate::error::StoreError;
use crate::store::{Txn, View};

/// Appends an entry of an account; gives its leaf, for the tree.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    account: &AccountId,
    entry: &LogEntry,
) -> Result<[u8; 32], StoreError> {
    let index = txn.leaves.len()?;
    let leaf = leaf(&entry.statement);
    txn.log.insert(index, codec::encode(entry).as_slice())?;
    txn.leaves.insert(index, &leaf)?;
    txn.latest.insert(account.as_bytes(), index)?;
    Ok(leaf)
}

/// Where the latest statement of an account is.
pub(crate) fn latest(view: &View, account: &AccountId) -> Result<Option<u64>, StoreError> {
    Ok(view.latest.get(account.as_bytes())?.map(|index| index.value()))
}

/// Number of entries.
pub(crate) fn size(view: &View) -> Result<u64, StoreError> {
    Ok(view.leaves.len()?)
}

/// Encoded entries from a position on, at most so many.
pub(crate) fn entries(view: &View, from: u64, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut found = Vec::new();
    for row in view.log.range(from..)?.take(most) {
        let (index, entry) = row?;
        if index.value() != from.saturating_add(found.len() as u64) {
            return Err(StoreError::Row("log"));
        }
        found.push(entry.value().to_vec());
    }
    Ok(found)
}

/// Hands every leaf, oldest first, to `each`.
pub(crate) fn leaves(view: &View, mut each: impl FnMut([u8; 32])) -> Result<(), StoreError> {
    let mut next = 0_u64;
    for row in view.leaves.iter()? {
        let (index, leaf) = row?;
        if index.value() != next {
            return Err(StoreError::Row("leaves"));
        }
        each(*leaf.value());
        next = next.saturating_add(1);
    }
    Ok(())
}
