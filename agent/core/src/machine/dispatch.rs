//! Which room does what is asked for.

use cipher_api::command::{MessageCommand, message};
use cipher_api::{Command, Reply, Result};

use crate::input::Ticket;
use crate::machine::Core;

impl Core {
    /// Does what is asked for; `None` when the answer comes later.
    pub(super) fn command(&mut self, ticket: Ticket, command: Command) -> Result<Option<Reply>> {
        self.run.people.note_person(&command, self.run.now);
        match command {
            Command::Account(command) => self.account_command(ticket, command),
            Command::Contact(command) => self.contact_command(ticket, command),
            Command::Device(command) => self.device_command(ticket, command),
            Command::Group(command) => self.group_command(ticket, command),
            Command::Invite(command) => self.invite_command(ticket, command),
            Command::Message(MessageCommand::Typing(message::Typing { target })) => {
                self.typing(&target).map(Some)
            }
            Command::Message(command) => self.message_command(ticket, command),
            Command::Bot(command) => self.bot_command(command).map(Some),
            Command::Event(command) => self.event_command(command).map(Some),
            Command::Evidence(command) => Ok(Some(self.evidence_command(&command))),
            Command::Status(command) => self.status_command(ticket, &command),
        }
    }
}
