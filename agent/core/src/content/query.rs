//! What a person looks for, and whether a text has it: pure functions.

use std::collections::BTreeSet;

use cipher_api::command::message::TextMark;

use crate::state::index::Lookup;
use crate::state::index::words::{self, Term};

/// Places of one word of a query that are marked in a text, and of all of them: a text of 192 KiB may have a hundred thousand.
const MARKS_OF_ONE: usize = 64;
const MARKS: usize = 256;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query(Vec<Piece>);

/// A part of it that has to stand in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Folded.
    text: String,
    /// Whether it ends where a word ends.
    is_whole: bool,
    /// For each byte of it: with how many bytes what ends there begins anew (Knuth, Morris and Pratt).
    again: Vec<usize>,
}

impl Query {
    /// R-SEARCH-06: any text is a query, of which no sign is an error. `None` if there is nothing but blanks.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let folded = words::fold(text);
        let mut pieces = BTreeSet::new();
        let mut rest = folded.as_str();
        loop {
            rest = rest.trim_start_matches(' ');
            if rest.is_empty() {
                break;
            }
            // R-SEARCH-04: what stands between double quotes is one piece. A quote that nothing closes is a sign like others.
            let quoted = rest.strip_prefix('"').and_then(|rest| {
                let ends = rest.match_indices('"').map(|(at, _)| rest.split_at(at));
                ends.map(|(inner, behind)| (inner, behind.strip_prefix('"').unwrap_or_default()))
                    .find(|(_, behind)| behind.is_empty() || behind.starts_with(' '))
            });
            if let Some((inner, behind)) = quoted {
                let inner = inner.trim_matches(' ');
                if !inner.is_empty() {
                    pieces.insert((inner, true));
                }
                rest = behind;
                continue;
            }
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            pieces.insert((word, false));
            rest = behind;
        }
        let pieces: Vec<Piece> =
            pieces.into_iter().map(|(text, is_whole)| Piece::of(text, is_whole)).collect();
        (!pieces.is_empty()).then_some(Self(pieces))
    }

    /// R-SEARCH-08: by what the index is asked: every text that has the query has all of these. Nothing if no part of it can be looked
    /// up.
    pub(super) fn lookups(&self) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        for piece in &self.0 {
            words::terms(&piece.text, |Term { text, is_last, is_spare }| {
                if is_spare {
                    return;
                }
                let open = is_last && (!piece.is_whole || words::goes_on(text));
                let text = text.to_owned();
                lookups.push(if open { Lookup::Prefix(text) } else { Lookup::Exact(text) });
            });
        }
        lookups.sort();
        lookups.dedup();
        lookups
    }

    /// R-SEARCH-03: whether a text has all of it, and where; marks are in order and apart, and no more than [`MARKS`]. `None` if it has
    /// not.
    pub(super) fn find(&self, text: &str) -> Option<Vec<TextMark>> {
        let text = Folded::of(text);
        let mut marks = Vec::new();
        for piece in &self.0 {
            let (before, mut free_from) = (marks.len(), 0);
            piece.each(&text.folded, |at| {
                if at >= free_from && piece.stands(&text.folded, at) {
                    free_from = at.saturating_add(piece.text.len());
                    marks.push(text.mark(at, free_from));
                }
                marks.len().saturating_sub(before) < MARKS_OF_ONE
            });
            if marks.len() == before {
                return None;
            }
        }
        let mut marks = apart(marks);
        marks.truncate(MARKS);
        Some(marks)
    }
}

/// Marks in order, those that overlap or touch as one.
pub(super) fn apart(mut marks: Vec<TextMark>) -> Vec<TextMark> {
    marks.sort_unstable();
    let mut apart: Vec<TextMark> = Vec::with_capacity(marks.len());
    for mark in marks {
        match apart.last_mut() {
            Some(last) if mark.from <= last.to => last.to = last.to.max(mark.to),
            _ => apart.push(mark),
        }
    }
    apart
}

/// A folded text that knows where its characters come from.
struct Folded {
    folded: String,
    /// Of each character: the byte at which it begins, and the character of the text that it comes from.
    from: Vec<(usize, usize)>,
}

impl Folded {
    fn of(text: &str) -> Self {
        let (mut folded, mut from) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
        words::fold_each(text, |c, n| {
            from.push((folded.len(), n));
            folded.push(c);
        });
        Self { folded, from }
    }

    /// Where in the text the bytes from one to another come from; there is one at least.
    fn mark(&self, begin: usize, end: usize) -> TextMark {
        let of = |byte: usize| {
            let at = self.from.partition_point(|(known, _)| *known <= byte).checked_sub(1);
            at.and_then(|at| self.from.get(at)).map_or(0, |(_, from)| *from)
        };
        TextMark { from: of(begin), to: of(end.saturating_sub(1)).saturating_add(1) }
    }
}

impl Piece {
    fn of(text: &str, is_whole: bool) -> Self {
        let bytes = text.as_bytes();
        let mut piece = Self { text: text.to_owned(), is_whole, again: Vec::with_capacity(bytes.len()) };
        let mut matched = 0;
        for byte in bytes {
            matched = if piece.again.is_empty() { 0 } else { piece.step(matched, *byte) };
            piece.again.push(matched);
        }
        piece
    }

    /// How many bytes match when so many did, and this one follows.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        let bytes = self.text.as_bytes();
        loop {
            if bytes.get(matched) == Some(&byte) {
                return matched.saturating_add(1);
            }
            let Some(last) = matched.checked_sub(1) else { return 0 };
            matched = self.again.get(last).copied().unwrap_or_default();
        }
    }

    /// Tells `with` each byte of a folded text at which it begins, also within another one of them, until it says that it has enough.
    /// Looks at each byte of the text once: what does not stand must not hide what does, and no text makes that long.
    fn each(&self, folded: &str, mut with: impl FnMut(usize) -> bool) {
        let mut matched = 0;
        for (at, byte) in folded.bytes().enumerate() {
            matched = self.step(matched, byte);
            if matched == self.text.len() && !with(at.saturating_add(1).saturating_sub(matched)) {
                return;
            }
        }
    }

    /// R-SEARCH-02, R-SEARCH-05: it begins where a word begins; of a script without blanks that is anywhere.
    fn stands(&self, folded: &str, at: usize) -> bool {
        let Some((before, behind)) = folded.split_at_checked(at) else { return false };
        let Some((_, after)) = behind.split_at_checked(self.text.len()) else { return false };
        let (first, last) = (self.text.chars().next(), self.text.chars().next_back());
        let begins = words::is_boundary(before.chars().next_back(), first);
        begins && (!self.is_whole || words::is_boundary(last, after.chars().next()))
    }
}

#[cfg(test)]
#[path = "query_test.rs"]
mod tests;
