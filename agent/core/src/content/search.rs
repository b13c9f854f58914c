//! Looking for what members said.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::command::message::{Found, Hit, Indexing, Search, TextMark};
use cipher_api::{ErrorKind, Hint, Reply, Result};
use cipher_broker::id::{AccountId, GroupId};

use crate::content::query::Query;
use crate::machine::Core;
use crate::state::MessageRow;
use crate::state::index::{Entry, Wanted};

/// Hits that are given when nobody says how many.
const USUAL: usize = 20;
/// Hits that are given at once.
const MOST: usize = 500;
/// An own message is ordered by this device's clock until the broker's time of it is known.
const CLOCKS_APART: Duration = Duration::from_secs(24 * 3600);
/// Rows that are looked at for one request: others wait meanwhile.
const LOOKED_AT: usize = 4096;
/// What is asked for as a kind and has files, whatever it says.
const FILE: &str = "file";

impl Core {
    pub(super) fn search(&self, asked: &Search) -> Result<Reply> {
        self.state.identity()?;
        let query = Query::parse(&asked.query).ok_or_else(|| {
            ErrorKind::Usage
                .because("there is nothing to look for in a text of blanks")
                .hint(Hint::text("give a word, or the beginning of one"))
        })?;
        let before = match &asked.behind {
            Some(text) => Some(Entry::from_cursor(text).ok_or_else(|| {
                ErrorKind::Usage
                    .because("'behind' is not what an earlier search gave as 'next'")
                    .hint(Hint::text("leave it away to begin with the newest"))
            })?),
            None => None,
        };
        let within: BTreeSet<GroupId> = match &asked.target {
            Some(target) => self.readable(target)?.into_iter().collect(),
            None => self.state.groups.iter().filter(|(_, row)| !row.personal).map(|(id, _)| *id).collect(),
        };
        let from = match &asked.from {
            Some(who) => Some(self.state.account_by(who).ok_or_else(|| {
                ErrorKind::NotFound
                    .because(format!("nobody is known here as {who}"))
                    .hint(Hint::text("give the handle of somebody who is in a conversation with you"))
            })?),
            None => None,
        };
        // A part of what is left comes into the index with every question.
        self.history.index.hurry()?;
        let wanted = Wanted {
            terms: query.lookups(),
            within,
            since: asked.since.map(|since| since.minus(CLOCKS_APART).as_millis() / 1000),
            before,
        };
        let limit = asked.limit.unwrap_or(USUAL).min(MOST);
        let (hits, next) = self.look_through(&query, wanted, asked, from, limit)?;
        // What turned out to be damaged hid messages: it is made anew from this batch on.
        self.history.index.hurry_if_broken();
        let indexing = if self.history.index.is_complete()? {
            None
        } else {
            Some(Indexing { done: self.history.index.done()?, total: self.history.count()? })
        };
        Ok(Found { hits, next, indexing }.into())
    }

    /// Looks at candidates until there are enough.
    fn look_through(
        &self,
        query: &Query,
        wanted: Wanted,
        asked: &Search,
        from: Option<AccountId>,
        limit: usize,
    ) -> Result<(Vec<Hit>, Option<String>)> {
        let mut hits = Vec::new();
        if limit == 0 {
            return Ok((hits, None));
        }
        let rows = self.history.rows_at()?;
        // What this batch writes is not in the index yet.
        let mut written = self.history.unindexed();
        written.retain(|entry| {
            wanted.within.contains(&entry.group)
                && wanted.before.is_none_or(|before| *entry < before)
                && wanted.since.is_none_or(|since| entry.at >= since)
        });
        let mut candidates = self.history.index.candidates(wanted)?;
        let mut stored = candidates.next()?;
        for _ in 0..LOOKED_AT {
            let newest = match (written.last(), stored) {
                (Some(written), Some(stored)) => Some((*written).max(stored)),
                (written, stored) => written.copied().or(stored),
            };
            let Some(entry) = newest else { return Ok((hits, None)) };
            let is_of_batch = written.last() == Some(&entry);
            if is_of_batch {
                written.pop();
            }
            if stored == Some(entry) {
                stored = candidates.next()?;
            }
            // What the batch writes elsewhere in the order is taken there.
            if !is_of_batch && self.history.is_written(&entry.group, entry.place) {
                continue;
            }
            let Some(row) = rows(&entry.group, entry.place)? else { continue };
            let Some(marks) =
                self.is_wanted(&entry.group, &row, asked, from).and_then(|words| query.find(&words))
            else {
                continue;
            };
            let marks = self.marks_shown(&row, in_text(&row, marks));
            hits.push(Hit { message: self.message_view(entry.group, entry.place, &row), marks });
            if hits.len() >= limit {
                return Ok((hits, Some(entry.to_cursor())));
            }
        }
        let next = [written.last().copied(), stored].into_iter().flatten().max();
        // Behind it comes what was not looked at, itself included.
        Ok((hits, next.map(|entry| entry.just_before().to_cursor())))
    }

    /// R-SEARCH-07: the words that stand now, of nobody who is blocked; nothing that was deleted or disappeared, and no event.
    fn is_wanted<'r>(
        &self,
        group: &GroupId,
        row: &'r MessageRow,
        asked: &Search,
        from: Option<AccountId>,
    ) -> Option<Cow<'r, str>> {
        let words = row.searched()?;
        let is_in_time = asked.since.is_none_or(|since| row.at.unwrap_or(row.sent_at) >= since);
        let is_of = from.is_none_or(|account| account == row.account);
        let is_kind = asked.kind.as_deref().is_none_or(|kind| is_of_kind(row, kind));
        let is_hidden = self.state.hides(row) || self.state.is_over(group, row, self.run.now);
        (is_in_time && is_of && is_kind && !is_hidden).then_some(words)
    }
}

/// Whether a message is of a kind; what has files is a file besides.
fn is_of_kind(row: &MessageRow, kind: &str) -> bool {
    kind == row.kind() || (kind == FILE && !row.attachments.is_empty())
}

/// Of what was found the part that is text: names of files stand behind it.
fn in_text(row: &MessageRow, mut marks: Vec<TextMark>) -> Vec<TextMark> {
    if row.attachments.is_empty() {
        return marks;
    }
    let length = row.text.chars().count();
    marks.retain(|mark| mark.from < length);
    for mark in &mut marks {
        mark.to = mark.to.min(length);
    }
    marks
}

#[cfg(test)]
#[path = "search_test.rs"]
mod tests;
