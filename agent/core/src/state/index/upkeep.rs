//! What is done for the index when nothing else is to do: one step in a batch, each of them bounded.

use std::ops::Bound;
use std::time::Duration;

use cipher_api::Result;

use super::gather::gather;
use super::segment::{Builder, Entry, Terms};
use super::{Index, Meta, Segment, SegmentNumber, key, level_of};
use crate::state::history::History;
use crate::store::sealed::Sealing;

/// So many segments of a level become one.
const MERGED: usize = 8;
/// When so many are there they do not wait until nothing else is to do: a person may use nothing but commands that live for
/// moments, and whoever searches has to look into each.
pub(super) const CROWD: usize = 24;
/// Bytes of segments that are merged at once, unless two have more: what a step reads and writes, and others wait for.
const MERGED_BYTES: usize = 1024 * 1024;
/// Segments of this level, half a MiB and more, are not merged any more.
const LAST_LEVEL: u8 = 4;
/// Bytes of messages of before that are read in a step.
const BUILT_BYTES: usize = 1024 * 1024;
/// Rows of an index of before that are removed in a step.
pub(super) const REMOVED: usize = 1024;
/// Until the next step, when there is one.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

impl Index {
    /// Whether a step is left.
    pub(super) fn has_work(&self) -> Result<bool> {
        let meta = self.meta()?;
        Ok(self.is_broken()
            || !meta.complete
            || self.has_old_rows(&meta)?
            || self.to_merge(MERGED)?.is_some())
    }

    /// Takes a step. No words go in this batch.
    pub(super) fn keep_up(&self, table: &mut Sealing<'_>, history: &History) -> Result<()> {
        if self.is_broken() {
            self.begin_anew(table)?;
        }
        let meta = self.meta()?;
        if self.has_old_rows(&meta)? {
            self.remove_old(table, REMOVED)
        } else if !meta.complete {
            self.build(table, history, meta)
        } else if let Some(merged) = self.to_merge(MERGED)? {
            self.merge(table, &merged)
        } else {
            Ok(())
        }
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
        if let Some(built) = gather(words) {
            self.store_segment(table, &built)?;
        }
        self.set_meta(table, meta)
    }

    /// Whether rows of an index of before are left.
    fn has_old_rows(&self, meta: &Meta) -> Result<bool> {
        if self.is_alone.get() {
            return Ok(false);
        }
        let (from, to) = (key(1, 0), key(meta.floor, 0));
        if from >= to {
            return Ok(false);
        }
        let reading = self.reading()?;
        let mut rows = reading.range(Bound::Included(&from), Bound::Excluded(&to))?;
        let has_rows = rows.next().is_some();
        self.is_alone.set(!has_rows);
        Ok(has_rows)
    }

    /// Removes rows of an index of before, at most so many.
    pub(super) fn remove_old(&self, table: &mut Sealing<'_>, most: usize) -> Result<()> {
        let (from, to) = (key(1, 0), key(self.meta()?.floor, 0));
        if self.is_alone.get() || from >= to {
            return Ok(());
        }
        let removed = table.remove_between(&from, &to, most)?;
        self.is_alone.set(removed < most);
        Ok(())
    }

    /// Segments to be made into one, if so many are of a level; the smallest first, for they cost least and are most.
    pub(super) fn to_merge(&self, enough: usize) -> Result<Option<Vec<SegmentNumber>>> {
        let all = self.segments()?;
        for level in 0..LAST_LEVEL {
            let of: Vec<SegmentNumber> =
                all.iter().copied().filter(|number| level_of(*number) == level).collect();
            if of.len() >= enough {
                return Ok(Some(of));
            }
        }
        Ok(None)
    }

    /// Makes one segment of several, the oldest of these, as many as a step has time for. Nothing else changed them in this batch.
    pub(super) fn merge(&self, table: &mut Sealing<'_>, numbers: &[SegmentNumber]) -> Result<()> {
        let reading = self.reading()?;
        let mut merged: Vec<Loaded<'_>> = Vec::new();
        let mut bytes = 0_usize;
        for number in numbers {
            let Some(segment) = Segment::open(self, &reading, *number)? else { return Ok(()) };
            bytes = bytes.saturating_add(segment.head.bytes());
            if bytes > MERGED_BYTES && merged.len() > 1 {
                break;
            }
            let Some(loaded) = Loaded::of(segment)? else { return Ok(()) };
            merged.push(loaded);
        }
        let mut all: Vec<Entry> = merged.iter().flat_map(Loaded::living).collect();
        all.sort_unstable();
        all.dedup();
        let mut builder = Builder::of(&all);
        let places: Vec<Vec<u32>> = merged.iter().map(|segment| segment.places(&all)).collect();
        let mut readers: Vec<Terms<'_>> = merged.iter().map(|segment| Terms::of(&segment.terms)).collect();
        let mut fronts = Vec::with_capacity(readers.len());
        for reader in &mut readers {
            let Some(front) = reader.next() else {
                self.breaks();
                return Ok(());
            };
            fronts.push(front);
        }
        let (mut term, mut common) = (String::new(), Vec::new());
        loop {
            let fronts_at = || readers.iter().zip(&fronts).filter(|(_, front)| front.is_some());
            let Some((least, _)) = fronts_at().min_by(|(one, _), (other, _)| one.term.cmp(&other.term))
            else {
                break;
            };
            term.clone_from(&least.term);
            common.clear();
            for ((reader, front), places) in readers.iter_mut().zip(&mut fronts).zip(&places) {
                // A term that does not fit into one block goes on in the next.
                while reader.term == term
                    && let Some(numbers) = front.take()
                {
                    common.extend(numbers.filter_map(|number| places.get(number as usize)).copied());
                    let Some(next) = reader.next() else {
                        self.breaks();
                        return Ok(());
                    };
                    *front = next;
                }
            }
            // Runs in order, one behind the other.
            common.sort();
            common.dedup();
            builder.push(&term, &common);
        }
        for Loaded { segment, .. } in &merged {
            segment.remove(table)?;
        }
        let built = (!all.is_empty()).then(|| builder.finish());
        let gone: Vec<SegmentNumber> = merged.iter().map(|loaded| loaded.segment.number).collect();
        // Before its number is free again.
        if let Some(built) = built {
            self.store_segment(table, &built)?;
        }
        self.without(&gone);
        Ok(())
    }
}

/// A segment with all that it has.
struct Loaded<'i> {
    segment: Segment<'i>,
    entries: Vec<Entry>,
    /// All blocks, one behind the other.
    terms: Vec<u8>,
}

impl<'i> Loaded<'i> {
    /// `None` if a part does not open.
    fn of(segment: Segment<'i>) -> Result<Option<Self>> {
        let (mut entries, mut terms) = (Vec::new(), Vec::new());
        for docs in &segment.head.docs {
            let Some(of) = segment.docs(docs.part)? else { return Ok(None) };
            entries.extend(of);
        }
        for block in &segment.head.blocks {
            let read = segment.part(block.part, |bytes| {
                terms.extend_from_slice(bytes);
                Some(())
            })?;
            if read.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Self { segment, entries, terms }))
    }

    /// Messages whose words were not taken out.
    fn living(&self) -> impl Iterator<Item = Entry> {
        let numbered = (0_u32..).zip(&self.entries);
        numbered.filter(|(number, _)| !self.segment.head.is_gone(*number)).map(|(_, entry)| *entry)
    }

    /// The number of each of its messages among all.
    fn places(&self, all: &[Entry]) -> Vec<u32> {
        let place = |entry| u32::try_from(all.partition_point(|known| known < entry)).unwrap_or(u32::MAX);
        self.entries.iter().map(place).collect()
    }
}
