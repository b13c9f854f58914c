//! What the log of a group lost.

use std::collections::BTreeMap;

use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// What is known of messages that a group's log lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MissingRow {
    /// When the log was put right, by the own clock: what it lacks then is told an hour later.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What others told meanwhile: said by whom, and the broker's time of it.
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<MessageId, (AccountId, Timestamp)>,
    /// What is not here, as members say: who had said it, and who says so.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lacking: BTreeMap<MessageId, (AccountId, AccountId)>,
}

impl MissingRow {
    /// Makes room for one more that this member says is missing. Whoever says most gives way: words about thousands that
    /// never were hide nobody else's.
    pub(crate) fn has_room(&mut self, by: &AccountId) -> bool {
        if self.lacking.len() < MOST {
            return true;
        }
        let mut said: BTreeMap<AccountId, usize> = BTreeMap::new();
        for (_, teller) in self.lacking.values() {
            let said = said.entry(*teller).or_default();
            *said = said.saturating_add(1);
        }
        let most = said.into_iter().max_by_key(|(_, said)| *said).map(|(teller, _)| teller);
        if most.is_none_or(|most| most == *by) {
            return false;
        }
        self.lacking.retain(|_, (_, teller)| Some(*teller) != most);
        true
    }
}

/// Lost messages of one log that are told, and that are kept count of; of more the latest.
pub(crate) const MOST: usize = 4_000;

impl State {
    /// A message came that was not here.
    pub(crate) fn came_after_all(&mut self, group: GroupId, id: &MessageId) {
        if self.missing.get(&group).is_some_and(|row| row.lacking.contains_key(id))
            && let Some(row) = self.missing.get_mut(&group)
        {
            row.lacking.remove(id);
        }
    }
}
