//! Emoji that members put under a message.

use cipher_broker::id::AccountId;
use cipher_broker::wire::sync::SyncReaction;
use serde::{Deserialize, Serialize};

use crate::state::fitting::fitting;
use crate::state::position;

/// What each account said of each emoji, last: also that it was taken away, because what comes late may be older.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reactions(Vec<Reaction>);

/// One account, one emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    #[serde(rename = "x")]
    pub emoji: String,
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where it lies in the log.
    #[serde(rename = "p")]
    pub position: u64,
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// Bytes of a reaction between own devices, beside the emoji, at most.
const SYNC_BYTES: usize = 64;

impl Reactions {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is known, what was taken away included.
    pub(crate) fn all(&self) -> &[Reaction] {
        &self.0
    }

    /// What this account said of this emoji, last.
    pub(crate) fn of(&self, account: &AccountId, emoji: &str) -> Option<&Reaction> {
        self.0.iter().find(|known| known.account == *account && known.emoji == emoji)
    }

    /// Puts it in the place of what the account said of the emoji before.
    pub(crate) fn put(&mut self, reaction: Reaction) {
        self.0.retain(|known| known.account != reaction.account || known.emoji != reaction.emoji);
        let behind = self.0.partition_point(|known| known.position <= reaction.position);
        self.0.insert(behind, reaction);
    }

    /// The emoji that stand, with the accounts that put them there, in the order of the log.
    pub(crate) fn standing(&self) -> Vec<(&str, Vec<AccountId>)> {
        let mut emoji: Vec<(&str, Vec<AccountId>)> = Vec::new();
        for reaction in self.0.iter().filter(|reaction| !reaction.removed) {
            match emoji.iter_mut().find(|(emoji, _)| *emoji == reaction.emoji) {
                Some((_, by)) => by.push(reaction.account),
                None => emoji.push((&reaction.emoji, vec![reaction.account])),
            }
        }
        emoji
    }

    /// For another own device, in so many bytes. Eras are counted by each store for itself.
    pub(crate) fn to_sync(&self, era: u16, room: usize) -> Vec<SyncReaction> {
        let needs = |reaction: &&Reaction| SYNC_BYTES.saturating_add(reaction.emoji.len());
        let fits = fitting(self.0.iter(), room, needs);
        fits.map(|reaction| SyncReaction {
            emoji: reaction.emoji.clone(),
            account: reaction.account,
            place: position::told(reaction.position, era),
            removed: reaction.removed,
        })
        .collect()
    }

    /// From another own device. `era` is that of the log here.
    pub(crate) fn from_sync(reactions: Vec<SyncReaction>, era: u16) -> Self {
        let mut all = Self::default();
        for SyncReaction { emoji, account, place, removed } in reactions {
            let position = position::heard(place, era);
            all.put(Reaction { emoji, account, position, removed });
        }
        all
    }
}
