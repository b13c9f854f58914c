//! What stands where among the words of all messages.
//!
//! ```text
//! rows of a batch ──► one small segment ─┐  eight of a size ──► one ──► … ──► half a MiB: when nothing else is to do,
//! (the same transaction)                 ┘  or in the transaction of the words that came, when there are many
//!
//! words that went ──► out of every segment that has them (the same transaction)
//! ```
//!
//! The index gives *candidates*: whoever asks looks at the row of each. So a word too many does no harm, and a word that is missing would
//! hide a message: every way into the table of messages leads by here ([`crate::state::history::History`]).
//!
//! Keys are numbers, and all words are in sealed values. What was removed is unreadable as soon as anything else of the store
//! ([`crate::store::table::Table::forgets`]).
//!
//! **While it is made anew** it has the messages up to a place in the order of their table, those that came meanwhile too: what lies
//! behind is taken in when its turn comes, so no message is in it twice. Of the index of before nothing is used any more, and all of
//! it goes, at the latest with the first word that has to.

mod forget;
mod gather;
mod look_up;
mod segment;
mod upkeep;
pub(crate) mod words;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::Bound;
use std::time::Duration;

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use self::gather::gather;
pub(crate) use self::look_up::{Lookup, Wanted};
pub(crate) use self::segment::Entry;
use self::segment::{Block, Built, Head};
use crate::state::history::History;
use crate::state::{MessageRow, Place};
use crate::store::key::RowKey as _;
use crate::store::sealed::{Reading, Replaced, Sealing, Writing};
use crate::store::{Store, table};

/// So long after words were added the index is looked after.
const IDLE: Duration = Duration::from_secs(10);

/// The number of a segment: how many there were before, and in the lowest four bits its level, so that a look at the keys says which
/// to merge.
type SegmentNumber = u64;

/// The row of [`Meta`]; no segment has this number.
const META: SegmentNumber = 0;

/// How far the index is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    /// [`words::VERSION`] of when it was begun.
    #[serde(rename = "v")]
    version: u32,
    /// Segments below this are of an index of before, and go.
    #[serde(rename = "f")]
    floor: SegmentNumber,
    /// Whether it has all messages.
    #[serde(rename = "c")]
    complete: bool,
    /// Those up to here are in it, in the order of their table.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    behind: Option<(GroupId, u64, u16)>,
    /// How many messages of before were looked at.
    #[serde(rename = "n")]
    done: u64,
}

/// How far the index is, and whether the store says so too.
#[derive(Debug)]
struct Known {
    meta: Meta,
    is_stored: bool,
}

/// The words of a row, before and after a batch.
#[derive(Debug)]
pub(super) struct Change {
    pub at: u64,
    pub group: GroupId,
    pub place: Place,
    pub old: Old,
    pub new: Option<String>,
}

/// The words that stood in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Old {
    Nothing,
    Words(String),
    /// It did not open.
    Unknown,
}

impl Change {
    /// `None` if the words are the same.
    pub(super) fn of(group: GroupId, place: Place, replaced: &Replaced, new: &MessageRow) -> Option<Self> {
        let words = |row: &MessageRow| row.searched().map(Cow::into_owned);
        let (old, at) = (Old::of(replaced), seconds(new));
        let new = words(new);
        let is_same = match &old {
            Old::Nothing => new.is_none(),
            Old::Words(old) => Some(old) == new.as_ref(),
            Old::Unknown => false,
        };
        (!is_same).then_some(Self { at, group, place, old, new })
    }

    /// Whether words go.
    fn forgets(&self) -> bool {
        self.old != Old::Nothing
    }
}

impl Old {
    fn of(replaced: &Replaced) -> Self {
        let row = match replaced {
            Replaced::Nothing => return Self::Nothing,
            Replaced::Value(value) => codec::decode::<MessageRow>(value).ok(),
            Replaced::Damaged => None,
        };
        match row {
            Some(row) => row.searched().map_or(Self::Nothing, |words| Self::Words(words.into_owned())),
            None => Self::Unknown,
        }
    }
}

impl Entry {
    /// Where a row is ordered in the index.
    pub(crate) fn of(group: GroupId, place: Place, row: &MessageRow) -> Self {
        Self { at: seconds(row), group, place }
    }
}

fn seconds(row: &MessageRow) -> u64 {
    row.at.unwrap_or(row.sent_at).as_millis() / 1000
}

/// The index of a store. It is written with the rows, and nothing of it waits in memory.
#[derive(Debug)]
pub(crate) struct Index {
    store: Store,
    /// The segments that count, when they are known.
    segments: RefCell<Option<Vec<SegmentNumber>>>,
    known: RefCell<Option<Known>>,
    /// When it is to be looked after.
    wake: Cell<Option<Timestamp>>,
    /// Whether this process looked whether something is to be done.
    looked: Cell<bool>,
    /// Whether this batch looks after it.
    due: Cell<bool>,
    /// A part of it does not open: it is made anew.
    broken: Cell<bool>,
    /// Whether this batch begins it anew.
    begun_anew: Cell<bool>,
    /// Whether it was begun anew since the file of the store was mended, which may have lost rows.
    is_of_mended: Cell<bool>,
    /// Whether nothing is left of an index of before.
    is_alone: Cell<bool>,
    /// For comparing what it costs.
    off: Cell<bool>,
}

impl Index {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            segments: RefCell::default(),
            known: RefCell::default(),
            wake: Cell::default(),
            looked: Cell::default(),
            due: Cell::default(),
            broken: Cell::default(),
            begun_anew: Cell::default(),
            is_of_mended: Cell::default(),
            is_alone: Cell::default(),
            off: Cell::default(),
        }
    }

    /// What was not committed is not there.
    pub(super) fn discard(&self) {
        self.segments.replace(None);
        self.known.replace(None);
        self.due.set(false);
        self.begun_anew.set(false);
        self.is_of_mended.set(false);
        self.is_alone.set(false);
    }

    /// Whether nothing is to be done in this batch.
    pub(super) const fn is_clean(&self) -> bool {
        !self.due.get()
    }

    /// What was written is there.
    pub(super) fn flushed(&self) {
        self.due.set(false);
        if self.begun_anew.replace(false) {
            self.broken.set(false);
            self.is_of_mended.set(self.store.is_mended());
        }
    }

    /// What is stored from now on is not taken in: for a figure of what that costs, of a store that nobody searches.
    pub(crate) fn switch_off(&self) {
        self.off.set(true);
    }

    /// How many segments count, and the bytes of all rows with their keys and seals.
    pub(crate) fn size(&self) -> Result<(usize, usize)> {
        let (reading, mut bytes) = (self.reading()?, 0_usize);
        for row in reading.rows()? {
            bytes = bytes.saturating_add(row?.length());
        }
        Ok((self.segments()?.len(), bytes))
    }

    /// When to come again, if there is something to do.
    pub(crate) const fn wake(&self) -> Option<Timestamp> {
        self.wake.get()
    }

    /// Time went by.
    pub(crate) fn tick(&self, now: Timestamp) -> Result<()> {
        if let Some(at) = self.wake.get() {
            if at <= now {
                self.wake.set(None);
                self.due.set(self.has_work()?);
            }
        } else if !self.looked.replace(true) && self.has_work()? {
            // Steps that a process of before did not come to. One that lives for moments does nothing.
            self.wake.set(Some(now.plus(IDLE)));
        }
        Ok(())
    }

    /// The next step is taken in this batch, whatever the time, if it lacks messages.
    pub(crate) fn hurry(&self) -> Result<()> {
        self.due.set(!self.is_complete()?);
        Ok(())
    }

    /// The same, if it is made anew.
    pub(crate) fn hurry_if_broken(&self) {
        self.due.set(self.due.get() || self.is_broken());
    }

    /// Whether it has all messages.
    pub(crate) fn is_complete(&self) -> Result<bool> {
        Ok(!self.is_broken() && self.meta()?.complete)
    }

    /// How many messages of before are in it.
    pub(crate) fn done(&self) -> Result<u64> {
        Ok(if self.is_broken() { 0 } else { self.meta()?.done })
    }

    /// Whether what it says cannot be relied on, and nothing was done about it yet.
    pub(crate) fn is_broken(&self) -> bool {
        // Rows that a damaged file lost may be in it, and nobody would ever take them out.
        self.broken.get() || (self.store.is_mended() && !self.is_of_mended.get())
    }

    fn reading(&self) -> Result<Reading> {
        self.store.table(table::INDEX)
    }

    fn meta(&self) -> Result<Meta> {
        if let Some(known) = self.known.borrow().as_ref() {
            return Ok(known.meta.clone());
        }
        let stored = self.reading()?.get_whole(&key(META, 0))?;
        let stored = stored.and_then(|row| codec::decode::<Meta>(&row).ok());
        let stored = stored.filter(|meta| meta.version == words::VERSION);
        let is_stored = stored.is_some();
        let meta = match stored {
            Some(meta) => meta,
            None => {
                let complete = self.store.table(table::MESSAGES)?.count()? == 0;
                Meta::new(self.next_number()?, complete)
            }
        };
        self.known.replace(Some(Known { meta: meta.clone(), is_stored }));
        Ok(meta)
    }

    fn set_meta(&self, table: &mut Sealing<'_>, meta: Meta) -> Result<()> {
        table.put_row(&key(META, 0), &meta)?;
        self.known.replace(Some(Known { meta, is_stored: true }));
        Ok(())
    }

    /// Whether a message is among those that it has, while it is made.
    fn is_reached(&self, meta: &Meta, group: GroupId, place: Place) -> bool {
        let hidden = |key: (GroupId, u64, u16)| self.store.hidden(table::MESSAGES, &key.to_key());
        meta.complete || meta.behind.is_some_and(|behind| hidden((group, place.0, place.1)) <= hidden(behind))
    }

    /// Segments that count, the oldest first.
    fn segments(&self) -> Result<Vec<SegmentNumber>> {
        if let Some(known) = self.segments.borrow().as_ref() {
            return Ok(known.clone());
        }
        let floor = self.meta()?.floor;
        let reading = self.reading()?;
        let mut found = Vec::new();
        let mut from = key(floor.max(1), 0);
        loop {
            // One look for each segment, however many parts it has.
            let first = reading.range(Bound::Included(&from), Bound::Unbounded)?.next().transpose()?;
            let Some((number, _)) = first.and_then(|row| number_of(&row.key())) else { break };
            found.push(number);
            from = key(number.saturating_add(1), 0);
        }
        self.segments.replace(Some(found.clone()));
        Ok(found)
    }

    /// The lowest number that no segment had.
    fn next_number(&self) -> Result<SegmentNumber> {
        let reading = self.reading()?;
        let last = reading.rows()?.next_back().transpose()?;
        let last = last.and_then(|row| number_of(&row.key())).map_or(0, |(number, _)| number);
        Ok(((last >> 4).saturating_add(1)) << 4)
    }

    /// Words came, changed and went, and a step is taken if one is due: in the transaction of the rows.
    pub(super) fn flush(&self, writing: &Writing<'_>, history: &History, changes: &[Change]) -> Result<()> {
        if self.off.get() {
            return Ok(());
        }
        // A step reads what was there before the batch: words that go in it would come back.
        let takes_step = self.due.get() && !changes.iter().any(Change::forgets);
        // Of a store with messages that has no index nobody knows that no words were said.
        let may_begin = history.written().next().is_some() && !self.is_stored();
        if !takes_step && !may_begin && changes.is_empty() {
            return Ok(());
        }
        let meta = self.meta()?;
        let mut table = writing.table(table::INDEX)?;
        if takes_step {
            self.keep_up(&mut table, history)?;
            self.wake.set(self.has_work()?.then(|| writing.now().plus(upkeep::PAUSE)));
        }
        if !changes.is_empty() {
            self.note(&mut table, changes, takes_step)?;
        }
        if !self.is_stored() {
            self.set_meta(&mut table, meta)?;
        }
        // The first of those that wait decides: it must not be put off as long as words come.
        if self.wake.get().is_none() && self.has_work()? {
            self.wake.set(Some(writing.now().plus(IDLE)));
        }
        Ok(())
    }

    fn note(&self, table: &mut Sealing<'_>, changes: &[Change], step_was_taken: bool) -> Result<()> {
        let gone: Vec<&Change> = changes.iter().filter(|change| change.forgets()).collect();
        if gone.is_empty() {
            if !step_was_taken {
                // Commands that live for moments come to no other step.
                self.remove_old(table, upkeep::REMOVED)?;
                if let Some(crowd) = self.to_merge(upkeep::CROWD)? {
                    self.merge(table, &crowd)?;
                }
            }
        } else if !self.forget(table, &gone)? {
            self.broken.set(true);
        }
        if self.is_broken() && !self.begun_anew.get() {
            self.begin_anew(table)?;
        }
        if !gone.is_empty() {
            self.remove_old(table, usize::MAX)?;
        }
        let meta = self.meta()?;
        let words = changes.iter().filter_map(|change| {
            let entry = Entry { at: change.at, group: change.group, place: change.place };
            Some((entry, change.new.as_deref()?))
        });
        let built = gather(words.filter(|(entry, _)| self.is_reached(&meta, entry.group, entry.place)));
        built.map_or(Ok(()), |built| self.store_segment(table, &built))
    }

    /// Whether the store is known to say how far it is.
    fn is_stored(&self) -> bool {
        self.known.borrow().as_ref().is_some_and(|known| known.is_stored)
    }

    /// Nothing that it has counts any more.
    fn begin_anew(&self, table: &mut Sealing<'_>) -> Result<()> {
        let floor = self.following()?.max(self.next_number()?);
        self.set_meta(table, Meta::new(floor, false))?;
        self.segments.replace(Some(Vec::new()));
        self.begun_anew.set(true);
        self.is_alone.set(false);
        Ok(())
    }

    /// The number of the next segment.
    fn following(&self) -> Result<SegmentNumber> {
        let floor = self.meta()?.floor;
        let segments = self.segments()?;
        match segments.last() {
            Some(last) => Ok(((last >> 4).saturating_add(1)) << 4),
            // A merge of all of them may have left nothing.
            None => Ok(self.next_number()?.max(floor)),
        }
    }

    fn store_segment(&self, table: &mut Sealing<'_>, built: &Built) -> Result<()> {
        let number = self.following()? | u64::from(level(built.bytes));
        table.put_row(&key(number, 0), &built.head)?;
        for (part, bytes) in &built.parts {
            table.put(&key(number, *part), bytes)?;
        }
        if let Some(known) = self.segments.borrow_mut().as_mut() {
            known.push(number);
        }
        Ok(())
    }

    /// Segments that are not there any more.
    fn without(&self, gone: &[SegmentNumber]) {
        if let Some(known) = self.segments.borrow_mut().as_mut() {
            known.retain(|number| !gone.contains(number));
        }
    }

    /// A part does not open or says nonsense: the index is made anew.
    fn breaks(&self) {
        self.broken.set(true);
        if self.wake.get().is_none() {
            self.wake.set(Some(Timestamp::default()));
        }
    }
}

impl Meta {
    const fn new(floor: SegmentNumber, complete: bool) -> Self {
        Self { version: words::VERSION, floor, complete, behind: None, done: 0 }
    }
}

/// A segment that is read.
struct Segment<'i> {
    index: &'i Index,
    reading: &'i Reading,
    number: SegmentNumber,
    head: Head,
}

impl<'i> Segment<'i> {
    /// `None` if it does not open.
    fn open(index: &'i Index, reading: &'i Reading, number: SegmentNumber) -> Result<Option<Self>> {
        let head = reading.get_whole(&key(number, 0))?.and_then(|row| codec::decode(&row).ok());
        if head.is_none() {
            index.breaks();
        }
        Ok(head.map(|head| Self { index, reading, number, head }))
    }

    /// Has `with` read a part; `None` if it does not open, or `with` cannot read it.
    fn part<T>(&self, part: u32, with: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>> {
        let read = match self.head.held.get(&part) {
            Some(held) => with(held),
            None => self.reading.get_whole(&key(self.number, part))?.and_then(|bytes| with(&bytes)),
        };
        if read.is_none() {
            self.index.breaks();
        }
        Ok(read)
    }

    fn docs(&self, part: u32) -> Result<Option<Vec<Entry>>> {
        self.part(part, |bytes| segment::docs(bytes, &self.head.spans))
    }

    /// The blocks in which a term may stand, or those that begin with it.
    fn blocks(&self, term: &str, begins: bool) -> impl Iterator<Item = &Block> {
        let from = self.head.blocks.partition_point(|block| block.first.as_str() < term).saturating_sub(1);
        let fits = move |first: &str| first <= term || (begins && first.starts_with(term));
        self.head.blocks.iter().skip(from).take_while(move |block| fits(&block.first))
    }
}

/// How large a segment is: each level is eight times the one below, the lowest below 1 KiB.
fn level(bytes: usize) -> u8 {
    let units = bytes.max(1).ilog2().saturating_sub(7);
    u8::try_from(units / 3).unwrap_or(15).min(15)
}

fn level_of(number: SegmentNumber) -> u8 {
    u8::try_from(number & 0xf).unwrap_or_default()
}

/// The key of a part of a segment.
fn key(number: SegmentNumber, part: u32) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &part.to_be_bytes()].concat()
}

fn number_of(key: &[u8]) -> Option<(SegmentNumber, u32)> {
    let (number, part) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), u32::from_be_bytes(part.try_into().ok()?)))
}

#[cfg(test)]
#[path = "index_test.rs"]
mod tests;
