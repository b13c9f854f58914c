//! From a Welcome to membership: look, wait for the tree, judge, ask the person, join.
//!
//! Looking happens in a trial of the overlay, because OpenMLS deletes the key package of a Welcome before it has
//! judged it: an invitation that is refused, or not answered yet, must not cost the key package (H5).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::view::{GroupEvent, GroupState};
use cipher_api::{Advice, Error, ErrorKind, Hint, Notice, Reply, Result, Target};
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::{CommitPlace, Envelope};
use cipher_broker::wire::statement::StatementKind;
use cipher_broker::wire::sync::SyncNote;
use cipher_broker::{codec, limit};
use openmls_traits::OpenMlsProvider;
use serde_bytes::ByteArray;

use crate::effect::Effect;
use crate::group::offer::{OfferUse, Welcomer};
use crate::group::tree;
use crate::group::welcome::{Bad, judge_welcome, read_welcome};
use crate::input::Delivered;
use crate::machine::{Core, fatal};
use crate::state::live::Live;
use crate::state::{
    GroupRow, InviteFacts, InviteRow, Mark, MessageRow, OutboxKind, OutboxRow, Post, Reception, RowBody,
    Skip, Taken, Why,
};

/// Attempts to get an invitation's tree, about half a minute long, before the person is told that it does not come.
pub(super) const TOLD_AFTER: u32 = 9;

impl Core {
    pub(super) fn inbox_delivered(&mut self, device: DeviceId, delivered: &Delivered) -> Result<()> {
        if self.state.inbox() != Source::Inbox(device) || delivered.sequence <= self.state.meta.inbox_cursor {
            return Ok(());
        }
        let mark = Mark::of(delivered.at, &delivered.bytes);
        let meta = self.state.meta_mut();
        (meta.inbox_cursor, meta.inbox_mark) = (delivered.sequence, Some(mark));
        if delivered.bytes.len() <= limit::WELCOME_BYTES
            && let Ok(Envelope::JoinRefused { link, refusal }) = codec::decode(&delivered.bytes)
        {
            return self.join_refused(ByteArray::new(link), &refusal);
        }
        match self.look(&delivered.bytes, delivered.at) {
            Ok((group, invite)) => {
                let fetch = fetch_tree(group, &invite);
                self.make_room_for_invitation();
                self.state.invites.insert(group, invite);
                self.run.effects.push(fetch);
            }
            Err(class) => self.skip(class),
        }
        Ok(())
    }

    /// Asks for the trees that invitations wait for.
    pub(super) fn fetch_missing_trees(&mut self) {
        if !self.run.connected {
            return;
        }
        let waiting = self.state.invites.iter().filter(|(_, invite)| invite.known.is_none());
        let wanted: Vec<Effect> = waiting.map(|(group, invite)| fetch_tree(*group, invite)).collect();
        self.run.effects.extend(wanted);
    }

    /// The pieces of a ratchet tree came, or are known not to be there.
    pub(crate) fn tree_fetched(
        &mut self,
        group: GroupId,
        epoch: u64,
        pieces: Option<Vec<Vec<u8>>>,
    ) -> Result<()> {
        let Some(invite) = self.state.invites.get(&group) else { return Ok(()) };
        if invite.epoch != epoch || invite.known.is_some() {
            return Ok(());
        }
        let opened = pieces.and_then(|pieces| tree::open_tree(&invite.key, &group, epoch, &pieces).ok());
        let Some(opened) = opened else {
            // The Welcome may have overtaken its tree, or the broker withholds it: ask again, less and less.
            let attempts = invite.attempts.saturating_add(1);
            if let Some(invite) = self.state.invites.get_mut(&group) {
                invite.attempts = attempts;
            }
            if attempts == TOLD_AFTER {
                self.warn(Notice::InvitationClosed { group });
            }
            let wait = Duration::from_millis(50u64.saturating_mul(1 << attempts.min(12)));
            self.run.wake_at(self.run.now.plus(wait));
            return Ok(());
        };
        let welcome = invite.welcome.clone();
        let facts = self.trial(|core| {
            let staged = core.staged(&welcome, &opened, true)?;
            judge_welcome(&core.state.own_id(), &staged, opened)
        });
        match facts {
            Ok(facts) if facts.beyond_role && !self.may_come_back(&group) => {
                self.skip(Skip::InviterRole);
                self.state.invites.remove(&group);
                Ok(())
            }
            Ok(facts) => self.invited(group, facts),
            Err(class) => {
                self.skip(class);
                self.state.invites.remove(&group);
                Ok(())
            }
        }
    }

    /// Whether any member may bring this device into a group: it is in it already, or its account was recovered
    /// (R-COMMIT-16).
    fn may_come_back(&self, group: &GroupId) -> bool {
        let known = self.state.groups.get(group).map(|row| row.state);
        let is_in = matches!(known, Some(GroupState::Active | GroupState::Leaving | GroupState::Stuck));
        let device = self.state.identity.as_ref().map(|own| own.device);
        let recovered = self.state.log_of(&self.state.own_id()).and_then(|log| log.recovery());
        is_in
            || recovered.is_some_and(
                |(_, stated)| matches!(stated.claim, StatementKind::Recover { device: brought, .. } if Some(brought) == device),
            )
    }

    /// An invitation is complete: join by itself if its maker may, else let it wait. One into a group that this device
    /// is in waits for what the log says.
    fn invited(&mut self, group: GroupId, facts: InviteFacts) -> Result<()> {
        if self.state.is_member(&group) {
            if let Some(invite) = self.state.invites.get_mut(&group) {
                invite.known = Some(facts);
            }
            return self.invitation_decided(group);
        }
        if let Some(invite) = self.state.invites.get_mut(&group) {
            invite.held = false;
        }
        let (inviter, direct, personal) = (facts.inviter, facts.direct, facts.personal);
        let epoch = self.state.invites.get(&group).map_or(0, |invite| invite.epoch);
        let reception = self.receive_invitation(&group, epoch, &facts);
        self.state.meta_mut().answers.remove(&group);
        if let Reception::Dropped(class) = reception {
            self.skip(class);
            self.state.invites.remove(&group);
            return Ok(());
        }
        self.learn(facts.to_look_up().collect::<BTreeSet<_>>());
        if let Some(invite) = self.state.invites.get_mut(&group) {
            invite.known = Some(facts);
        }
        if reception == Reception::Joins {
            let asked = direct && inviter != self.state.own_id();
            return match (personal, asked) {
                (true, _) => self.join_personal(group),
                (false, true) => self.accept_direct(group, inviter),
                (false, false) => {
                    self.join(group)?;
                    self.keep_names_apart(group, Taken::ByAny);
                    Ok(())
                }
            };
        }
        if self.state.identity()?.kind == Kind::Bot {
            self.skip(Skip::NotOwner);
        }
        if direct {
            self.only_request(group, inviter);
        }
        self.show_invitations()
    }

    /// R-WELCOME-04: an invitation into a later epoch of a group that this device thinks it is in is kept until the log
    /// shows what became of it. Removed since: it is one like any other. Lost its place: it replaces the dead copy, when
    /// its maker was a member there. Followed up to that epoch: it is of no use. Nothing in the Welcome alone decides.
    pub(super) fn invitation_decided(&mut self, group: GroupId) -> Result<()> {
        let Some(invite) = self.state.invites.get_mut(&group).filter(|invite| invite.held) else {
            return Ok(());
        };
        let Some(facts) = invite.known.clone() else { return Ok(()) };
        let (epoch, welcome) = (invite.epoch, invite.welcome.clone());
        let row = self
            .state
            .groups
            .get(&group)
            .filter(|row| matches!(row.state, GroupState::Active | GroupState::Leaving));
        let Some(row) = row else {
            if let Some(invite) = self.state.invites.get_mut(&group) {
                (invite.held, invite.known) = (false, None);
            }
            return self.invited(group, facts);
        };
        if row.epoch >= epoch {
            self.skip(Skip::WelcomeLate);
            self.state.invites.remove(&group);
            return Ok(());
        }
        let lost = row.lost.is_some() && self.run.delivery.is_caught_up(&Source::Group(group));
        let asked = read_welcome(&welcome).is_some_and(|welcome| self.asked_back(&group, &welcome));
        if !lost && !asked {
            return Ok(());
        }
        let inviter = facts.inviter;
        let inside =
            self.with_live(group, |_, live| Ok(live.roster.values().any(|leaf| leaf.account == inviter)))?;
        let inside = inside || self.was_inside(&group, &inviter)?;
        let (own, row) = (self.state.identity()?, self.state.groups.get(&group));
        let welcomer = Welcomer {
            member: inside || row.is_some_and(|row| row.peer == Some(inviter)),
            owner: own.owner.as_ref().is_some_and(|owner| owner.account == inviter),
            asked: asked && row.is_some_and(|row| row.lost.is_some()),
            bot: own.kind == Kind::Bot,
        };
        match welcomer.standing() {
            OfferUse::Returns => self.come_back(group)?,
            OfferUse::Offered => self.offered(group),
            OfferUse::Waits => {}
        }
        Ok(())
    }

    /// Whether an account was a member when this device last followed, as far as history tells, which this device wrote itself:
    /// where the tree that says so cannot be read, what the account said or did last decides, or what was done to it.
    fn was_inside(&self, group: &GroupId, account: &AccountId) -> Result<bool> {
        let why = self.state.groups.get(group).and_then(|row| row.lost.as_ref()).map(|lost| lost.why);
        if why != Some(Why::Damaged) {
            return Ok(false);
        }
        let is_about = |row: &MessageRow| match row.body() {
            RowBody::Event(_, who) => who == *account || row.account == *account,
            _ => row.account == *account,
        };
        let last = self.history.last(group, 1, is_about)?;
        let went = |row: &MessageRow| match row.body() {
            RowBody::Event(GroupEvent::Removed | GroupEvent::Left | GroupEvent::Banned, who) => {
                who == *account
            }
            _ => false,
        };
        Ok(last.first().is_some_and(|(_, row)| !went(row)))
    }

    /// Takes the place in a group that an invitation gives instead of the one that was lost. What was read stays, and
    /// what waits is sealed anew.
    pub(super) fn come_back(&mut self, group: GroupId) -> Result<()> {
        if self.state.meta.stopped {
            // It is the other copy that was let in.
            self.state.invites.remove(&group);
            return Ok(());
        }
        let Some(before) = self.state.groups.get(&group).cloned() else { return Ok(()) };
        if !self.join_replacing(group)? {
            return Ok(());
        }
        for sequence in self.history.parked(&group)?.into_keys() {
            self.history.unpark(group, sequence);
        }
        self.run.delivery.has_commit(&group);
        self.run.group.ahead.remove(&group);
        for id in self.run.delivery.rows_of(group).collect::<Vec<_>>() {
            match self.state.outbox.get(&id).map(|row| row.kind.clone()) {
                Some(OutboxKind::Message { .. }) => {
                    self.reseal(id, None);
                    if let Some(row) = self.state.outbox.get_mut(&id) {
                        row.retry_at = Timestamp::default();
                    }
                }
                Some(
                    OutboxKind::Commit
                    | OutboxKind::Again { .. }
                    | OutboxKind::Leave
                    | OutboxKind::Post(Post::Rejoin),
                ) => {
                    self.dequeue(id);
                }
                Some(OutboxKind::Post(_)) | None => {}
            }
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.state = before.state;
            row.read_to = before.read_to;
            // Others may yet serve what was asked besides.
            row.asked = before.asked;
            row.gossiped_at = before.gossiped_at;
        }
        if let Some(doubled) = before.doubled {
            // These keys are new as well.
            self.say_after_doubling(group, doubled)?;
        }
        for content in before.unsure {
            let content = content.into_vec();
            let id = MessageId::of_content(&group, &self.state.own_id(), &content);
            self.enqueue(OutboxRow::new(group, OutboxKind::Message { content, id }, None));
        }
        // A gap was told where it is.
        let told = before.gap.is_some() || before.personal;
        // What was said while a leaf that nobody or another copy has stood in for ours is missing as well.
        let missed = |why: Why| why == Why::Replaced || !why.needs_new_keys();
        if !told && before.lost.is_some_and(|lost| missed(lost.why)) {
            let place = self.state.groups.get(&group).map_or(0, |row| row.cursor);
            self.missed_line(group, (place, u16::MAX), before.seen_at);
        }
        self.run.touched.insert(group);
        Ok(())
    }

    /// Of several requests of one account the latest counts.
    fn only_request(&mut self, group: GroupId, inviter: AccountId) {
        let older =
            |invite: &InviteRow| invite.known.as_ref().is_some_and(|k| k.direct && k.inviter == inviter);
        let dropped: Vec<GroupId> = self
            .state
            .invites
            .iter()
            .filter(|(other, invite)| **other != group && older(invite))
            .map(|(other, _)| *other)
            .collect();
        for other in dropped {
            self.state.invites.remove(&other);
        }
    }

    /// R-CONTACT-05: room for one more invitation: what cannot be shown goes first, never what a person may be about to answer.
    fn make_room_for_invitation(&mut self) {
        if self.state.invites.len() < limit::INVITATIONS {
            return;
        }
        let hidden = self.state.invites.iter().filter(|(_, invite)| !self.state.is_shown(invite));
        let first = hidden
            .min_by_key(|(_, invite)| {
                (!invite.declined, std::cmp::Reverse(invite.attempts), invite.received_at)
            })
            .map(|(group, _)| *group);
        self.skip(Skip::Limit);
        match first {
            Some(group) => self.state.invites.remove(&group),
            None => {
                // All are shown: whoever has most of them gives way, so that nobody is locked out.
                let mut by_inviter: BTreeMap<AccountId, Vec<(Timestamp, GroupId)>> = BTreeMap::new();
                for (group, invite) in self.state.invites.iter() {
                    if let Some(known) = &invite.known {
                        by_inviter.entry(known.inviter).or_default().push((invite.received_at, *group));
                    }
                }
                let most = by_inviter.into_values().max_by_key(Vec::len);
                let group = most.and_then(|mut all| {
                    all.sort();
                    all.pop()
                });
                group.and_then(|(_, group)| self.state.invites.remove(&group))
            }
        };
    }

    fn invitation(&self, target: &Target) -> Result<GroupId> {
        let group = match target {
            Target::Name(name) => match self.invited_by_name(name).as_slice() {
                [group] => *group,
                _ => self.resolve(target)?,
            },
            Target::Account(_) | Target::Group(_) => self.resolve(target)?,
        };
        if self.state.invites.get(&group).is_some_and(|invite| self.state.is_shown(invite)) {
            return Ok(group);
        }
        if self.state.is_lost(&group) {
            return Err(self.no_offer(group));
        }
        Err(ErrorKind::NotFound
            .because("there is no invitation to this group")
            .hint(Hint::GroupListInvitations))
    }

    /// A group that this device lost its place in, and an offer to have it back.
    fn offered_group(&self, target: &Target) -> Option<GroupId> {
        self.resolve(target).ok().filter(|group| self.offer(group).is_some())
    }

    pub(super) fn group_accept(&mut self, target: &Target) -> Result<Reply> {
        if let Some(group) = self.offered_group(target) {
            return self.take_offer(group);
        }
        let group = match self.invitation(target) {
            Ok(group) => group,
            // Accepting twice is not an error.
            Err(error) => match self.resolve(target) {
                Ok(group) if self.state.is_member(&group) && !self.state.is_lost(&group) => {
                    return self.group_reply(group);
                }
                _ => return Err(error),
            },
        };
        let Some(invite) = self.state.invites.get(&group) else { return self.group_reply(group) };
        let epoch = invite.epoch;
        let asker = invite.known.as_ref().filter(|known| known.direct).map(|known| known.inviter);
        match asker {
            Some(inviter) => {
                self.state.must_not_be_blocked(&inviter)?;
                self.accept_request(group, inviter)?;
            }
            None => {
                self.join(group)?;
                self.keep_names_apart(group, Taken::ByCurrent);
                self.tell_devices(&SyncNote::Invitation { group, accepted: true, epoch })?;
            }
        }
        self.group_reply(group)
    }

    pub(super) fn group_decline(&mut self, target: &Target) -> Result<Reply> {
        if let Some(group) = self.offered_group(target) {
            self.refuse_offer(group);
            return Ok(Reply::Done);
        }
        let group = self.invitation(target)?;
        self.decline_invitation(group)?;
        Ok(Reply::Done)
    }

    /// Becomes a member: the Welcome is used up, reading starts at the commit that added us.
    pub(crate) fn join(&mut self, group: GroupId) -> Result<()> {
        let gone = |_: Bad| -> Error {
            ErrorKind::Refused
                .because("this invitation cannot be used any more")
                .hint(Advice::AskNewInvitation)
        };
        let Some(invite) = self.state.invites.get(&group).cloned() else { return Err(gone(Skip::Welcome)) };
        let Some(known) = invite.known.clone() else { return Err(gone(Skip::Welcome)) };
        if self.state.is_member(&group) {
            return Ok(());
        }
        self.take_place(group, &invite, known)
    }

    /// The same for a group that this device lost its place in. Whether it worked: the old place stays until then.
    fn join_replacing(&mut self, group: GroupId) -> Result<bool> {
        let Some(invite) = self.state.invites.get(&group).cloned() else { return Ok(false) };
        let Some(known) = invite.known.clone() else { return Ok(false) };
        self.unfollow(Source::Group(group));
        match self.take_place(group, &invite, known) {
            Ok(()) => Ok(true),
            Err(error) if fatal(&error) => Err(error),
            Err(_) => {
                self.skip(Skip::Welcome);
                self.want(Source::Group(group), 0);
                Ok(false)
            }
        }
    }

    fn take_place(&mut self, group: GroupId, invite: &InviteRow, known: InviteFacts) -> Result<()> {
        let gone = |_: Bad| -> Error {
            ErrorKind::Refused
                .because("this invitation cannot be used any more")
                .hint(Advice::AskNewInvitation)
        };
        let last_resort = read_welcome(&invite.welcome).is_some_and(|welcome| self.is_last_resort(&welcome));
        // Whole or not at all: what OpenMLS writes is kept only if the join succeeds.
        self.provider.storage().begin_trial();
        let joined = self
            .staged(&invite.welcome, &known.tree, true)
            .and_then(|staged| staged.into_group(&self.provider).map_err(|_| Skip::Welcome));
        self.provider.storage().end_trial(joined.is_ok());
        self.state.invites.remove(&group);
        let live = Live::of(joined.map_err(gone)?)?;
        let (unread, mentions) =
            self.state.groups.get(&group).map_or((0, 0), |row| (row.unread, row.mentions));
        let own = self.state.own_id();
        let link = CommitPlace { sequence: invite.commit_sequence, hash: invite.commit_hash };
        let peer = known.direct.then(|| {
            let accounts = known.members.iter().map(|member| member.0);
            accounts.into_iter().find(|account| *account != own).unwrap_or(known.inviter)
        });
        let keys_at = self.run.now;
        // A Welcome is posted when its commit lies in the log.
        let commit_at =
            if invite.posted_at == Timestamp::default() { invite.received_at } else { invite.posted_at };
        let before = self.state.groups.get(&group);
        let alias = before.and_then(|row| row.alias.clone());
        let muted = before.and_then(|row| row.muted);
        let is_bot = self.state.identity()?.kind == Kind::Bot;
        let mut row = GroupRow {
            peer,
            let_in_by: (is_bot && known.inviter != own).then_some(known.inviter),
            unread,
            mentions,
            alias,
            muted,
            keys_at,
            commit_at,
            ..GroupRow::active(&live.data, known.suite, live.epoch(), link)
        };
        let mut restored_of = None;
        if let Some(before) = before {
            row.follow_up(before);
            restored_of = (before.state == GroupState::Restored).then_some(before.seen_at);
        }
        // R-WELCOME-06: reading begins at the commit itself, which must lie there.
        row.cursor = row.cursor.saturating_sub(u64::from(invite.commit_sequence > 0));
        row.unconfirmed = true;
        self.ledger.forget_commits(&group)?;
        self.groups.put(group, live);
        let (epoch, place) = (row.epoch, row.cursor);
        self.state.groups.insert(group, row);
        // R-FORGET-11: what is left of an earlier stay may be too old for the group as it is now.
        self.run.content.retention_changed();
        self.state.granted(group);
        if let Some(seen_at) = restored_of {
            // What was said between the backup and now no member can give to this device.
            self.missed_line(group, (place, u16::MAX), seen_at);
        }
        if invite.doubt {
            self.shares_doubt(group, epoch);
        }
        self.learn_members(known.members.iter().map(|member| member.0));
        self.reconcile_group(group)?;
        if self.run.interest == Some(crate::input::Interest::Everything) {
            self.follow(Source::Group(group));
        }
        self.run.changed.insert(group);
        if last_resort {
            self.last_resort_used(group, known.suite)?;
        }
        Ok(())
    }
}

/// Asks for the pieces of an invitation's tree.
fn fetch_tree(group: GroupId, invite: &InviteRow) -> Effect {
    let hashes = invite.hashes.iter().map(|hash| hash.into_array()).collect();
    Effect::FetchTree { group, epoch: invite.epoch, pieces: invite.pieces, hashes }
}

/// R-WELCOME-04: an invitation counts once: only one into a later epoch than the last we were in brings back who was
/// removed, has left, or cannot follow any more (K02, K11).
pub(super) fn is_later(row: Option<&GroupRow>, epoch: u64) -> bool {
    row.is_none_or(|row| epoch > row.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::wire::group::GroupData;

    /// K02, K11: who cannot follow comes back by a later invitation, and nobody by an old one.
    #[test]
    fn r_welcome_04_k02_k11_only_a_later_invitation_brings_back() {
        let data = GroupData {
            version: 1,
            name: "ops".into(),
            direct: false,
            roles: BTreeMap::new(),
            may_add: cipher_broker::wire::group::Role::Admin,
            may_rename: cipher_broker::wire::group::Role::Admin,
            may_resync: true,
            settings: cipher_broker::wire::group::Settings::default(),
            personal: false,
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        };
        let link = CommitPlace { sequence: 1, hash: [0; 32] };
        let row = |state| GroupRow { state, ..GroupRow::active(&data, 3, 7, link.clone()) };
        assert!(is_later(None, 0));
        for state in [GroupState::Active, GroupState::Leaving, GroupState::Left, GroupState::Removed] {
            assert_eq!(
                [6, 7, 8].map(|epoch| is_later(Some(&row(state)), epoch)),
                [false, false, true],
                "{state:?}"
            );
        }
    }
}
