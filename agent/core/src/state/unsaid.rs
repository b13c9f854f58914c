//! Messages that are gone here while bytes that this device sealed may still hold their words, or what it made of them: those are looked
//! for in bounded steps.

use std::collections::BTreeSet;

use cipher_broker::id::{GroupId, MessageId};
use serde::{Deserialize, Serialize};

use crate::state::{MessageRow, SealKey, SentRow, State};

/// What is looked for among the sealed bytes of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsaidRow {
    /// The messages.
    #[serde(rename = "o")]
    pub of: BTreeSet<MessageId>,
    /// Nothing of them is left up to here.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<SealKey>,
    /// Those that came while it was looked: they have a turn of their own.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub next: BTreeSet<MessageId>,
}

impl UnsaidRow {
    fn add(&mut self, id: MessageId) {
        if self.behind.is_none() {
            self.of.insert(id);
        } else {
            self.next.insert(id);
        }
    }

    /// Everything was looked through: whether there is another turn.
    pub(crate) fn turn_ends(&mut self) -> bool {
        self.of = std::mem::take(&mut self.next);
        self.behind = None;
        !self.of.is_empty()
    }
}

impl State {
    /// A message is gone: what this device sealed of it, and of what it made of it, is to go too.
    pub(crate) fn note_unsaid(&mut self, group: GroupId, id: MessageId) {
        let mut row = self.unsaid.remove(&group).unwrap_or_default();
        row.add(id);
        self.unsaid.insert(group, row);
    }

    /// Whether bytes that this device sealed beside its row may hold the words of a message, or what was made of it.
    pub(crate) fn may_be_sealed(&self, row: &MessageRow) -> bool {
        let own = self.own_id();
        let said = row.account == own && (row.sealed.is_none() || row.edited.is_some());
        let reacted = row.reactions.all().iter().any(|reaction| reaction.account == own);
        let voted = row.poll.as_ref().is_some_and(|poll| poll.votes().iter().any(|vote| vote.account == own));
        said || reacted || voted
    }

    /// Whether bytes that were sealed here hold the words of a message that is gone, or what was made of it.
    pub(crate) fn is_unsaid(&self, group: &GroupId, sent: &SentRow) -> bool {
        let Some(row) = self.unsaid.get(group) else { return false };
        let of = [sent.id, sent.changes()];
        of.into_iter().flatten().any(|id| row.of.contains(&id) || row.next.contains(&id))
    }
}
