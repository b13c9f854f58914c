//! What a person looks for, and whether a text has it: pure functions.

use cipher_api::command::message::TextMark;

use crate::state::index::Lookup;
use crate::state::index::words::{self, Term};

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
}

impl Query {
    /// R-SEARCH-06: any text is a query, of which no sign is an error. `None` if there is nothing but blanks.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let folded = words::fold(text);
        let mut pieces = Vec::new();
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
                    pieces.push(Piece { text: inner.to_owned(), is_whole: true });
                }
                rest = behind;
                continue;
            }
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            pieces.push(Piece { text: word.to_owned(), is_whole: false });
            rest = behind;
        }
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

    /// R-SEARCH-03: whether a text has all of it, and where; marks are in order and apart. `None` if it has not.
    pub(super) fn find(&self, text: &str) -> Option<Vec<TextMark>> {
        let (mut folded, mut from) = (String::with_capacity(text.len()), Vec::new());
        words::fold_each(text, |c, n| {
            folded.push(c);
            from.push(n);
        });
        let mut marks = Vec::new();
        for piece in &self.0 {
            let before = marks.len();
            for (at, _) in folded.match_indices(piece.text.as_str()) {
                marks.extend(piece.stands(&folded, at).then(|| mark(&folded, &from, at, &piece.text)));
            }
            if marks.len() == before {
                return None;
            }
        }
        marks.sort_unstable();
        let mut apart: Vec<TextMark> = Vec::with_capacity(marks.len());
        for mark in marks {
            match apart.last_mut() {
                Some(last) if mark.from <= last.to => last.to = last.to.max(mark.to),
                _ => apart.push(mark),
            }
        }
        Some(apart)
    }
}

impl Piece {
    /// R-SEARCH-02, R-SEARCH-05: it begins where a word begins; of a script without blanks that is anywhere.
    fn stands(&self, folded: &str, at: usize) -> bool {
        let Some((before, behind)) = folded.split_at_checked(at) else { return false };
        let Some((_, after)) = behind.split_at_checked(self.text.len()) else { return false };
        let (first, last) = (self.text.chars().next(), self.text.chars().next_back());
        let begins = words::is_boundary(before.chars().next_back(), first);
        begins && (!self.is_whole || words::is_boundary(last, after.chars().next()))
    }
}

/// Where in the text it stands.
fn mark(folded: &str, from: &[usize], at: usize, piece: &str) -> TextMark {
    let first = folded.get(..at).map_or(0, |before| before.chars().count());
    let last = first.saturating_add(piece.chars().count()).saturating_sub(1);
    let of = |n: usize| from.get(n).copied().unwrap_or_default();
    TextMark { from: of(first), to: of(last).saturating_add(1) }
}

#[cfg(test)]
#[path = "query_test.rs"]
mod tests;
