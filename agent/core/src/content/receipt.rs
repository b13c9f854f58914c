//! Receipts: devices tell each other how far they came, and authors see what became of their words.
//!
//! ```text
//! said by others ──► due in 2 s ──┐  of both at most one in 10 s, once the log is read to its end
//! shown here ──────► due now ─────┴─► "everything up to this message": a silent message in the log
//!                                                       │
//! others' receipts ──► reached::count ──► the row ──► `delivered`, `read` of own messages ──► news
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::view::{GroupState, MessageState, ReceiptView};
use cipher_api::{Event, Result};
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Receipt};

use crate::content::reached::{self, Claim};
use crate::machine::Core;
use crate::state::roster::Roster;
use crate::state::{MessageRow, Place, ReceiptsRow};

/// R-RECEIPT-07: between two receipts of a device in one conversation.
pub(super) const APART: Duration = Duration::from_secs(10);
/// How long what came waits: who looks at it says that it was read, in one receipt.
const DELIVERED_WAITS: Duration = Duration::from_secs(2);
/// Conversations told in one batch.
const PER_BATCH: usize = 16;
/// Lines before the one that was reached that are looked at for own messages, to tell what became of them.
const TOLD: u64 = 256;

impl Core {
    /// Others are to be told how far this account came, not before this time.
    pub(super) fn receipt_due(&mut self, group: GroupId, at: Timestamp) {
        if !self.state.receipts_on() {
            return;
        }
        let sooner = |due: &Option<Timestamp>| due.is_none_or(|due| due > at);
        if self.state.groups.get(&group).is_some_and(|row| !row.personal && sooner(&row.receipt_due))
            && let Some(row) = self.state.groups.get_mut(&group)
        {
            row.receipt_due = Some(at);
            self.run.content.receipts_due.insert(group);
        }
    }

    /// Somebody else said something.
    pub(super) fn receipt_due_soon(&mut self, group: GroupId) {
        self.receipt_due(group, self.run.now.plus(DELIVERED_WAITS));
    }

    /// Says the receipts that are due.
    pub(super) fn say_receipts(&mut self) -> Result<()> {
        if !self.run.connected || !self.state.receipts_on() {
            return Ok(());
        }
        let now = self.run.now;
        // Who only looks whether there is something new is gone in a moment.
        let hurries = !self.run.waits.syncs.is_empty();
        let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
        let rows = &self.state.groups;
        self.run
            .content
            .receipts_due
            .retain(|group| rows.get(group).is_some_and(|row| row.receipt_due.is_some()));
        for group in &self.run.content.receipts_due {
            let Some(row) = self.state.groups.get(group) else { continue };
            let Some(at) = row.receipt_due else { continue };
            let at =
                if hurries { row.receipt_said.plus(APART) } else { at.max(row.receipt_said.plus(APART)) };
            if row.state != GroupState::Active || row.lost.is_some() || row.parked > 0 {
                continue;
            }
            // A clock that was set back must not put it off for long.
            if at <= now || row.receipt_said > now {
                if self.run.delivery.is_caught_up(&Source::Group(*group)) {
                    due.push(*group);
                }
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        for group in due.iter().take(PER_BATCH) {
            self.say_receipt(*group)?;
        }
        if due.len() > PER_BATCH {
            next = Some(now);
        }
        if let Some(at) = next {
            self.run.wake_at(at.max(now.plus(Duration::from_millis(10))));
        }
        Ok(())
    }

    fn say_receipt(&mut self, group: GroupId) -> Result<()> {
        let now = self.run.now;
        let waiting: Vec<u64> = self.run.delivery.rows_of(group).collect();
        for row in waiting {
            if !self.queued(row).is_some_and(|(_, content)| matches!(content.body, Body::Receipt(_))) {
                continue;
            }
            if self.state.outbox.get(&row).is_some_and(|row| row.seal.is_some()) {
                // One is on its way.
                return self.receipt_done(group, now, true);
            }
            self.dequeue(row);
        }
        let goes = self.with_live(group, |core, live| Ok(core.state.exchanges_receipts(&live.roster)))?;
        let receipt = if goes { self.receipt(group)? } else { None };
        let Some(receipt) = receipt else { return self.receipt_done(group, now, false) };
        if self.state.must_have_room(1).is_err() {
            return self.receipt_done(group, now, true);
        }
        let content = self.content(Body::Receipt(receipt), None);
        self.enqueue_content(group, &content)?;
        self.receipt_done(group, now, false)?;
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.receipt_said = now;
        }
        Ok(())
    }

    fn receipt_done(&mut self, group: GroupId, now: Timestamp, again: bool) -> Result<()> {
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.receipt_due = again.then(|| now.plus(APART));
        }
        if again {
            self.run.wake_at(now.plus(APART));
        }
        Ok(())
    }

    /// How far this account came; `None` if its devices said so already.
    fn receipt(&self, group: GroupId) -> Result<Option<Receipt>> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(None) };
        let (own, joined) = (self.state.own_id(), row.joined_at);
        let others = |row: &MessageRow| row.is_said() && row.is_shown() && !row.failed && row.account != own;
        // R-RECEIPT-05: what was said while this account told nothing stays untold, whenever it was read.
        let since = self.state.meta.receipts_since;
        let untold = |row: &MessageRow| since.is_some_and(|since| row.at.unwrap_or(row.sent_at) <= since);
        let latest = |to: u64| -> Result<Option<(Place, MessageRow)>> {
            let found = self.history.before(&group, (to, u16::MAX), 1, others)?.into_iter().next();
            Ok(found.filter(|(place, row)| place.0 > joined && !untold(row)))
        };
        let said = self.state.receipts.get(&group).and_then(|row| row.of.get(&own));
        // R-RECEIPT-08: only up to what was shown with everything before it, and only what was not said yet.
        let stands =
            |place: Place| said.and_then(|said| reached::of_message(said, &[place.0])).map(|it| it.0);
        let read = row.read_to.map(latest).transpose()?.flatten();
        let read = read.filter(|(place, _)| stands(*place) != Some(MessageState::Read));
        let delivered = latest(row.cursor)?.filter(|(place, _)| stands(*place).is_none());
        let delivered = delivered.filter(|(place, _)| read.as_ref().is_none_or(|(read, _)| read < place));
        let id = |found: Option<(Place, MessageRow)>| found.map(|(_, row)| row.id);
        let mut receipt = Receipt { delivered: id(delivered), read: id(read), behind: None };
        if receipt.delivered.is_none() && receipt.read.is_none() {
            return Ok(None);
        }
        if since.is_some() {
            let last = (row.cursor, u16::MAX);
            let before = |row: &MessageRow| row.is_said() && !row.failed && untold(row);
            let behind = self.history.before(&group, last, 1, before)?.into_iter().next();
            receipt.behind = id(behind.filter(|(place, _)| place.0 > joined));
        }
        Ok(Some(receipt))
    }

    /// A member, or another own device, says how far it came.
    pub(super) fn receipt_came(
        &mut self,
        group: GroupId,
        roster: &Roster,
        account: AccountId,
        position: u64,
        receipt: &Receipt,
    ) -> Result<()> {
        // R-RECEIPT-02: on both sides.
        if self.state.receipts_on() && self.state.exchanges_receipts(roster) {
            let at = self.run.group.entry_at(self.run.now);
            self.receipt_counts(group, account, position, at, receipt)?;
        }
        Ok(())
    }

    /// A receipt has its place in the log. R-RECEIPT-01: it is the word of the account whose leaf said it, for all its devices.
    pub(super) fn receipt_counts(
        &mut self,
        group: GroupId,
        account: AccountId,
        position: u64,
        at: Timestamp,
        receipt: &Receipt,
    ) -> Result<()> {
        let Some(joined) = self.state.groups.get(&group).map(|row| row.joined_at) else { return Ok(()) };
        // R-RECEIPT-03: what is not here is no place that anybody reached.
        let place = |id: Option<MessageId>| -> Result<Option<u64>> {
            id.map(|id| self.history.seen(&group, &id)).transpose().map(Option::flatten)
        };
        let (delivered, read) = (place(receipt.delivered)?, place(receipt.read)?);
        let behind = place(receipt.behind)?.unwrap_or_default();
        let claim = Claim { position, at, joined, behind, delivered, read };
        let mut row = self.state.receipts.get(&group).cloned().unwrap_or_default();
        let before = row.clone();
        if !reached::count(row.of.entry(account).or_default(), &claim) {
            return Ok(());
        }
        self.state.receipts.insert(group, row);
        if account != self.state.own_id()
            && let Some(to) = delivered.max(read)
        {
            self.tell_reached(group, &before, to.min(position))?;
        }
        Ok(())
    }

    /// Tells what became of own messages, the latest ones.
    fn tell_reached(&mut self, group: GroupId, before: &ReceiptsRow, to: u64) -> Result<()> {
        let own = self.state.own_id();
        let mut rows =
            self.history.after(&group, to.saturating_sub(TOLD), usize::try_from(TOLD).unwrap_or(256))?;
        rows.retain(|(place, row)| place.0 <= to && row.account == own && row.is_words() && !row.deleted);
        for (place, row) in rows {
            let state = self.reached(&group, place, &row).0;
            let was = self.standing(before, &group, place, &row).0;
            if state != was {
                self.notify(Event::State { group, id: row.id, state });
            }
        }
        Ok(())
    }

    /// What became of an own message that is in the log, and who came how far with it.
    pub(super) fn reached(
        &self,
        group: &GroupId,
        place: Place,
        row: &MessageRow,
    ) -> (MessageState, Vec<ReceiptView>) {
        match self.state.receipts.get(group).filter(|_| self.state.receipts_on() && row.is_said()) {
            Some(receipts) => self.standing(receipts, group, place, row),
            None => (MessageState::Sent, Vec::new()),
        }
    }

    fn standing(
        &self,
        receipts: &ReceiptsRow,
        group: &GroupId,
        place: Place,
        row: &MessageRow,
    ) -> (MessageState, Vec<ReceiptView>) {
        let mut places = BTreeSet::from([place.0]);
        if self.state.went_back(group) {
            places.extend(self.history.seen(group, &row.id).ok().flatten());
        }
        let places: Vec<u64> = places.into_iter().collect();
        let own = self.state.own_id();
        let others =
            receipts.of.iter().filter(|(account, _)| **account != own && !self.state.blocks(account));
        let found = others.filter_map(|(account, reached)| {
            let (state, at) = reached::of_message(reached, &places)?;
            Some(ReceiptView { handle: self.state.handle_of(account), account_id: *account, state, at })
        });
        let mut views: Vec<ReceiptView> = found.collect();
        views.sort_by(|a, b| a.handle.cmp(&b.handle));
        let read = views.iter().any(|view| view.state == MessageState::Read);
        let state = match (read, views.is_empty()) {
            (true, _) => MessageState::Read,
            (false, false) => MessageState::Delivered,
            (false, true) => MessageState::Sent,
        };
        (state, views)
    }
}
