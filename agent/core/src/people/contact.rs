//! Contacts: ask, accept, decline, remove, block; and who may ask.

use cipher_api::view::{ContactState, ContactView, RequestPolicy};
use cipher_api::{ErrorKind, Event, Hint, Notice, Reply, Result, Who};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::wire::content::Body;
use cipher_broker::wire::sync::SyncNote;

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::{InviteFacts, InviteRow, Reception, Skip, Words};

impl Core {
    pub(super) fn contact_add(
        &mut self,
        ticket: Ticket,
        handle: Handle,
        text: Option<String>,
    ) -> Result<Option<Reply>> {
        self.state.identity()?;
        if let Some(account) = self.state.account_of(&handle) {
            if account == self.state.own_id() {
                return Err(ErrorKind::Usage.because("one cannot be one's own contact"));
            }
            self.state.must_not_be_blocked(&account)?;
            self.state.must_be_unchanged(&account)?;
            if self.state.contact_state(&account) == Some(ContactState::Requested) {
                return self.contact_accept(&handle).map(Some);
            }
            if self.state.contact_state(&account) == Some(ContactState::Accepted) {
                return Ok(Some(Reply::Contact(Box::new(self.contact_view(&account)?))));
            }
            if self.state.contact_state(&account) == Some(ContactState::Pending) {
                // Whether it was declined is not told, and what is said there waits with the first request.
                self.warn(Notice::ContactAskedBefore { handle: handle.clone() });
            }
        }
        self.begin_errand(Some(ticket), Goal::Contact { text }, vec![handle])?;
        Ok(None)
    }

    pub(super) fn contact_view(&self, account: &AccountId) -> Result<ContactView> {
        let row = self.state.accounts.get(account);
        let row = row.ok_or_else(|| ErrorKind::Bug.because("a contact is not pinned"))?;
        let blocked = row.contact == Some(ContactState::Blocked);
        let shown = |text: &str| if blocked { String::new() } else { text.to_owned() };
        Ok(ContactView {
            handle: row.handle.clone(),
            account_id: *account,
            name: shown(&row.profile.name),
            status: shown(&row.profile.status),
            presence: self.presence_of(account, row.profile.presence),
            state: row.contact.unwrap_or(ContactState::Pending),
            trust: row.trust,
            devices: row.devices.len(),
            text: self.asks_with(account).filter(|_| !blocked),
            warning: self.name_warning(account),
        })
    }

    /// The first words of a request that waits.
    fn asks_with(&self, account: &AccountId) -> Option<String> {
        let invite = self.state.invites.get(&self.state.direct_invite_of(account)?)?;
        Some(invite.text.clone()).filter(|text| !text.is_empty())
    }

    pub(super) fn contacts(&self) -> Vec<ContactView> {
        self.state
            .accounts
            .iter()
            .filter(|(_, row)| row.contact.is_some() && !row.retired)
            .filter_map(|(account, _)| self.contact_view(account).ok())
            .collect()
    }

    /// Accepts a request: joins the direct conversation it came with and tells the other side there.
    pub(super) fn contact_accept(&mut self, handle: &Handle) -> Result<Reply> {
        self.state.identity()?;
        let none = || {
            ErrorKind::NotFound
                .because(format!("there is no contact request of @{handle}"))
                .hint(Hint::ContactRequests)
        };
        let account = self.state.account_of(handle).ok_or_else(none)?;
        self.state.must_not_be_blocked(&account)?;
        let invite = self.state.direct_invite_of(&account);
        match (self.state.contact_state(&account), invite) {
            (_, Some(group)) => self.accept_request(group, account)?,
            (Some(ContactState::Accepted), None) => {}
            _ => return Err(none()),
        }
        Ok(Reply::Contact(Box::new(self.contact_view(&account)?)))
    }

    /// The person accepts a request: the other own devices join too.
    pub(crate) fn accept_request(&mut self, group: GroupId, account: AccountId) -> Result<()> {
        let epoch = self.state.invites.get(&group).map_or(0, |invite| invite.epoch);
        self.accept_direct(group, account)?;
        self.tell_devices(&SyncNote::Invitation { group, accepted: true, epoch })?;
        self.tell_accounts([account], true)
    }

    /// Joins a direct conversation and tells its maker so, in it.
    pub(crate) fn accept_direct(&mut self, group: GroupId, account: AccountId) -> Result<()> {
        self.join(group)?;
        self.state.set_contact(&account, ContactState::Accepted);
        self.say(group, Words::of(Body::ContactAccepted), None)?;
        Ok(())
    }

    /// R-INV-01: whether an invitation joins by itself. Accepted contacts may; a bot follows its owner.
    pub(super) fn welcomes(&self, inviter: &AccountId, direct: bool) -> bool {
        let owner =
            self.state.identity.as_ref().and_then(|own| own.owner.as_ref()).map(|owner| owner.account);
        match self.state.contact_state(inviter) {
            Some(ContactState::Accepted) => true,
            // We asked them first: their direct conversation is the answer.
            Some(ContactState::Pending) => direct,
            Some(ContactState::Requested | ContactState::Blocked | ContactState::Unknown) | None => {
                owner == Some(*inviter)
            }
        }
    }

    /// Drops a request. The other side is not told, and may ask again.
    pub(super) fn contact_decline(&mut self, handle: &Handle) -> Result<Reply> {
        self.state.identity()?;
        let account = self.state.account_of(handle);
        let asked = account.filter(|account| self.state.direct_invite_of(account).is_some());
        let Some(account) = asked else {
            return Err(ErrorKind::NotFound
                .because(format!("there is no contact request of @{handle}"))
                .hint(Hint::ContactRequests));
        };
        while let Some(group) = self.state.direct_invite_of(&account) {
            self.decline_invitation(group)?;
        }
        Ok(Reply::Done)
    }

    /// Ends an acquaintance. The direct conversation is left as by `group leave`; what was said stays readable.
    pub(super) fn contact_remove(&mut self, handle: &Handle) -> Result<Reply> {
        self.state.identity()?;
        let account = self.state.account_of(handle);
        let state = account.and_then(|account| self.state.contact_state(&account));
        let (Some(account), Some(state)) = (account, state) else {
            return Err(ErrorKind::NotFound
                .because(format!("@{handle} is not a contact"))
                .hint(Hint::ContactList));
        };
        if state == ContactState::Blocked {
            return Err(self.state.is_blocked(&account));
        }
        while let Some(group) = self.state.direct_invite_of(&account) {
            self.decline_invitation(group)?;
        }
        let directs: Vec<GroupId> = self
            .state
            .groups
            .iter()
            .filter(|(group, row)| row.direct && row.peer == Some(account) && self.state.is_member(group))
            .map(|(group, _)| *group)
            .collect();
        for group in directs {
            self.begin_leaving(group)?;
        }
        self.change_contact(&account, None)?;
        self.tell_accounts([account], true)?;
        Ok(Reply::Done)
    }

    /// R-CONTACT-01: wants nothing of an account any more. It need not be a contact.
    pub(super) fn contact_block(&mut self, ticket: Ticket, who: Who) -> Result<Option<Reply>> {
        self.state.identity()?;
        match (self.state.account_by(&who), who) {
            (Some(account), _)
                if account == self.state.own_id() || self.state.accounts.get(&account).is_some() =>
            {
                self.block(account).map(Some)
            }
            (_, Who::Handle(handle)) => {
                self.begin_errand(Some(ticket), Goal::Block, vec![handle])?;
                Ok(None)
            }
            // A block is kept with what is known of an account.
            (_, Who::Account(account)) => Err(ErrorKind::NotFound
                .because(format!("nothing is known of the account {account}: no registry shows it"))
                .hint(Hint::GroupBan)),
        }
    }

    /// The same, once the account is known.
    pub(super) fn block(&mut self, account: AccountId) -> Result<Reply> {
        if account == self.state.own_id() {
            return Err(ErrorKind::Usage.because("one does not block oneself"));
        }
        if self.state.contact_state(&account) != Some(ContactState::Blocked) {
            self.change_contact(&account, Some(ContactState::Blocked))?;
            self.tell_accounts([account], true)?;
        }
        Ok(Reply::Contact(Box::new(self.contact_view(&account)?)))
    }

    /// Lifts a block: an accepted contact is one again, everybody else is nobody in particular. Hiding happens when
    /// something is shown, so all of it is there again.
    pub(super) fn contact_unblock(&mut self, who: &Who) -> Result<Reply> {
        self.state.identity()?;
        let account = self.state.account_by(who);
        let blocked =
            account.filter(|account| self.state.contact_state(account) == Some(ContactState::Blocked));
        let Some(account) = blocked else {
            return Err(ErrorKind::NotFound
                .because(format!("{who} is not blocked"))
                .hint(Hint::ContactListBlocked));
        };
        let before = self.state.meta.blocked_contacts.contains(&account);
        self.change_contact(&account, before.then_some(ContactState::Accepted))?;
        self.tell_accounts([account], true)?;
        if before {
            return Ok(Reply::Contact(Box::new(self.contact_view(&account)?)));
        }
        Ok(Reply::Done)
    }

    /// Moves an account to another contact state, with all that follows from a block or its end.
    pub(crate) fn change_contact(&mut self, account: &AccountId, state: Option<ContactState>) -> Result<()> {
        let before = self.state.contact_state(account);
        if before == state {
            return Ok(());
        }
        let Some(row) = self.state.accounts.get_mut(account) else { return Ok(()) };
        row.contact = state;
        let blocked = Some(ContactState::Blocked);
        if state == blocked && before == Some(ContactState::Accepted) {
            self.state.meta_mut().blocked_contacts.insert(*account);
        }
        if before == blocked {
            self.state.meta_mut().blocked_contacts.remove(account);
        }
        if state == blocked {
            let theirs = |invite: &InviteRow| invite.known.as_ref().is_some_and(|k| k.inviter == *account);
            let dropped: Vec<GroupId> =
                self.state.invites.iter().filter(|(_, i)| theirs(i)).map(|(group, _)| *group).collect();
            for group in dropped {
                self.state.invites.remove(&group);
            }
        }
        if state == blocked || before == blocked {
            for group in self.state.groups.keys() {
                self.recount(group)?;
            }
        }
        Ok(())
    }

    /// What becomes of an invitation whose maker is known now.
    pub(crate) fn receive_invitation(&self, group: &GroupId, epoch: u64, facts: &InviteFacts) -> Reception {
        let own = self.state.own_id();
        if facts.personal {
            // R-SYNC-02: nobody else gets into, or makes, what own devices believe. Another device that was revoked
            // while the invitation was on its way is no reason to stay out: it is removed, and until then nothing
            // is told (R-SYNC-07).
            let ours = facts.inviter == own && facts.members.iter().all(|member| member.0 == own);
            return match ours {
                true if self.state.is_revoked() => Reception::Dropped(Skip::Revoked),
                true => Reception::Joins,
                false => Reception::Dropped(Skip::Policy),
            };
        }
        // We asked to join by a link: whoever lets us in.
        if !facts.direct && self.state.asked_for(group, &facts.links) {
            return Reception::Joins;
        }
        let blocked = self.state.blocks(&facts.inviter);
        // R-BACKUP-03: in a group of several one does not choose who else is there, nor who carries a change out.
        if !(blocked && facts.direct) && self.state.lets_back(group, &facts.inviter, facts.direct) {
            return Reception::Joins;
        }
        if blocked {
            return Reception::Dropped(Skip::Blocked);
        }
        if facts.inviter == own || self.welcomes(&facts.inviter, facts.direct) {
            return Reception::Joins;
        }
        match self.state.meta.answers.get(group) {
            Some((true, answered)) if epoch <= *answered => return Reception::Joins,
            Some((false, answered)) if epoch <= *answered => return Reception::Dropped(Skip::Declined),
            _ => {}
        }
        // R-CONTACT-04: who may ask. Whom we asked ourselves is no stranger.
        let asked = self.state.contact_state(&facts.inviter) == Some(ContactState::Pending);
        if self.state.meta.request_policy == RequestPolicy::Contacts && !asked {
            return Reception::Dropped(Skip::Unwanted);
        }
        // R-CONTACT-05
        let theirs = |invite: &InviteRow| invite.known.as_ref().is_some_and(|k| k.inviter == facts.inviter);
        let waiting = self.state.invites.iter().filter(|(_, invite)| theirs(invite)).count();
        let bytes = |invite: &InviteRow| invite.known.as_ref().map_or(0, |known| known.tree.len());
        let kept: usize = self
            .state
            .invites
            .iter()
            .filter(|(_, invite)| theirs(invite))
            .map(|(_, invite)| bytes(invite))
            .sum();
        let too_much = kept.saturating_add(facts.tree.len()) > limit::TREE_BYTES_PER_ACCOUNT && waiting > 0;
        if waiting >= limit::INVITATIONS_PER_ACCOUNT || too_much {
            return Reception::Dropped(Skip::Limit);
        }
        Reception::Waits
    }

    /// Tells of invitations that can be shown now, and marks who opened a direct conversation as having asked.
    pub(crate) fn show_invitations(&mut self) -> Result<()> {
        self.show_offers();
        let new: Vec<(GroupId, Option<AccountId>)> = self
            .state
            .invites
            .iter()
            .filter(|(_, invite)| self.state.is_shown(invite))
            .filter_map(|(group, invite)| {
                let known = invite.known.as_ref()?;
                let asks = known.direct
                    && self.state.accounts.get(&known.inviter).is_some_and(|row| row.contact.is_none());
                (asks || !invite.told).then_some((*group, asks.then_some(known.inviter)))
            })
            .collect();
        for (group, asks) in new {
            if let Some(account) = asks {
                self.state.set_contact(&account, ContactState::Requested);
            }
            let Some(invite) = self.state.invites.get_mut(&group) else { continue };
            if !std::mem::replace(&mut invite.told, true) {
                let view = Box::new(self.group_view(group)?);
                self.notify(Event::Group(view));
            }
        }
        Ok(())
    }

    /// Drops an invitation because the person said so.
    pub(crate) fn decline_invitation(&mut self, group: GroupId) -> Result<()> {
        let Some(invite) = self.state.invites.get(&group) else { return Ok(()) };
        let epoch = invite.epoch;
        self.invitation_declined(group)?;
        self.tell_devices(&SyncNote::Invitation { group, accepted: false, epoch })
    }

    /// The same, whoever of the own devices did it.
    pub(crate) fn invitation_declined(&mut self, group: GroupId) -> Result<()> {
        let Some(invite) = self.state.invites.get(&group) else { return Ok(()) };
        let asker = invite.known.as_ref().filter(|known| known.direct).map(|known| known.inviter);
        if self.state.has_siblings() {
            // Another device may have said yes at the same time: yes wins, and needs the invitation.
            if let Some(invite) = self.state.invites.get_mut(&group) {
                invite.declined = true;
            }
        } else {
            self.state.invites.remove(&group);
        }
        if let Some(asker) = asker
            && self.state.contact_state(&asker) == Some(ContactState::Requested)
            && self.state.direct_invite_of(&asker).is_none()
        {
            self.change_contact(&asker, None)?;
        }
        Ok(())
    }
}
