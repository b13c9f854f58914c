//! Readable messages, what was seen already, and what came too early.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable as _, WriteTransaction};
use serde_bytes::ByteBuf;

use crate::state::{BotRow, MessageRow, ParkedRow, Place, SealedAs};
use crate::store::{Store, storage, table};

/// Rows that are looked at in one go.
const PAGE: usize = 1024;

type SeenTable = ReadOnlyTable<(&'static [u8; 16], &'static [u8; 16]), u64>;

/// History with the writes of the running batch in front.
pub(crate) struct History {
    store: Store,
    messages: BTreeMap<(GroupId, u64, u16), MessageRow>,
    seen: BTreeMap<(GroupId, MessageId), u64>,
    parked: BTreeMap<(GroupId, u64), Option<Vec<u8>>>,
    bots: BTreeMap<(String, GroupId), BotRow>,
    /// Kept over a batch: opening a table for each of ten thousand look-ups would cost more than they do.
    seen_table: Option<SeenTable>,
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
            store,
            messages: BTreeMap::new(),
            seen: BTreeMap::new(),
            parked: BTreeMap::new(),
            bots: BTreeMap::new(),
            seen_table: None,
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.messages.is_empty() && self.seen.is_empty() && self.parked.is_empty() && self.bots.is_empty()
    }

    pub(crate) fn discard(&mut self) {
        self.messages.clear();
        self.seen.clear();
        self.parked.clear();
        self.bots.clear();
        self.seen_table = None;
    }

    pub(crate) fn flush(&self, txn: &WriteTransaction) -> Result<()> {
        if !self.messages.is_empty() {
            let mut messages = txn.open_table(table::MESSAGES).map_err(storage)?;
            for ((group, sequence, place), row) in &self.messages {
                messages
                    .insert((group.as_bytes(), *sequence, *place), codec::encode(row).as_slice())
                    .map_err(storage)?;
            }
        }
        if !self.seen.is_empty() {
            let mut seen = txn.open_table(table::SEEN).map_err(storage)?;
            for ((group, id), sequence) in &self.seen {
                seen.insert((group.as_bytes(), id.as_bytes()), sequence).map_err(storage)?;
            }
        }
        if !self.parked.is_empty() {
            let mut parked = txn.open_table(table::PARKED).map_err(storage)?;
            for ((group, sequence), bytes) in &self.parked {
                let key = (group.as_bytes(), *sequence);
                match bytes {
                    Some(bytes) => parked.insert(key, bytes.as_slice()),
                    None => parked.remove(key),
                }
                .map_err(storage)?;
            }
        }
        if !self.bots.is_empty() {
            let mut bots = txn.open_table(table::BOTS).map_err(storage)?;
            for ((bot, group), row) in &self.bots {
                bots.insert(bot_key(bot, group).as_slice(), codec::encode(row).as_slice())
                    .map_err(storage)?;
            }
        }
        Ok(())
    }

    pub(crate) fn flushed(&mut self) {
        self.discard();
    }

    /// Stores a message at its place in the log.
    pub(crate) fn insert(&mut self, group: GroupId, place: Place, row: MessageRow) {
        self.messages.insert((group, place.0, place.1), row);
    }

    /// The place at which this message was shown, if it was.
    pub(crate) fn seen(&mut self, group: &GroupId, id: &MessageId) -> Result<Option<u64>> {
        if let Some(sequence) = self.seen.get(&(*group, *id)) {
            return Ok(Some(*sequence));
        }
        if self.seen_table.is_none() {
            let read = self.store.db().begin_read().map_err(storage)?;
            self.seen_table = Some(read.open_table(table::SEEN).map_err(storage)?);
        }
        let Some(seen) = &self.seen_table else { return Ok(None) };
        Ok(seen.get((group.as_bytes(), id.as_bytes())).map_err(storage)?.map(|row| row.value()))
    }

    /// A message that lies or lay in the log, and where it stands; `moved` when the log went back, and may show it elsewhere
    /// than it stands here.
    pub(crate) fn find(
        &mut self,
        group: GroupId,
        id: &MessageId,
        moved: bool,
    ) -> Result<Option<(Place, MessageRow)>> {
        let Some(position) = self.seen(&group, id)? else { return Ok(None) };
        if let Some(row) = self.at(&group, (position, 0))?.filter(|row| row.id == *id) {
            return Ok(Some(((position, 0), row)));
        }
        // Else it has no row, and nobody must be able to have the whole history read by naming it.
        if !moved {
            return Ok(None);
        }
        let same = |row: &MessageRow| row.id == *id && row.is_said();
        Ok(self.before(&group, (u64::MAX, u16::MAX), 1, same)?.into_iter().next())
    }

    /// The log shows a message whose place was known already, from its acknowledgment: when the broker stored it is known now.
    pub(crate) fn date(&mut self, group: GroupId, position: u64, at: Timestamp) -> Result<()> {
        let place = (position, 0);
        let undated = |row: &MessageRow| row.at.is_none() && at != Timestamp::default();
        if let Some(mut row) = self.at(&group, place)?.filter(undated) {
            row.at = Some(at);
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
        let read = self.store.db().begin_read().map_err(storage)?;
        let seen = read.open_table(table::SEEN).map_err(storage)?;
        let range = (group.as_bytes(), first.as_bytes())..=(group.as_bytes(), last.as_bytes());
        let mut ids = Vec::new();
        for row in seen.range(range).map_err(storage)? {
            ids.push(MessageId::from_bytes(*row.map_err(storage)?.0.value().1));
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
        let (from, to) = (Bound::Excluded((group.as_bytes(), behind.0, behind.1)), (u64::MAX, u16::MAX));
        let mut found = BTreeMap::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let messages = read.open_table(table::MESSAGES).map_err(storage)?;
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        let range = (from, Bound::Included((group.as_bytes(), to.0, to.1)));
        for row in messages.range::<(&[u8; 16], u64, u16)>(range).map_err(storage)?.take(limit) {
            let (key, value) = row.map_err(storage)?;
            let (_, sequence, place) = key.value();
            if let Ok(message) = codec::decode(value.value()) {
                found.insert((sequence, place), message);
            }
        }
        let range = (Bound::Excluded((*group, behind.0, behind.1)), Bound::Included((*group, to.0, to.1)));
        for ((_, sequence, place), row) in self.messages.range(range) {
            found.insert((*sequence, *place), row.clone());
        }
        Ok(found.into_iter().take(limit).collect())
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
        let mut found: BTreeMap<Place, MessageRow> = BTreeMap::new();
        let pending = self.messages.range((*group, 0, 0)..(*group, before.0, before.1));
        for ((_, sequence, place), row) in pending.rev().filter(|(_, row)| wanted(row)).take(limit) {
            found.insert((*sequence, *place), row.clone());
        }
        let read = self.store.db().begin_read().map_err(storage)?;
        let messages = read.open_table(table::MESSAGES).map_err(storage)?;
        let range = (group.as_bytes(), 0, 0)..(group.as_bytes(), before.0, before.1);
        let mut taken = 0usize;
        for row in messages.range(range).map_err(storage)?.rev() {
            if taken >= limit {
                break;
            }
            let (key, value) = row.map_err(storage)?;
            let (_, sequence, place) = key.value();
            // What this batch writes at the same place replaces it.
            if self.messages.contains_key(&(*group, sequence, place)) {
                continue;
            }
            if let Ok(message) = codec::decode(value.value())
                && wanted(&message)
            {
                taken = taken.saturating_add(1);
                found.insert((sequence, place), message);
            }
        }
        Ok(found.into_iter().rev().take(limit).collect())
    }

    /// What stands at a place.
    pub(crate) fn at(&self, group: &GroupId, place: Place) -> Result<Option<MessageRow>> {
        if let Some(row) = self.messages.get(&(*group, place.0, place.1)) {
            return Ok(Some(row.clone()));
        }
        let read = self.store.db().begin_read().map_err(storage)?;
        let messages = read.open_table(table::MESSAGES).map_err(storage)?;
        let row = messages.get((group.as_bytes(), place.0, place.1)).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
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
        let read = self.store.db().begin_read().map_err(storage)?;
        let parked = read.open_table(table::PARKED).map_err(storage)?;
        for row in parked.range((group.as_bytes(), 0)..=(group.as_bytes(), u64::MAX)).map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            found.insert(key.value().1, unpark(value.value()));
        }
        for ((_, sequence), bytes) in self.parked.range((*group, 0)..=(*group, u64::MAX)) {
            match bytes {
                Some(bytes) => found.insert(*sequence, unpark(bytes)),
                None => found.remove(sequence),
            };
        }
        Ok(found)
    }

    /// A bot's place and memory in a conversation.
    pub(crate) fn bot(&self, bot: &str, group: &GroupId) -> Result<Option<BotRow>> {
        if let Some(row) = self.bots.get(&(bot.to_owned(), *group)) {
            return Ok(Some(row.clone()));
        }
        let read = self.store.db().begin_read().map_err(storage)?;
        let bots = read.open_table(table::BOTS).map_err(storage)?;
        let row = bots.get(bot_key(bot, group).as_slice()).map_err(storage)?;
        Ok(row.and_then(|row| codec::decode(row.value()).ok()))
    }

    pub(crate) fn set_bot(&mut self, bot: &str, group: GroupId, handled: Place, memory: Option<Vec<u8>>) {
        let row = BotRow { cursor: handled.0, place: handled.1, memory: memory.map(ByteBuf::from) };
        self.bots.insert((bot.to_owned(), group), row);
    }

    /// Names of all bots that ever handled anything here.
    pub(crate) fn bot_names(&self) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let read = self.store.db().begin_read().map_err(storage)?;
        let bots = read.open_table(table::BOTS).map_err(storage)?;
        for row in bots.iter().map_err(storage)? {
            let (key, _) = row.map_err(storage)?;
            names.extend(bot_of(key.value()));
        }
        Ok(names)
    }
}

fn unpark(row: &[u8]) -> (Timestamp, Vec<u8>) {
    match codec::decode::<ParkedRow>(row) {
        Ok(row) => (row.at, row.bytes),
        Err(_) => (Timestamp::default(), row.to_vec()),
    }
}

fn bot_key(bot: &str, group: &GroupId) -> Vec<u8> {
    [group.as_bytes().as_slice(), bot.as_bytes()].concat()
}

fn bot_of(key: &[u8]) -> Option<String> {
    String::from_utf8(key.get(16..)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// D02: what waits for its epoch keeps the broker's time; what an earlier version kept is read without one.
    #[test]
    fn d02_parked_messages_keep_the_brokers_time() {
        let store = Store::open_on(InMemoryBackend::new()).unwrap();
        let (group, at) = (GroupId::from_bytes([1; 16]), Timestamp::from_millis(951_782_400_000));
        let mut history = History::new(store.clone());
        history.park(group, 7, at, b"bytes".to_vec());
        assert_eq!(history.parked(&group).unwrap(), BTreeMap::from([(7, (at, b"bytes".to_vec()))]));
        store.write(|txn| history.flush(txn)).unwrap();
        let raw = codec::encode(&cipher_broker::wire::envelope::Envelope::Message(vec![1, 2, 3]));
        store
            .write(|txn| {
                let mut parked = txn.open_table(table::PARKED).map_err(storage)?;
                parked.insert((group.as_bytes(), 8), raw.as_slice()).map_err(storage)?;
                Ok(())
            })
            .unwrap();
        let kept = History::new(store).parked(&group).unwrap();
        assert_eq!(kept.get(&7), Some(&(at, b"bytes".to_vec())));
        assert_eq!(kept.get(&8), Some(&(Timestamp::default(), raw)));
    }
}
