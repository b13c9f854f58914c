//! Up to where a conversation was read, here or on another own device, and what of it was not.

use std::collections::BTreeSet;

use cipher_api::Result;
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::wire::sync::SyncNote;

use crate::content::receipt::APART;
use crate::machine::Core;
use crate::state::{GroupRow, MessageRow};

/// Stretches of a conversation that were read with something unread before them.
const STRETCHES: usize = 256;

impl Core {
    /// Exactly these places of a conversation were shown here. Other own devices are told up to where nothing is unread.
    pub(super) fn mark_shown(&mut self, group: GroupId, shown: &BTreeSet<MessageId>) -> Result<()> {
        self.expiry_begins_for(group, shown)?;
        // Without anything unread nobody has to write or hear of it.
        if shown.is_empty() || self.state.groups.get(&group).is_none_or(|row| row.unread == 0 || row.personal)
        {
            return Ok(());
        }
        let before = self.read_to(group)?;
        let rows = self.history.after(&group, before, usize::MAX)?;
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        let (mut read_to, mut beyond) = (row.cursor.max(before), Vec::<(u64, u64)>::new());
        let (mut unread, mut mentions) = (0u64, 0u64);
        let mut open = false;
        for ((position, _), line) in rows.iter().filter(|(_, row)| self.counts(row)) {
            if !shown.contains(&line.id) && !row.has_read(*position) {
                if unread == 0 {
                    read_to = position.saturating_sub(1).max(before);
                }
                unread = unread.saturating_add(1);
                mentions = mentions.saturating_add(u64::from(self.names_us(line)));
                open = false;
            } else if unread > 0 {
                match beyond.last_mut() {
                    Some((_, last)) if open => *last = *position,
                    _ => beyond.push((*position, *position)),
                }
                open = true;
            }
        }
        // Nobody reads like that: the oldest stretches count as unread again.
        let many = beyond.len().saturating_sub(STRETCHES);
        beyond.drain(..many);
        if let Some(row) = self.state.groups.get_mut(&group) {
            (row.read_to, row.read_beyond) = (Some(read_to), beyond);
            (row.unread, row.mentions) = (unread, mentions);
        }
        if many > 0 {
            self.recount(group)?;
        }
        if read_to > before {
            self.receipt_due(group, self.run.now);
        }
        // What lies in an earlier life of the log the others find out by themselves.
        match self.state.groups.get(&group).map_or(0, |row| row.here(read_to)) {
            sequence if sequence > 0 && read_to > before => {
                self.tell_devices(&SyncNote::Read { group, sequence })
            }
            _ => Ok(()),
        }
    }

    /// Whether a row is one that a person reads: somebody else's words, of nobody who is blocked.
    fn counts(&self, row: &MessageRow) -> bool {
        row.is_said()
            && row.is_shown()
            // R-GRANT-07: nobody has to read what was said before.
            && row.granted().is_none()
            && !row.deleted
            && !row.failed
            && row.account != self.state.own_id()
            && !self.state.hides(row)
    }

    /// Whether a text names the own account.
    pub(super) fn names_us(&self, row: &MessageRow) -> bool {
        let own = self.state.identity.as_ref().map(|own| own.account);
        own.is_some_and(|own| row.mentions.iter().any(|mention| mention.account == own))
    }

    /// Whether it counts and was not shown yet.
    pub(super) fn is_unread(&self, group: &GroupId, position: u64, row: &MessageRow) -> bool {
        let unread = |known: &GroupRow| known.unread > 0 && !known.has_read(position);
        self.state.groups.get(group).is_some_and(unread) && self.counts(row)
    }

    /// Up to where everything was read.
    fn read_to(&self, group: GroupId) -> Result<u64> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(0) };
        if let Some(read_to) = row.read_to {
            return Ok(read_to);
        }
        // A store of before the place was noted: so many of the latest are not read.
        let own = self.state.own_id();
        let counts = |row: &MessageRow| row.is_said() && row.is_shown() && !row.failed && row.account != own;
        let unread = usize::try_from(row.unread).unwrap_or(usize::MAX);
        let mut latest = self.history.last(&group, unread.saturating_add(1), counts)?;
        let before = (latest.len() > unread).then(|| latest.swap_remove(0));
        Ok(before.map_or(0, |(place, _)| place.0))
    }

    /// Everything up to a place was read, here or on another own device.
    pub(super) fn read_up_to(&mut self, group: GroupId, position: u64) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        if row.personal || row.read_to.is_some_and(|read_to| read_to >= position) {
            return Ok(());
        }
        let (cursor, unread, before) = (row.cursor, row.unread, row.read_to.unwrap_or(0));
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.read_to = Some(position);
            row.read_beyond.retain(|(_, last)| *last > position);
        }
        if unread == 0 {
            return Ok(());
        }
        self.expiry_begins_up_to(group, before, position)?;
        // Whoever read it says so itself; this device only if that one does not.
        self.receipt_due(group, self.run.now.plus(APART));
        if position >= cursor
            && let Some(row) = self.state.groups.get_mut(&group)
        {
            (row.unread, row.mentions) = (0, 0);
            return Ok(());
        }
        self.recount(group)
    }

    /// Counts again what was not read.
    pub(crate) fn recount(&mut self, group: GroupId) -> Result<()> {
        if self.state.groups.get(&group).is_none_or(|row| row.personal) {
            return Ok(());
        }
        let read_to = self.read_to(group)?;
        let rows = self.history.after(&group, read_to, usize::MAX)?;
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        let is_open = |position: u64, line: &MessageRow| self.counts(line) && !row.has_read(position);
        let open: Vec<_> = rows.iter().filter(|((position, _), line)| is_open(*position, line)).collect();
        let (unread, mentions) =
            (open.len() as u64, open.iter().filter(|(_, line)| self.names_us(line)).count() as u64);
        let known = |row: &GroupRow| (row.unread, row.mentions, row.read_to);
        let same = |row: &GroupRow| known(row) == (unread, mentions, Some(read_to));
        if !self.state.groups.get(&group).is_some_and(same)
            && let Some(row) = self.state.groups.get_mut(&group)
        {
            (row.unread, row.mentions, row.read_to) = (unread, mentions, Some(read_to));
        }
        Ok(())
    }
}
