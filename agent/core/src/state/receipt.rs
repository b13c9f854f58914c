//! How far the members of a conversation came with what was said in it, by their receipts.

use std::collections::BTreeMap;

use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::state::roster::{self, Roster};

/// What is known of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptsRow {
    /// By account; the own one too, by what its devices said.
    #[serde(rename = "r")]
    pub of: BTreeMap<AccountId, Reached>,
}

/// How far one account came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// The position of the commit with which it came (back); 0 for one that was there before this device.
    #[serde(rename = "j", default)]
    pub since: u64,
    #[serde(rename = "d", default)]
    pub delivered: Vec<Stretch>,
    #[serde(rename = "r", default)]
    pub read: Vec<Stretch>,
}

/// Everything behind one position and up to another, both of the life of the log of the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    #[serde(rename = "f")]
    pub behind: u64,
    #[serde(rename = "t")]
    pub to: u64,
    /// The broker's time of the receipt; `None` where several were put together.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Accounts that were members once whose receipts are kept beside those of members.
const GONE: usize = 32;

impl State {
    /// Whether this account tells others how far it came, and sees how far they came. A bot does neither: that it is there
    /// is shown by its answers.
    pub(crate) fn receipts_on(&self) -> bool {
        let person = self.identity.as_ref().is_some_and(|own| own.registered && own.kind == Kind::Person);
        person && self.meta.receipts.unwrap_or(self.receipts_by_default)
    }

    /// R-RECEIPT-02: whether receipts are exchanged among these members: not too many, and none of them blocked.
    pub(crate) fn exchanges_receipts(&self, roster: &Roster) -> bool {
        let persons = roster.values().any(|leaf| leaf.kind == Kind::Person && leaf.account != self.own_id());
        persons && self.is_confidential(roster)
    }

    /// Whether members know so much of each other: they are not too many, and none of them is blocked.
    pub(crate) fn is_confidential(&self, roster: &Roster) -> bool {
        let accounts = roster::accounts(roster);
        accounts.len() <= limit::RECEIPT_MEMBERS && !accounts.iter().any(|account| self.blocks(account))
    }

    /// Accounts came into a conversation, or all of their devices are other ones now: nothing that was said before is theirs.
    pub(crate) fn receipts_begin(
        &mut self,
        group: GroupId,
        accounts: impl IntoIterator<Item = AccountId>,
        position: u64,
        members: &std::collections::BTreeSet<AccountId>,
    ) {
        let mut accounts = accounts.into_iter().peekable();
        if accounts.peek().is_none() || !self.receipts_on() {
            return;
        }
        let mut row = self.receipts.remove(&group).unwrap_or_default();
        for account in accounts {
            row.of.entry(account).or_default().since = position;
        }
        let gone = row.of.keys().filter(|account| !members.contains(account)).copied();
        let gone: Vec<AccountId> = gone.collect();
        for account in gone.iter().take(gone.len().saturating_sub(GONE)) {
            row.of.remove(account);
        }
        self.receipts.insert(group, row);
    }

    /// The person does not want receipts: none are said, and none are shown.
    pub(crate) fn forget_receipts(&mut self) {
        for group in self.receipts.keys() {
            self.receipts.remove(&group);
        }
        let due = self.groups.iter().filter(|(_, row)| row.receipt_due.is_some());
        for group in due.map(|(group, _)| *group).collect::<Vec<_>>() {
            if let Some(row) = self.groups.get_mut(&group) {
                row.receipt_due = None;
            }
        }
    }
}
