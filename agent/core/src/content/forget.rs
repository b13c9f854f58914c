//! Messages that disappear some time after they were read.
//!
//! ```text
//! said, heard ──► expires_at: from sending, from the end of the log ──┐
//! shown here ──► sooner, and told to own devices ─────────────────────┴─► due ─► nothing is left but that it was there
//!                                                                               (256 in a batch)
//! ```
//! Its row stays, without words: so nothing that names it, changes it or says it again finds a gap to fill.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::{Event, Result};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::sync::SyncNote;

use crate::content::expiry::{self, Arrival};
use crate::machine::Core;
use crate::state::{Change, MessageRow, Place, Powers, WaitingChange};

/// Messages forgotten in one batch.
const PER_BATCH: usize = 256;
/// Messages of which own devices are told in one note.
const PER_NOTE: usize = 1_000;

impl Core {
    /// What its author wants of a message that takes its place here.
    pub(super) fn will_expire(&self, group: GroupId, place: Place, row: &mut MessageRow, powers: Powers) {
        let of_group = self.state.groups.get(&group);
        // R-FORGET-10: no member keeps it longer than the group lets it, whatever its agent said.
        let wanted = row.expire.into_iter().chain(powers.expire_seconds.map(u64::from)).min();
        row.expire = wanted.filter(|_| row.is_words()).map(expiry::bounded);
        let Some(seconds) = row.expire else {
            // R-FORGET-11: it came late.
            if self.state.is_over(&group, row, self.run.now) {
                row.forget();
            }
            return;
        };
        let arrival = Arrival {
            at: row.at.unwrap_or(self.run.now),
            now: self.run.now,
            own: row.account == self.state.own_id(),
            by_bot: self.state.identity.as_ref().is_some_and(|own| own.kind == Kind::Bot),
            read: of_group.is_some_and(|row| row.has_read(place.0)),
        };
        row.expires(expiry::begins(seconds, &arrival));
        // Another own device may have shown it before it came here.
        let waiting = self.state.changes.get(&(group, row.id)).into_iter().flat_map(|row| &row.waiting);
        for waiting in waiting.filter(|waiting| waiting.change == Change::Expire) {
            row.expires(Timestamp::from_millis(waiting.position));
        }
        if self.state.is_over(&group, row, self.run.now) {
            row.forget();
        }
    }

    /// R-FORGET-07: what is shown now counts from now on, on all own devices, if it does not count yet: history of a device that is
    /// gone may not have.
    pub(super) fn expiry_begins_for(&mut self, group: GroupId, shown: &BTreeSet<MessageId>) -> Result<()> {
        if !self.has_expiring() || self.state.groups.get(&group).is_none_or(|row| row.personal) {
            return Ok(());
        }
        let mut rows = Vec::new();
        for id in shown {
            let found = self.history.find(group, id, self.state.went_back(&group))?;
            rows.extend(found.filter(|(_, row)| row.expire.is_some() && !self.state.hides(row)));
        }
        self.expiry_begins(group, &rows, true)
    }

    /// Counts from now on.
    fn expiry_begins(&mut self, group: GroupId, rows: &[(Place, MessageRow)], tell: bool) -> Result<()> {
        let own = self.state.own_id();
        let mut told: Vec<(MessageId, Timestamp)> = Vec::new();
        for (place, row) in rows {
            let Some(seconds) = row.expire.filter(|_| row.account != own) else { continue };
            let mut row = row.clone();
            let at = self.run.now.plus(Duration::from_secs(seconds));
            if row.expires(at) {
                told.push((row.id, at));
                self.history.insert(group, *place, row);
            }
        }
        if tell {
            for of in told.chunks(PER_NOTE) {
                self.tell_devices(&SyncNote::Expires { group, of: of.to_vec() })?;
            }
        }
        Ok(())
    }

    /// Another own device showed messages. One that is not here waits for the message.
    pub(super) fn expiry_told(&mut self, group: GroupId, of: Vec<(MessageId, Timestamp)>) -> Result<()> {
        let account = self.state.own_id();
        for (id, at) in of.into_iter().take(PER_NOTE) {
            let position = at.as_millis();
            let waiting = WaitingChange::new(id, account, position, Change::Expire);
            self.change_came(group, &waiting, id)?;
        }
        Ok(())
    }

    /// Another own device says what was read, or what is to be forgotten when.
    pub(crate) fn read_elsewhere(&mut self, note: SyncNote) -> Result<()> {
        match note {
            SyncNote::Read { group, sequence } => {
                let before = self.state.groups.get(&group).map(|row| row.unread);
                let position = self.state.groups.get(&group).map_or(0, |row| row.position(sequence));
                self.read_up_to(group, position)?;
                if self.state.groups.get(&group).map(|row| row.unread) != before {
                    self.run.changed.insert(group);
                }
                Ok(())
            }
            SyncNote::Expires { group, of } => self.expiry_told(group, of),
            _ => Ok(()),
        }
    }

    /// Forgets what is due, in bounded steps.
    pub(super) fn forget_due(&mut self) -> Result<()> {
        let now = self.run.now;
        let noted = self.history.noted_expiry();
        let next = match (self.run.content.next_expiry, noted) {
            (None, _) => self.history.next_expiry()?,
            (Some(next), noted) => next.into_iter().chain(noted).min(),
        };
        self.run.content.next_expiry = Some(next);
        let Some(next) = next else { return Ok(()) };
        if next > now {
            self.run.wake_at(next);
            return Ok(());
        }
        let mut unread = BTreeSet::new();
        for (key, named) in self.history.due(now, PER_BATCH)? {
            if let Some((group, place)) = named
                && let Some(row) = self.history.at(&group, place)?.filter(|row| row.is_due(now))
                && self.forget_message(group, place, row)?
            {
                unread.insert(group);
            }
            self.history.expiry_done(key);
        }
        for group in unread {
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        let next = self.history.next_expiry()?;
        self.run.content.next_expiry = Some(next);
        if let Some(next) = next {
            self.run.wake_at(next.max(now.plus(Duration::from_millis(1))));
        }
        Ok(())
    }

    /// Nothing is left of a message but that it was there. Whether it was to be read.
    pub(super) fn forget_message(
        &mut self,
        group: GroupId,
        place: Place,
        mut row: MessageRow,
    ) -> Result<bool> {
        let (id, was) = (row.id, row.clone());
        let unread = self.is_unread(&group, place.0, &row);
        let hidden = self.state.hides(&row);
        let mut view = Box::new(self.message_view(group, place, &row));
        // R-FORGET-05: nor is it said again to a log that lost it.
        self.forget_sealed(group, place.0, &was, &mut row);
        row.forget();
        self.state.note_pin(group, &row);
        self.history.insert(group, place, row);
        self.state.changes.remove(&(group, id));
        if !hidden {
            view.leave_nothing();
            self.remind(Event::changed(view));
        }
        Ok(unread)
    }

    /// R-FORGET-11: lets go of what its group keeps no longer, the oldest first, in bounded steps.
    pub(super) fn forget_old(&mut self) -> Result<()> {
        let now = self.run.now;
        if let Some(known) = self.run.content.next_retention {
            let kept = |group: &GroupId| self.state.groups.get(group).and_then(|row| row.retention_seconds);
            let written = self.history.written();
            let noted = written.filter_map(|(group, _, row)| Some(row.kept_until(kept(&group)?))).min();
            let next = known.into_iter().chain(noted).min();
            self.run.content.next_retention = Some(next);
            let Some(next) = next else { return Ok(()) };
            if next > now {
                self.run.wake_at(next);
                return Ok(());
            }
        }
        let groups = self.state.groups.iter();
        let keeping = groups.filter_map(|(group, row)| Some((*group, row.retention_seconds?, row.kept_from)));
        let (mut next, mut left) = (None, PER_BATCH);
        for (group, seconds, from) in keeping.collect::<Vec<_>>() {
            let due = self.forget_old_of(group, seconds, from, &mut left)?;
            next = next.into_iter().chain(due).min();
        }
        self.run.content.next_retention = Some(next);
        if let Some(next) = next {
            self.run.wake_at(next.max(now.plus(Duration::from_millis(1))));
        }
        Ok(())
    }

    /// The same of one group; when the next message of it is old enough.
    fn forget_old_of(
        &mut self,
        group: GroupId,
        seconds: u32,
        from: u64,
        left: &mut usize,
    ) -> Result<Option<Timestamp>> {
        let now = self.run.now;
        let (mut kept_from, mut next, mut unread) = (from, None, false);
        'pages: while *left > 0 {
            let rows = self.history.behind(&group, (kept_from, u16::MAX), *left)?;
            if rows.is_empty() {
                break;
            }
            for (place, row) in rows {
                let until = row.kept_until(seconds);
                if row.granted().is_some() && until > now {
                    // R-GRANT-09: its place says nothing of its time, which is another member's word.
                    if row.expires_at.is_none_or(|at| at > until) {
                        let mut row = row;
                        row.expires_at = Some(until);
                        self.history.insert(group, place, row);
                    }
                    kept_from = place.0;
                    continue;
                }
                if until > now {
                    next = Some(until);
                    break 'pages;
                }
                *left = left.saturating_sub(1);
                kept_from = place.0;
                if row.has_words() {
                    unread |= self.forget_message(group, place, row)?;
                }
            }
        }
        if *left == 0 {
            next = Some(now);
        }
        if kept_from != from
            && let Some(row) = self.state.groups.get_mut(&group)
        {
            row.kept_from = kept_from;
        }
        if unread {
            self.recount(group)?;
            self.run.changed.insert(group);
        }
        Ok(next)
    }

    /// Whether anything may have to be forgotten when it is read.
    pub(super) fn has_expiring(&self) -> bool {
        !matches!(self.run.content.next_expiry, Some(None)) || self.history.noted_expiry().is_some()
    }

    /// The messages up to a place that were read on another own device, and are to be forgotten some time after that.
    pub(super) fn expiry_begins_up_to(&mut self, group: GroupId, behind: u64, position: u64) -> Result<()> {
        if !self.has_expiring() {
            return Ok(());
        }
        let stretch = ((behind, u16::MAX), (position, u16::MAX));
        let rows = self.history.between(&group, stretch, |row| row.expire.is_some())?;
        self.expiry_begins(group, &rows, false)
    }
}
