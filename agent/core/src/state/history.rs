//! Readable messages, what was seen already, and what came too early.

pub(crate) mod expiring;
pub(crate) mod stretch;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use cipher_api::{ErrorKind, Result};
use cipher_broker::codec;
use cipher_broker::id::{FileId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use serde_bytes::ByteBuf;

use crate::state::history::stretch::{End, Verdict};
use crate::state::index::{self, Index};
use crate::state::{BotRow, MessageRow, ParkedRow, Place, SealedAs};
use crate::store::key::{self, RowKey as _};
use crate::store::sealed::{Reading, Row, Writing};
use crate::store::{Store, named, table};

/// Rows that are looked at in one go.
const PAGE: usize = 1024;

/// R-GRANT-08: the first place behind a position at which what members gave stands: no row of the log is there. And how
/// many such places a position has, for as many members.
const GRANTED: u16 = 0x8000;
const GRANTED_PLACES: u16 = 64;

/// Group, position, and place within it.
type MessageKey = (GroupId, u64, u16);

/// History with the writes of the running batch in front.
pub(crate) struct History {
    store: Store,
    messages: BTreeMap<(GroupId, u64, u16), MessageRow>,
    seen: BTreeMap<(GroupId, MessageId), u64>,
    parked: BTreeMap<(GroupId, u64), Option<Vec<u8>>>,
    expiring: expiring::Pending,
    bots: BTreeMap<(String, GroupId), BotRow>,
    /// Places of messages with files; of those that have none any more `None`.
    files: BTreeMap<MessageKey, Option<Vec<FileId>>>,
    /// Its words: written with the rows, so that no way into them leaves it out.
    pub(crate) index: Index,
    /// Kept over a batch: opening a table for each of ten thousand look-ups would cost more than they do.
    seen_table: OnceCell<Reading>,
    /// How often a conversation was looked into from a place on.
    #[cfg(test)]
    pub(crate) looks: std::cell::Cell<usize>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("pending", &self.messages.len()).finish_non_exhaustive()
    }
}

impl History {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            index: Index::new(store.clone()),
            store,
            messages: BTreeMap::new(),
            seen: BTreeMap::new(),
            parked: BTreeMap::new(),
            expiring: expiring::Pending::new(),
            bots: BTreeMap::new(),
            files: BTreeMap::new(),
            seen_table: OnceCell::new(),
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.messages.is_empty()
            && self.seen.is_empty()
            && self.parked.is_empty()
            && self.expiring.is_empty()
            && self.bots.is_empty()
            && self.files.is_empty()
            && self.index.is_clean()
    }

    pub(crate) fn discard(&mut self) {
        self.index.discard();
        self.clear();
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.seen.clear();
        self.parked.clear();
        self.expiring.clear();
        self.bots.clear();
        self.files.clear();
        self.seen_table.take();
    }

    pub(crate) fn flush(&self, writing: &Writing<'_>) -> Result<()> {
        let mut changes = Vec::new();
        if !self.messages.is_empty() {
            let mut messages = writing.table(table::MESSAGES)?;
            for (key, row) in &self.messages {
                let old = messages.replace_row(&key.to_key(), row)?;
                changes.extend(index::Change::of(key.0, (key.1, key.2), &old, row));
            }
        }
        self.index.flush(writing, self, &changes)?;
        if !self.seen.is_empty() {
            let mut seen = writing.table(table::SEEN)?;
            for (key, position) in &self.seen {
                seen.put(&key.to_key(), &position.to_key())?;
            }
        }
        if !self.parked.is_empty() {
            let mut parked = writing.table(table::PARKED)?;
            for (key, bytes) in &self.parked {
                match bytes {
                    Some(bytes) => parked.put(&key.to_key(), bytes)?,
                    None => parked.remove(&key.to_key())?,
                }
            }
        }
        self.flush_expiring(writing)?;
        if !self.files.is_empty() {
            let mut files = writing.table(table::FILES)?;
            for (key, ids) in &self.files {
                match ids {
                    Some(ids) => files.put(&key.to_key(), &codec::encode(ids))?,
                    None => files.remove(&key.to_key())?,
                }
            }
        }
        if !self.bots.is_empty() {
            let mut bots = writing.table(table::BOTS)?;
            for ((bot, group), row) in &self.bots {
                bots.put(&self.bot_key(bot, group), &named::join(bot, &codec::encode(row)))?;
            }
        }
        Ok(())
    }

    pub(crate) fn flushed(&mut self) {
        self.index.flushed();
        self.clear();
    }

    /// Stores a message at its place in the log.
    pub(crate) fn insert(&mut self, group: GroupId, place: Place, row: MessageRow) {
        self.note_expiry(group, place, &row);
        if !row.attachments.is_empty() {
            let ids = row.attachments.iter().map(|file| file.id).collect();
            self.files.insert((group, place.0, place.1), Some(ids));
        } else if row.deleted || row.forgotten {
            self.files.insert((group, place.0, place.1), None);
        }
        self.messages.insert((group, place.0, place.1), row);
    }

    /// The place at which this message was shown, if it was.
    pub(crate) fn seen(&self, group: &GroupId, id: &MessageId) -> Result<Option<u64>> {
        if let Some(sequence) = self.seen.get(&(*group, *id)) {
            return Ok(Some(*sequence));
        }
        let seen = match self.seen_table.get() {
            Some(seen) => seen,
            None => {
                let opened = self.store.table(table::SEEN)?;
                self.seen_table.get_or_init(|| opened)
            }
        };
        Ok(seen.get_whole(&(*group, *id).to_key())?.and_then(|position| u64::from_key(&position)))
    }

    /// A message that lies or lay in the log, and where it stands; `moved` when the log went back, and may show it elsewhere
    /// than it stands here.
    pub(crate) fn find(
        &self,
        group: GroupId,
        id: &MessageId,
        moved: bool,
    ) -> Result<Option<(Place, MessageRow)>> {
        let Some(position) = self.seen(&group, id)? else { return Ok(None) };
        if let Some(row) = self.at(&group, (position, 0))?.filter(|row| row.id == *id) {
            return Ok(Some(((position, 0), row)));
        }
        if let Some(found) = self.granted_at(&group, position, |row| row.id == *id)? {
            return Ok(Some(found));
        }
        // Else it has no row, and nobody must be able to have the whole history read by naming it.
        if !moved {
            return Ok(None);
        }
        let same = |row: &MessageRow| row.id == *id && row.is_said();
        Ok(self.before(&group, (u64::MAX, u16::MAX), 1, same)?.into_iter().next())
    }

    /// What members gave of a place of the log and `wanted` takes.
    pub(crate) fn granted_at(
        &self,
        group: &GroupId,
        position: u64,
        wanted: impl Fn(&MessageRow) -> bool,
    ) -> Result<Option<(Place, MessageRow)>> {
        for behind in GRANTED..GRANTED.saturating_add(GRANTED_PLACES) {
            let place = (position, behind);
            // They stand without a gap.
            let Some(row) = self.at(group, place)? else { break };
            if wanted(&row) {
                return Ok(Some((place, row)));
            }
        }
        Ok(None)
    }

    /// Where the next of them would stand, if there is room.
    pub(crate) fn room_for_granted(&self, group: &GroupId, position: u64) -> Result<Option<Place>> {
        for behind in GRANTED..GRANTED.saturating_add(GRANTED_PLACES) {
            if self.at(group, (position, behind))?.is_none() {
                return Ok(Some((position, behind)));
            }
        }
        Ok(None)
    }

    /// The log shows a message whose place was known already, from its acknowledgment: when the broker stored it is known now.
    pub(crate) fn date(&mut self, group: GroupId, position: u64, at: Timestamp) -> Result<()> {
        let place = (position, 0);
        let undated = |row: &MessageRow| row.at.is_none() && at != Timestamp::default();
        if let Some(mut row) = self.at(&group, place)?.filter(undated) {
            row.at = Some(at);
            if let Some(seconds) = row.expire {
                // On every own device from the same moment.
                row.expires_at = Some(at.plus(Duration::from_secs(seconds)));
            }
            self.insert(group, place, row);
        }
        Ok(())
    }

    pub(crate) fn mark_seen(&mut self, group: GroupId, id: MessageId, sequence: u64) {
        self.seen.insert((group, id), sequence);
    }

    /// Ids of messages that lie in the log, from one to another, both included.
    pub(crate) fn ids_between(
        &self,
        group: &GroupId,
        first: MessageId,
        last: MessageId,
    ) -> Result<Vec<MessageId>> {
        let seen = self.store.table(table::SEEN)?;
        let (from, to) = ((*group, first).to_key(), (*group, last).to_key());
        let mut ids = Vec::new();
        for row in seen.range(Bound::Included(&from), Bound::Included(&to))? {
            ids.extend(<(GroupId, MessageId)>::from_key(&row?.key()).map(|(_, id)| id));
        }
        ids.extend(self.seen.range((*group, first)..=(*group, last)).map(|((_, id), _)| *id));
        Ok(ids)
    }

    /// Messages after a position, oldest first, at most `limit`.
    pub(crate) fn after(
        &self,
        group: &GroupId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(Place, MessageRow)>> {
        self.behind(group, (after, u16::MAX), limit)
    }

    /// Messages behind a place, oldest first, at most `limit`.
    pub(crate) fn behind(
        &self,
        group: &GroupId,
        behind: Place,
        limit: usize,
    ) -> Result<Vec<(Place, MessageRow)>> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        let bounds = (Bound::Excluded(behind), Bound::Unbounded);
        self.stretch(group, bounds, End::Oldest, limit, |_, _| Verdict::Take)
    }

    /// Messages between two places that `wanted` takes, oldest first, the last place included: of a whole conversation these
    /// alone are held.
    pub(crate) fn between(
        &self,
        group: &GroupId,
        (behind, to): (Place, Place),
        wanted: impl Fn(&MessageRow) -> bool,
    ) -> Result<Vec<(Place, MessageRow)>> {
        let bounds = (Bound::Excluded(behind), Bound::Included(to));
        let judge = |_, row: &MessageRow| if wanted(row) { Verdict::Take } else { Verdict::Pass };
        self.stretch(group, bounds, End::Oldest, usize::MAX, judge)
    }

    /// Messages that the running batch wrote.
    pub(crate) fn written(&self) -> impl Iterator<Item = (GroupId, Place, &MessageRow)> {
        self.messages.iter().map(|((group, position, place), row)| (*group, (*position, *place), row))
    }

    /// The latest messages that `wanted` takes, oldest first.
    pub(crate) fn last(
        &self,
        group: &GroupId,
        limit: usize,
        wanted: impl Fn(&MessageRow) -> bool,
    ) -> Result<Vec<(Place, MessageRow)>> {
        let mut found = self.before(group, (u64::MAX, u16::MAX), limit, wanted)?;
        found.reverse();
        Ok(found)
    }

    /// Messages before a place that `wanted` takes, newest first, at most `limit`.
    pub(crate) fn before(
        &self,
        group: &GroupId,
        before: Place,
        limit: usize,
        wanted: impl Fn(&MessageRow) -> bool,
    ) -> Result<Vec<(Place, MessageRow)>> {
        let bounds = (Bound::Unbounded, Bound::Excluded(before));
        let judge = |_, row: &MessageRow| if wanted(row) { Verdict::Take } else { Verdict::Pass };
        self.stretch(group, bounds, End::Newest, limit, judge)
    }

    /// Where the messages with files stand, newest first, and ids of the files.
    pub(crate) fn files(&self, group: &GroupId) -> Result<Vec<(Place, Vec<FileId>)>> {
        let mut found = BTreeMap::new();
        let files = self.store.table(table::FILES)?;
        let (first, last) = ((*group, 0, 0).to_key(), (*group, u64::MAX, u16::MAX).to_key());
        for row in files.range(Bound::Included(&first), Bound::Included(&last))? {
            let row = row?;
            if let (Some((_, position, place)), Ok(ids)) = (MessageKey::from_key(&row.key()), row.value())
                && let Ok(ids) = codec::decode::<Vec<FileId>>(&ids)
            {
                found.insert((position, place), ids);
            }
        }
        for ((_, position, place), ids) in self.files.range((*group, 0, 0)..=(*group, u64::MAX, u16::MAX)) {
            match ids {
                Some(ids) => found.insert((*position, *place), ids.clone()),
                None => found.remove(&(*position, *place)),
            };
        }
        Ok(found.into_iter().rev().collect())
    }

    /// What stands at a place.
    pub(crate) fn at(&self, group: &GroupId, place: Place) -> Result<Option<MessageRow>> {
        if let Some(row) = self.messages.get(&(*group, place.0, place.1)) {
            return Ok(Some(row.clone()));
        }
        let messages = self.store.table(table::MESSAGES)?;
        let row = messages.get_whole(&(*group, place.0, place.1).to_key())?;
        Ok(row.and_then(|row| codec::decode(&row).ok()))
    }

    /// Messages whose words the running batch writes, the oldest first.
    pub(crate) fn unindexed(&self) -> Vec<index::Entry> {
        let entry = |(group, place, row): (GroupId, Place, &MessageRow)| index::Entry::of(group, place, row);
        let mut entries: Vec<_> = self.written().map(entry).collect();
        entries.sort_unstable();
        entries
    }

    /// Whether the running batch writes at a place.
    pub(crate) fn is_written(&self, group: &GroupId, place: Place) -> bool {
        self.messages.contains_key(&(*group, place.0, place.1))
    }

    /// What stands at places, for whoever looks at many of them.
    pub(crate) fn rows_at(&self) -> Result<impl Fn(&GroupId, Place) -> Result<Option<MessageRow>>> {
        let messages = self.store.table(table::MESSAGES)?;
        Ok(move |group: &GroupId, place: Place| {
            let key = (*group, place.0, place.1);
            if let Some(row) = self.messages.get(&key) {
                return Ok(Some(row.clone()));
            }
            let row = messages.get_whole(&key.to_key())?;
            Ok(row.and_then(|row| codec::decode(&row).ok()))
        })
    }

    /// Own messages that went into the log after a time, newest first, with the bytes they were sealed in.
    pub(crate) fn sealed_since(
        &self,
        group: &GroupId,
        oldest: Timestamp,
    ) -> Result<Vec<(Place, MessageRow, SealedAs)>> {
        let mut found = Vec::new();
        let mut before = (u64::MAX, u16::MAX);
        loop {
            let page = self.before(group, before, PAGE, |_| true)?;
            let Some((first, _)) = page.last() else { return Ok(found) };
            before = *first;
            for (place, mut row) in page {
                let Some(sealed) = row.sealed.take() else { continue };
                if row.sent_at < oldest {
                    return Ok(found);
                }
                found.push((place, row, sealed));
            }
        }
    }

    /// Keeps a message whose epoch has not begun here, with the broker's time of it.
    pub(crate) fn park(&mut self, group: GroupId, sequence: u64, at: Timestamp, bytes: Vec<u8>) {
        self.parked.insert((group, sequence), Some(codec::encode(&ParkedRow { at, bytes })));
    }

    pub(crate) fn unpark(&mut self, group: GroupId, sequence: u64) {
        self.parked.insert((group, sequence), None);
    }

    /// What is parked for a group, in stream order.
    pub(crate) fn parked(&self, group: &GroupId) -> Result<BTreeMap<u64, (Timestamp, Vec<u8>)>> {
        let mut found = BTreeMap::new();
        let parked = self.store.table(table::PARKED)?;
        let (first, last) = key::of_group(group, 8);
        for row in parked.range(Bound::Included(&first), Bound::Included(&last))? {
            let row = row?;
            if let (Some((_, sequence)), Ok(value)) = (<(GroupId, u64)>::from_key(&row.key()), row.value()) {
                found.insert(sequence, unpark(&value));
            }
        }
        for ((_, sequence), bytes) in self.parked.range((*group, 0)..=(*group, u64::MAX)) {
            match bytes {
                Some(bytes) => found.insert(*sequence, unpark(bytes)),
                None => found.remove(sequence),
            };
        }
        Ok(found)
    }

    /// Messages of all conversations behind one of them, until they have so many bytes in the store. What the running batch
    /// writes is not among them.
    pub(crate) fn everything_behind(
        &self,
        behind: Option<(GroupId, Place)>,
        bytes: usize,
    ) -> Result<Vec<(GroupId, Place, MessageRow)>> {
        let from = behind.map(|(group, place)| (group, place.0, place.1).to_key());
        let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut taken = 0usize;
        for row in self.store.table(table::MESSAGES)?.range(from, Bound::Unbounded)? {
            let row = row?;
            let Some((group, position, place)) = MessageKey::from_key(&row.key()) else { continue };
            // One that is damaged costs itself.
            let Ok(value) = row.value() else { continue };
            let Ok(message) = codec::decode(&value) else { continue };
            found.push((group, (position, place), message));
            taken = taken.saturating_add(value.len());
            if taken >= bytes {
                break;
            }
        }
        Ok(found)
    }

    /// Messages of all conversations.
    pub(crate) fn count(&self) -> Result<u64> {
        self.store.table(table::MESSAGES)?.count()
    }

    /// Places and memories of bots behind a key of their table, until they have so many bytes, each with its key.
    pub(crate) fn bots_behind(&self, behind: Option<&[u8]>, bytes: usize) -> Result<Vec<KeptBot>> {
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut taken = 0usize;
        for row in self.store.table(table::BOTS)?.range(from, Bound::Unbounded)? {
            let row = row?;
            let Some((group, _)) = <(GroupId, [u8; 16])>::from_key(&row.key()) else { continue };
            let value = row.value()?;
            let Some((bot, bytes_of)) = named::split(&value) else { continue };
            let Ok(known) = codec::decode(bytes_of) else { continue };
            found.push((row.key(), bot.to_owned(), group, known));
            taken = taken.saturating_add(value.len());
            if taken >= bytes {
                break;
            }
        }
        Ok(found)
    }

    /// A bot's place and memory in a conversation.
    pub(crate) fn bot(&self, bot: &str, group: &GroupId) -> Result<Option<BotRow>> {
        if let Some(row) = self.bots.get(&(bot.to_owned(), *group)) {
            return Ok(Some(row.clone()));
        }
        let row = self.store.table(table::BOTS)?.get_whole(&self.bot_key(bot, group))?;
        Ok(row.and_then(|row| codec::decode(named::split(&row)?.1).ok()))
    }

    pub(crate) fn set_bot(&mut self, bot: &str, group: GroupId, handled: Place, memory: Option<Vec<u8>>) {
        let row = BotRow { cursor: handled.0, place: handled.1, memory: memory.map(ByteBuf::from) };
        self.bots.insert((bot.to_owned(), group), row);
    }

    /// Names of all bots that ever handled anything here.
    pub(crate) fn bot_names(&self) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for row in self.store.table(table::BOTS)?.rows()? {
            let row = row?.value();
            names.extend(row.ok().and_then(|row| Some(named::split(&row)?.0.to_owned())));
        }
        Ok(names)
    }

    fn bot_key(&self, bot: &str, group: &GroupId) -> Vec<u8> {
        (*group, self.store.name(table::BOTS, bot)).to_key()
    }
}

fn unpark(row: &[u8]) -> (Timestamp, Vec<u8>) {
    match codec::decode::<ParkedRow>(row) {
        Ok(row) => (row.at, row.bytes),
        Err(_) => (Timestamp::default(), row.to_vec()),
    }
}

/// The key of a row of the table of bots, and what it holds: name, conversation, place and memory.
pub(crate) type KeptBot = (Vec<u8>, String, GroupId, BotRow);

/// The message of a row.
fn readable(row: &Row<'_>) -> Result<MessageRow> {
    codec::decode(&row.value()?).map_err(|_| ErrorKind::Storage.because("a message cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that does not open costs itself: whoever asks for so many messages gets them, and does not take fewer for the end.
    #[test]
    fn a_row_that_is_damaged_takes_the_place_of_none_that_was_asked_for() {
        use cipher_broker::certificate::Kind;
        use cipher_broker::id::{AccountId, DeviceId};
        use cipher_broker::wire::content::{Body, Content};

        use crate::state::Author;

        let store = Store::in_memory();
        let group = GroupId::from_bytes([1; 16]);
        let account = AccountId::from_bytes([9; 32]);
        let author = Author { account, device: DeviceId::from_bytes([9; 16]), kind: Kind::Person };
        let row = |text: &str| {
            let content = Content::new([0; 16], Timestamp::default(), Body::Text(text.into()));
            MessageRow::said(MessageId::from_bytes([1; 16]), author, content)
        };
        let mut history = History::new(store.clone());
        for n in 0..8 {
            history.insert(group, (n, 0), row("stored"));
        }
        store.write(Timestamp::default(), |txn| history.flush(txn)).unwrap();
        history.flushed();
        store
            .write(Timestamp::default(), |txn| {
                let mut messages = txn.table(table::MESSAGES)?;
                [1_u64, 2, 5, 6].into_iter().try_for_each(|n| messages.put(&(group, n, 0_u16).to_key(), b"?"))
            })
            .unwrap();
        // One of them is written anew by the batch.
        history.insert(group, (5, 0), row("anew"));
        let places = |found: Vec<(Place, MessageRow)>| -> Vec<u64> {
            found.into_iter().map(|((position, _), _)| position).collect()
        };
        assert_eq!(places(history.behind(&group, (0, 0), 2).unwrap()), [3, 4]);
        assert_eq!(places(history.behind(&group, (0, 0), 9).unwrap()), [3, 4, 5, 7]);
        assert_eq!(places(history.before(&group, (7, 0), 2, |_| true).unwrap()), [5, 4]);
        assert_eq!(places(history.before(&group, (9, 0), 9, |_| true).unwrap()), [7, 5, 4, 3, 0]);
    }

    /// D02: what waits for its epoch keeps the broker's time; what an earlier version kept is read without one.
    #[test]
    fn d02_parked_messages_keep_the_brokers_time() {
        let store = Store::in_memory();
        let (group, at) = (GroupId::from_bytes([1; 16]), Timestamp::from_millis(951_782_400_000));
        let mut history = History::new(store.clone());
        history.park(group, 7, at, b"bytes".to_vec());
        assert_eq!(history.parked(&group).unwrap(), BTreeMap::from([(7, (at, b"bytes".to_vec()))]));
        store.write(Timestamp::default(), |txn| history.flush(txn)).unwrap();
        let raw = codec::encode(&cipher_broker::wire::envelope::Envelope::Message(vec![1, 2, 3]));
        store
            .write(Timestamp::default(), |txn| txn.table(table::PARKED)?.put(&(group, 8_u64).to_key(), &raw))
            .unwrap();
        let kept = History::new(store).parked(&group).unwrap();
        assert_eq!(kept.get(&7), Some(&(at, b"bytes".to_vec())));
        assert_eq!(kept.get(&8), Some(&(Timestamp::default(), raw)));
    }
}
