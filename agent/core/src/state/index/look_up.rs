//! Candidates: messages that may have what is looked for, the newest first.

use std::collections::{BTreeSet, BinaryHeap};

use cipher_api::Result;
use cipher_broker::codec;
use cipher_broker::id::GroupId;

use super::segment::{Docs, Head};
use super::{Entry, Index, Segment, SegmentNumber, key, segment};
use crate::store::sealed::Reading;

/// A term that a message must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lookup {
    Exact(String),
    /// Any term that begins so.
    Prefix(String),
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// All of them; every message if there is none.
    pub terms: Vec<Lookup>,
    pub within: BTreeSet<GroupId>,
    /// Seconds since 1970.
    pub since: Option<u64>,
    /// Only what stands in front of it.
    pub before: Option<Entry>,
}

/// Candidates, the newest first. It sees the store as it was when it was made.
pub(crate) struct Candidates<'i> {
    index: &'i Index,
    reading: Reading,
    wanted: Wanted,
    segments: Vec<Found>,
    /// The newest of each segment that is not exhausted.
    heads: BinaryHeap<(Entry, usize)>,
    last: Option<Entry>,
}

/// What was found in a segment, and how far it was taken.
struct Found {
    number: SegmentNumber,
    head: Head,
    /// Numbers of messages; `None` for all of them.
    numbers: Option<Vec<u32>>,
    left: usize,
    /// The part that was read last.
    part: Option<(u32, Vec<Entry>)>,
}

impl Index {
    /// Looks for something.
    pub(crate) fn candidates(&self, wanted: Wanted) -> Result<Candidates<'_>> {
        let reading = self.reading()?;
        let mut segments = Vec::new();
        for number in self.segments()? {
            let Some(segment) = Segment::open(self, &reading, number)? else { continue };
            if !segment.head.spans.iter().any(|span| wanted.within.contains(&span.group)) {
                continue;
            }
            let mut numbers: Option<Vec<u32>> = None;
            for term in &wanted.terms {
                if numbers.as_ref().is_some_and(Vec::is_empty) {
                    break;
                }
                let found = segment.numbers(term)?;
                numbers = Some(match numbers {
                    None => found,
                    Some(known) => both(&known, &found),
                });
            }
            if numbers.is_none() && !segment.head.gone.is_empty() {
                numbers =
                    Some((0..segment.head.count).filter(|number| !segment.head.is_gone(*number)).collect());
            }
            let left = numbers.as_ref().map_or(segment.head.count as usize, Vec::len);
            if left > 0 {
                segments.push(Found { number, head: segment.head, numbers, left, part: None });
            }
        }
        let mut candidates =
            Candidates { index: self, reading, wanted, segments, heads: BinaryHeap::new(), last: None };
        for n in 0..candidates.segments.len() {
            candidates.advance(n)?;
        }
        Ok(candidates)
    }
}

impl Candidates<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let Some((entry, from)) = self.heads.pop() else { return Ok(None) };
            self.advance(from)?;
            // It should be in one segment alone.
            if self.last.replace(entry) != Some(entry) {
                return Ok(Some(entry));
            }
        }
    }

    /// Puts the newest of a segment that is wanted among the others.
    fn advance(&mut self, n: usize) -> Result<()> {
        let Some(found) = self.segments.get_mut(n) else { return Ok(()) };
        while let Some(entry) = found.take(self.index, &self.reading)? {
            if self.wanted.since.is_some_and(|since| entry.at < since) {
                return Ok(());
            }
            let is_behind = self.wanted.before.is_some_and(|before| entry >= before);
            if !is_behind && self.wanted.within.contains(&entry.group) {
                self.heads.push((entry, n));
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Found {
    fn take(&mut self, index: &Index, reading: &Reading) -> Result<Option<Entry>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let number = match &self.numbers {
            Some(numbers) => numbers.get(left).copied(),
            None => u32::try_from(left).ok(),
        };
        let Some(number) = number else { return Ok(None) };
        let at = self.head.docs.partition_point(|docs| docs.first <= number);
        let Some(Docs { part, first }) = at.checked_sub(1).and_then(|at| self.head.docs.get(at)).copied()
        else {
            return Ok(None);
        };
        if self.part.as_ref().is_none_or(|(known, _)| *known != part) {
            let entries = match self.head.held.get(&part) {
                Some(held) => segment::docs(held, &self.head.spans),
                None => {
                    let bytes = reading.get_whole(&key(self.number, part))?;
                    bytes.and_then(|bytes| segment::docs(&bytes, &self.head.spans))
                }
            };
            let Some(entries) = entries else {
                index.breaks();
                // What lies in front of it can still be found.
                self.left = self
                    .numbers
                    .as_ref()
                    .map_or(first as usize, |numbers| numbers.partition_point(|number| *number < first));
                return self.take(index, reading);
            };
            self.part = Some((part, entries));
        }
        let at = number.saturating_sub(first) as usize;
        Ok(self.part.as_ref().and_then(|(_, entries)| entries.get(at)).copied())
    }
}

impl Segment<'_> {
    /// Numbers of the messages that have a term, smallest first.
    fn numbers(&self, term: &Lookup) -> Result<Vec<u32>> {
        let (text, begins) = match term {
            Lookup::Exact(text) => (text.as_str(), false),
            Lookup::Prefix(text) => (text.as_str(), true),
        };
        let mut found = Vec::new();
        let mut terms = 0_usize;
        for block in self.blocks(text, begins) {
            self.part(block.part, |bytes| {
                segment::entries(bytes, |term, numbers| {
                    let fits = if begins { term.starts_with(text) } else { term == text };
                    if fits {
                        terms = terms.saturating_add(1);
                        found.extend(numbers);
                    }
                    fits || term < text
                })
            })?;
        }
        if terms > 1 {
            found.sort_unstable();
            found.dedup();
        }
        Ok(found)
    }
}

/// What is in both; each is in order.
fn both(one: &[u32], other: &[u32]) -> Vec<u32> {
    let mut other = other.iter().copied().peekable();
    let mut common = Vec::new();
    for number in one {
        while other.next_if(|known| known < number).is_some() {}
        if other.peek() == Some(number) {
            common.push(*number);
        }
    }
    common
}

/// Where a search goes on.
impl Entry {
    /// As text that is given back as it is.
    pub(crate) fn to_cursor(self) -> String {
        let bytes = codec::encode(&(self.at, self.group, self.place));
        data_encoding::BASE64URL_NOPAD.encode(&bytes)
    }

    /// A place from which a search comes by this one next.
    pub(crate) fn just_before(self) -> Self {
        let place = match self.place {
            (position, u16::MAX) => (position.saturating_add(1), 0),
            (position, place) => (position, place.saturating_add(1)),
        };
        Self { place, ..self }
    }

    /// The other way round.
    pub(crate) fn from_cursor(text: &str) -> Option<Self> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (at, group, place) = codec::decode(&bytes).ok()?;
        Some(Self { at, group, place })
    }
}
