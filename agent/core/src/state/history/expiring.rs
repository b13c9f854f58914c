//! Which messages are to be forgotten, by when.
//!
//! An entry is a hint: what the row of the message says counts. So none is taken back when a message is forgotten sooner, or
//! deleted.

use std::collections::BTreeMap;
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use super::History;
use crate::state::{MessageRow, Place};
use crate::store::key::RowKey as _;
use crate::store::sealed::Writing;
use crate::store::table;

/// Time in milliseconds, and the beginning of the id of a message.
pub(crate) type ExpiryKey = (u64, u64);
/// An entry that is due, and what it names.
pub(crate) type DueEntry = (ExpiryKey, Option<(GroupId, Place)>);
/// Entries that the running batch makes, or takes away.
pub(super) type Pending = BTreeMap<ExpiryKey, Option<(GroupId, Place)>>;

impl History {
    /// A row is written: whoever looks for what is due finds it.
    pub(super) fn note_expiry(&mut self, group: GroupId, place: Place, row: &MessageRow) {
        if let Some(at) = row.expires_at {
            let [first, ..] = row.id.as_bytes().as_chunks::<8>().0 else { return };
            self.expiring.insert((at.as_millis(), u64::from_be_bytes(*first)), Some((group, place)));
        }
    }

    pub(super) fn flush_expiring(&self, writing: &Writing<'_>) -> Result<()> {
        if self.expiring.is_empty() {
            return Ok(());
        }
        let mut table = writing.table(table::EXPIRING)?;
        for (key, entry) in &self.expiring {
            match entry {
                Some(entry) => table.put_row(&key.to_key(), entry)?,
                None => table.remove(&key.to_key())?,
            }
        }
        Ok(())
    }

    /// What is due, the first of it first, at most so many; `None` for an entry that is damaged: it costs itself, for what it
    /// named is not shown either way.
    pub(crate) fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueEntry>> {
        let last = (now.as_millis(), u64::MAX);
        let mut found: BTreeMap<ExpiryKey, Option<(GroupId, Place)>> = BTreeMap::new();
        for row in
            self.store.table(table::EXPIRING)?.range(Bound::Unbounded, Bound::Included(&last.to_key()))?
        {
            if found.len() >= limit {
                break;
            }
            let row = row?;
            let Some(key) = ExpiryKey::from_key(&row.key()) else { continue };
            found.insert(key, row.value().ok().and_then(|value| codec::decode(&value).ok()));
        }
        for (key, entry) in self.expiring.range(..=last) {
            match entry {
                Some(entry) => _ = found.insert(*key, Some(*entry)),
                None => _ = found.remove(key),
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// When the next of it is due.
    pub(crate) fn next_expiry(&self) -> Result<Option<Timestamp>> {
        let stored = self.store.table(table::EXPIRING)?;
        let mut next = self.expiring.iter().find(|(_, entry)| entry.is_some()).map(|(key, _)| key.0);
        for row in stored.range(Bound::Unbounded, Bound::Unbounded)? {
            let Some(key) = ExpiryKey::from_key(&row?.key()) else { continue };
            if self.expiring.get(&key).is_some_and(Option::is_none) {
                continue;
            }
            next = Some(next.map_or(key.0, |known| known.min(key.0)));
            break;
        }
        Ok(next.map(Timestamp::from_millis))
    }

    /// An entry was looked at. R-FORGET-09: what it named was emptied, which marks its chapter.
    pub(crate) fn expiry_done(&mut self, key: ExpiryKey) {
        self.expiring.insert(key, None);
    }

    /// When the first of what the running batch notes is due.
    pub(crate) fn noted_expiry(&self) -> Option<Timestamp> {
        self.expiring.iter().find(|(_, entry)| entry.is_some()).map(|(key, _)| Timestamp::from_millis(key.0))
    }
}
