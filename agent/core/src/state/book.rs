//! The events of a profile on disk: one row per batch, written with it. Rows of the running batch are not read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use cipher_api::Result;
use cipher_broker::codec;

use crate::state::{Fact, FactsRow, SubscriberRow};
use crate::store::key::RowKey as _;
use crate::store::sealed::{Row, Sealing, Writing};
use crate::store::{Store, named, table};

/// Events that are kept, some fifteen bytes each.
const EVENTS: u64 = 100_000;
/// So many more are kept until the oldest go, so that not every batch takes some away.
const SLACK: u64 = 10_000;
/// Named subscribers. One more takes the place of one that said nothing for [`SILENT_FOR`].
const SUBSCRIBERS: usize = 256;
const SILENT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// The journal, with the events of the running batch in front.
pub(crate) struct Journal {
    store: Store,
    /// Number of the oldest event on disk.
    first: u64,
    /// Number of the latest event on disk; 0 before the first.
    last: u64,
    facts: Vec<Fact>,
    subscribers: BTreeMap<String, SubscriberRow>,
    moved: BTreeSet<String>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("last", &self.last).finish_non_exhaustive()
    }
}

/// Events behind a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub facts: Vec<(u64, Fact)>,
    /// Number of the last event that the page is about.
    pub next: u64,
    /// Events in between that are not kept any more.
    pub missed: u64,
}

impl Journal {
    pub(crate) fn open(store: Store) -> Result<Self> {
        let journal = store.table(table::JOURNAL)?;
        let mut rows = journal.rows()?;
        let number = |row: &Row<'_>| u64::from_key(&row.key()).unwrap_or_default();
        let oldest = rows.next().transpose()?;
        let first = oldest.as_ref().map(number);
        let latest = rows.next_back().transpose()?.or(oldest);
        let last = latest.map_or(0, |row| match row.value() {
            Ok(facts) => last_of(number(&row), &facts),
            // However many events a damaged row had, none of their numbers is given again.
            Err(_) => number(&row).saturating_add(EVENTS),
        });
        let mut subscribers = BTreeMap::new();
        for row in store.table(table::SUBSCRIBERS)?.rows()? {
            let Ok(row) = row?.value() else { continue };
            if let Some((name, row)) = named::split(&row)
                && let Ok(row) = codec::decode(row)
            {
                subscribers.insert(name.to_owned(), row);
            }
        }
        let first = first.unwrap_or_else(|| last.saturating_add(1));
        Ok(Self { store, first, last, facts: Vec::new(), subscribers, moved: BTreeSet::new() })
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.facts.is_empty() && self.moved.is_empty()
    }

    /// The batch is not written. What was said of subscribers is read again with the store.
    pub(crate) fn discard(&mut self) {
        self.facts.clear();
        self.moved.clear();
    }

    pub(crate) fn flush(&self, writing: &Writing<'_>) -> Result<()> {
        if !self.facts.is_empty() {
            let mut journal = writing.table(table::JOURNAL)?;
            let number = self.last.saturating_add(1);
            journal.put_row(&number.to_key(), &FactsRow::of(&self.facts))?;
            let oldest = self.oldest_kept();
            if oldest > self.first {
                drop_before(&mut journal, oldest)?;
            }
        }
        if !self.moved.is_empty() {
            let mut subscribers = writing.table(table::SUBSCRIBERS)?;
            for name in &self.moved {
                let key = writing.name(table::SUBSCRIBERS, name);
                match self.subscribers.get(name) {
                    Some(row) => subscribers.put(&key, &named::join(name, &codec::encode(row)))?,
                    None => subscribers.remove(&key)?,
                }
            }
        }
        Ok(())
    }

    /// The batch is written.
    pub(crate) fn flushed(&mut self) {
        self.first = self.first.max(self.oldest_kept());
        self.last = self.behind_batch();
        self.discard();
    }

    /// Notes an event of the running batch, and gives its number.
    pub(crate) fn note(&mut self, fact: Fact) -> u64 {
        self.facts.push(fact);
        self.behind_batch()
    }

    /// Number of the latest event on disk.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// The events behind a number, oldest first, at most `limit`.
    pub(crate) fn behind(&self, after: u64, limit: usize) -> Result<Page> {
        let mut page = Page { facts: Vec::new(), next: after, missed: 0 };
        let journal = self.store.table(table::JOURNAL)?;
        // The row that the next one lies in.
        let wanted = after.saturating_add(1).to_key();
        let row = journal.range(Bound::Unbounded, Bound::Included(&wanted))?.next_back().transpose()?;
        let from = row.map_or(wanted, |row| row.key());
        for row in journal.range(Bound::Included(&from), Bound::Unbounded)? {
            let row = row?;
            let Some(number) = u64::from_key(&row.key()) else { continue };
            // A row of a later version, or one that is damaged, is passed over as one that is gone.
            let facts = row.value().ok().and_then(|facts| codec::decode(&facts).ok());
            for (number, fact) in (number..).zip(facts.unwrap_or_else(FactsRow::default).facts()) {
                let Some(fact) = fact.filter(|_| number > after) else { continue };
                if page.facts.len() >= limit {
                    return Ok(page);
                }
                let between = number.saturating_sub(page.next).saturating_sub(1);
                page.missed = page.missed.saturating_add(between);
                page.next = number;
                page.facts.push((number, fact));
            }
        }
        page.missed = page.missed.saturating_add(self.last.saturating_sub(page.next));
        page.next = page.next.max(self.last);
        Ok(page)
    }

    pub(crate) fn subscriber(&self, name: &str) -> Option<&SubscriberRow> {
        self.subscribers.get(name)
    }

    /// A subscriber handled everything up to a number. `false` when it is new and there is no place for it.
    #[must_use]
    pub(crate) fn moved(&mut self, name: String, row: SubscriberRow) -> bool {
        if self.subscribers.len() >= SUBSCRIBERS && !self.subscribers.contains_key(&name) {
            let silent = self.subscribers.iter().filter(|(_, known)| row.at.since(known.at) >= SILENT_FOR);
            let oldest = silent.min_by_key(|(_, known)| known.at).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return false };
            self.subscribers.remove(&oldest);
            self.moved.insert(oldest);
        }
        self.subscribers.insert(name.clone(), row);
        self.moved.insert(name);
        true
    }

    /// Number of the latest event of the running batch, or of the one before.
    fn behind_batch(&self) -> u64 {
        self.last.saturating_add(u64::try_from(self.facts.len()).unwrap_or(u64::MAX))
    }

    /// The oldest event that stays when the running batch is written.
    fn oldest_kept(&self) -> u64 {
        let last = self.behind_batch();
        let kept = last.saturating_add(1).saturating_sub(self.first);
        if kept > EVENTS.saturating_add(SLACK) {
            last.saturating_add(1).saturating_sub(EVENTS)
        } else {
            self.first
        }
    }
}

/// Forgets what is older than an event. A row that reaches beyond it goes with a later batch.
fn drop_before(journal: &mut Sealing<'_>, oldest: u64) -> Result<()> {
    while let Some((key, facts)) = journal.first()? {
        let number = u64::from_key(&key).unwrap_or_default();
        if facts.map_or(number, |facts| last_of(number, &facts)) >= oldest {
            break;
        }
        journal.remove(&key)?;
    }
    Ok(())
}

/// Number of the last event of a row.
fn last_of(first: u64, facts: &[u8]) -> u64 {
    // Of a row that a later version wrote one is counted: numbers only have to grow.
    let facts = codec::decode::<FactsRow>(facts).map_or(1, |facts| facts.len());
    first.saturating_add(u64::try_from(facts).unwrap_or(u64::MAX)).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use cipher_broker::id::GroupId;
    use cipher_broker::time::Timestamp;

    use super::*;

    fn journal() -> Journal {
        Journal::open(Store::in_memory()).unwrap()
    }

    fn written(journal: &mut Journal, events: usize) {
        for _ in 0..events {
            let number = journal.behind_batch().to_be_bytes();
            let mut id = [0; 16];
            id[8..].copy_from_slice(&number);
            journal.note(Fact::Group(GroupId::from_bytes(id)));
        }
        journal.store.write(Timestamp::default(), |txn| journal.flush(txn)).unwrap();
        journal.flushed();
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.facts.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn numbers_go_on_over_batches_and_processes_and_not_over_what_was_not_written() {
        let mut journal = journal();
        assert_eq!((journal.last(), journal.behind(0, 9).unwrap().next), (0, 0));
        written(&mut journal, 3);
        journal.note(Fact::JoinRequest(1));
        journal.discard();
        written(&mut journal, 2);
        let mut again = Journal::open(journal.store.clone()).unwrap();
        assert_eq!(again.last(), 5);
        assert_eq!(again.note(Fact::JoinRequest(1)), 6);
        assert_eq!(numbers(&again.behind(0, 99).unwrap()), [1, 2, 3, 4, 5]);
        for after in 0..6 {
            for limit in 0..6 {
                let page = again.behind(after, limit).unwrap();
                let expected: Vec<u64> = (after + 1..=5).take(limit).collect();
                assert_eq!(numbers(&page), expected, "{limit} behind {after}");
                assert_eq!(page.next, expected.last().copied().unwrap_or(after), "{limit} behind {after}");
                assert_eq!(page.missed, 0);
            }
        }
    }

    #[test]
    fn the_oldest_events_go_and_who_comes_for_them_is_told_how_many() {
        let mut journal = journal();
        written(&mut journal, 10);
        let all = usize::try_from(EVENTS + SLACK).unwrap();
        written(&mut journal, all - 11);
        assert_eq!(journal.behind(0, 1).unwrap().missed, 0);
        written(&mut journal, 2);
        let page = journal.behind(4, 1).unwrap();
        assert_eq!((page.missed, numbers(&page)), (6, vec![11]), "the row that reaches beyond stays");
        assert_eq!(Journal::open(journal.store.clone()).unwrap().last(), EVENTS + SLACK + 1);
    }

    /// E12: a store that a later build wrote to.
    #[test]
    fn e12_a_row_that_cannot_be_read_is_passed_over_as_one_that_is_gone() {
        let mut journal = journal();
        written(&mut journal, 2);
        written(&mut journal, 3);
        written(&mut journal, 2);
        let foreign = |number: u64| {
            journal.store.write(Timestamp::default(), |txn| {
                txn.table(table::JOURNAL)?.put(&number.to_key(), &codec::encode(&"later"))
            })
        };
        foreign(3).unwrap();
        let page = journal.behind(1, 99).unwrap();
        assert_eq!((page.missed, numbers(&page)), (3, vec![2, 6, 7]));
        foreign(8).unwrap();
        assert_eq!(Journal::open(journal.store.clone()).unwrap().last(), 8);
    }

    #[test]
    fn a_subscriber_keeps_its_place_until_it_said_nothing_for_a_month() {
        let mut journal = journal();
        let mut moves = |name: String, cursor, at: Duration| {
            let at = Timestamp::default().plus(at);
            journal.moved(name, SubscriberRow { cursor, at })
        };
        for n in 0..SUBSCRIBERS as u64 {
            assert!(moves(format!("subscriber {n}"), n, Duration::from_secs(n)));
        }
        assert!(!moves("one more".into(), 1, SILENT_FOR.saturating_sub(Duration::from_secs(1))));
        assert!(moves("subscriber 3".into(), 9, SILENT_FOR), "who has a place keeps it");
        assert!(moves("one more".into(), 1, SILENT_FOR));
        written(&mut journal, 0);
        let again = Journal::open(journal.store.clone()).unwrap();
        assert_eq!(again.subscribers.len(), SUBSCRIBERS);
        assert_eq!(again.subscriber("subscriber 0"), None);
        assert_eq!(again.subscriber("subscriber 1").map(|row| row.cursor), Some(1));
    }
}
