//! Names of the accounts that a bot is told of.
//!
//! An account that was added a moment ago is known by its id only, until the registry has answered. A bot that greets
//! people would greet an id. So what concerns such an account is told when its name is known, or when that takes too long.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;

use crate::machine::Core;
use crate::state::{MessageRow, RowBody};

/// How long a conversation waits for the names of the accounts that are next in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A conversation in which bots wait for names.
#[derive(Debug)]
pub(super) struct Nameless {
    accounts: BTreeSet<AccountId>,
    until: Timestamp,
    /// It took too long: bots were told to look again.
    overdue: bool,
}

impl Core {
    /// Whether a row is told later, because the registry is being asked for an account that it concerns.
    pub(super) fn waits_for_names(&mut self, group: GroupId, row: &MessageRow) -> bool {
        let who = match row.body() {
            RowBody::Event(_, who) => who,
            RowBody::Text
            | RowBody::Poll
            | RowBody::Missing
            | RowBody::Grant
            | RowBody::Granted(_)
            | RowBody::Unknown(_)
            | RowBody::Change(..)
            | RowBody::Silent => row.account,
        };
        let asked = |account: &AccountId| self.state.unnamed.get(account).is_some();
        let accounts: BTreeSet<AccountId> = [row.account, who].into_iter().filter(asked).collect();
        if !self.run.connected || accounts.is_empty() {
            self.run.bot.nameless.remove(&group);
            return false;
        }
        let until = self.run.now.plus(PATIENCE);
        let begun = Nameless { accounts: BTreeSet::new(), until, overdue: false };
        let nameless = self.run.bot.nameless.entry(group).or_insert(begun);
        nameless.accounts = accounts;
        let until = nameless.until;
        let waits = self.run.now < until;
        if waits {
            self.run.wake_at(until);
        }
        waits
    }

    /// The registry has answered for an account: bots look again where they waited for that.
    pub(crate) fn name_is_known(&mut self, account: &AccountId) {
        for (group, nameless) in &mut self.run.bot.nameless {
            if nameless.accounts.remove(account) && nameless.accounts.is_empty() {
                self.run.changed.insert(*group);
            }
        }
    }

    /// Bots look again where they have waited for names long enough.
    pub(super) fn look_past_names(&mut self) {
        for (group, nameless) in &mut self.run.bot.nameless {
            if !nameless.overdue && nameless.until <= self.run.now {
                nameless.overdue = true;
                self.run.changed.insert(*group);
            }
        }
    }
}
