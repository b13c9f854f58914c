//! What becomes of each publish: what the broker said, and what the log shows.

use std::time::Duration;

use cipher_api::{Reply, Result};
use cipher_broker::id::{GroupId, PublishId};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::delivery::outbox::Attempt;
use crate::input::PublishOutcome;
use crate::machine::Core;
use crate::state::live::{LeftToDo, Live};
use crate::state::{Failure, GroupRow, OutboxKind, OutboxRow, Post};

/// Longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

impl Core {
    /// What became of a publish.
    pub(super) fn published(&mut self, attempt: u64, outcome: PublishOutcome) -> Result<()> {
        let Some(Attempt { row: id, hash, first, log }) = self.run.delivery.attempts.remove(&attempt) else {
            return Ok(());
        };
        let rejoin = |row: &OutboxRow| matches!(row.kind, OutboxKind::Post(Post::Rejoin));
        if let (PublishOutcome::Stored { .. }, Some(group)) = (outcome, log)
            && self.state.outbox.get(&id).is_some_and(rejoin)
        {
            self.dequeue(id);
            self.run.touched.insert(group);
        }
        // Also when the log was read first, and the row is gone.
        if let (PublishOutcome::Stored { sequence, duplicate: false }, Some(group)) = (outcome, log)
            && self.put_in_log(group, sequence)?
        {
            return Ok(());
        }
        let Some(row) = self.state.outbox.get(&id) else { return Ok(()) };
        if row.seal.as_ref().is_none_or(|seal| seal.hash != hash) {
            return Ok(());
        }
        self.run.delivery.in_flight.remove(&id);
        let (group, kind) = (row.group, row.kind.clone());
        self.run.touched.insert(group);
        match outcome {
            PublishOutcome::Stored { sequence, duplicate } => {
                self.run.delivery.stored_at = Some(self.run.now);
                let behind = |row: &GroupRow| sequence <= row.after();
                if !duplicate && self.state.groups.get(&group).is_some_and(behind) && kind.is_in_the_log() {
                    // Sequences that were read are not given to new entries, unless the log went back. Where it
                    // lies is known when that was looked at.
                    if let Some(seal) = self.seal_mut(id) {
                        seal.doubtful = true;
                    }
                    self.look_back(group);
                    return Ok(());
                }
                self.stored(id, group, &kind, sequence, first && !duplicate)
            }
            PublishOutcome::Conflict { last } => {
                self.refused_by_fence(id, group, &kind, last);
                self.fence_is(group, last);
                let handshake = self.state.groups.get(&group).map_or(0, GroupRow::expected);
                if last.is_some_and(|last| last < handshake) {
                    // By age, or the log went back.
                    self.look_back(group);
                }
                if let Some(seal) = self.seal_mut(id) {
                    seal.doubtful = true;
                }
                let source = Source::Group(group);
                self.run.delivery.caught_up.remove(&source);
                self.want(source, last.unwrap_or(0));
                Ok(())
            }
            PublishOutcome::Unknown => {
                self.back_off(id);
                Ok(())
            }
            PublishOutcome::Refused => match kind {
                OutboxKind::Commit => self.commit_refused(group),
                OutboxKind::Again { .. } => {
                    self.back_off(id);
                    Ok(())
                }
                OutboxKind::Message { .. } => {
                    self.fail_row(id, Failure::Refused);
                    Ok(())
                }
                OutboxKind::Leave | OutboxKind::Post(_) => {
                    self.back_off(id);
                    Ok(())
                }
            },
        }
    }

    fn stored(
        &mut self,
        id: u64,
        group: GroupId,
        kind: &OutboxKind,
        sequence: u64,
        certain: bool,
    ) -> Result<()> {
        match kind {
            // A duplicate is ours from an earlier attempt: nobody else knows the id before the bytes are stored.
            OutboxKind::Post(post) => {
                self.dequeue(id);
                if matches!(post, Post::Join) {
                    self.join_request_stored(group);
                }
                Ok(())
            }
            OutboxKind::Leave => {
                self.sealed_leave(id);
                if let Some(ticket) = self.run.waits.leaves.remove(&group) {
                    self.run.reply(ticket, Ok(Reply::Done));
                }
                self.want(Source::Group(group), sequence);
                Ok(())
            }
            OutboxKind::Commit | OutboxKind::Again { .. } => {
                if let Some(seal) = self.seal_mut(id) {
                    seal.stored_at = Some(sequence);
                }
                self.run.delivery.caught_up.remove(&Source::Group(group));
                self.want(Source::Group(group), sequence);
                Ok(())
            }
            OutboxKind::Message { .. } => {
                let personal = self.state.groups.get(&group).is_some_and(|row| row.personal);
                let Some(seal) = self.seal_mut(id) else { return Ok(()) };
                let fenced = seal.fence.is_some();
                seal.stored_at = Some(sequence);
                // Of a repeated publish an earlier copy may lie elsewhere, and the first copy is the one that counts.
                // R-SYNC-03: what own devices tell each other counts in the order of the log, the own word too.
                if fenced && certain && !personal {
                    let Some(row) = self.state.groups.get_mut(&group) else { return Ok(()) };
                    let position = row.position(sequence);
                    row.unseen = row.unseen.max(Some(position));
                    return self.settle_message(id, position);
                }
                // The sender's process may end now: the row stays until the log shows where it landed.
                let shown_soon = self.is_disputed(&group);
                if !fenced
                    && !shown_soon
                    && let Some((ticket, _)) = self.run.waits.sends.remove(&id)
                {
                    let reply = self.queued_reply(id);
                    self.run.reply(ticket, reply);
                }
                self.run.delivery.caught_up.remove(&Source::Group(group));
                self.want(Source::Group(group), sequence);
                Ok(())
            }
        }
    }

    /// A wish to leave is in the log.
    fn sealed_leave(&mut self, id: u64) {
        if let Some(OutboxRow { group, seal: Some(seal), .. }) = self.dequeue(id) {
            self.keep_sealed(group, &seal);
        }
    }

    /// A fence that another message moved is worth no pause: the log is read to its end first anyway. If it was a commit,
    /// there is a new epoch then, else it was junk. A cluster that is busy names no other message.
    fn refused_by_fence(&mut self, id: u64, group: GroupId, kind: &OutboxKind, last: Option<u64>) {
        let handshake = self.state.groups.get(&group).map_or(0, GroupRow::expected);
        let moved = last.is_some_and(|last| last > handshake);
        if !moved || !matches!(kind, OutboxKind::Message { .. }) {
            self.back_off(id);
        }
    }

    /// A refusal told the last sequence of a handshake subject. That there is none counts for everything that is
    /// sent to the group once its log was read to its end, until the next handshake message.
    fn fence_is(&mut self, group: GroupId, last: Option<u64>) {
        match last {
            Some(0) => _ = self.run.delivery.emptied.insert(group),
            Some(_) => _ = self.run.delivery.emptied.remove(&group),
            // A cluster that is busy says nothing about it.
            None => {}
        }
    }

    fn back_off(&mut self, id: u64) {
        let [jitter] = self.provider.bytes();
        let now = self.run.now;
        let Some(row) = self.state.outbox.volatile_mut(&id) else { return };
        row.attempts = row.attempts.saturating_add(1);
        let base = 10u64.saturating_mul(1 << row.attempts.min(9));
        let wait = Duration::from_millis(base.saturating_add(base.saturating_mul(u64::from(jitter)) / 256));
        row.retry_at = now.plus(wait.min(BACKOFF_MAX));
    }

    /// A log was read to its end: what was in doubt is decided.
    pub(super) fn settle_doubts(&mut self, group: GroupId, sequence: u64) {
        let epoch = self.state.groups.get(&group).map(|row| row.epoch);
        let cursor = self.state.groups.get(&group).map_or(0, GroupRow::after).max(sequence);
        for id in self.run.delivery.by_group.get(&group).cloned().unwrap_or_default() {
            let Some(row) = self.state.outbox.get(&id) else { continue };
            let Some(seal) = &row.seal else { continue };
            if self.run.delivery.in_flight.contains(&id) {
                continue;
            }
            let swallowed = seal.stored_at.is_some_and(|at| at <= cursor);
            if !seal.doubtful && !swallowed {
                continue;
            }
            let is_message = matches!(row.kind, OutboxKind::Message { .. });
            let stale = epoch != Some(seal.epoch);
            if is_message && (stale || swallowed) {
                self.reseal(id, None);
                continue;
            }
            let fresh = PublishId::from_bytes(self.provider.bytes());
            if let Some(seal) = self.seal_mut(id) {
                seal.doubtful = false;
                if swallowed {
                    // The log does not have it where the broker said: another publish had our id.
                    seal.stored_at = None;
                    seal.publish_id = fresh;
                }
            }
        }
    }

    /// The log shows bytes of ours. What they leave to be done, when they are handled with that.
    pub(crate) fn own_echo(
        &mut self,
        group: GroupId,
        live: &mut Live,
        id: u64,
        sequence: u64,
    ) -> Result<Option<LeftToDo>> {
        let Some(row) = self.state.outbox.get(&id) else { return Ok(None) };
        if row.group != group {
            return Ok(None);
        }
        let Some(seal) = row.seal.clone() else { return Ok(None) };
        // A row that gets new bytes stays in flight: the acknowledgement of the old ones would count for the new.
        self.run.touched.insert(group);
        let lost = self.state.groups.get(&group).is_some_and(|row| row.lost.is_some());
        match row.kind {
            OutboxKind::Message { .. } if seal.epoch == live.epoch() && !lost => {
                self.settle_message(id, sequence)?;
                let at = self.run.group.delivered_at();
                self.history.date(group, sequence, at)?;
            }
            OutboxKind::Message { .. } => {
                // It landed behind a commit, maybe one that only others could follow: everybody drops it, and it is
                // sealed again, by who lost its place once it is back.
                self.reseal(id, None);
                if let Some(row) = self.state.outbox.get_mut(&id) {
                    row.retry_at = Timestamp::default();
                }
            }
            OutboxKind::Commit => {
                let slot = self.state.groups.get(&group).and_then(|row| row.slot.clone());
                match slot {
                    Some(slot) if slot.row == id && slot.epoch == live.epoch() => {
                        return self.own_commit_won(group, live, &slot, sequence).map(Some);
                    }
                    _ => return Ok(None),
                }
            }
            // Our wish to leave is in the log; it stays in the row for the commit that carries it out.
            OutboxKind::Leave => {
                self.sealed_leave(id);
                if let Some(ticket) = self.run.waits.leaves.remove(&group) {
                    self.run.reply(ticket, Ok(Reply::Done));
                }
            }
            OutboxKind::Post(_) | OutboxKind::Again { .. } => return Ok(None),
        }
        Ok(Some(LeftToDo::default()))
    }
}
