//! A group's log that went back is put right: read again from its beginning, given back what it lost.
//!
//! ```text
//! went back ──► new era, read from the beginning ──► commits it still has are known by their hash
//!                          │ at its end
//!                          ▼
//!       the next commit that it lost, by turns, compare-and-set ──► the log shows it ──► the next one
//!                          │ none is left
//!                          ▼
//!       own messages that it does not show are sent again, sealed anew, under their ids
//! ```
//! Commits prove themselves, so any member that keeps their bytes gives them back. They travel as
//! [`Envelope::Again`]: members who come later take the step like any other, and learn that others were ahead, so
//! that what they said meanwhile in that epoch could not be read and has to be said again. A message is sent again
//! by its author alone. Who has a message already knows it by its id and keeps its row.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::view::GroupState;
use cipher_api::{Notice, Result};
use cipher_broker::id::{AccountId, DeviceId, GroupId, PublishId};
use cipher_broker::sign::wire_hash;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::{Envelope, WelcomeNote};
use cipher_broker::{codec, limit};
use serde_bytes::ByteArray;

use crate::group::turn;
use crate::machine::Core;
use crate::state::live::Live;
use crate::state::position::{era_of, sequence_of};
use crate::state::{
    KeptRow, OutboxKind, OutboxRow, PendingWelcome, Post, PostedRow, Print, Seal, SentRow, Why,
};

/// Invitations that are kept in case they get lost, and their bytes.
const POSTED: usize = 64;
/// How often an invitation is sent again because time passes, before its maker is told: the last copy lies in the stream
/// for as long as key packages are good.
const RENEWED: u8 = 2;
const POSTED_BYTES: usize = 4 * 1024 * 1024;

/// R-LOG-03: a message that a log lost is said again only while everybody who is in the group was in it when it was said.
const fn is_heard_by_all(said: u64, newest: u64) -> bool {
    said >= newest
}

impl Core {
    /// While a log is read again: what this store knows already only changes its place. Whether it was that.
    pub(super) fn read_again(
        &mut self,
        group: GroupId,
        live: &Live,
        epoch: u64,
        commit: bool,
        (hash, print): (&[u8; 32], Option<&Print>),
        position: u64,
    ) -> Result<bool> {
        if self.state.groups.get(&group).is_none_or(|row| row.back.is_none()) {
            return Ok(false);
        }
        if commit && epoch < live.epoch() {
            let Some(mut kept) = self.ledger.commit(&group, epoch)? else { return Ok(false) };
            let row = self.state.groups.get_mut(&group);
            if kept.hash != *hash {
                if let Some(back) = row.and_then(|row| row.back.as_mut())
                    && era_of(kept.position) < era_of(position)
                {
                    back.rival = true;
                }
                return Ok(false);
            }
            kept.position = position;
            self.ledger.move_commit(group, epoch, kept);
            if let Some(id) = self.given_back(group, epoch) {
                self.dequeue(id);
            }
            self.run.touched.insert(group);
            return Ok(true);
        }
        let Some(print) = print else { return Ok(false) };
        let Some(sent) = self.sealed_here(group, print, position)?.filter(|sent| sent.is(hash)) else {
            return Ok(false);
        };
        self.lies_elsewhere(group, print, sent, position)?;
        Ok(true)
    }

    /// Keeps a commit that was merged.
    pub(super) fn keep_commit(
        &mut self,
        group: GroupId,
        epoch: u64,
        hash: [u8; 32],
        bytes: Vec<u8>,
        position: u64,
    ) -> Result<()> {
        let row = KeptRow { hash, bytes: bytes.into(), position, at: self.run.now };
        self.ledger.keep_commit(group, epoch, row)
    }

    /// The row that gives back the commit of an epoch.
    fn given_back(&self, group: GroupId, epoch: u64) -> Option<u64> {
        let rows = self.run.delivery.rows_of(group);
        rows.into_iter().find(|id| {
            let row = self.state.outbox.get(id);
            row.is_some_and(|row| matches!(row.kind, OutboxKind::Again { epoch: of } if of == epoch))
        })
    }

    /// Nothing is given back any more: others began with a later change than we did, and what lies before that cannot
    /// come behind it.
    fn drop_given_back(&mut self, group: GroupId) {
        let rows = self.run.delivery.rows_of(group);
        let again = |id: &u64| {
            let row = self.state.outbox.get(id);
            row.is_some_and(|row| matches!(row.kind, OutboxKind::Again { .. }))
        };
        for id in rows.filter(again).collect::<Vec<_>>() {
            self.dequeue(id);
        }
    }

    /// Brings the mending of a log forward. Whether it is under way: nothing else is sent meanwhile.
    pub(super) fn mend(&mut self, group: GroupId) -> Result<bool> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(false) };
        if row.back.is_none() {
            return Ok(false);
        }
        if !self.run.delivery.is_caught_up(&Source::Group(group)) {
            return Ok(true);
        }
        let (era, epoch, expected) = (row.era, row.epoch, row.expected());
        let commits = self.ledger.commits_of(&group)?;
        let is_here = |kept: &KeptRow| era_of(kept.position) == era;
        let first = commits.iter().find(|(_, kept)| is_here(kept)).map(|(of, _)| *of);
        // Behind the first that is there: somebody who lacks one that was given back late goes on from what it kept of later
        // ones.
        let lacks =
            |of: u64, kept: &KeptRow| of < epoch && !is_here(kept) && first.is_none_or(|first| of > first);
        let lost = commits.into_iter().find(|(of, kept)| lacks(*of, kept));
        let Some((of, kept)) = lost else {
            self.mended(group)?;
            return Ok(false);
        };
        if let Some(id) = self.given_back(group, of) {
            self.publish_commit(id, expected)?;
            return Ok(true);
        }
        if !self.is_our_turn_to_mend(group)? {
            return Ok(true);
        }
        let Ok(Envelope::Message(commit)) = codec::decode(&kept.bytes) else { return Ok(true) };
        let bytes = codec::encode(&Envelope::Again(commit));
        let seal = Seal::new(of, bytes, PublishId::from_bytes(self.provider.bytes()));
        let id = self.enqueue(OutboxRow::new(group, OutboxKind::Again { epoch: of }, Some(seal)));
        self.incident(|incident| incident.commits = incident.commits.saturating_add(1));
        self.publish_commit(id, expected)?;
        Ok(true)
    }

    fn is_our_turn_to_mend(&mut self, group: GroupId) -> Result<bool> {
        let rank = self.with_live(group, |_, live| Ok(turn::rank(live, |_, _| Some(()))))?;
        let since = *self.run.group.mending.entry(group).or_insert(self.run.now);
        Ok(self.is_time(since.plus(turn::after(turn::STEP, rank))))
    }

    /// The log has every commit that can be given back: what we said and it does not show is said again.
    fn mended(&mut self, group: GroupId) -> Result<()> {
        let Some(row) = self.state.groups.get_mut(&group) else { return Ok(()) };
        let rival = row.back.take().is_some_and(|back| back.rival);
        let (era, newest) = (row.era, row.newest);
        self.run.group.mending.remove(&group);
        self.drop_given_back(group);
        if rival {
            // Somebody went on from the older log before it was given back: that is the group now.
            self.lost(group, Why::LogWentBack);
        }
        self.tells_later(group);
        self.repost(Some(group))?;
        let heard = |sent: &SentRow| is_heard_by_all(sent.epoch, newest);
        let said = self.say_again(group, |sent| era_of(sent.position) < era && heard(sent))?;
        let kept = self.sealed_of(group)?;
        let kept =
            kept.iter().filter(|(_, sent)| sent.id.is_some() && era_of(sent.position) < era && !heard(sent));
        self.tell_kept_back(group, kept.count());
        self.incident(|incident| incident.messages = incident.messages.saturating_add(said));
        Ok(())
    }

    /// Own messages that the log lost stay lost to it, because somebody is in the group now who was not when they were said.
    fn tell_kept_back(&mut self, group: GroupId, count: usize) {
        if count == 0 || self.state.groups.get(&group).is_none_or(|row| row.personal) {
            return;
        }
        let name = self.state.conversation_name(&group);
        self.warn(Notice::KeptBack { group, name, count: count as u64 });
    }

    /// Keeps an invitation that leaves. The oldest give way.
    pub(super) fn keep_posted(
        &mut self,
        group: GroupId,
        epoch: u64,
        pending: &PendingWelcome,
        pieces: &[Vec<u8>],
    ) {
        let pieces = pieces.iter().map(|piece| piece.clone().into()).collect();
        let (at, again_at) = (self.run.now, Timestamp::default());
        let row = PostedRow { group, epoch, pending: pending.clone(), pieces, at, again_at, again: 0 };
        let id = self.state.next_id();
        self.state.posted.insert(id, row);
        // By then the key packages that it was made for are worth nothing.
        let oldest = self.run.now.minus(limit::KEY_PACKAGE_LIFETIME);
        let (mut rows, mut room) = (POSTED, POSTED_BYTES);
        for id in self.state.posted.keys().into_iter().rev() {
            let Some(row) = self.state.posted.get(&id) else { continue };
            room = room.saturating_sub(row.bytes());
            rows = rows.saturating_sub(1);
            if rows == 0 || room == 0 || row.at < oldest {
                self.state.posted.remove(&id);
            }
        }
    }

    /// Sends the invitations again that a log or an inbox lost: those of one group, or all. Who has one already
    /// takes no notice of it.
    pub(crate) fn repost(&mut self, of: Option<GroupId>) -> Result<()> {
        let rows = self.state.posted.iter().map(|(_, row)| row.clone());
        let rows: Vec<PostedRow> = rows.filter(|row| of.is_none_or(|of| of == row.group)).collect();
        let under_way = self.posting();
        for row in rows.into_iter().filter(|row| !under_way.contains(&row.group)) {
            self.post_again(row)?;
        }
        Ok(())
    }

    /// Groups whose invitations are on their way.
    fn posting(&self) -> BTreeSet<GroupId> {
        let rows = self.state.outbox.iter();
        let posts =
            |row: &OutboxRow| matches!(row.kind, OutboxKind::Post(Post::Tree { .. } | Post::Welcome { .. }));
        rows.filter(|(_, row)| posts(row)).map(|(_, row)| row.group).collect()
    }

    /// Sends an invitation again, if its commit is still known.
    fn post_again(&mut self, row: PostedRow) -> Result<()> {
        let PostedRow { group, epoch, pending, pieces, .. } = row;
        let Some(kept) = self.ledger.commit(&group, epoch.saturating_sub(1))? else { return Ok(()) };
        let note = WelcomeNote {
            commit_sequence: sequence_of(kept.position),
            commit_hash: kept.hash,
            pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
            hashes: pieces.iter().map(|piece| ByteArray::new(wire_hash(piece))).collect(),
            // Who decides has seen what was said before the log was lost.
            text: String::new(),
            commit_at: kept.at,
            doubt: self.is_in_doubt(&group),
        };
        for (piece, bytes) in (0u32..).zip(pieces) {
            self.enqueue_post(group, Post::Tree { epoch, piece }, bytes.into_vec());
        }
        self.enqueue_welcomes(group, &pending, &note)
    }

    /// An invitation that nothing was heard of is sent again before streams let go of it, for as long as its key packages are
    /// good; then the person is told. F7: who invited would see a member for ever.
    pub(super) fn renew_invitations(&mut self) -> Result<()> {
        let (now, under_way) = (self.run.now, self.posting());
        for id in self.state.posted.keys() {
            let Some(row) = self.state.posted.get(&id).cloned() else { continue };
            let group = row.group;
            let good = self.state.groups.get(&group).is_some_and(|row| {
                row.state == GroupState::Active && row.lost.is_none() && row.back.is_none() && !row.personal
            });
            let due = row.at.max(row.again_at).plus(limit::REFRESH_AFTER) <= now;
            if !good
                || !due
                || under_way.contains(&group)
                || !self.run.delivery.is_caught_up(&Source::Group(group))
            {
                continue;
            }
            let unheard = self.unheard(group, &row.pending.devices)?;
            if unheard.is_empty() {
                self.state.posted.remove(&id);
            } else if row.again < RENEWED {
                let devices = unheard.keys().copied().collect();
                let pending = PendingWelcome { devices, ..row.pending.clone() };
                self.post_again(PostedRow { pending, ..row })?;
                if let Some(row) = self.state.posted.get_mut(&id) {
                    (row.again_at, row.again) = (now, row.again.saturating_add(1));
                }
            } else {
                self.state.posted.remove(&id);
                let who: BTreeSet<String> =
                    unheard.values().map(|account| format!("@{}", self.state.handle_of(account))).collect();
                let who = who.into_iter().collect();
                let name = self.state.conversation_name(&group);
                self.warn(Notice::InvitationUnheard { group, name, who, at: row.at });
            }
        }
        Ok(())
    }

    /// Which of these devices are in a group and have said and done nothing there.
    fn unheard(&mut self, group: GroupId, devices: &[DeviceId]) -> Result<BTreeMap<DeviceId, AccountId>> {
        let mut unheard = self.with_live(group, |_, live| {
            let leaves = live.roster.values().filter(|leaf| devices.contains(&leaf.device));
            Ok(leaves.map(|leaf| (leaf.device, leaf.account)).collect::<BTreeMap<_, _>>())
        })?;
        for device in unheard.keys().copied().collect::<Vec<_>>() {
            if !self.history.last(&group, 1, |row| row.device == device)?.is_empty() {
                unheard.remove(&device);
            }
        }
        Ok(unheard)
    }
}
