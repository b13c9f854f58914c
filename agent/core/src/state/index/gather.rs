//! From texts to a segment.

use std::collections::HashMap;
use std::ops::Range;

use super::segment::{Builder, Built, Entry};
use super::words;

/// A segment of these words; `None` of nothing.
pub(super) fn gather<T: AsRef<str>>(words: impl Iterator<Item = (Entry, T)>) -> Option<Built> {
    let mut texts: Vec<(Entry, T)> = words.collect();
    if texts.is_empty() {
        return None;
    }
    texts.sort_unstable_by_key(|(entry, _)| *entry);
    // All texts lie one behind the other, so that no term needs room of its own.
    let mut folded = String::with_capacity(texts.iter().map(|(_, text)| text.as_ref().len()).sum());
    let ranges: Vec<Range<usize>> = texts
        .iter()
        .map(|(_, text)| {
            let from = folded.len();
            words::fold_each(text.as_ref(), |c, _| folded.push(c));
            from..folded.len()
        })
        .collect();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut terms: Vec<Found<'_>> = Vec::new();
    // Which term is in which message.
    let mut pairs: Vec<(usize, u32)> = Vec::new();
    for (number, range) in (0_u32..).zip(ranges) {
        words::terms(folded.get(range).unwrap_or_default(), |term| {
            let at = *known.entry(term.text).or_insert_with(|| {
                terms.push(Found { text: term.text, last: None, count: 0 });
                terms.len().saturating_sub(1)
            });
            if let Some(found) = terms.get_mut(at)
                && found.last.replace(number) != Some(number)
            {
                found.count = found.count.saturating_add(1);
                pairs.push((at, number));
            }
        });
    }
    // The messages of a term one behind the other, in their order.
    let mut ends: Vec<usize> = Vec::with_capacity(terms.len());
    let mut end = 0_usize;
    for found in &terms {
        ends.push(end);
        end = end.saturating_add(found.count);
    }
    let mut numbers = vec![0_u32; pairs.len()];
    for (at, number) in pairs {
        if let Some(end) = ends.get_mut(at)
            && let Some(place) = numbers.get_mut(*end)
        {
            *place = number;
            *end = end.saturating_add(1);
        }
    }
    let mut order: Vec<(&str, &[u32])> = terms
        .iter()
        .zip(&ends)
        .map(|(found, end)| {
            (found.text, numbers.get(end.saturating_sub(found.count)..*end).unwrap_or_default())
        })
        .collect();
    order.sort_unstable_by_key(|(text, _)| *text);
    let entries: Vec<Entry> = texts.iter().map(|(entry, _)| *entry).collect();
    let mut builder = Builder::of(&entries);
    for (term, numbers) in order {
        builder.push(term, numbers);
    }
    Some(builder.finish())
}

/// A term, the message that had it last, and how many have it.
struct Found<'t> {
    text: &'t str,
    last: Option<u32>,
    count: usize,
}
