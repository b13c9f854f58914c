//! From stored bytes to history: decode, process, judge, merge.
//!
//! Each step has a type that only the step before can make: bytes become a `Checked` message (ours, right group,
//! right kind, right epoch), OpenMLS makes it processed, `authorize` judges a commit, and only then it is merged.
//! Whatever cannot be used costs nothing but itself: it is counted by class and the cursor moves on.

use std::time::Duration;

use cipher_api::view::{GroupEvent, GroupState};
use cipher_api::{ErrorKind, Notice, Result};
use cipher_broker::id::{GroupId, MessageId};
use cipher_broker::subject::{Route, Source};
use cipher_broker::wire::envelope::CommitNote;
use cipher_broker::{codec, limit};
use openmls::framing::errors::MessageDecryptionError;
use openmls::group::{ProcessMessageError, StageCommitError, ValidationError};
use openmls::prelude::{ContentType, ProcessedMessageContent, QueuedProposal, Sender, StagedCommit};
use openmls_traits::OpenMlsProvider;

use crate::effect::Effect;
use crate::group::epoch::Merged;
use crate::group::facts::{facts, leaver, leaver_of};
use crate::group::incoming::{Checked, Incoming, check, commit_hash, unpark};
use crate::group::policy::{self, Committer};
use crate::group::rejoin;
use crate::input::Delivered;
use crate::machine::Core;
use crate::state::live::{LeftToDo, Live, store_failed};
use crate::state::{Mark, MessageRow, Skip, Why};
use crate::store::mls::{self, OverlayError};

/// How far ahead an epoch may be and still be worth waiting for.
const EPOCHS_AHEAD: u64 = 64;

/// How long a log may be read to its end without the commit that let us in.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);
/// How much before the end of its time a commit may be gone: streams are trimmed by their own clock.
const AGED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How far a copy of a log may be behind and still be asked again at once.
const BEHIND: u64 = 10_000;

impl Core {
    /// One stored message.
    pub(crate) fn delivered(&mut self, delivered: Delivered) -> Result<()> {
        match delivered.route.source() {
            Some(Source::Group(group)) => self.group_delivered(group, delivered),
            Some(Source::Inbox(inbox)) if self.state.link_cursor(&inbox).is_some() => {
                self.link_delivered(&delivered)
            }
            Some(Source::Inbox(device)) => self.inbox_delivered(device, &delivered),
            Some(Source::Log) => self.statement_delivered(delivered.sequence, &delivered.bytes),
            _ => Ok(()),
        }
    }

    fn group_delivered(&mut self, group: GroupId, delivered: Delivered) -> Result<()> {
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        if !matches!(row.state, GroupState::Active | GroupState::Leaving) {
            return Ok(());
        }
        let handshake = matches!(delivered.route, Route::Handshake(_));
        let sequence = row.position(delivered.sequence);
        let mark = Mark::of(delivered.at, &delivered.bytes);
        self.run.group.delivered_at = delivered.at;
        let (unconfirmed, cursor) = (row.unconfirmed, row.cursor);
        if handshake {
            self.run.delivery.has_commit(&group);
        }
        if sequence > cursor
            && self.state.groups.get(&group).is_some_and(|row| row.gap.is_none())
            && self.run.delivery.notes_lost_entries(&group)
        {
            self.gap_found(group);
        }
        self.run.group.at = delivered.at;
        if unconfirmed && sequence > cursor && self.confirm(group, &delivered)? {
            return Ok(());
        }
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        // Behind the cursor only a handshake message can still matter: one that others are parked for.
        let late = sequence <= row.cursor;
        if late && !(handshake && row.parked > 0 && sequence > row.handshake) {
            return Ok(());
        }
        if !handshake {
            self.still_there(group, sequence, delivered.at)?;
        }
        let skips = self.run.skips;
        let mut left = LeftToDo::default();
        match check(&group, &delivered, handshake) {
            Ok(Incoming::Join { link, request }) => self.join_asked(group, link, &request)?,
            Ok(Incoming::Rejoin(request)) => self.rejoin_asked(group, &request, sequence)?,
            Ok(Incoming::NotMember(answer)) => self.not_member_said(group, &answer)?,
            Ok(Incoming::Message(checked)) => {
                let bytes = delivered.bytes;
                left =
                    self.with_live(group, |core, live| core.process(group, live, checked, sequence, bytes))?;
            }
            Err(class) => self.skip(class),
        }
        let junk = self.run.skips > skips;
        if let Some(row) = self.read_on(group, handshake, junk) {
            if sequence > row.cursor {
                (row.cursor, row.mark) = (sequence, Some(mark));
            }
            // Up to where nothing is missing.
            if !junk && row.lost.is_none() && row.parked == 0 {
                row.seen_at = row.seen_at.max(mark.at);
            }
            if handshake {
                row.handshake = row.handshake.max(sequence);
            }
        }
        self.own_must_lie_here(group);
        self.after_delivery(group, left)
    }

    /// R-WELCOME-06: the first thing in the log, from where we joined on, is the commit that let us in, by its hash. An
    /// invitation whose commit nobody else has leads into a group that nobody else is in (F8). Whether the entry is
    /// done with: behind a commit that aged out it is read like any other.
    fn confirm(&mut self, group: GroupId, delivered: &Delivered) -> Result<bool> {
        let sequence = delivered.sequence;
        let Some(row) = self.state.groups.get_mut(&group) else { return Ok(true) };
        let is_it = sequence == row.link.sequence
            && matches!(delivered.route, Route::Handshake(_))
            && commit_hash(&delivered.bytes) == row.link.hash;
        if !is_it {
            return self.never_let_in(group);
        }
        row.unconfirmed = false;
        row.let_in_at.get_or_insert(delivered.at);
        row.cursor = row.position(sequence);
        row.mark = Some(Mark::of(delivered.at, &delivered.bytes));
        self.tell_let_in(group)?;
        Ok(true)
    }

    /// A log was read to its end, and the commit that let us in is not in it: nothing is sent there. A copy of the
    /// log may be behind; one that is not, or is for a minute, does not have it.
    pub(crate) fn waits_to_be_confirmed(&mut self, group: GroupId, covered: u64) -> Result<bool> {
        let Some(row) = self.state.groups.get(&group).filter(|row| row.unconfirmed) else {
            self.run.group.unconfirmed.remove(&group);
            return Ok(false);
        };
        let (place, now) = (row.link.sequence, self.run.now);
        let until = self.run.group.unconfirmed.entry(group).or_insert(now).plus(CONFIRMED_WITHIN);
        if covered >= place || now >= until {
            self.run.group.unconfirmed.remove(&group);
            return self.never_let_in(group);
        } else if place.saturating_sub(covered) <= BEHIND {
            self.run.effects.push(Effect::Fetch { source: Source::Group(group), sequence: place });
        }
        Ok(true)
    }

    /// The log does not hold the commit that let us in. Whether the group was left: one that may have aged out proves
    /// nothing, so this device asks the members to let it in, and says nothing before they did.
    fn never_let_in(&mut self, group: GroupId) -> Result<bool> {
        let now = self.run.now;
        if let Some(row) = self.state.groups.get_mut(&group)
            && row.commit_at.plus(limit::RETENTION.saturating_sub(AGED_WITHIN)) <= now
        {
            row.unconfirmed = false;
            row.let_in_at.get_or_insert(row.commit_at);
            row.cursor = row.cursor.max(row.position(row.link.sequence));
            self.lost(group, Why::Gap);
            return Ok(false);
        }
        self.skip(Skip::NotInLog);
        let name = self.state.conversation_name(&group);
        self.warn(Notice::InvitationNowhere { group, name });
        if let Some(row) = self.state.groups.get_mut(&group) {
            // What an invitation said of an epoch must not keep a real one out.
            (row.unconfirmed, row.epoch) = (false, 0);
        }
        self.forget(group, GroupState::Removed)?;
        Ok(true)
    }

    /// What an entry left to be done, and a new epoch that parked messages wait for.
    fn after_delivery(&mut self, group: GroupId, left: LeftToDo) -> Result<()> {
        if self.finish(group, left)? {
            return Ok(());
        }
        if self.run.delivery.is_caught_up(&Source::Group(group)) {
            self.look_for_place(group)?;
        }
        let Some(row) = self.state.groups.get(&group) else { return Ok(()) };
        if row.parked == 0 || !self.run.changed.contains(&group) {
            return Ok(());
        }
        self.retry_parked(group)
    }

    /// Does what an entry left to be done, now that the group is back in its place. Whether it is over.
    fn finish(&mut self, group: GroupId, left: LeftToDo) -> Result<bool> {
        if let Some(state) = left.ended {
            self.forget(group, state)?;
            // Whoever was removed and added again while it was away is in.
            self.invitation_decided(group)?;
        }
        if let Some(intent) = left.won {
            let reply = self.won_reply(intent, group);
            self.intent_done(intent, reply);
        }
        Ok(left.ended.is_some())
    }

    /// Processes what was parked for the epoch that has now begun.
    fn retry_parked(&mut self, group: GroupId) -> Result<()> {
        loop {
            let Some(epoch) = self.state.groups.get(&group).map(|row| row.epoch) else { return Ok(()) };
            let mut progress = false;
            for (sequence, (at, bytes)) in self.history.parked(&group)? {
                let Some((handshake, checked)) = unpark(&group, sequence, &bytes) else {
                    self.unpark(group, sequence, bytes.len());
                    continue;
                };
                if checked.epoch > epoch {
                    continue;
                }
                self.unpark(group, sequence, bytes.len());
                self.run.group.delivered_at = at;
                let left = self.with_live(group, |core, live| {
                    core.process(group, live, checked, sequence, Vec::new())
                })?;
                if self.finish(group, left)? {
                    return Ok(());
                }
                if handshake {
                    progress = true;
                    break;
                }
            }
            if !progress {
                return Ok(());
            }
        }
    }

    fn park(&mut self, group: GroupId, sequence: u64, bytes: Vec<u8>) {
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        let more = row.parked_bytes.saturating_add(bytes.len() as u64);
        if row.parked as usize >= limit::PARKED_MESSAGES || more > limit::PARKED_BYTES as u64 {
            return self.skip(Skip::Limit);
        }
        row.parked = row.parked.saturating_add(1);
        row.parked_bytes = more;
        self.history.park(group, sequence, self.run.group.delivered_at, bytes);
    }

    fn unpark(&mut self, group: GroupId, sequence: u64, bytes: usize) {
        self.history.unpark(group, sequence);
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.parked = row.parked.saturating_sub(1);
            row.parked_bytes = row.parked_bytes.saturating_sub(bytes as u64);
        }
    }

    fn process(
        &mut self,
        group: GroupId,
        live: &mut Live,
        mut checked: Checked,
        sequence: u64,
        bytes: Vec<u8>,
    ) -> Result<LeftToDo> {
        let nothing = LeftToDo::default();
        if let Some(own) = self.run.delivery.row_with(&checked.hash)
            && let Some(left) = self.own_echo(group, live, own, sequence)?
        {
            return Ok(left);
        }
        let epoch = live.epoch();
        let commit = checked.message.content_type() == ContentType::Commit;
        if self.read_again(
            group,
            live,
            checked.epoch,
            commit,
            (&checked.hash, checked.print.as_ref()),
            sequence,
        )? {
            return Ok(nothing);
        }
        if checked.epoch < epoch || (!checked.handshake && self.is_passed_by(&group)) {
            self.skip(Skip::OldEpoch);
            return Ok(nothing);
        }
        if checked.epoch > epoch {
            let claimed = self.run.group.ahead.entry(group).or_default();
            *claimed = checked.epoch.max(*claimed);
            if checked.epoch.saturating_sub(epoch) > EPOCHS_AHEAD || bytes.is_empty() {
                self.skip(Skip::FutureEpoch);
            } else {
                self.park(group, sequence, bytes);
            }
            return Ok(nothing);
        }
        let (again, stored) = (checked.again, std::mem::take(&mut checked.stored));
        let loaded = if checked.handshake { self.give_proposals(group, live)? } else { false };
        let processed = live.mls.process_message(&self.provider, checked.message);
        let processed = match processed {
            Ok(processed) => processed,
            Err(error) => {
                self.take_proposals(live, loaded)?;
                self.unusable(group, epoch, checked.handshake, error)?;
                return Ok(nothing);
            }
        };
        let sender = match processed.sender() {
            Sender::Member(index) => Some(index.u32()),
            _ => None,
        };
        let aad = processed.aad().to_vec();
        if let Some(index) = sender {
            self.spoken_in(group, live, epoch, index);
        }
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                self.said(group, live, sender, sequence, &message.into_bytes())?;
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                self.take_proposals(live, loaded)?;
                self.proposed(group, live, &proposal);
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let ended =
                    self.committed(group, live, sender, *staged, sequence, checked.hash, &aad, loaded)?;
                if live.epoch() > epoch {
                    self.keep_commit(group, epoch, checked.hash, stored, sequence)?;
                    if again {
                        // Others were ahead, and could not read what we said before this step.
                        self.say_again(group, |sent| sent.epoch == epoch)?;
                    }
                }
                return Ok(LeftToDo { ended, won: None });
            }
            // A settled own message, or a forged claim of one (H6, M23): nobody else reads it either.
            ProcessedMessageContent::OwnPrivateMessage => {
                self.take_proposals(live, loaded)?;
                let known = (&checked.hash, checked.print.as_ref());
                self.own_again(group, live, checked.handshake, known, &aad, sequence)?;
            }
            _ => {
                self.skip(Skip::Policy);
                self.take_proposals(live, loaded)?;
            }
        }
        Ok(nothing)
    }

    /// The broker said that an entry of ours lies at a place, and another one does: the log went back.
    fn own_must_lie_here(&mut self, group: GroupId) {
        let Some(row) = self.state.groups.get(&group) else { return };
        if row.unseen.is_some_and(|unseen| unseen <= row.cursor) {
            self.is_displaced(group);
        }
    }

    /// Lends OpenMLS the proposals of this epoch; whether there were any.
    fn give_proposals(&self, group: GroupId, live: &mut Live) -> Result<bool> {
        let proposals = self.state.groups.get(&group).map(|row| row.proposals.clone()).unwrap_or_default();
        self.load_proposals(live, &proposals)?;
        Ok(!proposals.is_empty())
    }

    /// Takes them back: a stored proposal would block sending.
    fn take_proposals(&self, live: &mut Live, loaded: bool) -> Result<()> {
        if loaded {
            live.mls.clear_pending_proposals(self.provider.storage()).map_err(store_failed)?;
        }
        Ok(())
    }

    /// R-PROP-01: the only proposal kept for others to commit is a leaf's wish to leave.
    fn proposed(&mut self, group: GroupId, live: &Live, proposal: &QueuedProposal) {
        let Some(index) = leaver_of(proposal) else { return self.skip(Skip::Policy) };
        // The account leaves, not one device of it: this one goes along.
        let ours = live.roster.get(&index).is_some_and(|leaf| leaf.account == self.state.own_id());
        let Ok(bytes) = mls::encode(proposal) else { return self.skip(Skip::Policy) };
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        let known = row.proposals.iter().any(|bytes| leaver(bytes) == Some(index));
        if !known {
            row.proposals.push(bytes.into());
        }
        let goes = ours && row.state == GroupState::Active;
        self.run.touched.insert(group);
        if goes {
            self.is_leaving(group);
        }
    }

    /// Judges a commit and merges it. What became of the group, when it is over for this device.
    fn committed(
        &mut self,
        group: GroupId,
        live: &mut Live,
        sender: Option<u32>,
        staged: StagedCommit,
        sequence: u64,
        hash: [u8; 32],
        aad: &[u8],
        loaded: bool,
    ) -> Result<Option<GroupState>> {
        let committer = sender.map_or(Committer::Outsider, Committer::Member);
        let note = codec::decode::<CommitNote>(aad).ok();
        let evidence = note.as_ref().map_or(&[][..], |note| note.evidence.as_slice());
        let mut facts = facts(live, &staged, committer, evidence);
        let requests = note.as_ref().map_or(&[][..], |note| note.rejoins.as_slice());
        facts.rejoins = rejoin::shown(live, &staged, requests);
        if let Err(refused) = policy::authorize(&live.roster, &live.data, &facts) {
            tracing::info!(rule = refused.rule, group = group.short(), sequence, "commit refused");
            self.skip(Skip::Policy);
            self.take_proposals(live, loaded)?;
            return Ok(None);
        }
        let own_leaf = live.mls.own_leaf_index().u32();
        if staged.self_removed() && facts.rejoins.iter().any(|rejoin| rejoin.index == own_leaf) {
            // This device asked to be let back in, and could follow all the same: the Welcome brings it on. Should none
            // come, or it be for what was asked long ago, it asks again.
            self.take_proposals(live, loaded)?;
            if self.asked_by_a_copy(&group, requests, sequence) {
                self.stop_for_copy()?;
                return Ok(None);
            }
            // What this device was about to change in the epoch that everybody else has left would be a branch.
            self.drop_slot(group, live)?;
            self.lost(group, Why::Replaced);
            self.is_served(group, requests);
            return Ok(None);
        }
        self.check_link(group, live, sender, note.as_ref());
        let (roster, data) = (live.roster.clone(), live.data.clone());
        let leavers = facts.leavers(&roster);
        let removed = staged.self_removed();
        let own = roster.get(&live.mls.own_leaf_index().u32());
        let revoked = own.is_some_and(|leaf| facts.evidence.iter().any(|shown| shown.revokes(leaf)));
        live.mls
            .merge_staged_commit(&self.provider, staged)
            .map_err(|error| ErrorKind::Storage.because_of("a commit could not be merged", error))?;
        if removed {
            let asked = self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Leaving);
            // Another device of this account may have asked.
            let by_us = leavers.contains(&self.state.own_id());
            let leaving = asked || by_us;
            let state = if leaving { GroupState::Left } else { GroupState::Removed };
            if revoked {
                self.this_device_is_revoked();
            }
            self.removal_line(group, &roster, sender, (sequence, hash), leaving, revoked);
            return Ok(Some(state));
        }
        live.refresh()?;
        self.evidence_seen(&facts.evidence, Some(&live.mls))?;
        let answers = note.as_ref().map_or(&[][..], |note| note.answers.as_slice());
        // Without a note nothing says that it may not.
        let doubt = note.as_ref().is_none_or(|note| note.doubt);
        let merged = Merged { committer: sender, sequence, hash, leavers: &leavers, answers, doubt };
        self.epoch_began(group, live, &roster, &data, merged)
    }

    /// A commit names its predecessor. A mismatch cannot decide anything (the epoch chain does), but tells that
    /// the broker's log is not the one its sender saw.
    fn check_link(&mut self, group: GroupId, live: &Live, sender: Option<u32>, note: Option<&CommitNote>) {
        let Some(link) = note.map(CommitNote::link) else { return self.skip(Skip::Link) };
        // By its bytes: a log that was put right has them at other places.
        if self.state.groups.get(&group).is_some_and(|row| row.link.hash != link.hash) {
            self.skip(Skip::Link);
            // F12: one member's word is one member's word.
            let by =
                sender.and_then(|index| live.roster.get(&index)).map(|leaf| self.state.named(&leaf.account));
            let name = self.state.conversation_name(&group);
            self.warn(Notice::OtherPast { group, name, by });
        }
    }

    fn removal_line(
        &mut self,
        group: GroupId,
        roster: &crate::state::roster::Roster,
        sender: Option<u32>,
        (sequence, hash): (u64, [u8; 32]),
        left: bool,
        revoked: bool,
    ) {
        let Some(actor) = sender.and_then(|index| roster.get(&index)).cloned() else { return };
        if self.state.groups.get(&group).is_some_and(|row| row.personal) {
            return;
        }
        let own = self.state.own_id();
        let id = MessageId::of_content(&group, &actor.account, &hash);
        // An account does not remove itself: it is this device that went, whoever carried it out.
        let (event, text) = match (left, revoked || actor.account == own) {
            (true, _) => (GroupEvent::Left, String::new()),
            (false, true) => (GroupEvent::DeviceRemoved, self.own_device_text()),
            (false, false) => (GroupEvent::Removed, String::new()),
        };
        let row =
            MessageRow::event(id, actor.author(), self.run.group.entry_at(self.run.now), event, own, text);
        let view = Box::new(self.message_view(group, (sequence, 0), &row));
        self.history.insert(group, (sequence, 0), row);
        self.tell_message((sequence, 0), view);
    }

    fn own_device_text(&self) -> String {
        self.state.identity.as_ref().map_or_else(String::new, |own| own.device.to_string())
    }

    /// What OpenMLS could not use, by class. Only a failing store ends the batch.
    fn unusable(
        &mut self,
        group: GroupId,
        epoch: u64,
        handshake: bool,
        error: ProcessMessageError<OverlayError>,
    ) -> Result<()> {
        let class = match error {
            ProcessMessageError::StorageError(error) => return Err(store_failed(error)),
            ProcessMessageError::LibraryError(error) => {
                tracing::warn!(%error, "OpenMLS failed on a message");
                Skip::Library
            }
            ProcessMessageError::IncompatibleWireFormat => Skip::WireFormat,
            ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(error)) => match error {
                MessageDecryptionError::SecretTreeError(error) => ratchet_class(&format!("{error:?}")),
                _ => Skip::Decrypt,
            },
            ProcessMessageError::ValidationError(ValidationError::KeyPackageVerifyError(_)) if handshake => {
                self.suspect(group, epoch);
                Skip::KeyPackage
            }
            ProcessMessageError::ValidationError(_) => Skip::Signature,
            ProcessMessageError::InvalidCommit(StageCommitError::LibraryError(_)) => Skip::Library,
            ProcessMessageError::InvalidCommit(_) => {
                self.suspect(group, epoch);
                Skip::Commit
            }
            _ => Skip::Policy,
        };
        if class == Skip::Decrypt {
            self.does_not_open(group, epoch);
        }
        self.skip(class);
        Ok(())
    }

    /// An authenticated commit could not be applied here. If others go on without us, we lost our place.
    pub(super) fn suspect(&mut self, group: GroupId, epoch: u64) {
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.suspect = Some(epoch);
        }
    }
}

/// OpenMLS does not export the type of its ratchet errors, only their names.
fn ratchet_class(name: &str) -> Skip {
    match name {
        "SecretReuseError" => Skip::Replay,
        "TooDistantInThePast" => Skip::Gap,
        "TooDistantInTheFuture" => Skip::Limit,
        _ => Skip::Decrypt,
    }
}

#[cfg(test)]
#[path = "receive_test.rs"]
mod tests;
