//! History for a device that was just linked.
//!
//! The device that admitted it sends what it has, newest first per conversation, as messages in the group of the
//! own devices. The row says what is left; a few chunks are in the outbox at a time, so either side may die at
//! any moment. On the other side a chunk, its rows and the place in the log are one transaction, and a message
//! that is there already stays as it is, but for a change of it that lies in the log before the device is in the
//! conversation: such a change, when it comes to this device after the message was sent, is sent as well.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::view::{GroupState, HistoryPolicy};
use cipher_api::{Event, Notice, Result};
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::sync::{SyncMessage, SyncNote};
use cipher_broker::{codec, limit};

use crate::machine::Core;
use crate::state::position::{self, FIRST_ERA};
use crate::state::{OutboxKind, OutboxRow, Post, Skip, TransferRow, Wish};

/// Bytes of history in one message, about: a single long message may be more.
const CHUNK_BYTES: usize = 150 * 1024;
/// Rows looked at in one step.
const STEP: usize = 256;
/// How long the end of history waits for groups that the new device is not in yet.
const GROUPS_PATIENCE: Duration = Duration::from_secs(120);
/// How long a new device waits for the next of what it may have. Who let it in sends while it runs, and may be off for a weekend.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);
/// How long changes are sent to a device that is not in every conversation. What is older lies in no log.
const CHANGES_PATIENCE: Duration = limit::RETENTION;
/// Things for own devices in the outbox at a time.
const QUEUED: usize = 4;

impl Core {
    /// Puts the next chunks into the outbox, for every new device that is in the group of the own devices.
    pub(crate) fn drive_transfers(&mut self, group: GroupId) -> Result<()> {
        let room = self.state.outbox.len().saturating_add(QUEUED) < limit::OUTBOX_ROWS;
        if self.state.transfers.len() == 0 || self.state.personal_group() != Some(group) || !room {
            return Ok(());
        }
        let there: Vec<DeviceId> =
            self.with_live(group, |_, live| Ok(live.roster.values().map(|leaf| leaf.device).collect()))?;
        for device in self.state.transfers.keys() {
            if self.state.log_of(&self.state.own_id()).is_some_and(|log| log.is_revoked(&device)) {
                self.state.transfers.remove(&device);
                continue;
            }
            while there.contains(&device)
                && self.state.transfers.get(&device).is_some()
                && self.run.delivery.rows_of(group).count() < QUEUED
                && self.transfer_step(group, device)?
            {}
        }
        Ok(())
    }

    /// The first step tells what is not history; each further one sends a chunk, the last one removes the row.
    /// Whether another step may follow.
    fn transfer_step(&mut self, group: GroupId, device: DeviceId) -> Result<bool> {
        let Some(mut row) = self.state.transfers.get(&device).cloned() else { return Ok(false) };
        if row.groups.is_none() {
            self.tell_everything()?;
            let (groups, total) = self.to_transfer(&row)?;
            row = TransferRow { groups: Some(groups), total, ..row };
            self.state.transfers.insert(device, row);
            return Ok(true);
        }
        if !row.has_more() {
            if !self.may_lack_changes(&device, row.since) {
                self.state.transfers.remove(&device);
            }
            return Ok(false);
        }
        let waiting = self.groups_waiting(&device, row.since);
        let mut messages = self.next_chunk(&mut row, &waiting)?;
        if messages.is_empty() {
            messages = self.next_changed(&mut row)?;
        }
        if messages.is_empty() && !row.over && !waiting.is_empty() {
            self.run.wake_at(row.since.plus(GROUPS_PATIENCE));
            return Ok(false);
        }
        // The last word, which is empty, is said when the device is in every group too.
        let over = messages.is_empty();
        if over && row.over {
            // What was changed is not there any more.
            self.state.transfers.insert(device, row);
            return Ok(false);
        }
        if over && self.is_being_invited(&device) {
            return Ok(false);
        }
        if !row.over {
            row.done = row.done.saturating_add(messages.len() as u64);
            row.total = if over { row.done } else { row.total.max(row.done) };
        }
        let chunk = SyncNote::History { device, messages, done: row.done, total: row.total };
        // In one transaction with the row: what is in the outbox arrives, what is not is still in the row.
        self.enqueue_sync(group, &chunk)?;
        row.over |= over;
        self.state.transfers.insert(device, row);
        Ok(true)
    }

    /// Whether there is a conversation that this device is not in yet, as far as is known.
    fn may_lack_changes(&self, device: &DeviceId, since: Timestamp) -> bool {
        let mut active =
            self.state.groups.iter().filter(|(_, row)| !row.personal && row.state == GroupState::Active);
        self.run.now < since.plus(CHANGES_PATIENCE)
            && active.any(|(group, _)| self.run.group.may_be_coming(group, device))
    }

    /// Groups that this device is still to be brought into. Not for ever: one that it cannot be is no reason to keep a
    /// person waiting.
    fn groups_waiting(&self, device: &DeviceId, since: Timestamp) -> BTreeSet<GroupId> {
        if self.run.now >= since.plus(GROUPS_PATIENCE) {
            return BTreeSet::new();
        }
        let active = |group: &GroupId| {
            self.state.groups.get(group).is_some_and(|row| !row.personal && row.state == GroupState::Active)
        };
        let wished = self.state.intents.iter().filter(|(_, row)| matches!(row.wish, Wish::Devices { .. }));
        wished
            .map(|(_, intent)| intent.group)
            .filter(|group| {
                active(group) && !self.state.is_lost(group) && self.run.group.may_be_coming(group, device)
            })
            .collect()
    }

    /// Whether an invitation of ours to this device is not stored yet.
    fn is_being_invited(&self, device: &DeviceId) -> bool {
        let invites = |row: &OutboxRow| matches!(row.kind, OutboxKind::Post(Post::Welcome { device: to }) if to == *device);
        self.state.outbox.iter().any(|(_, row)| invites(row))
    }

    /// The conversations to send, the one with the latest message last, and how many messages they have.
    fn to_transfer(&self, row: &TransferRow) -> Result<(Vec<GroupId>, u64)> {
        if row.policy == HistoryPolicy::None {
            return Ok((Vec::new(), 0));
        }
        let mut groups = Vec::new();
        let mut total = 0u64;
        let active = self.state.groups.iter().filter(|(_, r)| r.state == GroupState::Active && !r.personal);
        for (group, _) in active {
            let messages = self.history.last(group, usize::MAX, |message| row.wants(message))?;
            if let Some((last, _)) = messages.last() {
                groups.push((*last, *group));
                total = total.saturating_add(messages.len() as u64);
            }
        }
        groups.sort();
        Ok((groups.into_iter().map(|(_, group)| group).collect(), total))
    }

    /// Takes the next messages, of as many conversations as fit. A conversation that the new device is not in yet
    /// comes later: what is said until it joins is history for it too.
    fn next_chunk(&self, row: &mut TransferRow, waiting: &BTreeSet<GroupId>) -> Result<Vec<SyncMessage>> {
        let mut chunk = Vec::new();
        let mut bytes = 0usize;
        while let Some(group) = row.next_group(waiting) {
            let before = row.before.unwrap_or((u64::MAX, u16::MAX));
            let era = self.state.groups.get(&group).map_or(0, |row| row.era);
            let step = self.history.before(&group, before, STEP, |message| row.wants(message))?;
            let last = step.len() < STEP;
            for (place, message) in step {
                if self.state.is_over(&group, &message, self.run.now) {
                    row.before = Some(place);
                    continue;
                }
                let message = message.into_sync(group, era, place);
                let size = codec::encode(&message).len();
                if !chunk.is_empty() && bytes.saturating_add(size) > CHUNK_BYTES {
                    return Ok(chunk);
                }
                row.before = Some(place);
                bytes = bytes.saturating_add(size);
                chunk.push(message);
            }
            if last {
                row.before = None;
                if let Some(groups) = &mut row.groups {
                    groups.pop();
                }
            }
        }
        Ok(chunk)
    }

    /// Takes the next messages that were changed after they were sent.
    fn next_changed(&self, row: &mut TransferRow) -> Result<Vec<SyncMessage>> {
        let mut chunk = Vec::new();
        let mut bytes = 0usize;
        while let Some((group, place)) = row.changed.first().copied() {
            let era = self.state.groups.get(&group).map_or(0, |row| row.era);
            if let Some(message) = self
                .history
                .at(&group, place)?
                .filter(|message| row.wants(message) && !self.state.is_over(&group, message, self.run.now))
            {
                let message = message.into_sync(group, era, place);
                bytes = bytes.saturating_add(codec::encode(&message).len());
                if !chunk.is_empty() && bytes > CHUNK_BYTES {
                    break;
                }
                chunk.push(message);
            }
            row.changed.remove(&(group, place));
        }
        Ok(chunk)
    }

    /// A chunk of ours is in the log.
    pub(super) fn history_sent(&mut self, done: u64, total: u64) {
        self.notify(Event::Progress { done, total });
    }

    /// The device that let this one in may be gone. Groups come from the others; its history they do not send, because
    /// they were not told how much of it this device may have.
    pub(super) fn history_source_gone(&mut self) {
        let from = self.state.meta.history_from.filter(|_| self.state.meta.arriving);
        if from.is_some_and(|from| {
            self.state.log_of(&self.state.own_id()).is_some_and(|log| log.is_revoked(&from))
        }) {
            let meta = self.state.meta_mut();
            (meta.arriving, meta.history_ended) = (false, false);
            self.warn(Notice::HistoryEnded);
        }
    }

    /// Conversations that this device has not joined yet get their history too.
    pub(super) fn history_received(
        &mut self,
        messages: Vec<SyncMessage>,
        done: u64,
        total: u64,
    ) -> Result<()> {
        let last = messages.is_empty() && done >= total;
        if self.state.meta.arriving {
            self.state.meta_mut().arriving_since = self.run.now;
        }
        for message in messages {
            if message.text.len() > limit::TEXT_BYTES || message.content.len() > 64 {
                self.skip(Skip::Limit);
                continue;
            }
            let (group, (sequence, behind)) = (message.group, message.place);
            let own = self.state.groups.get(&group);
            let era = own.map_or(FIRST_ERA, |row| row.era);
            let place = (position::of(era.saturating_sub(message.ago), sequence), behind);
            let comes_itself = own.is_some_and(|row| row.personal || place.0 > row.joined_at);
            if comes_itself {
                continue;
            }
            self.history_arrived(group, place, message, era)?;
        }
        if last && self.state.meta.arriving {
            // Invitations were stored before this was said, but the inbox is read by another reader.
            self.state.meta_mut().history_ended = true;
            let inbox = self.state.inbox();
            self.run.delivery.is_behind(&inbox);
            self.want(inbox, 0);
        }
        self.notify(Event::Progress { done, total });
        Ok(())
    }

    /// Everything is here once history ended, the inbox was read to its end after that, and every tree was looked for. Who let
    /// this device in may not know of it any more: its profile can be one that was restored from before that.
    pub(super) fn end_arriving(&mut self) {
        let meta = &self.state.meta;
        if meta.arriving {
            let ends = meta.arriving_since.plus(ARRIVAL_PATIENCE);
            if self.run.now >= ends {
                let meta = self.state.meta_mut();
                (meta.arriving, meta.history_ended) = (false, false);
                self.warn(Notice::HistorySilent);
                return;
            }
            self.run.wake_at(ends);
        }
        let meta = &self.state.meta;
        if !meta.history_ended
            || !self.run.delivery.is_caught_up(&self.state.inbox())
            || self.state.tree_missing()
        {
            return;
        }
        let meta = self.state.meta_mut();
        (meta.arriving, meta.history_ended) = (false, false);
    }
}
