//! Copies of one store: which of them goes on.
//!
//! Copies sign words about their place in a group's log: new keys for their leaf (`doubled.rs`), requests to come back (`lost.rs`).
//! Each has a number of its own in its words, and of two that are in use the one with the smaller number goes on
//! (R-COPY-01). What an earlier life of a restored profile signed stops nobody; that another copy is in use shows by one of two things:
//!
//! - it speaks behind something that this process put into the log;
//! - it speaks behind a word of this store that it does not know. That is what two copies do that are used by turns. Restored backups do so
//!   too when they alternate with each other, so the person can say that this copy is to go on (R-COPY-03).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use cipher_api::view::{GroupState, MessageState};
use cipher_api::{ErrorKind, Event, Reply, Result};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;

use crate::delivery::outbox::OutboxEnd;
use crate::machine::Core;
use crate::state::position::{self, sequence_of};
use crate::state::{Failure, OutboxKind, WordRow, stopped};

/// What the device key signed in a word about its place, and no other part of this store did: a copy of it was at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CopysWord {
    /// The number of that copy when it signed.
    pub number: u64,
    /// Sequence of the last word in that log that the copy knew as its own.
    pub knew: u64,
    /// When it was signed, where the word says so: one that does can be shown again later.
    pub at: Option<Timestamp>,
}

/// What copies with smaller numbers said in a group's log since this process runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct CopysWords {
    /// Where the last of it lies.
    pub last: u64,
    /// The first word of the copy with the smallest number, which tells where it parted from this one, and where it lies.
    pub first: (u64, CopysWord),
}

/// What another copy's word means for this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stops,
    /// Both have the number that they were copied with: this one takes a smaller one.
    TakesAnotherNumber,
    GoesOn,
}

/// R-COPY-01: of two copies that are in use the one with the smaller number goes on. A number only ever gets smaller, so
/// no two copies stop for each other, whatever each has read of the other: the one that stops had the larger number when
/// it signed its last word, and so at all times before. `in_use`: the word is not of an earlier life of this store.
fn judged(number: u64, own: u64, in_use: bool) -> Verdict {
    match number.cmp(&own) {
        Ordering::Less if in_use => Verdict::Stops,
        Ordering::Equal => Verdict::TakesAnotherNumber,
        Ordering::Less | Ordering::Greater => Verdict::GoesOn,
    }
}

impl CopysWord {
    /// As a commit with new keys carries it: the number, the sequence, and random bytes that the store remembers.
    pub(super) fn written(self, random: [u8; 16]) -> [u8; 32] {
        let numbers = u128::from(self.number) << 64 | u128::from(self.knew);
        let mut bytes = [0; 32];
        let parts = numbers.to_be_bytes().into_iter().chain(random);
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        bytes
    }

    pub(super) fn read(bytes: &[u8; 32]) -> Self {
        let part = |at: usize| {
            let part = bytes.as_chunks().0.get(at).copied();
            part.map_or(u64::MAX, u64::from_be_bytes)
        };
        Self { number: part(0), knew: part(1), at: None }
    }
}

impl Core {
    /// Another copy put a word that the device key signed into a group's log. Whether this one stops at once.
    pub(super) fn copy_spoke(&mut self, group: GroupId, word: CopysWord, position: u64) -> bool {
        let own = self.copy_number();
        if word.number < own {
            let new = CopysWords { last: position, first: (position, word) };
            let words = self.run.group.copies.entry(group).or_insert(new);
            words.last = words.last.max(position);
            if word.number < words.first.1.number {
                words.first = (position, word);
            }
            if self.state.meta.stopped {
                self.stopped_for(word.number);
            }
        }
        match judged(word.number, own, self.was_awake(&group, position)) {
            Verdict::Stops => true,
            Verdict::TakesAnotherNumber => {
                self.take_number_below(own);
                false
            }
            Verdict::GoesOn => false,
        }
    }

    /// All logs are read to their end, with what other copies said there while this one was not running. Of these copies the one
    /// with the smallest number goes on; this one stops if that one is in use.
    pub(super) fn judge_copies(&mut self) -> Result<()> {
        let Some(smallest) = self.smallest_copy().filter(|_| !self.state.meta.stopped) else { return Ok(()) };
        let in_use = self.run.group.copies.iter().any(|(group, words)| {
            let (position, word) = words.first;
            word.number == smallest && self.was_at_work(group, word, position)
        });
        match judged(smallest, self.copy_number(), in_use) {
            Verdict::Stops => self.stop_for_copy(),
            Verdict::TakesAnotherNumber | Verdict::GoesOn => Ok(()),
        }
    }

    fn smallest_copy(&self) -> Option<u64> {
        self.run.group.copies.values().map(|words| words.first.1.number).min()
    }

    /// The number under which this copy signs. The words that it read and does not stop for are of an earlier life of it: it goes
    /// on in that one's place, and so for all who stop for that one.
    pub(super) fn signing_number(&mut self) -> u64 {
        if let Some(smallest) = self.smallest_copy()
            && smallest <= self.copy_number()
        {
            self.take_number_below(smallest);
        }
        self.copy_number()
    }

    fn take_number_below(&mut self, number: u64) {
        let smaller = u64::from_be_bytes(self.provider.bytes()).checked_rem(number).unwrap_or(0);
        self.state.meta_mut().copy_number = Some(smaller);
    }

    /// The number of this copy of the store.
    pub(super) fn copy_number(&mut self) -> u64 {
        if let Some(number) = self.state.meta.copy_number {
            return number;
        }
        let number = u64::from_be_bytes(self.provider.bytes());
        self.state.meta_mut().copy_number = Some(number);
        number
    }

    /// A word of this store about its place lies in a group's log.
    pub(super) fn own_word_lies(&mut self, group: GroupId, position: u64, at: Timestamp) {
        if let Some(row) = self.state.groups.get_mut(&group)
            && row.word.is_none_or(|word| word.position < position)
        {
            row.word = Some(WordRow { position, at });
        }
    }

    /// Sequence of the last word of this store in a group's log, as it tells others: one that does not know of it is another
    /// copy. A sequence of an earlier life of the log says nothing, so that nobody stops for it.
    pub(super) fn last_word(&self, group: &GroupId) -> u64 {
        let Some(row) = self.state.groups.get(group) else { return 0 };
        row.word.map_or(0, |word| {
            if position::era_of(word.position) == row.era { sequence_of(word.position) } else { u64::MAX }
        })
    }

    /// The broker stored something for this process. Gives whether another copy came behind it, for which this one
    /// stopped.
    pub(crate) fn put_in_log(&mut self, group: GroupId, sequence: u64) -> Result<bool> {
        let first = self.run.group.awake.entry(group).or_insert(sequence);
        *first = sequence.min(*first);
        // An acknowledgement that comes later than the log was read may still say that this one was awake by then.
        let spoken = self.run.group.copies.get(&group).copied();
        let stops = spoken.is_some_and(|words| {
            let own = self.copy_number();
            judged(words.first.1.number, own, self.was_awake(&group, words.last)) == Verdict::Stops
        });
        if stops {
            self.stop_for_copy()?;
        }
        Ok(stops)
    }

    /// Whether this process had put something into a group's log before this place. What lies before that may be of an
    /// earlier life of the profile, however late it is read.
    pub(super) fn was_awake(&self, group: &GroupId, position: u64) -> bool {
        self.run.group.awake.get(group).is_some_and(|first| *first < sequence_of(position))
    }

    /// Whether another copy signed a word behind one of this store, and did not know of that: neither is an earlier life of the
    /// other. A word that is shown again later is no younger than its signature says.
    fn was_at_work(&self, group: &GroupId, word: CopysWord, position: u64) -> bool {
        let Some(row) = self.state.groups.get(group) else { return false };
        row.word.is_some_and(|own| {
            let lies = row.here(own.position);
            word.knew < lies && lies < sequence_of(position) && word.at.is_none_or(|at| at > own.at)
        })
    }

    /// Of two copies that are in use the other one goes on.
    pub(super) fn stop_for_copy(&mut self) -> Result<()> {
        if self.state.meta.stopped {
            return Ok(());
        }
        tracing::warn!("another copy of this store is in use: this one stops");
        let now: Timestamp = self.run.now;
        let meta = self.state.meta_mut();
        meta.stopped = true;
        meta.doubled = Some((now, now));
        if let Some(smallest) = self.smallest_copy() {
            self.stopped_for(smallest);
        }
        let mut error = stopped();
        self.give_up_link();
        self.state.give_up_transfers();
        for group in self.state.groups.keys() {
            self.drop_intents(group, &error);
        }
        let unread = self.unread_words()?;
        self.nothing_leaves(OutboxEnd::Stopped);
        for ticket in std::mem::take(&mut self.run.waits.leaves).into_values() {
            self.run.reply(ticket, Err(stopped()));
        }
        if unread > 0 {
            error.message.push_str(&format!(
                ". Of what it said, {unread} could be read by nobody and is marked as not sent: say that again there"
            ));
        }
        self.notify(Event::Stopped { error });
        Ok(())
    }

    /// A number under which another copy went on.
    fn stopped_for(&mut self, number: u64) {
        let smallest = self.state.meta.stopped_for.map_or(number, |known| known.min(number));
        self.state.meta_mut().stopped_for = Some(smallest);
    }

    /// R-COPY-03: a copy that stopped goes on when its person says so: under a number that is smaller than that of every copy it
    /// read of, so that each of those stops, and with a new place in every group.
    pub(crate) fn device_resume(&mut self) -> Result<Reply> {
        if !self.state.meta.stopped {
            return Err(ErrorKind::Misuse.because("this profile has not stopped"));
        }
        let own = self.copy_number();
        let known = [self.state.meta.stopped_for, self.smallest_copy()];
        let smallest = known.into_iter().flatten().fold(own, u64::min);
        self.take_number_below(smallest);
        let meta = self.state.meta_mut();
        (meta.stopped, meta.stopped_for) = (false, None);
        for group in self.state.groups.keys() {
            // What nobody else is in shows nobody else's changes.
            if self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Active)
                && self.with_live(group, |_, live| Ok(live.roster.len() > 1))?
            {
                self.ask_anew(group);
            }
            self.run.touched.insert(group);
        }
        Ok(Reply::Done)
    }

    /// Marks what this copy said and nobody can have read, in all conversations: what lies behind the other one's words in
    /// an epoch whose keys both used, what found its place when this one's was in doubt, and what waits to be said again
    /// for such a reason. How much that is.
    fn unread_words(&mut self) -> Result<u64> {
        let mut unread = BTreeSet::new();
        let own = self.state.own_id();
        for group in self.state.groups.keys() {
            let Some(row) = self.state.groups.get(&group).filter(|row| !row.personal) else { continue };
            let doubled = row.doubled;
            let unsure =
                row.unsure.iter().map(|content| (group, MessageId::of_content(&group, &own, content)));
            unread.extend(unsure);
            let Some(doubled) = doubled else { continue };
            let sent = self.sealed_of(group)?.into_iter().map(|(_, sent)| sent);
            let behind = sent.filter(|sent| sent.epoch == doubled.epoch && sent.position > doubled.position);
            unread.extend(behind.filter_map(|sent| Some((group, sent.id?))));
        }
        let waits = self.state.outbox.iter().filter_map(|(_, row)| match row.kind {
            OutboxKind::Message { id, .. } => Some((row.group, id)),
            _ => None,
        });
        unread.extend(waits);
        let mut marked = 0u64;
        for (group, id) in unread {
            marked = marked.saturating_add(u64::from(self.was_not_read(group, id)?));
        }
        Ok(marked)
    }

    /// An own message that was sent turns out to have been read by nobody. Whether it was shown as sent.
    fn was_not_read(&mut self, group: GroupId, id: MessageId) -> Result<bool> {
        let Some(position) = self.history.seen(&group, &id)? else { return Ok(false) };
        let place = (position, 0);
        let row = self.history.at(&group, place)?;
        let Some(mut row) = row.filter(|row| row.id == id && row.is_said() && !row.failed) else {
            return Ok(false);
        };
        (row.failed, row.failure) = (true, Some(Failure::Unread));
        self.history.insert(group, place, row);
        self.notify(Event::State { group, id, state: MessageState::Failed });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_copy_01_of_two_copies_that_are_in_use_the_one_with_the_smaller_number_goes_on() {
        for (number, in_use, own, expected) in [
            (1, true, 2, Verdict::Stops),
            (1, false, 2, Verdict::GoesOn),
            (2, true, 1, Verdict::GoesOn),
            (2, false, 1, Verdict::GoesOn),
            (2, true, 2, Verdict::TakesAnotherNumber),
            (2, false, 2, Verdict::TakesAnotherNumber),
        ] {
            assert_eq!(judged(number, own, in_use), expected, "{number} {in_use} {own}");
        }
    }

    #[test]
    fn a_copys_word_is_read_as_it_was_written() {
        let word = CopysWord { number: 1 << 40, knew: 7, at: None };
        assert_eq!(CopysWord::read(&word.written([9; 16])), word);
    }

    /// Whatever words of each other two copies read, of before and after they took other numbers: they never both stop.
    #[test]
    fn r_copy_01_no_two_copies_stop_for_each_other() {
        let numbers = [3, 2, 1];
        // Each copy had some of these numbers, one after the other, beginning with the one that both were copied with.
        for ours in 1..=numbers.len() {
            for theirs in [&[3][..], &[3, 2], &[3, 1], &[3, 2, 1]] {
                let ours = &numbers[..ours];
                let stops = |reader: &[u64], writer: &[u64]| {
                    let own = *reader.last().unwrap();
                    writer.iter().any(|number| judged(*number, own, true) == Verdict::Stops)
                };
                assert!(!(stops(ours, theirs) && stops(theirs, ours)), "{ours:?} {theirs:?}");
            }
        }
    }
}
