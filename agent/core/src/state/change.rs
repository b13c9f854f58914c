//! Changes of messages that are not here yet.

use cipher_broker::id::{AccountId, MessageId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::Mention;
use cipher_broker::wire::group::{GroupData, Role};
use serde::{Deserialize, Serialize};

use crate::state::{Change, State};

/// A change of a message, as its place in the log and the MLS leaf of its sender show it: it may have to wait for the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingChange {
    /// The message that carries it.
    #[serde(rename = "i")]
    pub id: MessageId,
    /// The account of the sender.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies, see [`crate::state::position`].
    #[serde(rename = "p")]
    pub position: u64,
    /// When the sender says that it was written.
    #[serde(rename = "t", default, skip_serializing_if = "is_unknown")]
    pub sent_at: Timestamp,
    #[serde(rename = "k")]
    pub change: Change,
    /// The words of an edit; the emoji of a reaction.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whom the words of an edit name.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// The answers of a vote.
    #[serde(rename = "c", with = "serde_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<u8>,
    /// What the group let its sender do.
    #[serde(rename = "y", default, skip_serializing_if = "Powers::are_usual")]
    pub powers: Powers,
}

/// What a group lets a member do to messages, and wants of those it says, by its settings in the epoch in which the member does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Powers {
    /// Takes back what others said.
    #[serde(rename = "d")]
    pub delete: bool,
    /// Pins messages.
    #[serde(rename = "p")]
    pub pin: bool,
    /// Gives own messages other words for so many seconds; `None` for always.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub edit_seconds: Option<u32>,
    /// What it says disappears so many seconds after it was read.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub expire_seconds: Option<u32>,
    /// Gives others messages of before they came.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub grant: bool,
}

impl Default for Powers {
    /// Those of a member where the group set nothing.
    fn default() -> Self {
        Self { delete: false, pin: true, edit_seconds: None, expire_seconds: None, grant: false }
    }
}

impl Powers {
    /// For what an own device already judged.
    pub(crate) const ALL: Self =
        Self { delete: true, pin: true, edit_seconds: None, expire_seconds: None, grant: true };

    pub(crate) fn of(data: &GroupData, account: &AccountId) -> Self {
        let role = data.role_of(account);
        let may = |least: Option<Role>| least.is_some_and(|least| role >= least);
        Self {
            delete: may(data.settings.may_delete),
            pin: data.settings.may_pin.is_none() || may(data.settings.may_pin),
            edit_seconds: data.settings.edit_seconds,
            expire_seconds: data.settings.expire_seconds,
            grant: may(data.settings.may_grant),
        }
    }

    pub(crate) fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// In stores of before it was not kept.
fn is_unknown(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

impl WaitingChange {
    /// A change that says no more than what it is.
    pub(crate) fn new(id: MessageId, account: AccountId, position: u64, change: Change) -> Self {
        Self {
            id,
            account,
            position,
            sent_at: Timestamp::default(),
            change,
            text: String::new(),
            mentions: Vec::new(),
            choices: Vec::new(),
            powers: Powers::default(),
        }
    }
}

/// All that waits for one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangesRow {
    #[serde(rename = "c")]
    pub waiting: Vec<WaitingChange>,
    /// When the last of them came, by the own clock: what waits longer than a log keeps anything is forgotten.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// What its author makes of a message and waits for it, and what anybody makes of it: that must push out no deletion.
const CHANGES: usize = 16;
const OF_ANYBODY: usize = 64;

impl ChangesRow {
    /// One more waits. The oldest of its sort gives way.
    pub(crate) fn add(&mut self, waiting: WaitingChange) {
        let anybodys = waiting.change.is_anybodys();
        let most = if anybodys { OF_ANYBODY } else { CHANGES };
        let of_sort = |known: &WaitingChange| known.change.is_anybodys() == anybodys;
        if self.waiting.iter().filter(|known| of_sort(known)).count() >= most
            && let Some(oldest) = self.waiting.iter().position(of_sort)
        {
            self.waiting.remove(oldest);
        }
        self.waiting.push(waiting);
    }

    /// Bytes of what waits, as far as others say how many these are.
    pub(crate) fn bytes(&self) -> usize {
        let of = |waiting: &WaitingChange| {
            let mentions = waiting.mentions.len().saturating_mul(size_of::<Mention>());
            waiting.text.len().saturating_add(mentions).saturating_add(waiting.choices.len())
        };
        self.waiting.iter().map(of).sum()
    }
}

impl State {
    /// Forgets changes whose messages no log can bring any more.
    pub(crate) fn prune_changes(&mut self, now: Timestamp) {
        let oldest = now.minus(limit::RETENTION);
        let old = self.changes.iter().filter(|(_, row)| row.at < oldest).map(|(key, _)| *key);
        for key in old.collect::<Vec<_>>() {
            self.changes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(change: Change, position: u64) -> WaitingChange {
        let (id, account) = (MessageId::from_bytes([1; 16]), AccountId::from_bytes([2; 32]));
        WaitingChange::new(id, account, position, change)
    }

    #[test]
    fn r_content_05_reactions_that_wait_are_bounded_and_push_out_no_deletion() {
        let mut row = ChangesRow::default();
        row.add(waits(Change::Delete, 1));
        for position in 2..200 {
            row.add(waits(Change::React, position));
        }
        assert_eq!(row.waiting.len(), 1 + OF_ANYBODY);
        assert_eq!(row.waiting.first(), Some(&waits(Change::Delete, 1)));
        assert_eq!(row.waiting.last(), Some(&waits(Change::React, 199)));
        for position in 200..300 {
            row.add(waits(Change::Edit, position));
        }
        let edits = row.waiting.iter().filter(|waiting| waiting.change == Change::Edit);
        assert_eq!(edits.map(|waiting| waiting.position).collect::<Vec<_>>(), (284..300).collect::<Vec<_>>());
        assert_eq!(row.waiting.len(), CHANGES + OF_ANYBODY);
    }
}
