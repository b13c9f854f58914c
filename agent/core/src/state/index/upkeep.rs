//! What is done for the index when nothing else is to do: one step in a batch, each of them bounded.

use std::collections::HashMap;
use std::ops::Bound;
use std::time::Duration;

use cipher_api::Result;

use super::segment::Entry;
use super::{Index, META, Meta, Segment, SegmentNumber, gather, in_order, key, level_of, segment};
use crate::state::history::History;
use crate::store::sealed::{Sealing, Writing};
use crate::store::table;

/// So many segments of a level become one.
const MERGED: usize = 8;
/// At most so many, when more came before there was time.
const MOST_MERGED: usize = 64;
/// Messages of a segment that is not merged any more, at most: what a step holds in memory and writes.
const MOST_MESSAGES: usize = 64 * 1024;
/// A segment of this level has half as many, or more.
const LAST_LEVEL: u8 = 5;
/// Bytes of messages of before that are read in a step.
const BUILT_BYTES: usize = 1024 * 1024;
/// Rows of an index of before that are removed in a step.
const REMOVED: usize = 1024;
/// Until the next step, when there is one.
const PAUSE: Duration = Duration::from_millis(50);

impl Index {
    /// Whether a step is left.
    pub(super) fn has_work(&self) -> Result<bool> {
        Ok(self.broken.get() || self.is_behind()? || self.to_merge()?.is_some())
    }

    /// Whether it lacks messages, or there are rows of one of before.
    pub(super) fn is_behind(&self) -> Result<bool> {
        let meta = self.meta()?;
        Ok(!meta.complete || self.has_old_rows(&meta)?)
    }

    /// Takes a step. Nothing else changed the index in this batch.
    pub(in crate::state) fn keep_up(&self, writing: &Writing<'_>, history: &History) -> Result<()> {
        let mut table = writing.table(table::INDEX)?;
        if self.broken.replace(false) {
            let meta = Meta::new(self.next_number()?, false);
            table.put_row(&key(META, 0), &meta)?;
            self.segments.replace(Some(Vec::new()));
            self.meta.replace(Some(meta));
        }
        let meta = self.meta()?;
        if !meta.complete {
            self.build(&mut table, history, meta)?;
        } else if self.has_old_rows(&meta)? {
            self.remove_old(&mut table, meta.floor)?;
        } else if let Some(merged) = self.to_merge()? {
            self.merge(&mut table, &merged)?;
        }
        self.wake.set(self.has_work()?.then(|| writing.now().plus(PAUSE)));
        Ok(())
    }

    /// The next messages of before the index.
    fn build(&self, table: &mut Sealing<'_>, history: &History, mut meta: Meta) -> Result<()> {
        let behind = meta.behind.map(|(group, position, place)| (group, (position, place)));
        let rows = history.everything_behind(behind, BUILT_BYTES)?;
        match rows.last() {
            Some((group, place, _)) => meta.behind = Some((*group, place.0, place.1)),
            None => meta.complete = true,
        }
        meta.done = meta.done.saturating_add(rows.len() as u64);
        let words = rows
            .iter()
            .filter_map(|(group, place, row)| Some((Entry::of(*group, *place, row), row.searched()?)));
        let mut next = self.following()?.max(meta.floor);
        if let Some(built) = gather(words) {
            self.store_segment(table, &mut next, &built)?;
        }
        table.put_row(&key(META, 0), &meta)?;
        self.meta.replace(Some(meta));
        Ok(())
    }

    fn has_old_rows(&self, meta: &Meta) -> Result<bool> {
        let (from, to) = (key(1, 0), key(meta.floor, 0));
        if meta.floor <= 1 {
            return Ok(false);
        }
        let reading = self.reading()?;
        let mut rows = reading.range(Bound::Included(&from), Bound::Excluded(&to))?;
        Ok(rows.next().is_some())
    }

    fn remove_old(&self, table: &mut Sealing<'_>, floor: SegmentNumber) -> Result<()> {
        let reading = self.reading()?;
        let (from, to) = (key(1, 0), key(floor, 0));
        for row in reading.range(Bound::Included(&from), Bound::Excluded(&to))?.take(REMOVED) {
            table.remove(&row?.key())?;
        }
        Ok(())
    }

    /// Segments to be made into one; the smallest first, for they cost least and are most.
    fn to_merge(&self) -> Result<Option<Vec<SegmentNumber>>> {
        let all = self.segments()?;
        for level in 0..LAST_LEVEL {
            let of: Vec<SegmentNumber> =
                all.iter().copied().filter(|number| level_of(*number) == level).collect();
            if of.len() >= MERGED {
                return Ok(Some(of.into_iter().take(MOST_MERGED).collect()));
            }
        }
        Ok(None)
    }

    fn merge(&self, table: &mut Sealing<'_>, numbers: &[SegmentNumber]) -> Result<()> {
        let reading = self.reading()?;
        let mut merged: Vec<(Segment<'_>, Vec<Entry>)> = Vec::new();
        let mut messages = 0_usize;
        for number in numbers {
            let Some(segment) = Segment::open(self, &reading, *number)? else { return Ok(()) };
            messages = messages.saturating_add(segment.head.count as usize);
            if messages > MOST_MESSAGES && merged.len() > 1 {
                break;
            }
            let mut entries = Vec::new();
            for docs in &segment.head.docs {
                let Some(of) = segment.docs(docs.part)? else { return Ok(()) };
                entries.extend(of);
            }
            merged.push((segment, entries));
        }
        let mut all: Vec<Entry> = merged.iter().flat_map(|(_, entries)| entries).copied().collect();
        all.sort_unstable();
        all.dedup();
        let mut terms: HashMap<String, Vec<u32>> = HashMap::new();
        let mut lives = vec![false; all.len()];
        for (segment, entries) in &merged {
            let places: Vec<u32> = entries
                .iter()
                .map(|entry| u32::try_from(all.partition_point(|known| known < entry)).unwrap_or(u32::MAX))
                .collect();
            for block in &segment.head.blocks {
                let read = segment.part(block.part, |bytes| {
                    segment::entries(bytes, |term, numbers| {
                        let of = numbers.filter_map(|number| places.get(number as usize).copied());
                        let of = of.inspect(|place| {
                            if let Some(lives) = lives.get_mut(*place as usize) {
                                *lives = true;
                            }
                        });
                        match terms.get_mut(term) {
                            Some(known) => known.extend(of),
                            None => drop(terms.insert(term.to_owned(), of.collect())),
                        }
                        true
                    })
                })?;
                if read.is_none() {
                    return Ok(());
                }
            }
        }
        // Messages that lost all their words are let go of.
        let mut left = 0_u32;
        let renumbered: Vec<u32> = lives
            .iter()
            .map(|lives| {
                let number = left;
                left = left.saturating_add(u32::from(*lives));
                number
            })
            .collect();
        let mut living = lives.iter();
        all.retain(|_| living.next().copied().unwrap_or_default());
        for numbers in terms.values_mut() {
            numbers.sort_unstable();
            numbers.dedup();
            for number in numbers {
                *number = renumbered.get(*number as usize).copied().unwrap_or_default();
            }
        }
        for (segment, _) in &merged {
            let held = &segment.head.held;
            let docs = segment.head.docs.iter().map(|docs| docs.part);
            let parts = docs.chain(segment.head.blocks.iter().map(|block| block.part));
            for part in parts.filter(|part| !held.contains_key(part)).chain([0]) {
                table.remove(&key(segment.number, part))?;
            }
        }
        let gone: Vec<SegmentNumber> = merged.iter().map(|(segment, _)| segment.number).collect();
        let mut next = self.following()?;
        if let Some(known) = self.segments.borrow_mut().as_mut() {
            known.retain(|number| !gone.contains(number));
        }
        if !all.is_empty() {
            self.store_segment(table, &mut next, &in_order(&all, &terms))?;
        }
        Ok(())
    }
}
