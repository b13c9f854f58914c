//! What people want changed in a group, turned into intents that survive lost races.

use std::collections::BTreeMap;

use cipher_api::view::GroupState;
use cipher_api::{Advice, Error, ErrorKind, Event, Hint, Notice, Reply, Result, Target, Who};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::subject::Source;
use cipher_broker::wire::group::Role;
use cipher_broker::wire::sync::SyncNote;

use crate::delivery::outbox::OutboxEnd;
use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::{IntentRow, Joiner, Wish};

impl Core {
    /// The group a person wants to change, if we can take part in changing it.
    pub(super) fn changeable(&self, target: &Target) -> Result<GroupId> {
        let group = self.resolve(target)?;
        self.state.must_be_active(group)?;
        Ok(group)
    }

    /// Own role must reach this.
    pub(super) fn must_have_role(
        &mut self,
        group: GroupId,
        pick: impl Fn(&crate::state::live::Live) -> Role,
        what: &str,
    ) -> Result<()> {
        let own = self.state.own_id();
        let (have, need) = self.with_live(group, |_, live| Ok((live.data.role_of(&own), pick(live))))?;
        if have >= need {
            return Ok(());
        }
        Err(ErrorKind::Refused
            .because(format!(
                "your role in '{}' does not allow to {what}",
                self.state.conversation_name(&group)
            ))
            .hint(Advice::AskAdmin))
    }

    /// Whether an account is in a group.
    pub(crate) fn has_member(&mut self, group: GroupId, account: &AccountId) -> Result<bool> {
        self.with_live(group, |_, live| Ok(live.roster.values().any(|leaf| leaf.account == *account)))
    }

    fn member_named(&mut self, group: GroupId, who: &Who) -> Result<AccountId> {
        let typed = self.typed(&group);
        let none = || -> Error {
            ErrorKind::NotFound
                .because(format!("{who} is not a member of this group"))
                .hint(Hint::GroupShow { group: typed.clone() })
        };
        let account = self.state.account_by(who).ok_or_else(none)?;
        if self.has_member(group, &account)? { Ok(account) } else { Err(none()) }
    }

    pub(super) fn group_add(
        &mut self,
        ticket: Ticket,
        target: &Target,
        handles: Vec<Handle>,
    ) -> Result<Option<Reply>> {
        let group = self.changeable(target)?;
        if self.state.groups.get(&group).is_some_and(|row| row.direct) {
            return Err(ErrorKind::Refused
                .because("nobody can be added to a direct conversation")
                .hint(Hint::GroupCreate));
        }
        self.must_have_role(group, |live| live.data.may_add, "add members")?;
        self.begin_errand(Some(ticket), Goal::Add { group }, handles)?;
        Ok(None)
    }

    pub(super) fn group_remove(
        &mut self,
        ticket: Ticket,
        target: &Target,
        who: &[Who],
    ) -> Result<Option<Reply>> {
        let group = self.changeable(target)?;
        self.must_have_role(group, |_| Role::Admin, "remove members")?;
        let mut accounts = Vec::new();
        for who in who {
            let account = self.member_named(group, who)?;
            if account == self.state.own_id() {
                return Err(ErrorKind::Usage
                    .because("one does not remove oneself")
                    .hint(Hint::GroupLeave { group: self.typed(&group) }));
            }
            accounts.push(account);
        }
        self.wish(group, Wish::Remove(accounts), Some(ticket))
    }

    pub(super) fn group_rename(
        &mut self,
        ticket: Ticket,
        target: &Target,
        name: String,
    ) -> Result<Option<Reply>> {
        super::create::check_name(&name)?;
        let group = self.changeable(target)?;
        if self.state.groups.get(&group).is_some_and(|row| row.direct) {
            return Err(ErrorKind::Refused.because("a direct conversation has no name"));
        }
        self.must_have_role(group, |live| live.data.may_rename, "rename it")?;
        self.wish(group, Wish::Rename(name), Some(ticket))
    }

    pub(super) fn group_role(
        &mut self,
        ticket: Ticket,
        target: &Target,
        who: &Who,
        role: Role,
    ) -> Result<Option<Reply>> {
        let group = self.changeable(target)?;
        self.must_have_role(group, |_| Role::Owner, "give roles")?;
        let account = self.member_named(group, who)?;
        self.wish(group, Wish::Role(account, role), Some(ticket))
    }

    /// Notes an intent; the group is driven before the batch ends.
    pub(crate) fn wish(
        &mut self,
        group: GroupId,
        wish: Wish,
        ticket: Option<Ticket>,
    ) -> Result<Option<Reply>> {
        if ticket.is_some() && !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached; the group was not changed")
                .hint(Advice::CheckBroker));
        }
        // A commit and its Welcome must fit into a message: many joiners come in several steps.
        let steps: Vec<Wish> = match wish {
            Wish::Add(joiners) => steps(joiners).into_iter().map(Wish::Add).collect(),
            other => vec![other],
        };
        let last = steps.len();
        for (step, wish) in (1..).zip(steps) {
            self.intend(group, wish, ticket.filter(|_| step == last));
        }
        Ok(None)
    }

    /// Notes one intent; gives its id.
    pub(super) fn intend(&mut self, group: GroupId, wish: Wish, ticket: Option<Ticket>) -> u64 {
        let id = self.state.next_id();
        self.state.intents.insert(id, IntentRow { group, wish });
        if let Some(ticket) = ticket {
            self.run.waits.intents.insert(id, ticket);
        }
        self.run.touched.insert(group);
        id
    }

    pub(super) fn group_leave(&mut self, ticket: Ticket, target: &Target) -> Result<Option<Reply>> {
        let group = self.resolve(target)?;
        if self.state.groups.get(&group).is_some_and(|row| row.state == GroupState::Stuck) {
            self.begin_leaving(group)?;
            return Ok(Some(Reply::Done));
        }
        self.state.must_be_active(group)?;
        let own = self.state.own_id();
        let (alone, last_owner) = self.with_live(group, |_, live| {
            let accounts = crate::state::roster::accounts(&live.roster);
            let owners = accounts.iter().filter(|account| live.data.role_of(account) == Role::Owner);
            let owners: Vec<_> = owners.collect();
            Ok((accounts.len() == 1, !live.data.direct && owners == [&own]))
        })?;
        if alone {
            if let Some(offered) = self.offered_view(&group) {
                return Err(self.leaves_unheard(&group, &offered.handle));
            }
            self.begin_leaving(group)?;
            return Ok(Some(Reply::Done));
        }
        if last_owner {
            return Err(ErrorKind::Refused
                .because("you are the only owner of this group")
                .hint(Hint::GroupRole { group: self.typed(&group) }));
        }
        if !self.run.connected {
            return Err(
                ErrorKind::Unreachable.because("the broker cannot be reached; you are still a member")
            );
        }
        if self.state.is_lost(&group) {
            self.leave_from_outside(group)?;
            return Ok(Some(Reply::Done));
        }
        self.run.waits.leaves.insert(group, ticket);
        self.begin_leaving(group)?;
        Ok(None)
    }

    /// Goes, as soon as the broker can be reached. The other own devices go too.
    pub(crate) fn begin_leaving(&mut self, group: GroupId) -> Result<()> {
        self.leave_too(group)?;
        self.tell_devices(&SyncNote::Left { group })
    }

    /// A device that lost its place goes once a member has let it back in, which may be days from now; at once where it was told that it
    /// is no member any more.
    fn leave_from_outside(&mut self, group: GroupId) -> Result<()> {
        let name = self.state.conversation_name(&group);
        self.begin_leaving(group)?;
        if !self.is_out(&group) {
            self.warn(Notice::LeavesLater { group, name });
        }
        Ok(())
    }

    /// The account leaves: so does this device.
    pub(crate) fn leave_too(&mut self, group: GroupId) -> Result<()> {
        match self.state.groups.get(&group).map(|row| row.state) {
            Some(GroupState::Active) => {}
            Some(GroupState::Stuck) => return self.forget(group, GroupState::Left),
            Some(GroupState::Restored) => {
                // It has no keys of it, and who lets this device in asks the person from now on.
                if let Some(row) = self.state.groups.get_mut(&group) {
                    row.state = GroupState::Left;
                }
                self.run.changed.insert(group);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let own = self.state.own_id();
        if self.with_live(group, |_, live| Ok(live.roster.values().all(|leaf| leaf.account == own)))? {
            return self.forget(group, GroupState::Left);
        }
        self.is_leaving(group);
        Ok(())
    }

    /// The account goes; what else was wanted there is not done any more.
    pub(super) fn is_leaving(&mut self, group: GroupId) {
        self.drop_intents(group, &ErrorKind::Refused.because("you are leaving this group"));
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.state = GroupState::Leaving;
        }
        self.run.touched.insert(group);
    }

    /// Ends our part in a group: keys go, history stays.
    pub(super) fn forget(&mut self, group: GroupId, state: GroupState) -> Result<()> {
        self.with_live(group, |core, live| {
            use openmls_traits::OpenMlsProvider as _;
            live.mls.delete(core.provider.storage()).map_err(crate::state::live::store_failed)
        })?;
        self.groups.remove(&group);
        if let Some(row) = self.state.groups.get_mut(&group) {
            row.state = state;
            row.slot = None;
            row.proposals.clear();
            row.leave_epoch = None;
            row.back = None;
            (row.lost, row.gap, row.fresh, row.unsure) = (None, None, None, Vec::new());
        }
        self.drop_own_rejoin(group);
        self.nothing_leaves(OutboxEnd::NotAMember(group));
        self.ledger.forget_commits(&group)?;
        let name = self.state.conversation_name(&group);
        self.drop_intents(
            group,
            &ErrorKind::Refused.because(format!("you are not a member of '{name}' any more")),
        );
        for sequence in self.history.parked(&group)?.into_keys() {
            self.history.unpark(group, sequence);
        }
        if let Some(row) = self.state.groups.get_mut(&group) {
            (row.parked, row.parked_bytes) = (0, 0);
        }
        if let Some(ticket) = self.run.waits.leaves.remove(&group) {
            self.run.reply(ticket, Ok(Reply::Done));
        }
        self.drop_join_requests(group);
        self.drop_rejoins(group);
        self.state.missing.remove(&group);
        self.unfollow(Source::Group(group));
        if self.state.groups.get(&group).is_some_and(|row| row.personal) {
            return Ok(());
        }
        let view = Box::new(self.group_view(group)?);
        self.notify(Event::Group(view));
        Ok(())
    }

    /// Gives up everything wanted in a group.
    pub(crate) fn drop_intents(&mut self, group: GroupId, error: &Error) {
        let ids: Vec<u64> = self
            .state
            .intents
            .iter()
            .filter(|(_, intent)| intent.group == group)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.intent_done(id, Err(error.clone()));
        }
    }

    /// An intent cannot be carried out. A direct conversation that its other half can never join is given up, so
    /// that what is said to that account starts a new one.
    pub(super) fn intent_failed(&mut self, group: GroupId, id: u64, error: Error) -> Result<()> {
        tracing::info!(kind = error.kind.name(), group = group.short(), "a change of a group failed");
        if error.kind == ErrorKind::Trust && self.add_one_by_one(group, id) {
            return Ok(());
        }
        let alone = self.state.intents.get(&id).and_then(|intent| match &intent.wish {
            Wish::Add(joiners) => joiners.first().map(|joiner| joiner.account),
            _ => None,
        });
        if let Some(account) = alone
            && !self.run.waits.intents.contains_key(&id)
        {
            let (who, name) = (self.state.named(&account), self.state.conversation_name(&group));
            self.warn(Notice::LeftOut {
                who,
                group: Some(group),
                name: Some(name),
                error: Box::new(error.clone()),
            });
        }
        self.intent_done(id, Err(error));
        let wanted = self.state.intents.iter().any(|(_, intent)| intent.group == group);
        let direct = self.state.groups.get(&group).is_some_and(|row| row.direct);
        if direct && !wanted && self.with_live(group, |_, live| Ok(live.roster.len() == 1))? {
            self.forget(group, GroupState::Left)?;
        }
        Ok(())
    }

    /// One of several accounts cannot be added: each gets a commit of its own, so that the others come in and the one
    /// is named. Whether there were several.
    fn add_one_by_one(&mut self, group: GroupId, id: u64) -> bool {
        let Some(Wish::Add(joiners)) = self.state.intents.get(&id).map(|intent| intent.wish.clone()) else {
            return false;
        };
        let mut by_account: BTreeMap<AccountId, Vec<Joiner>> = BTreeMap::new();
        for joiner in joiners {
            by_account.entry(joiner.account).or_default().push(joiner);
        }
        if by_account.len() < 2 {
            return false;
        }
        self.state.intents.remove(&id);
        let ticket = self.run.waits.intents.remove(&id);
        let last = by_account.len();
        for (step, joiners) in (1..).zip(by_account.into_values()) {
            self.intend(group, Wish::Add(joiners), ticket.filter(|_| step == last));
        }
        true
    }

    /// An intent is over, one way or the other.
    pub(super) fn intent_done(&mut self, id: u64, result: Result<Reply>) {
        self.state.intents.remove(&id);
        if let Some(ticket) = self.run.waits.intents.remove(&id) {
            self.run.reply(ticket, result);
        }
    }
}

/// Key packages that one commit carries: their sum must leave room for the path.
const ADD_BYTES: usize = 128 * 1024;

/// Cuts a list of joiners into commits.
fn steps(joiners: Vec<Joiner>) -> Vec<Vec<Joiner>> {
    let (mut steps, mut step, mut bytes) = (Vec::new(), Vec::new(), 0usize);
    for joiner in joiners {
        let size = joiner.key_package.len();
        if !step.is_empty()
            && (step.len() >= limit::ADDS_PER_COMMIT || bytes.saturating_add(size) > ADD_BYTES)
        {
            steps.push(std::mem::take(&mut step));
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        step.push(joiner);
    }
    steps.push(step);
    steps
}

#[cfg(test)]
mod tests {
    use cipher_broker::id::DeviceId;

    use super::*;

    #[test]
    fn many_joiners_come_in_steps_that_fit() {
        let joiner = |size| Joiner {
            account: AccountId::from_bytes([1; 32]),
            device: DeviceId::from_bytes([1; 16]),
            key_package: vec![0; size],
        };
        let lengths =
            |n, size| steps((0..n).map(|_| joiner(size)).collect()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(1, 700), [1]);
        assert_eq!(lengths(450, 100), [200, 200, 50]);
        assert_eq!(lengths(100, 3_000), [43, 43, 14]);
        assert_eq!(lengths(2, ADD_BYTES + 1), [1, 1]);
    }
}
