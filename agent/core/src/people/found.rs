//! What is done with a person who was looked up for a command.

use cipher_api::view::ContactState;
use cipher_api::{ErrorKind, Reply, Result};
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::content::Body;

use crate::input::Ticket;
use crate::machine::Core;
use crate::registry::lookup::Goal;
use crate::state::{Joiner, Wish, Words};

impl Core {
    /// The person was found, with the key packages that the goal needs. `None`: the command is answered later.
    pub(crate) fn person_found(
        &mut self,
        goal: Goal,
        account: AccountId,
        joiners: Vec<Joiner>,
        ticket: Option<Ticket>,
    ) -> Result<Option<Reply>> {
        match goal {
            Goal::ShowProfile => Ok(Some(Reply::Account(Box::new(self.profile_view(&account)?)))),
            Goal::Block => self.block(account).map(Some),
            Goal::Reach => Ok(Some(Reply::Done)),
            Goal::Verify => self.show_safety_number(&account).map(Some),
            Goal::Contact { text } => {
                let group = self.open_direct(account, joiners)?;
                if let Some(text) = text {
                    self.say(group, Words::of(Body::Text(text)), None)?;
                }
                Ok(Some(Reply::Contact(Box::new(self.contact_view(&account)?))))
            }
            Goal::Say(words) => {
                let group = self.open_direct(account, joiners)?;
                self.say(group, words, ticket)?;
                Ok(None)
            }
            Goal::Create { .. } | Goal::Add { .. } => {
                Err(ErrorKind::Bug.because("members were looked up as if they were a contact"))
            }
        }
    }

    /// The direct conversation with an account: the one that is there, the one it opened, or a new one.
    fn open_direct(&mut self, account: AccountId, joiners: Vec<Joiner>) -> Result<GroupId> {
        if let Some(group) = self.state.direct_with(&account) {
            return Ok(group);
        }
        if let Some(group) = self.state.direct_invite_of(&account) {
            self.accept_request(group, account)?;
            return Ok(group);
        }
        let group = self.make_group(String::new(), Some(account), false)?;
        self.wish(group, Wish::Add(joiners), None)?;
        if self.state.contact_state(&account).is_none() {
            self.state.set_contact(&account, ContactState::Pending);
            self.tell_accounts([account], true)?;
        }
        Ok(group)
    }
}
