//! What this store can give back to a log that lost it: the last commits of each group, by anybody, and the own
//! messages of the retention; invitations on their way. Also how own bytes are known when they come again.
//!
//! Of an own message that lies in the log where history has it, the history row says how it was sealed ([`SealedAs`]):
//! nothing else is written for it. A [`SentRow`] is for the others: bytes that others took the place of, messages that
//! were said again or that history does not show.
//!
//! Rows of the running batch lie in front of those on disk, as in [`crate::history`].

use std::collections::BTreeMap;

use cipher_broker::codec;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::sign::digest;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::content::Content;
use cipher_broker::wire::envelope::Envelope;
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::content::history::{History, MessageRow, RowBody};
use crate::error::Result;
use crate::store::{Store, storage, table};

/// Commits kept per group.
const COMMITS: u64 = 64;
/// Bytes of commits kept per group.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// A commit that was merged here. Group and epoch are its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptRow {
    /// SHA-256 of the stored bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    /// As stored.
    #[serde(rename = "b")]
    pub bytes: ByteBuf,
    /// Where it was seen last.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Bytes that this store sealed. The group and the beginning of their [`Print`] are the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentRow {
    /// The message; `None` for bytes that were replaced by others, and for what is no message.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Its content, to be sealed again.
    #[serde(rename = "c", default, skip_serializing_if = "no_bytes")]
    pub content: ByteBuf,
    #[serde(rename = "e")]
    pub epoch: u64,
    /// SHA-256 of the bytes as stored, or its first 16 bytes.
    #[serde(rename = "h")]
    pub hash: ByteBuf,
    /// Where it was seen last, or where the broker said that it lies.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl SentRow {
    /// Whether these are the bytes: what only has their print was changed by somebody.
    pub(crate) fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash.len() >= 16 && hash.starts_with(&self.hash)
    }
}

/// How the own message of a history row was sealed: part of that row, whose position is its place in the log. It is
/// written with every own message, so it is kept small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedAs {
    /// The beginning of its [`Print`].
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: SealKey,
    /// The beginning of the SHA-256 of the bytes as stored.
    #[serde(rename = "h", with = "serde_bytes")]
    hash: [u8; 16],
    #[serde(rename = "e")]
    epoch: u64,
    // What the content held beyond the row: the same content is sealed again, or it is another message.
    #[serde(rename = "s", with = "serde_bytes")]
    salt: [u8; 16],
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    data: Option<ByteBuf>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    head: Option<SignedHead>,
}

/// A message that was written so long before it was sent is not forgotten by the time when it was written.
const WRITTEN_LATELY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl SealedAs {
    /// `None` if the row does not tell all the rest: then the message gets a [`SentRow`].
    pub(crate) fn of(sent: &SentRow, print: &Print, content: &Content, row: &MessageRow) -> Option<Self> {
        let sealed = Self {
            key: key(print),
            hash: *sent.hash.as_chunks::<16>().0.first()?,
            epoch: sent.epoch,
            salt: content.salt,
            data: content.data.clone(),
            head: content.head.clone(),
        };
        let lately = sent.at.since(row.sent_at) <= WRITTEN_LATELY;
        (lately && sealed.content(row)? == sent.content).then_some(sealed)
    }

    fn content(&self, row: &MessageRow) -> Option<ByteBuf> {
        let RowBody::Said(kind) = row.body() else { return None };
        let content = Content {
            salt: self.salt,
            sent_at: row.sent_at,
            reply_to: row.reply_to,
            hops: row.hops,
            kind: kind.to_owned(),
            text: row.text.clone(),
            data: self.data.clone(),
            head: self.head.clone(),
        };
        Some(codec::encode(&content).into())
    }

    /// As a row of its own.
    pub(crate) fn into_sent(self, row: &MessageRow, position: u64) -> Option<SentRow> {
        let content = self.content(row)?;
        let hash = self.hash.to_vec().into();
        Some(SentRow { id: Some(row.id), content, epoch: self.epoch, hash, position, at: row.sent_at })
    }
}

fn no_bytes(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

/// What nobody without the keys of the epoch can change of sealed bytes and have them name the same sender: who takes
/// a message of ours and changes a bit of it makes no other message of ours.
pub(crate) type Print = [u8; 32];

/// The print of an MLS `PrivateMessage` (RFC 9420 §6.3): epoch, content type, encrypted sender data, and the part of the
/// ciphertext that the sender data is encrypted under.
pub(crate) fn print_of(message: &[u8]) -> Option<Print> {
    // version, wire format
    let (_, rest) = vector(message.get(4..)?)?;
    let (fixed, rest) = rest.split_at_checked(9)?;
    let (_, rest) = vector(rest)?;
    let (sender, rest) = vector(rest)?;
    let (ciphertext, _) = vector(rest)?;
    let sample = ciphertext.get(..SAMPLE).unwrap_or(ciphertext);
    Some(digest("cipher-chat/print/v1", &[fixed, sender, sample]))
}

/// The print of an envelope as stored.
pub(crate) fn print_of_stored(bytes: &[u8]) -> Option<Print> {
    match codec::decode(bytes).ok()? {
        Envelope::Message(message) | Envelope::Again(message) => print_of(&message),
        _ => None,
    }
}

/// Bytes of the ciphertext that decide on the key of the sender data, at least.
const SAMPLE: usize = 32;

/// A vector with its length in front (RFC 9420 §2.1.2), and what follows.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (width, mask) = match bytes.first()? >> 6 {
        0 => (1, 0x3f_u32),
        1 => (2, 0x3fff),
        2 => (4, 0x3fff_ffff),
        _ => return None,
    };
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length.iter().fold(0_u32, |sum, byte| sum.wrapping_shl(8) | u32::from(*byte));
    rest.split_at_checked(usize::try_from(length & mask).ok()?)
}

/// The beginning of the print of sealed bytes.
pub(crate) type SealKey = [u8; 16];

pub(crate) fn key(print: &Print) -> SealKey {
    let [first, ..] = print.as_chunks::<16>().0 else { return [0; 16] };
    *first
}

pub(crate) struct Ledger {
    store: Store,
    commits: BTreeMap<(GroupId, u64), Option<KeptRow>>,
    sent: BTreeMap<(GroupId, SealKey), Option<SentRow>>,
    /// Where own messages stand in history, of groups in whose logs own bytes were met elsewhere than there.
    places: BTreeMap<GroupId, BTreeMap<SealKey, u64>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("pending", &self.sent.len()).finish_non_exhaustive()
    }
}

impl Ledger {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, commits: BTreeMap::new(), sent: BTreeMap::new(), places: BTreeMap::new() }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.commits.is_empty() && self.sent.is_empty()
    }

    /// The batch is written.
    pub(crate) fn flushed(&mut self) {
        self.commits.clear();
        self.sent.clear();
    }

    /// The batch is not written.
    pub(crate) fn discard(&mut self) {
        self.flushed();
        self.places.clear();
    }

    pub(crate) fn flush(&self, txn: &WriteTransaction) -> Result<()> {
        if !self.commits.is_empty() {
            let mut commits = txn.open_table(table::COMMITS).map_err(storage)?;
            for ((group, epoch), row) in &self.commits {
                let key = (group.as_bytes(), *epoch);
                match row {
                    Some(row) => commits.insert(key, codec::encode(row).as_slice()),
                    None => commits.remove(key),
                }
                .map_err(storage)?;
            }
        }
        if !self.sent.is_empty() {
            let mut sent = txn.open_table(table::SENT).map_err(storage)?;
            for ((group, hash), row) in &self.sent {
                let key = (group.as_bytes(), hash);
                match row {
                    Some(row) => sent.insert(key, codec::encode(row).as_slice()),
                    None => sent.remove(key),
                }
                .map_err(storage)?;
            }
        }
        Ok(())
    }

    /// Keeps the commit that ended an epoch. The oldest give way.
    pub(crate) fn keep_commit(&mut self, group: GroupId, epoch: u64, row: KeptRow) -> Result<()> {
        let mut room = COMMIT_BYTES.saturating_sub(row.bytes.len());
        let mut kept = 1u64;
        for (older, row) in self.commits_of(&group)?.into_iter().rev() {
            room = room.saturating_sub(row.bytes.len());
            kept = kept.saturating_add(1);
            if older >= epoch || kept > COMMITS || room == 0 {
                self.commits.insert((group, older), None);
            }
        }
        self.commits.insert((group, epoch), Some(row));
        Ok(())
    }

    /// The commit that was seen again is at another place now.
    pub(crate) fn move_commit(&mut self, group: GroupId, epoch: u64, row: KeptRow) {
        self.commits.insert((group, epoch), Some(row));
    }

    pub(crate) fn commit(&self, group: &GroupId, epoch: u64) -> Result<Option<KeptRow>> {
        if let Some(row) = self.commits.get(&(*group, epoch)) {
            return Ok(row.clone());
        }
        let read = self.store.db().begin_read().map_err(storage)?;
        let commits = read.open_table(table::COMMITS).map_err(storage)?;
        let row = commits.get((group.as_bytes(), epoch)).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
    }

    /// Kept commits of a group by the epoch that they ended.
    pub(crate) fn commits_of(&self, group: &GroupId) -> Result<BTreeMap<u64, KeptRow>> {
        let mut found = BTreeMap::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let commits = read.open_table(table::COMMITS).map_err(storage)?;
        for row in commits.range((group.as_bytes(), 0)..=(group.as_bytes(), u64::MAX)).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if let Ok(row) = codec::decode(value.value()) {
                found.insert(key.value().1, row);
            }
        }
        for ((_, epoch), row) in self.commits.range((*group, 0)..=(*group, u64::MAX)) {
            match row {
                Some(row) => found.insert(*epoch, row.clone()),
                None => found.remove(epoch),
            };
        }
        Ok(found)
    }

    /// The group goes on somewhere else, or without us: its commits are of no use to anybody.
    pub(crate) fn forget_commits(&mut self, group: &GroupId) -> Result<()> {
        for epoch in self.commits_of(group)?.into_keys() {
            self.commits.insert((*group, epoch), None);
        }
        Ok(())
    }

    pub(crate) fn put_sent(&mut self, group: GroupId, print: &Print, row: SentRow) {
        self.sent.insert((group, key(print)), Some(row));
    }

    /// The message goes out in other bytes; these stay known as ours.
    pub(crate) fn spend(&mut self, group: GroupId, key: SealKey, row: SentRow) {
        let row = SentRow { id: None, content: ByteBuf::new(), ..row };
        self.sent.insert((group, key), Some(row));
    }

    /// What is known of bytes that may be ours.
    pub(crate) fn sent(&self, group: &GroupId, print: &Print) -> Result<Option<SentRow>> {
        if let Some(row) = self.sent.get(&(*group, key(print))) {
            return Ok(row.clone());
        }
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        let row = sent.get((group.as_bytes(), &key(print))).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
    }

    /// What this store sealed for a group and history does not have at its place.
    pub(crate) fn sent_of(&self, group: &GroupId) -> Result<BTreeMap<SealKey, SentRow>> {
        let mut found = BTreeMap::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        let all = (group.as_bytes(), &[0; 16])..=(group.as_bytes(), &[u8::MAX; 16]);
        for row in sent.range(all).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if let Ok(row) = codec::decode::<SentRow>(value.value()) {
                found.insert(*key.value().1, row);
            }
        }
        for ((_, key), row) in self.sent.range((*group, [0; 16])..=(*group, [u8::MAX; 16])) {
            match row {
                Some(row) => found.insert(*key, row.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    /// Where the own message with this seal stands in history. The first question for a group reads its history, so that
    /// copies of own bytes, which anybody can put into a log, cost little each.
    pub(crate) fn place_of(
        &mut self,
        history: &History,
        group: &GroupId,
        key: &SealKey,
        oldest: Timestamp,
    ) -> Result<Option<u64>> {
        if !self.places.contains_key(group) {
            let sealed = history.sealed_since(group, oldest)?;
            let places = sealed.into_iter().map(|(place, _, sealed)| (sealed.key, place.0)).collect();
            self.places.insert(*group, places);
        }
        Ok(self.places.get(group).and_then(|places| places.get(key)).copied())
    }

    /// An own message stands in history, sealed like this.
    pub(crate) fn placed(&mut self, group: &GroupId, key: SealKey, position: u64) {
        if let Some(places) = self.places.get_mut(group) {
            places.insert(key, position);
        }
    }

    /// Forgets what no log holds any more.
    pub(crate) fn prune(&mut self, now: Timestamp) -> Result<()> {
        let oldest = now.minus(limit::RETENTION);
        let read = self.store.db().begin_read().map_err(storage)?;
        let sent = read.open_table(table::SENT).map_err(storage)?;
        for row in sent.iter().map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            if codec::decode::<SentRow>(value.value()).is_ok_and(|row| row.at >= oldest) {
                continue;
            }
            let (group, hash) = key.value();
            self.sent.entry((GroupId::from_bytes(*group), *hash)).or_insert(None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sender: &[u8], ciphertext: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 2, 2, 7, 7];
        bytes.extend(5u64.to_be_bytes());
        bytes.extend([1, 0, u8::try_from(sender.len()).unwrap()]);
        bytes.extend(sender);
        bytes.extend([0x40, u8::try_from(ciphertext.len()).unwrap()]);
        bytes.extend(ciphertext);
        bytes
    }

    /// F5 class: a bit that anybody changes makes no other message of ours.
    #[test]
    fn f5_a_print_stays_when_what_anybody_can_change_is_changed() {
        let print = |sender: &[u8], ciphertext: &[u8]| print_of(&message(sender, ciphertext)).unwrap();
        let mut ciphertext = vec![3; 90];
        let first = print(&[9; 24], &ciphertext);
        ciphertext[80] ^= 1;
        assert_eq!(print(&[9; 24], &ciphertext), first);
        assert_ne!(print(&[8; 24], &ciphertext), first);
        ciphertext[0] ^= 1;
        assert_ne!(print(&[9; 24], &ciphertext), first);
        let whole = message(&[9; 24], &ciphertext);
        for length in 0..whole.len() {
            assert_eq!(print_of(&whole[..length]), None, "{length}");
        }
        assert_eq!(print_of(&[0xff; 40]), None);
    }
}
