//! Bytes that this device sealed: known when the log shows them, wherever it does, and said again when it lost them.

use std::time::Duration;

use cipher_api::Result;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::wire::content::Content;

use crate::machine::Core;
use crate::state::{
    MessageRow, OutboxKind, OutboxRow, Print, Seal, SealKey, SealedAs, SentRow, key, print_of_stored,
};

/// Rows that are looked at in one batch.
const PER_BATCH: usize = 256;

impl Core {
    /// Bytes that were sealed here, do not wait any more, and are not to be said again: they may lie in the log all the
    /// same.
    pub(crate) fn keep_sealed(&mut self, group: GroupId, seal: &Seal) {
        let Some(print) = print_of_stored(&seal.bytes) else { return };
        self.ledger.put_sent(group, &print, self.sent_row(seal, 0, None, Vec::new()));
    }

    /// An own message lies in the log: it can be told from others', and given back to a log that loses it. `row` goes into
    /// history for it at that place, if one does, and then says how the message was sealed.
    pub(crate) fn keep_said(
        &mut self,
        group: GroupId,
        seal: &Seal,
        position: u64,
        (id, payload): (MessageId, Vec<u8>),
        row: Option<(&mut MessageRow, &Content)>,
    ) {
        let Some(print) = print_of_stored(&seal.bytes) else { return };
        let sent = self.sent_row(seal, position, Some(id), payload);
        if let Some((row, content)) = row {
            row.sealed = SealedAs::of(&sent, &print, content, row);
            if row.sealed.is_some() {
                return self.ledger.placed(&group, key(&print), position);
            }
        }
        self.ledger.put_sent(group, &print, sent);
    }

    fn sent_row(&self, seal: &Seal, position: u64, id: Option<MessageId>, content: Vec<u8>) -> SentRow {
        let (content, hash, at) = (content.into(), seal.hash.to_vec().into(), self.run.now);
        SentRow { id, content, epoch: seal.epoch, hash, position, at }
    }

    /// What is known of bytes that may be ours and were met at a place.
    pub(super) fn sealed_here(
        &mut self,
        group: GroupId,
        print: &Print,
        position: u64,
    ) -> Result<Option<SentRow>> {
        let key = key(print);
        if let Some(sent) = self.sealed_at(group, &key, position)? {
            return Ok(Some(sent));
        }
        if let Some(sent) = self.ledger.sent(&group, print)? {
            return Ok(Some(sent));
        }
        let oldest = self.run.now.minus(limit::RETENTION);
        match self.ledger.place_of(&self.history, &group, &key, oldest)? {
            Some(place) => self.sealed_at(group, &key, place),
            None => Ok(None),
        }
    }

    /// The own message that stands in history at a place, if it was sealed like this.
    fn sealed_at(&self, group: GroupId, key: &SealKey, position: u64) -> Result<Option<SentRow>> {
        let row = self.history.at(&group, (position, 0))?;
        Ok(row.and_then(|mut row| {
            let sealed = row.sealed.take().filter(|sealed| sealed.key == *key)?;
            sealed.into_sent(&row, position)
        }))
    }

    /// A log that went back shows an own message at another place than before.
    pub(super) fn lies_elsewhere(
        &mut self,
        group: GroupId,
        print: &Print,
        sent: SentRow,
        position: u64,
    ) -> Result<()> {
        self.leaves_history(group, &key(print), sent.position)?;
        self.ledger.put_sent(group, print, SentRow { position, ..sent });
        Ok(())
    }

    /// The history row of an own message says no longer how it was sealed: the ledger has it now.
    fn leaves_history(&mut self, group: GroupId, key: &SealKey, position: u64) -> Result<()> {
        if let Some(mut row) = self.history.at(&group, (position, 0))?
            && row.sealed.as_ref().is_some_and(|sealed| sealed.key == *key)
        {
            row.sealed = None;
            self.history.insert(group, (position, 0), row);
        }
        Ok(())
    }

    /// All that this store sealed for a group and no log has let go of, in the order of the log.
    pub(super) fn sealed_of(&self, group: GroupId) -> Result<Vec<(SealKey, SentRow)>> {
        let oldest = self.run.now.minus(limit::RETENTION);
        let sent = self.ledger.sent_of(&group)?.into_iter().filter(|(_, sent)| sent.at >= oldest);
        let mut all: Vec<(SealKey, SentRow)> = sent.collect();
        for ((position, _), row, sealed) in self.history.sealed_since(&group, oldest)? {
            let key = sealed.key;
            all.extend(sealed.into_sent(&row, position).map(|sent| (key, sent)));
        }
        all.sort_by_key(|(_, sent)| sent.position);
        Ok(all)
    }

    /// Puts own messages into the outbox again, under their ids, in the order of the log. Who has them already keeps them
    /// where they are.
    pub(super) fn say_again(&mut self, group: GroupId, which: impl Fn(&SentRow) -> bool) -> Result<u64> {
        let mut said = 0u64;
        for (key, sent) in self.sealed_of(group)? {
            let Some(id) = sent.id.filter(|_| which(&sent) && !self.state.is_unsaid(&group, &sent)) else {
                continue;
            };
            if self.state.outbox.len() >= limit::OUTBOX_ROWS {
                break;
            }
            let kind = OutboxKind::Message { content: sent.content.to_vec(), id };
            self.leaves_history(group, &key, sent.position)?;
            self.ledger.spend(group, key, sent);
            self.enqueue(OutboxRow::new(group, kind, None));
            said = said.saturating_add(1);
        }
        Ok(said)
    }

    /// The words of a message are let go of: neither they nor any other words it got are said again, nor what this account made of
    /// it. That these bytes were sealed here stays known. `was` is its row of before, `row` what becomes of it.
    pub(crate) fn forget_sealed(
        &mut self,
        group: GroupId,
        position: u64,
        was: &MessageRow,
        row: &mut MessageRow,
    ) {
        if self.state.may_be_sealed(was) {
            self.note_unsaid(group, was.id);
        }
        let Some(sealed) = row.sealed.take() else { return };
        let key = sealed.key;
        if let Some(sent) = sealed.into_sent(was, position) {
            self.ledger.spend(group, key, sent);
        }
    }

    /// What was sealed of a message, and of what was made of it, is to go.
    fn note_unsaid(&mut self, group: GroupId, id: MessageId) {
        self.state.note_unsaid(group, id);
        self.run.wake_at(self.run.now.plus(Duration::from_millis(1)));
    }

    /// R-FORGET-12: empties what was sealed of messages that are gone, in bounded steps.
    pub(super) fn empty_unsaid(&mut self) -> Result<()> {
        let mut left = PER_BATCH;
        for group in self.state.unsaid.keys() {
            while left > 0 && self.state.unsaid.get(&group).is_some() {
                left = self.empty_unsaid_of(group, left)?;
            }
        }
        if self.state.unsaid.len() > 0 {
            self.run.wake_at(self.run.now.plus(Duration::from_millis(1)));
        }
        Ok(())
    }

    /// A step in one group; for how many rows there is room after it.
    fn empty_unsaid_of(&mut self, group: GroupId, most: usize) -> Result<usize> {
        let behind = self.state.unsaid.get(&group).and_then(|row| row.behind);
        let rows = self.ledger.sent_behind(&group, behind, most)?;
        let (looked_at, last) = (rows.len(), rows.last().map(|(key, _)| *key));
        for (key, sent) in rows {
            if !sent.content.is_empty() && self.state.is_unsaid(&group, &sent) {
                self.ledger.spend(group, key, sent);
            }
        }
        let Some(row) = self.state.unsaid.get_mut(&group) else { return Ok(most) };
        let goes_on = if looked_at == most {
            row.behind = last;
            true
        } else {
            row.turn_ends()
        };
        if !goes_on {
            self.state.unsaid.remove(&group);
        }
        Ok(most.saturating_sub(looked_at.max(1)))
    }

    /// Whether bytes of ours that wait have this print.
    pub(super) fn waits_with(&self, group: GroupId, print: &Print) -> bool {
        let rows = self.run.delivery.rows_of(group);
        let seals = rows.filter_map(|id| self.state.outbox.get(&id)?.seal.as_ref());
        seals.into_iter().any(|seal| print_of_stored(&seal.bytes).as_ref() == Some(print))
    }
}
