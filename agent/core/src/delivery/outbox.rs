//! What must reach the broker: durable rows, and what becomes of each publish.
//!
//! ```text
//! Queued ──seal──► Sealed ──publish──► in flight ──stored──► (fenced: done) ──log shows it in its epoch──► done
//!   ▲                 ▲                    │ no ack: same bytes, same id, later
//!   │                 └── same epoch ◄─────┤ refused by the fence: read the log to its end first
//!   └── a commit came first ◄──────────────┘
//! ```
//! While junk moves the fence of a group (`junk.rs`), single messages go without it and wait for the log to show them.
//!
//! A retry sends the same bytes under the same publish id. What landed behind a commit is dropped by everybody
//! and sealed again in the new epoch under the same message id, so nobody notices. The broker's word that it had
//! an id already is verified by reading the log: ids live in a window that is shared with strangers.

use std::time::Duration;

use cipher_api::view::MessageState;
use cipher_api::{Error, ErrorKind, Event, Notice, Result};
use cipher_broker::id::{GroupId, MessageId, PublishId};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::{codec, limit};

use crate::effect::Effect;
use crate::input::{Expect, OutboxId, Publish};
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::signer::DeviceSigner;
use crate::state::{Failure, GroupRow, MessageRow, OutboxKind, OutboxRow, Post, Powers, Seal, Wish};

/// A publish whose outcome is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// Its outbox row.
    pub(super) row: u64,
    /// Hash of the bytes.
    pub(super) hash: [u8; 32],
    /// Whether these bytes were never published before.
    pub(super) first: bool,
    /// The group in whose log it is to lie.
    pub(super) log: Option<GroupId>,
}

/// Why nothing of what waits leaves any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutboxEnd {
    /// This device is in a group no more.
    NotAMember(GroupId),
    /// This device was revoked.
    Revoked,
    /// Another copy of this store goes on.
    Stopped,
}

impl Core {
    /// Derives the indexes from the rows, after loading.
    pub(super) fn index_outbox(&mut self) {
        self.run.delivery.by_group.clear();
        self.run.delivery.by_hash.clear();
        for (id, row) in self.state.outbox.iter() {
            self.run.delivery.by_group.entry(row.group).or_default().insert(*id);
            if let Some(seal) = &row.seal {
                self.run.delivery.by_hash.insert(seal.hash, *id);
            }
        }
    }

    /// Puts a row into the outbox, and gives its number.
    pub(crate) fn enqueue(&mut self, row: OutboxRow) -> u64 {
        let id = self.state.next_id();
        self.run.delivery.by_group.entry(row.group).or_default().insert(id);
        if let Some(seal) = &row.seal {
            self.run.delivery.by_hash.insert(seal.hash, id);
        }
        self.run.touched.insert(row.group);
        self.state.outbox.insert(id, row);
        id
    }

    /// Takes a row out of the outbox.
    pub(crate) fn dequeue(&mut self, id: u64) -> Option<OutboxRow> {
        let row = self.state.outbox.remove(&id)?;
        if let Some(seal) = &row.seal {
            self.run.delivery.by_hash.remove(&seal.hash);
        }
        if let Some(rows) = self.run.delivery.by_group.get_mut(&row.group) {
            rows.remove(&id);
            if rows.is_empty() {
                self.run.delivery.by_group.remove(&row.group);
            }
        }
        self.run.delivery.in_flight.remove(&id);
        Some(row)
    }

    /// Gives a row new bytes, or takes them away.
    pub(crate) fn reseal(&mut self, id: u64, seal: Option<Seal>) {
        let Some(row) = self.state.outbox.get_mut(&id) else { return };
        let old = row.seal.take();
        let group = row.group;
        if let Some(old) = &old {
            self.run.delivery.by_hash.remove(&old.hash);
        }
        if let Some(new) = &seal {
            self.run.delivery.by_hash.insert(new.hash, id);
        }
        row.seal = seal;
        self.run.delivery.in_flight.remove(&id);
        // They may lie in the log all the same.
        if let Some(old) =
            old.filter(|old| self.state.groups.get(&group).is_some_and(|row| row.epoch == old.epoch))
        {
            self.keep_sealed(group, &old);
        }
    }

    /// A log went back: no place in it that the broker named counts any more.
    pub(super) fn forget_places(&mut self, group: GroupId) {
        for id in self.run.delivery.by_group.get(&group).cloned().unwrap_or_default() {
            if self.run.delivery.in_flight.contains(&id) {
                continue;
            }
            if let Some(seal) = self.seal_mut(id) {
                (seal.fence, seal.stored_at, seal.doubtful) = (None, None, false);
            }
        }
    }

    /// Names one publish of these bytes. An outcome that comes after the row was sealed again says nothing about
    /// the new bytes, so it must be told apart.
    pub(super) fn attempt(&mut self, row: u64, hash: [u8; 32], first: bool) -> OutboxId {
        let attempt = self.run.volatile_id();
        let in_the_log =
            |row: &&OutboxRow| row.kind.is_in_the_log() || matches!(row.kind, OutboxKind::Post(Post::Rejoin));
        let log = self.state.outbox.get(&row).filter(in_the_log).map(|row| row.group);
        self.run.delivery.attempts.insert(attempt, Attempt { row, hash, first, log });
        self.run.delivery.in_flight.insert(row);
        OutboxId(attempt)
    }

    pub(super) fn seal_mut(&mut self, id: u64) -> Option<&mut Seal> {
        self.state.outbox.volatile_mut(&id)?.seal.as_mut()
    }

    /// Ends what waits, because of what became of this device.
    pub(crate) fn nothing_leaves(&mut self, end: OutboxEnd) {
        let (rows, why): (Vec<u64>, _) = match end {
            OutboxEnd::NotAMember(group) => (self.run.delivery.rows_of(group).collect(), Failure::NotAMember),
            OutboxEnd::Revoked => (self.state.outbox.keys(), Failure::Revoked),
            OutboxEnd::Stopped => (self.state.outbox.keys(), Failure::Stopped),
        };
        for id in rows {
            let Some(row) = self.state.outbox.get(&id) else { continue };
            let stays = match end {
                // Invitations and trees of a commit that won still have to arrive.
                OutboxEnd::NotAMember(_) => matches!(row.kind, OutboxKind::Post(_)),
                // A commit that may lie in the log already still has to be settled.
                OutboxEnd::Revoked => !matches!(row.kind, OutboxKind::Message { .. }),
                OutboxEnd::Stopped => false,
            };
            if !stays {
                self.fail_row(id, why);
            }
        }
    }

    pub(super) fn fail_row(&mut self, id: u64, why: Failure) {
        let Some(row) = self.dequeue(id) else { return };
        let error = why.error(&self.state.conversation_name(&row.group));
        if let OutboxKind::Message { id: message, content } = &row.kind {
            let said = self.keep_failed(row.group, id, *message, content, why, &error);
            if said && self.state.groups.get(&row.group).is_some_and(|row| !row.personal) {
                self.notify(Event::State { group: row.group, id: *message, state: MessageState::Failed });
            }
        }
        if let Some((ticket, _)) = self.run.waits.sends.remove(&id) {
            self.run.reply(ticket, Err(error));
        }
    }

    /// When something that waits can be tried again, or its sender is told that it waits.
    pub(crate) fn delivery_due(&self) -> Option<Timestamp> {
        let idle = |row: &u64| self.run.connected && !self.run.delivery.in_flight.contains(row);
        let rows = self.state.outbox.iter().filter(|(row, _)| idle(row)).map(|(_, row)| row.retry_at);
        rows.filter(|at| *at > self.run.now).chain(self.sends_end()).min()
    }

    /// Trees first, Welcomes when the trees are stored.
    pub(crate) fn drive_posts(&mut self, group: GroupId) {
        let rows = self.run.delivery.by_group.get(&group).into_iter().flatten();
        let posts: Vec<(u64, Post)> = rows
            .filter_map(|id| match self.state.outbox.get(id)?.kind {
                OutboxKind::Post(post) => Some((*id, post)),
                _ => None,
            })
            .collect();
        let trees_wait = posts.iter().any(|(_, post)| matches!(post, Post::Tree { .. }));
        for (id, post) in posts {
            match post {
                Post::Tree { epoch, piece } => self.publish_plain(id, Route::Tree { group, epoch, piece }),
                Post::Welcome { device } if !trees_wait => self.publish_plain(id, Route::Inbox(device)),
                Post::Welcome { .. } => {}
                Post::Join | Post::Rejoin | Post::NotMember => {
                    self.publish_plain(id, Route::Application(group));
                }
                Post::Refusal { device } => self.publish_plain(id, Route::Inbox(device)),
                Post::Link { inbox } => self.publish_plain(id, Route::Inbox(inbox)),
            }
        }
    }

    /// Publishes a row's bytes without a fence, unless they are on their way or it is not time yet.
    pub(crate) fn publish_plain(&mut self, id: u64, route: Route) {
        let Some(row) = self.state.outbox.get(&id) else { return };
        let Some(seal) = &row.seal else { return };
        if self.run.delivery.in_flight.contains(&id)
            || seal.stored_at.is_some()
            || seal.doubtful
            || row.retry_at > self.run.now
        {
            return;
        }
        let (hash, publish_id, bytes) = (seal.hash, seal.publish_id, seal.bytes.clone());
        let attempt = self.attempt(id, hash, false);
        let publish = Publish { row: attempt, route, publish_id, expect: None, bytes };
        self.run.effects.push(Effect::Publish(publish));
    }

    /// Publishes the pending commit, compare-and-set on the last handshake sequence that was handled.
    pub(crate) fn publish_commit(&mut self, id: u64, handshake: u64) -> Result<()> {
        let now = self.run.now;
        let Some(row) = self.state.outbox.get(&id) else { return Ok(()) };
        let group = row.group;
        let Some(seal) = &row.seal else { return Ok(()) };
        let waits = self.run.delivery.in_flight.contains(&id) || seal.stored_at.is_some() || seal.doubtful;
        if waits || row.retry_at > now {
            return Ok(());
        }
        let sequence = self.fence(&group, handshake);
        let (hash, publish_id, bytes) = (seal.hash, seal.publish_id, seal.bytes.clone());
        let attempt = self.attempt(id, hash, false);
        let publish = Publish {
            row: attempt,
            route: Route::Handshake(group),
            publish_id,
            expect: Some(Expect { route: Route::Handshake(group), sequence }),
            bytes,
        };
        self.run.effects.push(Effect::Publish(publish));
        Ok(())
    }

    /// Publishes queued messages: a single one behind the epoch fence, so that its acknowledgement means
    /// "delivered in the right epoch"; several pipelined, each checked where it landed. A replicated stream takes
    /// one fenced message per group at a time, so others wait for it.
    pub(crate) fn drive_messages(&mut self, group: GroupId) -> Result<()> {
        if self.state.groups.get(&group).is_some_and(|row| row.doubled.is_some()) {
            return Ok(());
        }
        let Some(rows) = self.run.delivery.by_group.get(&group) else { return Ok(()) };
        let (mut ready, mut flying, mut unsettled, mut fenced) = (Vec::new(), 0usize, 0usize, false);
        for id in rows {
            let Some(row) = self.state.outbox.get(id) else { continue };
            if !matches!(row.kind, OutboxKind::Message { .. }) {
                continue;
            }
            let seal = row.seal.as_ref();
            if self.run.delivery.in_flight.contains(id) {
                flying = flying.saturating_add(1);
                fenced |= seal.is_some_and(|seal| seal.fence.is_some());
            } else if seal.is_some_and(|seal| seal.stored_at.is_some()) {
                unsettled = unsettled.saturating_add(1);
            } else if seal.is_some_and(|seal| seal.doubtful) || row.retry_at > self.run.now {
                // In order: what follows waits for it.
                break;
            } else {
                ready.push(*id);
            }
            let open = flying.saturating_add(unsettled).saturating_add(ready.len());
            if open >= limit::IN_FLIGHT_PER_GROUP.saturating_mul(4) {
                break;
            }
        }
        if ready.is_empty() || fenced {
            return Ok(());
        }
        if self.waits_for_company(group)? {
            self.drop_untold(group, ready);
            return Ok(());
        }
        let known_tail = self.run.delivery.caught_up.contains(&Source::Group(group));
        let single = flying == 0 && (ready.len() == 1 || !known_tail);
        if single {
            ready.truncate(1);
        }
        ready.truncate(limit::IN_FLIGHT_PER_GROUP.saturating_sub(flying));
        let signer = self.state.signer()?;
        let handshake = self.state.groups.get(&group).map_or(0, GroupRow::expected);
        let fence = (single && !self.is_disputed(&group)).then(|| self.fence(&group, handshake));
        self.with_live(group, |core, live| {
            for id in ready {
                core.publish_message(group, live, id, fence, &signer)?;
            }
            Ok(())
        })
    }

    /// Whether a group that was just made still waits for its first members: nobody could read what is said.
    fn waits_for_company(&mut self, group: GroupId) -> Result<bool> {
        if self.state.groups.get(&group).is_some_and(|row| row.personal) {
            return self.waits_for_siblings(group);
        }
        let is_first = |wish: &Wish| !matches!(wish, Wish::Devices { .. });
        let wanted =
            self.state.intents.iter().any(|(_, intent)| intent.group == group && is_first(&intent.wish));
        let slot = self.state.groups.get(&group).is_some_and(|row| row.slot.is_some());
        if !wanted && !slot {
            return Ok(false);
        }
        self.with_live(group, |_, live| Ok(live.roster.len() == 1))
    }

    pub(super) fn publish_message(
        &mut self,
        group: GroupId,
        live: &mut Live,
        id: u64,
        fence: Option<u64>,
        signer: &DeviceSigner,
    ) -> Result<()> {
        // Bytes of an epoch that is over can only land where everybody drops them: had they landed in time, the
        // log would have shown them before the commit.
        let seal = self.state.outbox.get(&id).and_then(|row| row.seal.as_ref());
        let first = seal.is_none_or(|seal| seal.epoch != live.epoch());
        if first {
            self.seal_message(live, id, signer)?;
        }
        let Some(seal) = self.seal_mut(id) else { return Ok(()) };
        seal.fence = fence;
        let (hash, publish_id, bytes) = (seal.hash, seal.publish_id, seal.bytes.clone());
        let attempt = self.attempt(id, hash, first);
        let publish = Publish {
            row: attempt,
            route: Route::Application(group),
            publish_id,
            expect: fence.map(|sequence| Expect { route: Route::Handshake(group), sequence }),
            bytes,
        };
        self.run.effects.push(Effect::Publish(publish));
        Ok(())
    }

    /// What compare-and-set expects of the handshake subject: the last message that was handled, or none when
    /// retention took even that one away.
    pub(super) fn fence(&self, group: &GroupId, handshake: u64) -> u64 {
        if self.run.delivery.emptied.contains(group) { 0 } else { handshake }
    }

    /// R-SYNC-07: own devices are told nothing while one that was revoked would hear it, or while nobody would.
    pub(super) fn waits_for_siblings(&mut self, group: GroupId) -> Result<bool> {
        let (alone, overheard) = self.with_live(group, |core, live| {
            let overheard = live.roster.values().any(|leaf| core.state.is_own_revoked(&leaf.device));
            Ok((live.roster.len() == 1, overheard))
        })?;
        Ok(alone || overheard)
    }

    /// What was to be told to own devices is not wanted any more when the last of them was revoked.
    pub(super) fn drop_untold(&mut self, group: GroupId, rows: Vec<u64>) {
        if self.state.personal_group() == Some(group) && !self.state.has_siblings() {
            for id in rows {
                self.dequeue(id);
            }
        }
    }

    /// Seals a queued message in the current epoch. Persisted in this batch, published after it.
    pub(super) fn seal_message(&mut self, live: &mut Live, id: u64, signer: &DeviceSigner) -> Result<()> {
        let Some(row) = self.state.outbox.get(&id) else { return Ok(()) };
        let OutboxKind::Message { content, .. } = &row.kind else { return Ok(()) };
        let group = row.group;
        let mut content = content.clone();
        if let Some(keyed) = self.state.keyed_for(group, live, &content, &self.provider)? {
            content = keyed;
            let message = MessageId::of_content(&group, &self.state.own_id(), &content);
            if let Some(row) = self.state.outbox.get_mut(&id) {
                row.kind = OutboxKind::Message { content: content.clone(), id: message };
            }
        }
        let message = live
            .mls
            .create_message(&self.provider, signer, &content)
            .map_err(|error| ErrorKind::Bug.because_of("a message cannot be sealed", error))?
            .to_bytes()
            .map_err(|error| ErrorKind::Bug.because_of("a message cannot be encoded", error))?;
        let bytes = codec::encode(&Envelope::Message(message));
        let mut seal = Seal::new(live.epoch(), bytes, PublishId::from_bytes(self.provider.bytes()));
        seal.powers = Powers::of(&live.data, &self.state.own_id());
        // R-GRANT-02: as everybody else judges it, by the members of this epoch.
        if seal.powers.grant
            && let Ok(Content { body: Body::HistoryGrant(grant), .. }) = codec::decode(&content)
        {
            seal.powers.grant = live.roster.values().any(|leaf| leaf.account == grant.to);
        }
        self.reseal(id, Some(seal));
        Ok(())
    }

    /// What could not be said stays where its author looks for it, and says so. Whether a person said it.
    pub(super) fn keep_failed(
        &mut self,
        group: GroupId,
        row: u64,
        id: MessageId,
        content: &[u8],
        why: Failure,
        error: &Error,
    ) -> bool {
        let (Ok(content), Some(identity)) = (codec::decode::<Content>(content), &self.state.identity) else {
            return true;
        };
        if content.body.is_silent() {
            return false;
        }
        if content.body.changes().is_some() {
            let name = self.state.conversation_name(&group);
            self.warn(Notice::ChangeNotDelivered { group, name, error: Box::new(error.clone()) });
            return true;
        }
        // Said again because the log lost it, and known to have been said.
        if self.history.seen(&group, &id).is_ok_and(|seen| seen.is_some()) {
            return true;
        }
        let mut failed = MessageRow::own(identity, id, content, true);
        failed.failure = Some(why);
        if let Some(seconds) = failed.expire {
            // Nobody reads it but its author.
            failed.expires(self.run.now.plus(Duration::from_secs(seconds)));
        }
        // Behind everything of its sequence, several in the order they were written.
        let sequence = self.state.groups.get(&group).map_or(0, |row| row.cursor);
        let [.., high, low] = row.to_be_bytes();
        let place = u16::from_be_bytes([high, low]) | 0x8000;
        self.history.insert(group, (sequence, place), failed);
        if self.state.meta.stopped {
            return true;
        }
        let name = self.state.conversation_name(&group);
        self.warn(Notice::NotDelivered { group, name, error: Box::new(error.clone()) });
        true
    }
}
