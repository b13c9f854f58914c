//! A gap in a group's log: what lay behind the cursor is gone, and what leads on may have been missed.
//!
//! What comes then may be of before: anybody can put old bytes there again, and a change that this device missed applies
//! here when it is shown later. So a gap ends only with what nobody could have made before it (R-GAP-01):
//!
//! ```text
//!            ┌─ somebody else speaks in an epoch that an own commit began, or in a later one ─┐
//! gap ───────┤                                                                                ├──► place kept
//!            ├─ a commit names the request of this device to come back ───────────────────────┘
//!            └─ something claims a later epoch, or does not open behind an own commit ──► lost: this device asks (`lost.rs`)
//! ```
//! Until then it takes part, and keeps what it says for the case that nobody reads it.

use cipher_broker::id::GroupId;
use serde_bytes::ByteBuf;

use crate::core::Core;
use crate::group::lost::Why;
use crate::group::rejoin::ANSWERED;
use crate::state::GroupRow;

/// Own messages kept because nobody may have been able to read them.
const UNSURE: usize = 256;

impl Core {
    /// Whether the entry at our cursor was gone when reading began.
    pub(crate) fn has_gap(&self, group: &GroupId) -> bool {
        self.run.gone.contains(group)
    }

    /// The first thing that is read behind a place that is gone from the log: what was between may be missing.
    pub(crate) fn gap_found(&mut self, group: GroupId) {
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
                || (row.cursor > 0 && self.run.emptied.contains(&group) && self.has_gap(&group))
        });
        if unsure && let Some(row) = self.state.groups.get_mut(&group) {
            row.unsure.push(ByteBuf::from(content.to_vec()));
            let extra = row.unsure.len().saturating_sub(UNSURE);
            row.unsure.drain(..extra);
        }
    }

    /// Somebody else said or changed something in this epoch.
    pub(crate) fn spoken_in(&mut self, group: GroupId, epoch: u64) {
        let Some(row) = self.state.groups.get(&group) else { return };
        if row.gap.is_some() && row.fresh.is_some_and(|fresh| epoch >= fresh) {
            self.place_is_good(group);
        }
    }

    /// Something of this epoch does not open. Behind an own commit that nobody is known to have followed it may be of the
    /// epoch that others are in, which weighs as much as a claim of a later one.
    pub(crate) fn does_not_open(&mut self, group: GroupId, epoch: u64) {
        let in_doubt = |row: &GroupRow| row.fresh.is_some_and(|fresh| epoch >= fresh);
        if self.state.groups.get(&group).is_some_and(in_doubt) {
            let claimed = self.run.ahead.entry(group).or_default();
            *claimed = epoch.saturating_add(1).max(*claimed);
        }
    }

    /// A commit of somebody else was merged, which names these requests. Where the log was read whole it shows that others
    /// are here.
    pub(crate) fn followed(&mut self, group: GroupId, answers: &[ByteBuf]) {
        let Some(row) = self.state.groups.get(&group) else { return };
        // The last request alone: earlier ones may be of before the gap.
        let latest = row.asked.last().filter(|_| row.lost.as_ref().is_some_and(|lost| lost.times > 0));
        let ours = |answer: &ByteBuf| {
            answer.len() == ANSWERED && latest.is_some_and(|asked| asked.starts_with(answer))
        };
        if row.gap.is_none() || answers.iter().any(ours) {
            self.place_is_good(group);
        }
    }

    /// An own commit was merged. It shows nobody else's agreement; but where a commit could not be applied and nobody is
    /// known to have gone on behind it, the group goes on here.
    pub(crate) fn own_epoch_began(&mut self, group: GroupId, epoch: u64) {
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        if row.gap.is_some() {
            row.fresh = row.fresh.or(Some(epoch));
        } else if row.lost.as_ref().is_some_and(|lost| lost.why == Why::Unusable) {
            self.place_is_good(group);
        }
    }
}
