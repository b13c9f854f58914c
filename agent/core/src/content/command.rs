//! Requests about what is said.

use cipher_api::command::{MessageCommand as M, message};
use cipher_api::{Reply, Result};

use crate::input::Ticket;
use crate::machine::Core;

impl Core {
    /// Does what is asked of messages; `None` when the answer comes later.
    pub(crate) fn message_command(&mut self, ticket: Ticket, command: M) -> Result<Option<Reply>> {
        match command {
            M::Send(message::Send { target, text, reply_to }) => {
                let reply_to = reply_to.map(|id| self.replied_to(&target, id)).transpose()?;
                self.send(ticket, target, text, reply_to)
            }
            M::Edit(message::Edit { message, text }) => self.message_edit(ticket, &message, text),
            M::Delete(message::Delete { message, local }) => self.message_delete(ticket, &message, local),
            M::React(message::React { message, emoji, remove }) => {
                self.message_react(ticket, &message, &emoji, remove)
            }
            M::Read(asked) => self.read(&asked).map(Some),
            M::Shown(message::Shown { group, ids }) => {
                self.state.identity()?;
                self.mark_shown(group, &ids.into_iter().collect())?;
                Ok(Some(Reply::Done))
            }
        }
    }
}
