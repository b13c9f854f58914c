//! What stands where among the words of all messages.
//!
//! ```text
//! rows of a batch ──► one small segment ─┐
//! (the same transaction)                 ├─ when nothing else is to do: eight of a size ──► one ──► … ──► 32,768 messages and more
//!                                        ┘
//! words that went ──► out of every segment that has them (the same transaction)
//! ```
//!
//! The index gives *candidates*: whoever asks looks at the row of each. So a word too many does no harm, and a word that is missing would
//! hide a message: every way into the table of messages leads by here ([`crate::state::history::History`]).
//!
//! Keys are numbers, and all words are in sealed values. What was removed is unreadable as soon as anything else of the store
//! ([`crate::store::table::Table::forgets`]).

mod look_up;
mod segment;
mod upkeep;
pub(crate) mod words;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::look_up::{Lookup, Wanted};
pub(crate) use self::segment::Entry;
use self::segment::{Block, BlockWriter, Built, Head};
use crate::state::{MessageRow, Place};
use crate::store::sealed::{Reading, Sealing, Writing};
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
    /// Those up to here are in it, besides all that came since.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    behind: Option<(GroupId, u64, u16)>,
    /// How many messages of before were looked at.
    #[serde(rename = "n")]
    done: u64,
}

/// The words of a row, before and after a batch.
#[derive(Debug)]
pub(super) struct Change {
    pub at: u64,
    pub group: GroupId,
    pub place: Place,
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Change {
    /// `None` if the words are the same.
    pub(super) fn of(
        group: GroupId,
        place: Place,
        old: Option<&MessageRow>,
        new: &MessageRow,
    ) -> Option<Self> {
        let words = |row: &MessageRow| row.searched().map(str::to_owned);
        let (old, new, at) = (old.and_then(words), words(new), seconds(new));
        (old != new).then_some(Self { at, group, place, old, new })
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
    meta: RefCell<Option<Meta>>,
    /// When it is to be looked after.
    wake: Cell<Option<Timestamp>>,
    /// Whether this process looked how far it is.
    looked: Cell<bool>,
    /// Whether this batch looks after it.
    due: Cell<bool>,
    /// A part of it does not open: it is made anew.
    broken: Cell<bool>,
    /// For comparing what it costs.
    #[cfg(test)]
    off: Cell<bool>,
}

impl Index {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            segments: RefCell::default(),
            meta: RefCell::default(),
            wake: Cell::default(),
            looked: Cell::default(),
            due: Cell::default(),
            broken: Cell::default(),
            #[cfg(test)]
            off: Cell::default(),
        }
    }

    /// What was not committed is not there.
    pub(super) fn discard(&self) {
        self.segments.replace(None);
        self.meta.replace(None);
        self.due.set(false);
    }

    /// Whether nothing is to be done in this batch.
    pub(super) const fn is_clean(&self) -> bool {
        !self.due.get()
    }

    pub(super) fn flushed(&self) {
        self.due.set(false);
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
        } else if !self.looked.replace(true) && self.is_behind()? {
            // A process that lives for moments does nothing. What is to be merged is seen when words come.
            self.wake.set(Some(now.plus(IDLE)));
        }
        Ok(())
    }

    /// The next step is taken in this batch, whatever the time, if one is left.
    pub(crate) fn hurry(&self) -> Result<()> {
        self.due.set(!self.is_complete()? || self.broken.get());
        Ok(())
    }

    /// Whether it has all messages.
    pub(crate) fn is_complete(&self) -> Result<bool> {
        Ok(self.meta()?.complete)
    }

    /// How many messages of before are in it.
    pub(crate) fn done(&self) -> Result<u64> {
        Ok(self.meta()?.done)
    }

    fn reading(&self) -> Result<Reading> {
        self.store.table(table::INDEX)
    }

    fn meta(&self) -> Result<Meta> {
        if let Some(meta) = self.meta.borrow().as_ref() {
            return Ok(meta.clone());
        }
        let stored = self.reading()?.get_whole(&key(META, 0))?;
        let stored = stored.and_then(|row| codec::decode::<Meta>(&row).ok());
        let meta = match stored.filter(|meta| meta.version == words::VERSION) {
            Some(meta) => meta,
            None => {
                let complete = self.store.table(table::MESSAGES)?.count()? == 0;
                Meta::new(self.next_number()?, complete)
            }
        };
        self.meta.replace(Some(meta.clone()));
        Ok(meta)
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

    /// Words came, changed and went: in the transaction of their rows.
    pub(super) fn note(&self, writing: &Writing<'_>, changes: &[Change]) -> Result<()> {
        #[cfg(test)]
        if self.off.get() {
            return Ok(());
        }
        if changes.is_empty() {
            return Ok(());
        }
        let meta = self.meta()?;
        let mut next = self.following()?;
        let mut table = writing.table(table::INDEX)?;
        table.put_row(&key(META, 0), &meta)?;
        let gone: Vec<&Change> = changes.iter().filter(|change| change.old.is_some()).collect();
        if !gone.is_empty() {
            self.forget(&mut table, &gone)?;
        }
        let words = changes.iter().filter_map(|change| {
            let entry = Entry { at: change.at, group: change.group, place: change.place };
            Some((entry, change.new.as_deref()?))
        });
        if let Some(built) = gather(words) {
            self.store_segment(&mut table, &mut next, &built)?;
        }
        // The first of those that wait decides: it must not be put off as long as words come.
        if self.wake.get().is_none() && self.has_work()? {
            self.wake.set(Some(writing.now().plus(IDLE)));
        }
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

    fn store_segment(&self, table: &mut Sealing<'_>, next: &mut SegmentNumber, built: &Built) -> Result<()> {
        let number = *next | u64::from(level(built.head.count));
        table.put_row(&key(number, 0), &built.head)?;
        for (part, bytes) in &built.parts {
            table.put(&key(number, *part), bytes)?;
        }
        *next = ((number >> 4).saturating_add(1)) << 4;
        if let Some(known) = self.segments.borrow_mut().as_mut() {
            known.push(number);
        }
        Ok(())
    }

    /// Takes words out of every segment that has them.
    fn forget(&self, table: &mut Sealing<'_>, gone: &[&Change]) -> Result<()> {
        let reading = self.reading()?;
        let places: HashMap<(GroupId, Place), &str> = gone
            .iter()
            .filter_map(|change| Some(((change.group, change.place), change.old.as_deref()?)))
            .collect();
        for number in self.segments()? {
            let Some(mut segment) = Segment::open(self, &reading, number)? else { continue };
            let concerned = segment.head.spans.iter().any(|span| {
                gone.iter().any(|of| of.group == span.group && (span.first..=span.last).contains(&of.place.0))
            });
            if !concerned {
                continue;
            }
            let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for of in segment.head.docs.clone() {
                let Some(entries) = segment.docs(of.part)? else { continue };
                for (n, entry) in (of.first..).zip(entries) {
                    let Some(text) = places.get(&(entry.group, entry.place)) else { continue };
                    for term in words::terms_of(text) {
                        numbers.entry(term).or_default().push(n);
                    }
                }
            }
            segment.forget(table, &numbers)?;
        }
        Ok(())
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

    /// Takes messages away from terms.
    fn forget(&mut self, table: &mut Sealing<'_>, numbers: &BTreeMap<String, Vec<u32>>) -> Result<()> {
        let mut parts: Vec<u32> = Vec::new();
        for term in numbers.keys() {
            parts.extend(self.blocks(term, false).map(|block| block.part));
        }
        parts.sort_unstable();
        parts.dedup();
        let mut is_other = false;
        for part in parts {
            let without = self.part(part, |bytes| {
                let mut writer = BlockWriter::default();
                let mut less = false;
                segment::entries(bytes, |term, all| {
                    let left: Vec<u32> = match numbers.get(term) {
                        Some(gone) => all.filter(|number| gone.binary_search(number).is_err()).collect(),
                        None => all.collect(),
                    };
                    less |= numbers.contains_key(term);
                    writer.push(term, &left);
                    true
                })?;
                Some(less.then(|| writer.finish()))
            })?;
            let Some(Some(blocks)) = without else { continue };
            // Less than there was is not more than one, unless two words were a little further apart than before.
            let free =
                self.head.blocks.iter().map(|block| block.part).max().unwrap_or(part).saturating_add(1);
            let at = self.head.blocks.iter().position(|block| block.part == part).unwrap_or_default();
            let known = self.head.blocks.get(at).map(|block| block.first.clone());
            is_other |= blocks.len() != 1 || blocks.first().map(|(first, _)| first) != known.as_ref();
            self.head.blocks.retain(|block| block.part != part);
            let held = self.head.held.remove(&part).is_some();
            is_other |= held;
            if blocks.is_empty() && !held {
                table.remove(&key(self.number, part))?;
            }
            for (n, (first, bytes)) in blocks.into_iter().enumerate() {
                let new =
                    if n == 0 { part } else { free.saturating_add(u32::try_from(n).unwrap_or(u32::MAX)) };
                self.head.blocks.insert(at.saturating_add(n), Block { part: new, first });
                if held {
                    self.head.held.insert(new, bytes.into());
                } else {
                    table.put(&key(self.number, new), &bytes)?;
                }
            }
        }
        if is_other {
            table.put_row(&key(self.number, 0), &self.head)?;
        }
        Ok(())
    }
}

/// A segment of these words; `None` of nothing.
fn gather<'t>(words: impl Iterator<Item = (Entry, &'t str)>) -> Option<Built> {
    let mut texts: Vec<(Entry, &str)> = words.collect();
    texts.sort_unstable_by_key(|(entry, _)| *entry);
    let mut numbers: HashMap<String, Vec<u32>> = HashMap::new();
    let mut entries = Vec::with_capacity(texts.len());
    for (number, (entry, text)) in (0_u32..).zip(texts) {
        entries.push(entry);
        let folded = words::fold(text);
        words::terms(&folded, |term| match numbers.get_mut(term.text) {
            Some(known) if known.last() == Some(&number) => {}
            Some(known) => known.push(number),
            None => drop(numbers.insert(term.text.to_owned(), vec![number])),
        });
    }
    (!entries.is_empty()).then(|| in_order(&entries, &numbers))
}

/// A segment of terms in any order.
fn in_order(entries: &[Entry], numbers: &HashMap<String, Vec<u32>>) -> Built {
    let mut terms: Vec<(&str, &[u32])> =
        numbers.iter().map(|(term, numbers)| (term.as_str(), numbers.as_slice())).collect();
    terms.sort_unstable();
    segment::build(entries, terms.into_iter())
}

/// How large a segment is: each level is eight times the one below.
fn level(count: u32) -> u8 {
    u8::try_from(count.max(1).ilog2() / 3).unwrap_or(15).min(15)
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
