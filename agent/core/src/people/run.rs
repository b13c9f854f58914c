//! What is known of people while the process runs, and learned again by the next one.

use std::collections::BTreeMap;

use cipher_api::Command;
use cipher_api::command::{AccountCommand, MessageCommand};
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;

use crate::people::presence::Presences;
use crate::people::typing::Typings;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(super) presence: Presences,
    pub(super) typings: Typings,
    /// Accounts that the registry said it does not know, and when.
    pub(super) not_found: BTreeMap<AccountId, Timestamp>,
    /// When fellow members without a handle were asked for last on this connection.
    pub(super) unnamed_asked_at: Option<Timestamp>,
}

impl Run {
    /// An account said something in a conversation.
    pub(crate) fn has_said(&mut self, group: GroupId, account: AccountId) {
        self.typings.said(group, account);
    }

    /// Some commands show that a person is here.
    pub(crate) fn note_person(&mut self, command: &Command, now: Timestamp) {
        let is_here = match command {
            Command::Account(AccountCommand::Active(_))
            | Command::Message(
                MessageCommand::Send(_) | MessageCommand::Shown(_) | MessageCommand::Typing(_),
            ) => true,
            Command::Message(MessageCommand::Read(read)) => read.mark,
            _ => false,
        };
        if is_here {
            self.presence.active_at = Some(now);
        }
    }
}
