//! Contacts: ask, accept, decline, remove, block; and who may ask.

use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::content;

use crate::core::Core;
use crate::errand::Goal;
use crate::error::{ErrorKind, Result, not_built};
use crate::input::Ticket;
use crate::reply::Reply;
use crate::view::{ContactState, ContactView, GroupState, RequestPolicy};

impl Core {
    pub(crate) fn contact_add(
        &mut self,
        ticket: Ticket,
        handle: Handle,
        text: Option<String>,
    ) -> Result<Option<Reply>> {
        self.identity()?;
        if let Some(account) = self.account_of(&handle) {
            if account == self.own_id() {
                return Err(ErrorKind::Misuse.because("one cannot be one's own contact"));
            }
            if self.contact_state(&account) == Some(ContactState::Requested) {
                return self.contact_accept(&handle).map(Some);
            }
            if self.contact_state(&account) == Some(ContactState::Accepted) {
                return Ok(Some(Reply::Contact(Box::new(self.contact_view(&account)?))));
            }
        }
        self.begin_errand(Some(ticket), Goal::Contact { text }, vec![handle])?;
        Ok(None)
    }

    pub(crate) fn contact_state(&self, account: &AccountId) -> Option<ContactState> {
        self.state.accounts.get(account).and_then(|row| row.contact)
    }

    pub(crate) fn set_contact(&mut self, account: &AccountId, state: ContactState) {
        if let Some(row) = self.state.accounts.get_mut(account) {
            row.contact = Some(state);
        }
    }

    pub(crate) fn contact_view(&self, account: &AccountId) -> Result<ContactView> {
        let row = self.state.accounts.get(account);
        let row = row.ok_or_else(|| ErrorKind::Bug.because("a contact is not pinned"))?;
        Ok(ContactView {
            handle: row.handle.clone(),
            account_id: *account,
            name: row.profile.name.clone(),
            state: row.contact.unwrap_or(ContactState::Pending),
            trust: row.trust,
            devices: row.devices.len(),
            warning: self.name_warning(account),
        })
    }

    pub(crate) fn contacts(&self) -> Vec<ContactView> {
        self.state
            .accounts
            .iter()
            .filter(|(_, row)| row.contact.is_some())
            .filter_map(|(account, _)| self.contact_view(account).ok())
            .collect()
    }

    /// Accepts a request: joins the direct conversation it came with and tells the other side there.
    pub(crate) fn contact_accept(&mut self, handle: &Handle) -> Result<Reply> {
        self.identity()?;
        let none = || {
            ErrorKind::NotFound
                .because(format!("there is no contact request of @{handle}"))
                .hint("see the waiting ones with: cipher-chat contact list")
        };
        let account = self.account_of(handle).ok_or_else(none)?;
        let invite = self.direct_invite_of(&account);
        match (self.contact_state(&account), invite) {
            (_, Some(group)) => self.accept_direct(group, account)?,
            (Some(ContactState::Accepted), None) => {}
            _ => return Err(none()),
        }
        Ok(Reply::Contact(Box::new(self.contact_view(&account)?)))
    }

    /// A waiting direct conversation that an account opened.
    pub(crate) fn direct_invite_of(&self, account: &AccountId) -> Option<GroupId> {
        self.state
            .invites
            .iter()
            .find(|(_, invite)| invite.known.as_ref().is_some_and(|k| k.direct && k.inviter == *account))
            .map(|(group, _)| *group)
    }

    /// Joins a direct conversation and tells its maker so, in it.
    pub(crate) fn accept_direct(&mut self, group: GroupId, account: AccountId) -> Result<()> {
        self.join(group)?;
        self.set_contact(&account, ContactState::Accepted);
        let content = self.content(content::CONTACT_ACCEPTED, String::new(), None, None);
        self.enqueue_message(group, &content)?;
        Ok(())
    }

    /// The direct conversation with an account, if there is one we are in.
    pub(crate) fn direct_with(&self, account: &AccountId) -> Option<GroupId> {
        self.state
            .groups
            .iter()
            .find(|(_, row)| row.direct && row.state == GroupState::Active && row.peer == Some(*account))
            .map(|(group, _)| *group)
    }

    /// R-INV-01: whether an invitation joins by itself. Accepted contacts may; a bot follows its owner.
    pub(crate) fn welcomes(&self, inviter: &AccountId, direct: bool) -> bool {
        let owner =
            self.state.identity.as_ref().and_then(|own| own.owner.as_ref()).map(|owner| owner.account);
        match self.contact_state(inviter) {
            Some(ContactState::Accepted) => true,
            // We asked them first: their direct conversation is the answer.
            Some(ContactState::Pending) => direct,
            Some(ContactState::Requested | ContactState::Blocked) | None => owner == Some(*inviter),
        }
    }

    pub(crate) fn set_request_policy(&mut self, policy: RequestPolicy) -> Result<Reply> {
        self.state.meta_mut().request_policy = policy;
        Ok(Reply::Done)
    }

    pub(crate) fn contact_decline(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn contact_remove(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }

    pub(crate) fn contact_block(&mut self, _ticket: Ticket, _handle: Handle) -> Result<Option<Reply>> {
        Err(not_built())
    }

    pub(crate) fn contact_unblock(&mut self, _handle: &Handle) -> Result<Reply> {
        Err(not_built())
    }
}
