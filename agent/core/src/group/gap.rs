//! A gap in a group's log: what lay behind the cursor is gone, and what leads on may have been missed.
//!
//! What comes then may be of before: anybody can put old bytes there again, and a change that this device missed applies
//! here when it is shown later. So nothing of it counts that could have been made before the gap was found. What could not
//! is *fresh*: an epoch that an own commit began since then, or one that names the own request to come back. But who is
//! there too may have missed the same; so commits say whether their makers are in doubt themselves (R-GAP-01):
//!
//! ```text
//!            ┌─ a fresh commit of a member that is in no doubt ────────────────────┐
//! gap ───────┤─ all others have spoken in fresh epochs ────────────────────────────├──► place kept
//!   in doubt ├─ nothing spoke against it for as long as streams keep messages ─────┘
//!            └─ something claims a later epoch, or of a fresh one does not open ──► lost: this device asks (`lost.rs`);
//!               a fresh commit of one that is in doubt as well ends that, and the doubt goes on
//! ```
//! Until then it takes part, and keeps what it says for the case that nobody reads it.

use std::collections::BTreeSet;

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use serde_bytes::ByteBuf;

use crate::group::rejoin;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::{Fresh, GroupRow, Why};

/// Own messages kept because nobody may have been able to read them.
const UNSURE: usize = 256;

impl Core {
    /// Whether the entry at our cursor was gone when reading began.
    pub(super) fn has_gap(&self, group: &GroupId) -> bool {
        self.run.delivery.has_lost_entries(group)
    }

    /// Whether this device may have missed what the group did.
    pub(super) fn is_in_doubt(&self, group: &GroupId) -> bool {
        self.state.groups.get(group).is_some_and(|row| row.gap.is_some())
    }

    /// The first thing that is read behind a place that is gone from the log: what was between may be missing.
    pub(super) fn gap_found(&mut self, group: GroupId) {
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        (row.gap, row.fresh) = (Some(row.epoch), None);
        let (place, since, personal) = ((row.cursor, u16::MAX), row.seen_at, row.personal);
        if !personal {
            self.missed_line(group, place, since);
        }
    }

    /// An own message found its place in an epoch that may be over: kept, to be said again after coming back.
    pub(crate) fn note_unsure(&mut self, group: GroupId, content: &[u8]) {
        let unsure = self.state.groups.get(&group).is_some_and(|row| {
            // Behind a change that others may have followed: who did does not open it.
            row.lost.is_some()
                || row.gap.is_some()
                || (row.cursor > 0 && self.run.delivery.has_no_commit(&group) && self.has_gap(&group))
        });
        if unsure && let Some(row) = self.state.groups.get_mut(&group) {
            row.unsure.push(ByteBuf::from(content.to_vec()));
            let extra = row.unsure.len().saturating_sub(UNSURE);
            row.unsure.drain(..extra);
        }
    }

    /// The device of a leaf said or changed something in this epoch.
    pub(super) fn spoken_in(&mut self, group: GroupId, live: &Live, epoch: u64, index: u32) {
        let own = live.mls.own_leaf_index().u32();
        let Some(row) = self.state.groups.get(&group) else { return };
        let news = |fresh: &Fresh, device| epoch >= fresh.epoch && !fresh.heard.contains(device);
        let Some(leaf) = live.roster.get(&index).filter(|_| index != own && row.gap.is_some()) else {
            return;
        };
        if !row.fresh.as_ref().is_some_and(|fresh| news(fresh, &leaf.device)) {
            return;
        }
        let Some(fresh) = self.state.groups.get_mut(&group).and_then(|row| row.fresh.as_mut()) else {
            return;
        };
        fresh.heard.insert(leaf.device);
        let others = live.roster.iter().filter(|(index, _)| **index != own);
        if others.map(|(_, leaf)| leaf.device).all(|device| fresh.heard.contains(&device)) {
            self.place_is_good(group);
        }
    }

    /// Something of this epoch does not open. Behind an own commit that nobody is known to have followed it may be of the
    /// epoch that others are in, which weighs as much as a claim of a later one.
    pub(super) fn does_not_open(&mut self, group: GroupId, epoch: u64) {
        let in_doubt = |row: &GroupRow| row.fresh.as_ref().is_some_and(|fresh| epoch >= fresh.epoch);
        if self.state.groups.get(&group).is_some_and(in_doubt) {
            let claimed = self.run.group.ahead.entry(group).or_default();
            *claimed = epoch.saturating_add(1).max(*claimed);
        }
    }

    /// A commit of somebody else was merged, by which this epoch began.
    pub(super) fn followed(
        &mut self,
        group: GroupId,
        epoch: u64,
        answers: &[ByteBuf],
        doubt: bool,
    ) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        // The last request alone: earlier ones may be of before the gap.
        let latest = row.asked.last().filter(|_| row.lost.as_ref().is_some_and(|lost| lost.times > 0));
        let named = latest.is_some_and(|asked| answers.contains(&rejoin::named(asked)));
        let fresh = named || row.fresh.as_ref().is_some_and(|fresh| row.epoch >= fresh.epoch);
        if row.gap.is_none() || fresh && !doubt {
            // Where the log was read whole, whatever applies shows that others are here.
            self.place_is_good(group);
        } else if named {
            self.is_fresh(group, epoch);
            self.goes_on_in_doubt(group)?;
        }
        Ok(())
    }

    /// Others are here, who may have missed the same.
    fn goes_on_in_doubt(&mut self, group: GroupId) -> Result<()> {
        self.run.group.ahead.remove(&group);
        // What claimed a later epoch until now was known when it was asked.
        for sequence in self.history.parked(&group)?.into_keys() {
            self.history.unpark(group, sequence);
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            (row.parked, row.parked_bytes) = (0, 0);
            row.lost = row.lost.take().filter(|lost| lost.why.needs_new_keys());
        }
        self.drop_own_rejoin(group);
        self.run.touched.insert(group);
        Ok(())
    }

    /// A place was taken that a member gave who is in doubt itself. The epoch names a key package of this device, so nobody
    /// put it there again from before.
    pub(super) fn shares_doubt(&mut self, group: GroupId, epoch: u64) {
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.gap = Some(epoch);
        }
        self.is_fresh(group, epoch);
    }

    fn is_fresh(&mut self, group: GroupId, epoch: u64) {
        let at = self.run.now;
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.fresh.get_or_insert(Fresh { epoch, at, heard: BTreeSet::new() });
        }
    }

    /// An own commit was merged. It shows nobody else's agreement; but where a commit could not be applied and nobody is
    /// known to have gone on behind it, the group goes on here.
    pub(super) fn own_epoch_began(&mut self, group: GroupId, epoch: u64) {
        let Some(row) = self.state.groups.get(&group) else { return };
        if row.gap.is_some() {
            self.is_fresh(group, epoch);
        } else if row.lost.as_ref().is_some_and(|lost| lost.why == Why::Unusable) {
            self.place_is_good(group);
        }
    }

    /// Were others anywhere else, the log would show what they do there.
    pub(super) fn old_doubts_end(&mut self) {
        let now = self.run.now;
        for group in self.state.groups.keys() {
            let old = |row: &GroupRow| {
                let since = row.fresh.as_ref().map(|fresh| fresh.at);
                row.lost.is_none() && since.is_some_and(|since| since.plus(limit::RETENTION) <= now)
            };
            if self.state.groups.get(&group).is_some_and(old) {
                self.place_is_good(group);
            }
        }
    }
}
