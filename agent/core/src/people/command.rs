//! Requests about contacts.

use cipher_api::command::{ContactCommand as C, contact};
use cipher_api::{Reply, Result};

use crate::input::Ticket;
use crate::machine::Core;

impl Core {
    /// Does what is asked of contacts; `None` when the answer comes later.
    pub(crate) fn contact_command(&mut self, ticket: Ticket, command: C) -> Result<Option<Reply>> {
        match command {
            C::Add(contact::Add { handle, text }) => self.contact_add(ticket, handle, text),
            C::List(contact::List {}) => Ok(Some(self.contacts().into())),
            C::Accept(contact::Accept { handle }) => self.contact_accept(&handle).map(Some),
            C::Decline(contact::Decline { handle }) => self.contact_decline(&handle).map(Some),
            C::Remove(contact::Remove { handle }) => self.contact_remove(&handle).map(Some),
            C::Block(contact::Block { who }) => self.contact_block(ticket, who),
            C::Unblock(contact::Unblock { who }) => self.contact_unblock(&who).map(Some),
            C::Verify(contact::Verify { handle, code }) => self.contact_verify(ticket, handle, code),
            C::Trust(contact::Trust { handle }) => self.contact_trust(&handle).map(Some),
        }
    }
}
