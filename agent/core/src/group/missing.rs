//! What a log that went back lacks, and no author says again: it is told to the group.

use std::collections::BTreeMap;

use cipher_api::Result;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Missing, MissingOf};

use crate::group::turn;
use crate::machine::Core;
use crate::state::position::{self, era_of, sequence_of};
use crate::state::{MOST, MessageRow, Words};

/// How many messages are looked at for what is lost.
const LOOKED_AT: usize = 20_000;
/// Earlier lives of a log in which a place is looked for.
const ERAS: u16 = 8;

impl Core {
    /// While a log is read again: a message that is known at this place and time lies in it still.
    pub(super) fn still_there(&mut self, group: GroupId, position: u64, at: Timestamp) -> Result<()> {
        if self.state.groups.get(&group).is_none_or(|row| row.back.is_none()) {
            return Ok(());
        }
        for ago in 1..=ERAS {
            let Some(era) = era_of(position).checked_sub(ago) else { break };
            let before = position::of(era, sequence_of(position));
            let known = self.history.at(&group, (before, 0))?;
            if let Some(row) = known.filter(|row| row.is_said() && row.at == Some(at)) {
                self.history.mark_seen(group, row.id, position);
                break;
            }
        }
        Ok(())
    }

    /// A log was put right: what it lacks is told once the authors had their time.
    pub(super) fn tells_later(&mut self, group: GroupId) {
        if self.state.groups.get(&group).is_none_or(|row| row.personal) {
            return;
        }
        let mut row = self.state.missing.remove(&group).unwrap_or_default();
        row.since = Some(self.run.now);
        self.state.missing.insert(group, row);
    }

    /// R-LOG-02: what was read here of others, and a log that was put right an hour ago does not show, is told to the group,
    /// by turns.
    pub(super) fn tell_missing(&mut self, group: GroupId) -> Result<()> {
        let since = self.state.missing.get(&group).and_then(|row| row.since);
        let Some(since) = since.filter(|_| self.run.delivery.is_caught_up(&Source::Group(group))) else {
            return Ok(());
        };
        if self.state.outbox.len().saturating_add(MOST) >= limit::OUTBOX_ROWS {
            return Ok(());
        }
        let due = since.plus(limit::MISSING_AFTER);
        if !self.is_time(due) {
            return Ok(());
        }
        let rank = self.with_live(group, |_, live| Ok(turn::rank(live, |_, _| Some(()))))?;
        if !self.is_time(due.plus(turn::after(turn::STEP, rank))) {
            return Ok(());
        }
        let Some(mut row) = self.state.missing.remove(&group) else { return Ok(()) };
        let told = std::mem::take(&mut row.told);
        if !row.lacking.is_empty() {
            row.since = None;
            self.state.missing.insert(group, row);
        }
        let lost = self.lost_from_log(group, &told)?;
        for lost in lost.chunks(limit::MISSING_MESSAGES) {
            let mut of: BTreeMap<AccountId, Vec<(MessageId, Timestamp)>> = BTreeMap::new();
            for (id, account, at) in lost {
                of.entry(*account).or_default().push((*id, *at));
            }
            let of = of.into_iter().map(|(account, messages)| MissingOf { account, messages }).collect();
            self.say(group, Words::of(Body::Missing(Missing { of })), None)?;
        }
        Ok(())
    }

    /// What others said, is in this history, and was not shown by the log since it went back; without what was told.
    fn lost_from_log(
        &self,
        group: GroupId,
        told: &BTreeMap<MessageId, (AccountId, Timestamp)>,
    ) -> Result<Vec<(MessageId, AccountId, Timestamp)>> {
        let Some(era) = self.state.groups.get(&group).map(|row| row.era) else { return Ok(Vec::new()) };
        let device = self.state.identity.as_ref().map(|own| own.device);
        // What is older has gone by age.
        let oldest = self.run.now.minus(limit::RETENTION);
        let counts = |row: &MessageRow| {
            row.at.is_some_and(|at| at >= oldest) && Some(row.device) != device && row.is_words()
        };
        let rows = self.history.before(&group, (position::of(era, 0), 0), LOOKED_AT, counts)?;
        let mut lost = Vec::new();
        for (_, row) in rows {
            let shown = self.history.seen(&group, &row.id)?.is_some_and(|seen| era_of(seen) == era);
            let Some(at) = row.at.filter(|_| !shown) else { continue };
            if told.get(&row.id) != Some(&(row.account, at)) {
                lost.push((row.id, row.account, at));
            }
            if lost.len() >= MOST {
                break;
            }
        }
        Ok(lost)
    }
}
