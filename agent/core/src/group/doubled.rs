//! One device that is there twice: bytes in a log that name it and that this store never sealed.
//!
//! A profile that was restored from a backup, or copied, has the keys of the other one, and would seal different bytes
//! with the same keys: others open the first and drop the second. A member of the group can also seal such bytes, to
//! use up keys of ours (OpenMLS does not look who wrote what names ourselves). In both cases the same helps:
//!
//! ```text
//! our name, our epoch, unknown bytes ──► nothing is sent ──► a commit with new keys for our leaf ──► new epoch
//!                                                                       │                     what was said behind
//!                                            signed by the device key   │                     the unknown bytes is
//!                                                                       ▼                     said again
//!               another copy that is awake sees it: it stops, for good (exit code 7), or asks to come back, and then this one stops
//! ```
//! Which of the two it is does not depend on what each of them has read: each signs with a number of its own, and the smaller
//! one goes on (R-COPY-01).
//!
//! The signature is of random bytes too, which the store that made it remembers: a member that seals in our name, with a
//! broker that withholds our commit, could else show us our own signature as another copy's. It cannot name the commit it
//! is in, since it is part of what that one authenticates, and what names ourselves opens for nobody here.
//!
//! Bytes that were sealed here are known by their print (`ledger.rs`): repeats of them are nothing, nor are copies in
//! which somebody without keys changed a bit. Bytes of an older
//! epoch open for nobody.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use cipher_broker::codec;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::sign::{self, Purpose};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::CommitNote;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::core::Core;
use crate::error::{CoreError, ErrorKind, Result};
use crate::event::Event;
use crate::group::loaded::Live;
use crate::group::lost::Why;
use crate::ledger::Print;
use crate::position::sequence_of;
use crate::state::{OutboxKind, Wish};

/// Bytes of ours that this store does not know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DoubledRow {
    /// The epoch they are of.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// Where the first of them lies.
    #[serde(rename = "p")]
    pub position: u64,
}

/// Own words about new keys that are known again, per group. Each is good in its own epoch only.
const HEALED: usize = 16;
/// Bytes of the number of a copy, in front of the random ones that its word is of.
const NUMBER: usize = 8;
/// How often the person is told at most.
const TELL_EVERY: Duration = Duration::from_secs(3600);

/// A word that the device key signed, and another copy of this store put into a group's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CopysWord {
    /// The number of that copy when it signed.
    number: u64,
    /// This process had put something into that log before.
    awake: bool,
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
/// it signed its last word, and so at all times before.
fn judged(word: CopysWord, own: u64) -> Verdict {
    match word.number.cmp(&own) {
        Ordering::Less if word.awake => Verdict::Stops,
        Ordering::Equal => Verdict::TakesAnotherNumber,
        Ordering::Less | Ordering::Greater => Verdict::GoesOn,
    }
}

impl Core {
    /// Bytes that name us as their sender, in our epoch, and do not wait in the outbox.
    pub(crate) fn own_again(
        &mut self,
        group: GroupId,
        live: &mut Live,
        handshake: bool,
        (hash, print): (&[u8; 32], Option<&Print>),
        aad: &[u8],
        position: u64,
    ) -> Result<()> {
        // Without a print nothing names anybody. A copy of ours that somebody changed has the same one as ours.
        let Some(print) = print else { return Ok(()) };
        if let Some(sent) = self.sealed_here(group, print, position)? {
            if let Some(row) = self.state.groups.get_mut(&group)
                && row.unseen == Some(position)
                && sent.is(hash)
            {
                row.unseen = None;
            }
            return Ok(());
        }
        if self.waits_with(group, print) {
            return Ok(());
        }
        if handshake {
            return self.own_handshake_unknown(group, live, aad, position);
        }
        let epoch = live.epoch();
        let Some(row) = self.state.groups.get_mut(&group).filter(|row| row.doubled.is_none()) else {
            return Ok(());
        };
        row.doubled = Some(DoubledRow { epoch, position });
        self.wish_new_keys(group)?;
        self.tell_doubled(group);
        Ok(())
    }

    /// A commit or proposal in our name that was not made here. That it is ours is a claim of any member, unless the device key
    /// signed that it gives itself new keys: then another copy of this store is at work, and one of the two stops. Else everybody but us may have gone on behind it, and nobody could open a commit that we made in this
    /// epoch, because its key was used up: it would be a branch of our own. So others are asked where they are first.
    fn own_handshake_unknown(
        &mut self,
        group: GroupId,
        live: &mut Live,
        aad: &[u8],
        position: u64,
    ) -> Result<()> {
        let epoch = live.epoch();
        let identity = self.identity()?;
        let key = SigningKey::from_bytes(&identity.device_seed).verifying_key().to_bytes();
        let own = self.state.groups.get(&group).map(|row| row.healed.clone()).unwrap_or_default();
        // R-COPY-02: what this store signed itself is no word of another copy, whatever commit carries it.
        let number = codec::decode::<CommitNote>(aad).ok().and_then(|note| {
            let (nonce, signature) = note.healing()?;
            let message = CommitNote::new_keys(&group, epoch, nonce);
            let ours = own.iter().any(|own| own.as_slice() == nonce);
            sign::verify(&key, Purpose::NewKeys, &message, signature).ok()?;
            (!ours).then_some(number_of(nonce))
        });
        if number.is_some_and(|number| self.copy_spoke(group, number, position)) {
            return self.stop_for_good();
        }
        self.tell_doubled(group);
        self.suspect(group, epoch);
        self.drop_slot(group, live)?;
        self.lost(group, Why::OwnCommit);
        Ok(())
    }

    /// Another copy put a word that the device key signed into a group's log. Whether this one stops.
    pub(crate) fn copy_spoke(&mut self, group: GroupId, number: u64, position: u64) -> bool {
        let own = self.copy_number();
        let word = CopysWord { number, awake: self.was_awake(&group, position) };
        match judged(word, own) {
            Verdict::Stops => return true,
            Verdict::TakesAnotherNumber => {
                let smaller = u64::from_be_bytes(self.provider.bytes()).checked_rem(own).unwrap_or(0);
                self.state.meta_mut().copy_number = Some(smaller);
            }
            Verdict::GoesOn if number < own => {
                // An acknowledgement that comes later than the log was read may still say that this one was awake by then.
                let last = self.run.copies.entry(group).or_insert((position, number));
                *last = (position.max(last.0), number.min(last.1));
            }
            Verdict::GoesOn => {}
        }
        false
    }

    /// The number of this copy of the store.
    pub(crate) fn copy_number(&mut self) -> u64 {
        if let Some(number) = self.state.meta.copy_number {
            return number;
        }
        let number = u64::from_be_bytes(self.provider.bytes());
        self.state.meta_mut().copy_number = Some(number);
        number
    }

    /// The broker stored something for this process. Whether another copy came behind it, for which this one stops.
    pub(crate) fn put_in_log(&mut self, group: GroupId, sequence: u64) -> bool {
        let first = self.run.awake.entry(group).or_insert(sequence);
        *first = sequence.min(*first);
        let spoken = self.run.copies.get(&group).copied();
        spoken.is_some_and(|(position, number)| self.copy_spoke(group, number, position))
    }

    /// Whether this process had put something into a group's log before this place. What lies before that may be of an
    /// earlier life of the profile, however late it is read.
    pub(crate) fn was_awake(&self, group: &GroupId, position: u64) -> bool {
        self.run.awake.get(group).is_some_and(|first| *first < sequence_of(position))
    }

    fn wish_new_keys(&mut self, group: GroupId) -> Result<()> {
        let wished = |row: &crate::state::IntentRow| row.group == group && matches!(row.wish, Wish::Rotate);
        if !self.state.intents.iter().any(|(_, row)| wished(row)) {
            self.wish(group, Wish::Rotate, None)?;
        }
        self.run.touched.insert(group);
        Ok(())
    }

    /// The device key's word that this commit gives the own leaf new keys, because of bytes that are not ours; also in every
    /// commit to a group that nobody else is in, where it is all that another copy can go by.
    pub(crate) fn new_keys_signature(&mut self, group: &GroupId, epoch: u64, alone: bool) -> Result<ByteBuf> {
        if !alone && self.state.groups.get(group).is_none_or(|row| row.doubled.is_none()) {
            return Ok(ByteBuf::new());
        }
        let key = SigningKey::from_bytes(&self.identity()?.device_seed);
        let mut nonce: [u8; 16] = self.provider.bytes();
        let (number, _) = nonce.split_at_mut(NUMBER);
        number.copy_from_slice(&self.copy_number().to_be_bytes());
        if let Some(row) = self.state.groups.get_mut(group) {
            row.healed.push(ByteBuf::from(nonce.to_vec()));
            let extra = row.healed.len().saturating_sub(HEALED);
            row.healed.drain(..extra);
        }
        let signature = sign::sign(&key, Purpose::NewKeys, &CommitNote::new_keys(group, epoch, &nonce));
        Ok(ByteBuf::from([nonce.as_slice(), &signature].concat()))
    }

    /// The keys are new: what was said behind bytes that used the old ones up may have been read by nobody.
    pub(crate) fn say_after_doubling(&mut self, group: GroupId, doubled: DoubledRow) -> Result<()> {
        let behind = |sent: &crate::ledger::SentRow| sent.position > doubled.position;
        self.say_again(group, |sent| sent.epoch == doubled.epoch && behind(sent)).map(drop)
    }

    pub(crate) fn tell_doubled(&mut self, group: GroupId) {
        let now = self.run.now;
        let told = self.state.meta.doubled.map(|(_, told)| told);
        let due = told.is_none_or(|told| now >= told.plus(TELL_EVERY));
        let told = if due { now } else { told.unwrap_or(now) };
        self.state.meta_mut().doubled = Some((now, told));
        if due {
            let name = self.conversation_name(&group);
            self.notify(Event::Warning(format!(
                "in '{name}' lies something in the name of this device that it did not send: this profile was \
                 copied or restored, or a member repeats messages. The device takes new keys and goes on; to use \
                 a second machine run there: cipher-chat device link"
            )));
        }
    }

    /// Of two copies that are awake the other one goes on.
    pub(crate) fn stop_for_good(&mut self) -> Result<()> {
        if self.state.meta.stopped {
            return Ok(());
        }
        tracing::warn!("another copy of this store is in use: this one stops");
        let now: Timestamp = self.run.now;
        let meta = self.state.meta_mut();
        meta.stopped = true;
        meta.doubled = Some((now, now));
        let error = stopped();
        self.give_up_link();
        self.give_up_transfers();
        for group in self.state.groups.keys() {
            self.drop_intents(group, &error);
        }
        let unread = self.unread_words()?;
        self.drop_whole_outbox();
        for ticket in std::mem::take(&mut self.run.leaves).into_values() {
            self.reply(ticket, Err(stopped()));
        }
        let hint = error.hint.unwrap_or_default();
        self.notify(Event::Warning(match unread {
            0 => format!("{}; {hint}", error.message),
            n => format!(
                "{}. Of what it said, {n} could be read by nobody and is marked as not sent: say that again there; \
                 {hint}",
                error.message
            ),
        }));
        Ok(())
    }

    /// Marks what this copy said and nobody can have read, in all conversations: what lies behind the other one's words in
    /// an epoch whose keys both used, what found its place when this one's was in doubt, and what waits to be said again
    /// for such a reason. How much that is.
    fn unread_words(&mut self) -> Result<u64> {
        let mut unread = BTreeSet::new();
        let own = self.own_id();
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
}

/// The number of the copy that signed these bytes.
fn number_of(nonce: &[u8; 16]) -> u64 {
    nonce.split_first_chunk().map_or(u64::MAX, |(number, _)| u64::from_be_bytes(*number))
}

/// What a copy says that has stopped.
pub(crate) fn stopped() -> CoreError {
    ErrorKind::Locked
        .because("another copy of this profile is in use and goes on; this one has stopped for good")
        .hint("for a second machine link it in a fresh profile: cipher-chat --profile NAME device link")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_copy_01_of_two_copies_that_are_awake_the_one_with_the_smaller_number_goes_on() {
        for (number, awake, own, expected) in [
            (1, true, 2, Verdict::Stops),
            (1, false, 2, Verdict::GoesOn),
            (2, true, 1, Verdict::GoesOn),
            (2, false, 1, Verdict::GoesOn),
            (2, true, 2, Verdict::TakesAnotherNumber),
            (2, false, 2, Verdict::TakesAnotherNumber),
        ] {
            assert_eq!(judged(CopysWord { number, awake }, own), expected, "{number} {awake} {own}");
        }
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
                    let word = |number: &u64| CopysWord { number: *number, awake: true };
                    writer.iter().any(|number| judged(word(number), own) == Verdict::Stops)
                };
                assert!(!(stops(ours, theirs) && stops(theirs, ours)), "{ours:?} {theirs:?}");
            }
        }
    }
}
