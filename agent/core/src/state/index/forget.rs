//! Words that go: out of every part of the index that has them, in the transaction of their rows.
//!
//! A part that cannot be read cannot be cleared of a word either. So where one is in the way, all of the index goes in that
//! transaction, and it is made anew from the rows that are left.

use std::collections::{BTreeMap, HashMap};

use cipher_api::Result;
use cipher_broker::id::GroupId;

use super::segment::{self, Block, BlockWriter, Blocks};
use super::{Change, Index, Old, Segment, key, words};
use crate::state::Place;
use crate::store::sealed::Sealing;

/// What goes out of a segment.
#[derive(Debug, Default)]
struct Gone {
    /// Numbers of messages, by the terms that they had.
    of: BTreeMap<String, Vec<u32>>,
    /// Those of which nobody knows what they said.
    unknown: Vec<u32>,
    /// All of them.
    all: Vec<u32>,
}

impl Index {
    /// Takes words out of every segment that has them; `false` if a segment that may have them cannot be read.
    pub(super) fn forget(&self, table: &mut Sealing<'_>, gone: &[&Change]) -> Result<bool> {
        let reading = self.reading()?;
        let places: HashMap<(GroupId, Place), &Old> =
            gone.iter().map(|change| ((change.group, change.place), &change.old)).collect();
        let mut emptied = Vec::new();
        for number in self.segments()? {
            let Some(segment) = Segment::open(self, &reading, number)? else { return Ok(false) };
            let is_within = |of: &&Change| {
                segment
                    .head
                    .spans
                    .iter()
                    .any(|span| of.group == span.group && (span.first..=span.last).contains(&of.place.0))
            };
            if !gone.iter().any(is_within) {
                continue;
            }
            let mut found = Gone::default();
            for docs in &segment.head.docs {
                let Some(entries) = segment.docs(docs.part)? else { return Ok(false) };
                for (n, entry) in (docs.first..).zip(entries) {
                    let Some(old) = places.get(&(entry.group, entry.place)) else { continue };
                    if segment.head.is_gone(n) {
                        continue;
                    }
                    found.all.push(n);
                    match old {
                        Old::Words(text) => {
                            for term in words::terms_of(text) {
                                found.of.entry(term).or_default().push(n);
                            }
                        }
                        Old::Nothing | Old::Unknown => found.unknown.push(n),
                    }
                }
            }
            if found.all.is_empty() {
                continue;
            }
            if found.all.len().saturating_add(segment.head.gone.len()) >= segment.head.count as usize {
                segment.remove(table)?;
                emptied.push(number);
            } else if !segment.forget(table, &found)? {
                return Ok(false);
            }
        }
        self.without(&emptied);
        Ok(true)
    }
}

impl Segment<'_> {
    /// Takes all of it away.
    pub(super) fn remove(&self, table: &mut Sealing<'_>) -> Result<()> {
        for part in self.head.rows().chain([0]) {
            table.remove(&key(self.number, part))?;
        }
        Ok(())
    }

    /// Takes messages away from terms; `false` if a part cannot be read.
    fn forget(mut self, table: &mut Sealing<'_>, gone: &Gone) -> Result<bool> {
        let mut parts: Vec<u32> = if gone.unknown.is_empty() {
            let terms = gone.of.keys();
            terms.flat_map(|term| self.blocks(term, false).map(|block| block.part)).collect()
        } else {
            self.head.blocks.iter().map(|block| block.part).collect()
        };
        parts.sort_unstable();
        parts.dedup();
        for part in parts {
            match self.part(part, |bytes| without(bytes, gone))? {
                None => return Ok(false),
                Some(None) => {}
                Some(Some(blocks)) => self.replace(table, part, blocks)?,
            }
        }
        self.head.gone.extend(&gone.all);
        self.head.gone.sort_unstable();
        table.put_row(&key(self.number, 0), &self.head)?;
        Ok(true)
    }

    /// Puts blocks where one was.
    fn replace(&mut self, table: &mut Sealing<'_>, part: u32, blocks: Blocks) -> Result<()> {
        let head = &mut self.head;
        let last = head.blocks.iter().map(|block| block.part).max().unwrap_or(part);
        let at = head.blocks.iter().position(|block| block.part == part).unwrap_or_default();
        head.blocks.retain(|block| block.part != part);
        let is_held = head.held.remove(&part).is_some();
        if blocks.is_empty() && !is_held {
            table.remove(&key(self.number, part))?;
        }
        // Less than there was is not more than one block, unless two words were a little further apart than before.
        for (n, (first, bytes)) in (0_u32..).zip(blocks) {
            let new = if n == 0 { part } else { last.saturating_add(n) };
            head.blocks.insert(at.saturating_add(n as usize), Block { part: new, first });
            if is_held {
                head.held.insert(new, bytes.into());
            } else {
                table.put(&key(self.number, new), &bytes)?;
            }
        }
        Ok(())
    }
}

/// A block without messages, as blocks; `None` within if it has none of them, and alone if it is no block.
fn without(bytes: &[u8], gone: &Gone) -> Option<Option<Blocks>> {
    let mut writer = BlockWriter::default();
    let (mut is_less, mut left) = (false, Vec::new());
    segment::entries(bytes, |term, numbers| {
        let of = gone.of.get(term).map(Vec::as_slice).unwrap_or_default();
        left.clear();
        for number in numbers {
            let goes = of.binary_search(&number).is_ok() || gone.unknown.binary_search(&number).is_ok();
            is_less |= goes;
            if !goes {
                left.push(number);
            }
        }
        writer.push(term, &left);
        true
    })?;
    Some(is_less.then(|| writer.finish()))
}
