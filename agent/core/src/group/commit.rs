//! The commit slot of a group: one own commit at a time, from being made to being seen in the log.
//!
//! ```text
//! Idle ──build──► Drafted ──publish──► InFlight ──log shows these bytes in our epoch──► merged ──► tree, Welcomes
//!                    ▲                    │ conflict: read the log to its end
//!                    └── same epoch ──────┤
//!  Idle, intent stays ◄── another commit was merged first (lost)
//! ```
//! A pending commit is merged only when the log shows exactly its bytes at a place where we are in its epoch. What
//! OpenMLS says about "own messages" is never trusted: that claim is not authenticated. A Welcome leaves only
//! after the merge, so nobody is invited into an epoch that lost.

use std::collections::BTreeSet;

use cipher_api::view::GroupState;
use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::id::{AccountId, GroupId, PublishId};
use cipher_broker::sign::wire_hash;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::envelope::{CommitNote, Envelope, WelcomeNote};
use cipher_broker::wire::group::TREE_KEY_EXTENSION;
use cipher_broker::{codec, limit};
use openmls::prelude::{Extension, LeafNodeIndex, QueuedProposal, UnknownExtension};
use openmls_traits::OpenMlsProvider;
use serde_bytes::ByteArray;
use tls_codec::Serialize as _;

use crate::group::create::extensions;
use crate::group::draft::Draft;
use crate::group::epoch::Merged;
use crate::group::facts::{facts, leaver};
use crate::group::policy::{self, Committer};
use crate::group::{rejoin, tree, turn};
use crate::machine::{Core, fatal};
use crate::state::live::{LeftToDo, Live, store_failed};
use crate::state::position::sequence_of;
use crate::state::roster::{Leaf, Roster};
use crate::state::{OutboxKind, OutboxRow, PendingWelcome, Post, Seal, Skip, Slot, Wish};
use crate::store::mls;

impl Core {
    /// Brings the commits of a group forward: publishes the one that is pending, or makes the next.
    pub(super) fn drive_commits(&mut self, group: GroupId) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        if let Some(slot) = &row.slot {
            let (id, fence) = (slot.row, row.expected());
            return self.publish_commit(id, fence);
        }
        let lost = row.lost.is_some();
        let leaving = match row.state {
            GroupState::Active => false,
            GroupState::Leaving if !lost => true,
            _ => return Ok(()),
        };
        let leavers: BTreeSet<u32> = row.proposals.iter().filter_map(|bytes| leaver(bytes)).collect();
        if let Some(readmission) = self.readmission(group, &leavers)? {
            let made = self.with_live(group, |core, live| {
                let mut draft = Draft { rotate: true, rejoins: readmission.shown, ..Draft::default() };
                for (package, device) in readmission.adds {
                    draft.adds.push(package);
                    draft.joiners.push(device);
                }
                draft.removes.extend(readmission.removes.into_iter().map(LeafNodeIndex::new));
                core.build(group, live, draft, None)
            });
            match made {
                Ok(()) => return self.drive_commits(group),
                Err(error) if fatal(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(group = group.short(), %error, "devices cannot be let back in");
                    self.readmission_failed(group);
                }
            }
        }
        if leaving {
            return self.propose_leave(group);
        }
        if lost {
            // What this device wants changed waits until it is back.
            return Ok(());
        }
        if let Some((_, wish)) = self.devices_wish(group, &leavers)? {
            // No intent goes with it: what there is to do is worked out again when the commit is in the log.
            let made =
                self.with_live(group, |core, live| match core.draft(group, live, Some(&wish), &leavers)? {
                    Some(draft) => core.build(group, live, draft, None).map(|()| true),
                    None => Ok(false),
                });
            match made {
                Ok(true) => return self.drive_commits(group),
                Ok(false) => {}
                Err(error) if fatal(&error) => return Err(error),
                Err(error) if self.additions_failed(group, &leavers)? => {
                    tracing::warn!(group = group.short(), %error, "a device cannot be added: tried without it");
                    return self.drive_commits(group);
                }
                Err(error) => {
                    tracing::warn!(group = group.short(), %error, "devices of a group cannot be put right");
                    self.devices_failed(group);
                }
            }
        }
        let is_theirs = |wish: &Wish| !matches!(wish, Wish::Devices { .. });
        let next =
            self.state.intents.iter().find(|(_, intent)| intent.group == group && is_theirs(&intent.wish));
        let next = next.map(|(id, intent)| (*id, intent.wish.clone()));
        if next.is_none() && (leavers.is_empty() || !self.is_our_turn(group, &leavers)?) {
            return Ok(());
        }
        let intent = next.as_ref().map(|(id, _)| *id);
        let made = self.with_live(group, |core, live| {
            let Some(draft) = core.draft(group, live, next.as_ref().map(|(_, wish)| wish), &leavers)? else {
                return Ok(false);
            };
            core.build(group, live, draft, intent).map(|()| true)
        });
        match (made, intent) {
            (Ok(true), _) => self.drive_commits(group),
            (Ok(false), Some(id)) => {
                // Somebody else did it already: as good as done.
                let reply = self.won_reply(id, group);
                self.intent_done(id, reply);
                self.drive_commits(group)
            }
            (Ok(false), None) => Ok(()),
            (Err(error), _) if fatal(&error) => Err(error),
            (Err(error), Some(id)) => {
                self.intent_failed(group, id, error)?;
                self.drive_commits(group)
            }
            (Err(_), None) => {
                // Proposals that cannot be committed would be tried for ever.
                if let Some(row) = self.state.groups.get_mut(&group) {
                    row.proposals.clear();
                }
                self.skip(Skip::Proposal);
                Ok(())
            }
        }
    }

    /// Whether it is on us to commit others' wish to leave: owners and admins first, then by leaf.
    /// Everybody else waits and steps in later, so the group does not race for every leaver.
    fn is_our_turn(&mut self, group: GroupId, leavers: &BTreeSet<u32>) -> Result<bool> {
        let now = self.run.now;
        let others = |index, _: &Leaf| (!leavers.contains(&index)).then_some(());
        let rank = self.with_live(group, |_, live| Ok(turn::rank(live, others)))?;
        let seen = *self.run.group.leave_seen.entry(group).or_insert(now);
        Ok(self.is_time(seen.plus(turn::after(turn::STEP, rank))))
    }

    /// Makes the commit, judges it by the same rules everybody will, and puts it into the slot.
    fn build(
        &mut self,
        group: GroupId,
        live: &mut Live,
        mut draft: Draft,
        intent: Option<u64>,
    ) -> Result<()> {
        let signer = self.state.signer()?;
        let row = self.state.groups.get(&group).ok_or_else(|| super::show::not_found(""))?;
        let (link, mut proposals) = (row.link.clone(), row.proposals.clone());
        // Who leaves and lets somebody in before asks to go once more (RFC 9420 §12.2).
        let own = self.state.own_id();
        proposals.retain(|bytes| {
            let leaf = leaver(bytes).and_then(|index| live.roster.get(&index));
            leaf.is_none_or(|leaf| leaf.account != own)
        });
        let leavers: BTreeSet<u32> = proposals.iter().filter_map(|bytes| leaver(bytes)).collect();
        draft.removes.extend(left_behind(&live.roster, &leavers, &draft.removes));
        self.load_proposals(live, &proposals)?;
        let mut note = CommitNote { rejoins: draft.rejoins, ..CommitNote::after(&link, draft.evidence) };
        note.answers = self.requests_known(&group);
        note.doubt = self.is_in_doubt(&group);
        let alone = live.roster.len() == 1;
        if draft.rotate || alone {
            note.heal = self.new_keys_signature(&group, live.epoch(), alone)?;
        }
        live.mls.set_aad(codec::encode(&note));
        let key: [u8; 32] = self.provider.bytes();
        // With additions it is one of them: everything else was made here.
        let kind = if draft.joiners.is_empty() { ErrorKind::Refused } else { ErrorKind::Trust };
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            kind.because_of("the group cannot be changed like that", error)
        };
        let bundle = (|| {
            let mut builder = live
                .mls
                .commit_builder()
                .consume_proposal_store(true)
                .force_self_update(draft.rotate)
                .propose_adds(draft.adds)
                .propose_removals(draft.removes);
            if let Some(data) = &draft.data {
                builder = builder
                    .propose_group_context_extensions(extensions(data)?)
                    .map_err(|e| failed(e.into()))?;
            }
            let mut builder = builder.load_psks(self.provider.storage()).map_err(|e| failed(e.into()))?;
            if !draft.joiners.is_empty() {
                let key = Extension::Unknown(TREE_KEY_EXTENSION, UnknownExtension(key.to_vec()));
                builder = builder.create_group_info_with_extensions([key]).map_err(|e| failed(e.into()))?;
            }
            builder
                .build(self.provider.rand(), self.provider.crypto(), &signer, |_| true)
                .map_err(|e| failed(e.into()))?
                .stage_commit(&self.provider)
                .map_err(|e| failed(e.into()))
        })();
        let bundle = match bundle {
            Ok(bundle) => bundle,
            Err(error) => {
                live.mls.clear_pending_proposals(self.provider.storage()).map_err(store_failed)?;
                return Err(error);
            }
        };
        let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes()).transpose();
        let welcome =
            welcome.map_err(|error| ErrorKind::Bug.because_of("a Welcome cannot be encoded", error))?;
        let commit = bundle.into_commit().to_bytes();
        let commit =
            commit.map_err(|error| ErrorKind::Bug.because_of("a commit cannot be encoded", error))?;
        let bytes = codec::encode(&Envelope::Message(commit));
        let refused = match live.mls.pending_commit() {
            Some(staged) => {
                let own = Committer::Member(live.mls.own_leaf_index().u32());
                let mut facts = facts(live, staged, own, &note.evidence);
                facts.rejoins = rejoin::shown(live, staged, &note.rejoins);
                policy::authorize(&live.roster, &live.data, &facts).err().map(|refused| refused.reason)
            }
            None => Some("there is no pending commit".into()),
        };
        let too_large = bytes.len() > limit::MESSAGE_BYTES;
        if refused.is_some() || too_large {
            live.mls.clear_pending_commit(self.provider.storage()).map_err(store_failed)?;
            live.mls.clear_pending_proposals(self.provider.storage()).map_err(store_failed)?;
            return Err(match refused {
                Some(reason) => ErrorKind::Refused.because(reason).hint(Advice::AskAdmin),
                None => ErrorKind::Limit
                    .because("the change is too large for one step")
                    .hint(Advice::SmallerSteps),
            });
        }
        // A stored proposal blocks sending; the pending commit carries what it needs of them.
        live.mls.clear_pending_proposals(self.provider.storage()).map_err(store_failed)?;
        let seal = Seal::new(live.epoch(), bytes, PublishId::from_bytes(self.provider.bytes()));
        let hash = seal.hash;
        let row = self.enqueue(OutboxRow::new(group, OutboxKind::Commit, Some(seal)));
        let slot = Slot {
            row,
            intent,
            epoch: live.epoch(),
            hash,
            welcome: welcome.map(|welcome| PendingWelcome { welcome, key, devices: draft.joiners }),
            signed: !note.heal.is_empty(),
            answers: note.answers,
        };
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.slot = Some(slot);
        }
        Ok(())
    }

    /// Gives up the pending commit, which is of no use any more, should it land or not. What was wished stays.
    pub(super) fn drop_slot(&mut self, group: GroupId, live: &mut Live) -> Result<()> {
        let Some(slot) = self.state.groups.get_mut(&group).and_then(|row| row.slot.take()) else {
            return Ok(());
        };
        live.mls.clear_pending_commit(self.provider.storage()).map_err(store_failed)?;
        if let Some(OutboxRow { seal: Some(seal), .. }) = self.dequeue(slot.row) {
            self.keep_sealed(group, &seal);
        }
        Ok(())
    }

    /// Gives OpenMLS the proposals of others, for the one commit that is made or processed next.
    pub(super) fn load_proposals(&self, live: &mut Live, proposals: &[serde_bytes::ByteBuf]) -> Result<()> {
        for bytes in proposals {
            if let Ok(proposal) = mls::decode::<QueuedProposal>(bytes) {
                live.mls.store_pending_proposal(self.provider.storage(), proposal).map_err(store_failed)?;
            }
        }
        Ok(())
    }

    /// Asks to be removed, in the current epoch (RFC 9420 §12.1.3; nobody can commit their own removal).
    fn propose_leave(&mut self, group: GroupId) -> Result<()> {
        let waiting = self.run.delivery.rows_of(group);
        let waiting: Vec<u64> = waiting
            .filter(|id| self.state.outbox.get(id).is_some_and(|row| matches!(row.kind, OutboxKind::Leave)))
            .collect();
        let epoch = self.state.groups.get(&group).map_or(0, |row| row.epoch);
        if let Some(id) = waiting.first() {
            let stale = self
                .state
                .outbox
                .get(id)
                .and_then(|row| row.seal.as_ref())
                .is_none_or(|seal| seal.epoch != epoch);
            if !stale {
                self.publish_plain(*id, cipher_broker::subject::Route::Handshake(group));
                return Ok(());
            }
            self.dequeue(*id);
        } else if self.state.groups.get(&group).is_some_and(|row| row.leave_epoch == Some(epoch)) {
            return Ok(());
        }
        let signer = self.state.signer()?;
        let bytes = self.with_live(group, |core, live| {
            let message = live
                .mls
                .leave_group(&core.provider, &signer)
                .map_err(|error| ErrorKind::Bug.because_of("leaving cannot be proposed", error))?;
            // Kept out of OpenMLS's store like everybody's; it is given back when the commit comes.
            let own: Vec<serde_bytes::ByteBuf> = live
                .mls
                .pending_proposals()
                .filter_map(|proposal| mls::encode(proposal).ok())
                .map(serde_bytes::ByteBuf::from)
                .collect();
            live.mls.clear_pending_proposals(core.provider.storage()).map_err(store_failed)?;
            if let Some(row) = core.state.groups.get_mut(&group) {
                row.proposals.extend(own);
                row.leave_epoch = Some(epoch);
            }
            message
                .to_bytes()
                .map_err(|error| ErrorKind::Bug.because_of("a proposal cannot be encoded", error))
        })?;
        let bytes = codec::encode(&Envelope::Message(bytes));
        let seal = Seal::new(epoch, bytes, PublishId::from_bytes(self.provider.bytes()));
        let id = self.enqueue(OutboxRow::new(group, OutboxKind::Leave, Some(seal)));
        self.publish_plain(id, cipher_broker::subject::Route::Handshake(group));
        Ok(())
    }

    /// The log shows our own commit, in its epoch: it won, and so did the intent it was made for.
    pub(crate) fn own_commit_won(
        &mut self,
        group: GroupId,
        live: &mut Live,
        slot: &Slot,
        sequence: u64,
    ) -> Result<LeftToDo> {
        let (roster, data) = (live.roster.clone(), live.data.clone());
        let own = Committer::Member(live.mls.own_leaf_index().u32());
        let leavers = live.mls.pending_commit().map(|staged| facts(live, staged, own, &[]).leavers(&roster));
        let leavers = leavers.unwrap_or_default();
        live.mls
            .merge_pending_commit(&self.provider)
            .map_err(|error| ErrorKind::Storage.because_of("an own commit could not be merged", error))?;
        live.refresh()?;
        let commit = self.dequeue(slot.row).and_then(|row| row.seal).map(|seal| seal.bytes);
        self.keep_commit(group, slot.epoch, slot.hash, commit.unwrap_or_default(), sequence)?;
        if slot.signed {
            self.own_word_lies(group, sequence, self.run.now);
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.slot = None;
        }
        let committer = Some(live.mls.own_leaf_index().u32());
        let merged = Merged {
            committer,
            sequence,
            hash: slot.hash,
            leavers: &leavers,
            answers: &slot.answers,
            doubt: false,
        };
        let ended = self.epoch_began(group, live, &roster, &data, merged)?;
        if let Some(pending) = &slot.welcome {
            self.post_welcome(group, live, pending, sequence, slot.hash)?;
        }
        Ok(LeftToDo { ended, won: slot.intent })
    }

    /// Puts the sealed tree and the Welcomes on their way; the Welcomes wait for the tree.
    fn post_welcome(
        &mut self,
        group: GroupId,
        live: &Live,
        pending: &PendingWelcome,
        sequence: u64,
        hash: [u8; 32],
    ) -> Result<()> {
        let encoding = |error: tls_codec::Error| ErrorKind::Bug.because_of("a tree cannot be encoded", error);
        let exported = live.mls.export_ratchet_tree().tls_serialize_detached().map_err(encoding)?;
        let epoch = live.epoch();
        let pieces = tree::seal_tree(&pending.key, self.provider.bytes(), &group, epoch, &exported)?;
        let note = WelcomeNote {
            commit_sequence: sequence_of(sequence),
            commit_hash: hash,
            pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
            hashes: pieces.iter().map(|piece| ByteArray::new(wire_hash(piece))).collect(),
            text: if live.data.direct { self.first_words(&group) } else { String::new() },
            // It may reach the broker much later, when its maker is back.
            commit_at: self.run.group.entry_at(self.run.now),
            doubt: self.is_in_doubt(&group),
        };
        self.keep_posted(group, epoch, pending, &pieces);
        for (piece, bytes) in (0u32..).zip(pieces) {
            self.enqueue_post(group, Post::Tree { epoch, piece }, bytes);
        }
        self.enqueue_welcomes(group, pending, &note)
    }

    /// Each invited device gets the Welcome, with a note of where the group's log goes on.
    pub(super) fn enqueue_welcomes(
        &mut self,
        group: GroupId,
        pending: &PendingWelcome,
        note: &WelcomeNote,
    ) -> Result<()> {
        for device in &pending.devices {
            let note = tree::seal_note(&pending.key, self.provider.bytes(), &group, note)?;
            let bytes = codec::encode(&Envelope::Welcome { welcome: pending.welcome.clone(), note });
            self.enqueue_post(group, Post::Welcome { device: *device }, bytes);
        }
        Ok(())
    }

    /// What waits to be said behind the invitation: whoever is asked sees why.
    fn first_words(&self, group: &GroupId) -> String {
        let rows = self.run.delivery.rows_of(*group);
        let said = rows.filter_map(|id| match &self.state.outbox.get(&id)?.kind {
            OutboxKind::Message { content, .. } => codec::decode::<Content>(content).ok(),
            _ => None,
        });
        let mut texts = said.filter_map(|content| match content.body {
            Body::Text(text) => Some(text),
            _ => None,
        });
        shortened(&texts.next().unwrap_or_default())
    }

    pub(super) fn enqueue_post(&mut self, group: GroupId, post: Post, bytes: Vec<u8>) {
        let seal = Seal::new(0, bytes, PublishId::from_bytes(self.provider.bytes()));
        self.enqueue(OutboxRow::new(group, OutboxKind::Post(post), Some(seal)));
    }

    /// The broker will never take our commit: the change is too large for it, or not permitted.
    pub(crate) fn commit_refused(&mut self, group: GroupId) -> Result<()> {
        let Some(slot) = self.state.groups.get(&group).and_then(|row| row.slot.clone()) else {
            return Ok(());
        };
        self.with_live(group, |core, live| core.drop_slot(group, live))?;
        if let Some(intent) = slot.intent {
            let error = ErrorKind::Limit
                .because("the broker does not take this change of the group")
                .hint(Advice::SmallerStepsOrAsk);
            self.intent_failed(group, intent, error)?;
        }
        Ok(())
    }
}

/// As much of a text as goes with a request.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(limit::FIRST_WORDS_CHARS.saturating_sub(1)) {
        Some((cut, last)) if text.len() > cut.saturating_add(last.len_utf8()) => {
            format!("{}…", text.get(..cut).unwrap_or_default())
        }
        _ => text.into(),
    }
}

/// Leaves of accounts that leave, besides the one that asked: an account leaves with all its devices.
fn left_behind(roster: &Roster, leavers: &BTreeSet<u32>, removed: &[LeafNodeIndex]) -> Vec<LeafNodeIndex> {
    let leaving: BTreeSet<AccountId> =
        leavers.iter().filter_map(|index| roster.get(index)).map(|leaf| leaf.account).collect();
    roster
        .iter()
        .filter(|(index, leaf)| leaving.contains(&leaf.account) && !leavers.contains(index))
        .map(|(index, _)| LeafNodeIndex::new(*index))
        .filter(|index| !removed.contains(index))
        .collect()
}
