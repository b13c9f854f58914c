//! A segment of the index: some messages, and for each of their terms which of them have it.
//!
//! ```text
//! head     how many messages, of which conversations; where its parts begin
//! docs     when and where each of them stands, in that order: its number is its place here
//! blocks   terms in order, each with the numbers of the messages that have it
//! ```
//!
//! Parts are about as long as a page of redb has room for. A small segment has them in its head. Numbers are differences in as few
//! bytes as they need, and a term says only how it differs from the one before.

use std::collections::BTreeMap;

use cipher_broker::id::GroupId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::Place;

/// Bytes of a part: with its seal and key it fills a page of 4 KiB.
const PART: usize = 3_960;
/// Bytes of all parts of a segment that has them in its head.
const SMALL: usize = 3_400;
/// Bytes that are left at the end of a block before a further term begins there.
const ROOM: usize = 48;

/// Where a message stands in the index: the order of time, with the seconds of the time that the index was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    /// Seconds since 1970.
    pub at: u64,
    pub group: GroupId,
    pub place: Place,
}

/// What the first row of a segment says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "n")]
    pub count: u32,
    #[serde(rename = "g")]
    pub spans: Vec<Span>,
    #[serde(rename = "d")]
    pub docs: Vec<Docs>,
    #[serde(rename = "b")]
    pub blocks: Vec<Block>,
    /// Parts that are here.
    #[serde(rename = "h", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<u32, ByteBuf>,
    /// Messages whose words were taken out, smallest number first: what stands there now is elsewhere, or nowhere. A message that
    /// never had a term is none of them.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<u32>,
}

impl Head {
    /// Whether the words of a message were taken out.
    pub(super) fn is_gone(&self, number: u32) -> bool {
        self.gone.binary_search(&number).is_ok()
    }

    /// Parts of it that are rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> {
        let docs = self.docs.iter().map(|docs| docs.part);
        let parts = docs.chain(self.blocks.iter().map(|block| block.part));
        parts.filter(|part| !self.held.contains_key(part))
    }

    /// Bytes of its parts, as far as the head tells.
    pub(super) fn bytes(&self) -> usize {
        let held: usize = self.held.values().map(|part| part.len()).sum();
        self.rows().count().saturating_mul(PART).saturating_add(held)
    }
}

/// A conversation, and between which positions its messages of a segment lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    #[serde(rename = "i")]
    pub group: GroupId,
    #[serde(rename = "f")]
    pub first: u64,
    #[serde(rename = "l")]
    pub last: u64,
}

/// A part of the list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Docs {
    #[serde(rename = "p")]
    pub part: u32,
    /// Number of the first message in it.
    #[serde(rename = "f")]
    pub first: u32,
}

/// A block of terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    #[serde(rename = "p")]
    pub part: u32,
    /// Its first term.
    #[serde(rename = "f")]
    pub first: String,
}

/// A segment as it is stored: the head, and the parts that are not in it.
#[derive(Debug)]
pub(super) struct Built {
    pub head: Head,
    pub parts: Vec<(u32, Vec<u8>)>,
    /// Of all parts, those in the head too.
    pub bytes: usize,
}

/// Makes a segment.
#[derive(Debug)]
pub(super) struct Builder {
    head: Head,
    parts: Vec<(u32, Vec<u8>)>,
    writer: BlockWriter,
}

impl Builder {
    /// Of messages in order, each of them once: a message's number is its place.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut spans: BTreeMap<GroupId, Span> = BTreeMap::new();
        for Entry { group, place, .. } in entries {
            let new = Span { group: *group, first: place.0, last: place.0 };
            let span = spans.entry(*group).or_insert(new);
            (span.first, span.last) = (span.first.min(place.0), span.last.max(place.0));
        }
        let spans: Vec<Span> = spans.into_values().collect();
        let (mut parts, mut docs) = (Vec::new(), Vec::new());
        let (mut rest, mut first) = (entries, 0_u32);
        while !rest.is_empty() {
            let (bytes, taken) = pack_docs(rest, &spans);
            let part = following(&parts);
            docs.push(Docs { part, first });
            parts.push((part, bytes));
            first = first.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
            rest = rest.get(taken.max(1)..).unwrap_or_default();
        }
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let (blocks, held, gone) = (Vec::new(), BTreeMap::new(), Vec::new());
        let head = Head { count, spans, docs, blocks, held, gone };
        Self { head, parts, writer: BlockWriter::default() }
    }

    /// Adds a term behind all that were added, with the numbers of the messages that have it.
    pub(super) fn push(&mut self, term: &str, numbers: &[u32]) {
        self.writer.push(term, numbers);
    }

    pub(super) fn finish(mut self) -> Built {
        for (first, bytes) in self.writer.finish() {
            let part = following(&self.parts);
            self.head.blocks.push(Block { part, first });
            self.parts.push((part, bytes));
        }
        let bytes = self.parts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        if bytes <= SMALL {
            let held = self.parts.drain(..);
            self.head.held = held.map(|(part, bytes)| (part, ByteBuf::from(bytes))).collect();
        }
        Built { head: self.head, parts: self.parts, bytes }
    }
}

/// The number of the next part; that of the head is 0.
fn following(parts: &[(u32, Vec<u8>)]) -> u32 {
    parts.last().map_or(0, |(part, _)| *part).saturating_add(1)
}

fn pack_docs(entries: &[Entry], spans: &[Span]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut before = 0;
    let mut positions: BTreeMap<usize, u64> = BTreeMap::new();
    for (taken, Entry { at, group, place }) in entries.iter().enumerate() {
        if bytes.len() > PART.saturating_sub(ROOM) {
            return (bytes, taken);
        }
        put(&mut bytes, at.wrapping_sub(before));
        before = *at;
        let of = spans.binary_search_by(|span| span.group.cmp(group)).unwrap_or_default();
        put(&mut bytes, of as u64);
        let position = positions.entry(of).or_default();
        put(&mut bytes, signed(place.0.wrapping_sub(*position)) << 1 | u64::from(place.1 > 0));
        if place.1 > 0 {
            put(&mut bytes, place.1.into());
        }
        *position = place.0;
    }
    (bytes, entries.len())
}

/// The messages of a part; `None` if it is none.
pub(super) fn docs(mut bytes: &[u8], spans: &[Span]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0_u64;
    let mut positions: BTreeMap<usize, u64> = BTreeMap::new();
    while !bytes.is_empty() {
        at = at.wrapping_add(take(&mut bytes)?);
        let of = usize::try_from(take(&mut bytes)?).ok()?;
        let group = spans.get(of)?.group;
        let packed = take(&mut bytes)?;
        let within = if packed & 1 == 1 { u16::try_from(take(&mut bytes)?).ok()? } else { 0 };
        let position = positions.entry(of).or_default();
        *position = position.wrapping_add(unsigned(packed >> 1));
        entries.push(Entry { at, group, place: (*position, within) });
    }
    Some(entries)
}

/// Blocks, each with its first term.
pub(super) type Blocks = Vec<(String, Vec<u8>)>;

/// Blocks while they are filled.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    done: Blocks,
    first: String,
    last: String,
    bytes: Vec<u8>,
    /// Room for the numbers of a term, kept from term to term.
    packed: Vec<u8>,
}

impl BlockWriter {
    /// Adds a term that is behind all that were added.
    pub(super) fn push(&mut self, term: &str, mut numbers: &[u32]) {
        while !numbers.is_empty() {
            let used = self.bytes.len().saturating_add(term.len()).saturating_add(ROOM);
            if used > PART && !self.bytes.is_empty() {
                self.close();
            }
            let room =
                PART.saturating_sub(self.bytes.len()).saturating_sub(term.len().saturating_add(12)).max(16);
            self.packed.clear();
            let mut before = 0;
            let mut taken = 0_usize;
            for number in numbers {
                put(&mut self.packed, number.wrapping_sub(before).into());
                before = *number;
                taken = taken.saturating_add(1);
                if self.packed.len() > room {
                    break;
                }
            }
            if self.bytes.is_empty() {
                term.clone_into(&mut self.first);
                self.last.clear();
            }
            let shared = shared(&self.last, term);
            let rest = term.as_bytes().get(shared..).unwrap_or_default();
            put(&mut self.bytes, shared as u64);
            put(&mut self.bytes, rest.len() as u64);
            self.bytes.extend_from_slice(rest);
            put(&mut self.bytes, self.packed.len() as u64);
            self.bytes.extend_from_slice(&self.packed);
            term.clone_into(&mut self.last);
            numbers = numbers.get(taken..).unwrap_or_default();
        }
    }

    fn close(&mut self) {
        let (first, bytes) = (std::mem::take(&mut self.first), std::mem::take(&mut self.bytes));
        self.done.push((first, bytes));
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Blocks {
        if !self.bytes.is_empty() {
            self.close();
        }
        self.done
    }
}

/// Bytes that two terms begin with, at the boundary of a character.
fn shared(one: &str, other: &str) -> usize {
    let equal = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    (0..=equal).rev().find(|at| other.is_char_boundary(*at) && one.is_char_boundary(*at)).unwrap_or_default()
}

/// The terms of a block in order, each with the numbers of its messages, until `with` says that it has enough. `None` if it is no
/// block.
pub(super) fn entries(bytes: &[u8], mut with: impl FnMut(&str, Numbers<'_>) -> bool) -> Option<()> {
    let mut terms = Terms::of(bytes);
    while let Some(numbers) = terms.next()? {
        if !with(&terms.term, numbers) {
            break;
        }
    }
    Some(())
}

/// The terms of a block, or of several in order, one after the other.
#[derive(Debug)]
pub(super) struct Terms<'b> {
    bytes: &'b [u8],
    /// The last one.
    pub term: String,
}

impl<'b> Terms<'b> {
    pub(super) const fn of(bytes: &'b [u8]) -> Self {
        Self { bytes, term: String::new() }
    }

    /// Goes to the next term and gives its numbers; `None` within if there is none, and alone if this is no block.
    pub(super) fn next(&mut self) -> Option<Option<Numbers<'b>>> {
        if self.bytes.is_empty() {
            return Some(None);
        }
        let (shared, rest) = (size(&mut self.bytes)?, size(&mut self.bytes)?);
        if !self.term.is_char_boundary(shared) {
            return None;
        }
        self.term.truncate(shared);
        self.term.push_str(std::str::from_utf8(split(&mut self.bytes, rest)?).ok()?);
        let length = size(&mut self.bytes)?;
        Some(Some(Numbers { bytes: split(&mut self.bytes, length)?, last: 0 }))
    }
}

/// Numbers of messages, smallest first.
#[derive(Debug, Clone)]
pub(super) struct Numbers<'b> {
    bytes: &'b [u8],
    last: u32,
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let step = u32::try_from(take(&mut self.bytes)?).ok()?;
        self.last = self.last.wrapping_add(step);
        Some(self.last)
    }
}

fn size(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(take(bytes)?).ok()
}

fn split<'b>(bytes: &mut &'b [u8], at: usize) -> Option<&'b [u8]> {
    let (begin, rest) = bytes.split_at_checked(at)?;
    *bytes = rest;
    Some(begin)
}

/// A number in as few bytes as it needs, seven bits each.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A difference that may be below zero, small when it is near to zero, in 63 bits.
const fn signed(difference: u64) -> u64 {
    let number = difference.cast_signed();
    ((number << 1) ^ (number >> 63)).cast_unsigned() & (u64::MAX >> 1)
}

const fn unsigned(packed: u64) -> u64 {
    (packed >> 1) ^ (packed & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(at: u64, group: u8, position: u64, within: u16) -> Entry {
        Entry { at, group: GroupId::from_bytes([group; 16]), place: (position, within) }
    }

    fn build(entries: &[Entry], terms: &BTreeMap<String, Vec<u32>>) -> Built {
        let mut builder = Builder::of(entries);
        for (term, numbers) in terms {
            builder.push(term, numbers);
        }
        builder.finish()
    }

    /// All of a segment again.
    fn read(built: &Built) -> (Vec<Entry>, BTreeMap<String, Vec<u32>>) {
        let mut parts: BTreeMap<u32, Vec<u8>> = built.parts.iter().cloned().collect();
        parts.extend(built.head.held.iter().map(|(part, bytes)| (*part, bytes.to_vec())));
        let mut all = Vec::new();
        for of in &built.head.docs {
            assert_eq!(usize::try_from(of.first).unwrap(), all.len());
            all.extend(docs(&parts[&of.part], &built.head.spans).unwrap());
        }
        let mut terms: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for block in &built.head.blocks {
            let mut first = None;
            entries(&parts[&block.part], |term, numbers| {
                first.get_or_insert_with(|| term.to_owned());
                terms.entry(term.to_owned()).or_default().extend(numbers);
                true
            })
            .unwrap();
            assert_eq!(first.as_ref(), Some(&block.first));
        }
        (all, terms)
    }

    #[test]
    fn a_segment_is_read_as_it_was_built_and_its_parts_fit_a_page() {
        let entries: Vec<Entry> = (0..20_000_u64)
            .map(|n| {
                entry(
                    1_700_000_000 + n / 3,
                    u8::try_from(n % 7).unwrap(),
                    (1 << 50) + n,
                    u16::from(n % 11 == 0),
                )
            })
            .collect();
        let mut entries = entries;
        entries.sort_unstable();
        let mut terms: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for n in 0..20_000_u32 {
            terms.entry("all".into()).or_default().push(n);
            terms.entry(format!("word{}", n % 977)).or_default().push(n);
            terms.entry(format!("設{n}")).or_default().push(n);
        }
        let built = build(&entries, &terms);
        assert!(
            built.parts.iter().all(|(_, bytes)| bytes.len() <= 4_000),
            "{}",
            built.parts.iter().map(|(_, b)| b.len()).max().unwrap()
        );
        let filled: usize = built.parts.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(filled * 10 > built.parts.len() * 4_000 * 9, "{filled} in {}", built.parts.len());
        assert_eq!(read(&built), (entries, terms));
    }

    proptest! {
        #[test]
        fn any_segment_is_read_as_it_was_built(
            all in prop::collection::btree_set((0..u64::MAX / 4, 0..4_u8, 0..1_u64 << 58, 0..3_u16), 0..60),
            words in prop::collection::btree_map("[a-cé好]{1,5}", prop::collection::btree_set(0..60_u32, 1..30), 0..30),
        ) {
            let mut entries: Vec<Entry> = all.into_iter().map(|(at, group, position, within)| entry(at, group, position, within)).collect();
            entries.sort_unstable();
            let terms: BTreeMap<String, Vec<u32>> = words.into_iter().map(|(word, numbers)| (word, numbers.into_iter().collect())).collect();
            let built = build(&entries, &terms);
            prop_assert_eq!(read(&built), (entries, terms));
        }

        #[test]
        fn bytes_that_are_no_part_are_not_taken_for_one_and_harm_nobody(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = docs(&bytes, &[Span { group: GroupId::from_bytes([1; 16]), first: 0, last: 9 }]);
            let _ = entries(&bytes, |_, numbers| numbers.count() < 1000);
        }
    }
}
