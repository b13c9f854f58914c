//! What a log that went back lost and no author says again: it stays with those who had read it, and they tell the others.
//!
//! ```text
//! read again ──► what the log still shows moves along ──► put right ──an hour, then by turns──► "the log lost these": ids
//!     in `seen`: where each message was shown last             authors say theirs again          │ sealed, on the log
//!                                                                                                ▼
//!                          who has them all takes no notice ◄── ids that are not here are counted by author, and shown
//!                                                               once, as the word of the member that says so
//! ```
//! Nobody who lacks a message can see by itself that it does: its author is gone, and what others said is behind it or
//! in another epoch. So this is somebody's word, and stays that. Naming too much costs bytes and nothing else, so nothing
//! here needs to be exact about what a log still shows. Who came later than a message does not miss it.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::Result;
use cipher_api::view::MissingView;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::wire::content::{Missing, MissingOf};

use crate::machine::Core;
use crate::state::position::era_of;
use crate::state::roster::Leaf;
use crate::state::{MOST, Skip};
/// Accounts that a sentence names.
const NAMED: usize = 8;

impl Core {
    /// A message that is known here came again: it lies in the log as it is now.
    pub(super) fn shown_again(&mut self, group: GroupId, id: MessageId, seen: u64, position: u64) {
        if era_of(seen) < era_of(position) {
            self.history.mark_seen(group, id, position);
        }
    }

    /// A member says what the log lost. What of it is not here, as it is kept with the member's word; `None` when there is
    /// nothing to tell.
    pub(super) fn told_missing(
        &mut self,
        group: GroupId,
        by: &Leaf,
        Missing { of }: &Missing,
    ) -> Result<Option<String>> {
        if of.iter().map(|of| of.messages.len()).sum::<usize>() > limit::MISSING_MESSAGES {
            self.skip(Skip::Limit);
            return Ok(None);
        }
        // Whose word is not shown must not keep another's from being shown.
        if self.state.blocks(&by.account) {
            return Ok(None);
        }
        let Some(here) = self.state.groups.get(&group) else { return Ok(None) };
        let (let_in_at, mending) = (here.let_in_at.unwrap_or_default(), here.back.is_some());
        let mut row = self.state.missing.get(&group).cloned().unwrap_or_default();
        let (tells, mut changed) = (mending || row.since.is_some(), false);
        let mut counts: BTreeMap<AccountId, u64> = BTreeMap::new();
        for MissingOf { account, messages } in of {
            let account = *account;
            for (id, at) in messages.iter().copied() {
                if self.history.seen(&group, &id)?.is_some() {
                    if tells && row.told.len() < MOST {
                        row.told.insert(id, (account, at));
                        changed = true;
                    }
                } else if at >= let_in_at && !row.lacking.contains_key(&id) && row.has_room(&by.account) {
                    row.lacking.insert(id, (account, by.account));
                    let count = counts.entry(account).or_default();
                    *count = count.saturating_add(1);
                    changed = true;
                }
            }
        }
        if changed {
            self.state.missing.insert(group, row);
        }
        let text = counts.iter().map(|(account, count)| format!("{account}:{count}"));
        let text = text.collect::<Vec<_>>().join(",");
        Ok((!text.is_empty()).then_some(text))
    }

    /// What a kept word about lost messages says.
    pub(super) fn missing_views(&self, text: &str) -> Vec<MissingView> {
        let read = |one: &str| {
            let (account, count) = one.split_once(':')?;
            let (account_id, count) = (account.parse().ok()?, count.parse().ok()?);
            Some(MissingView { handle: self.state.handle_of(&account_id), account_id, count })
        };
        text.split(',').filter_map(read).collect()
    }
}

/// As people read it; who says so stands before it.
pub(super) fn sentence(missing: &[MissingView]) -> String {
    let all = missing.iter().fold(0u64, |all, one| all.saturating_add(one.count));
    if all == 0 {
        return "says that the broker lost messages that are not here".into();
    }
    let names: BTreeSet<&str> = missing.iter().map(|one| one.handle.as_str()).collect();
    let named = missing.iter().take(NAMED).map(|one| format!("{} of @{}", one.count, one.handle));
    let mut named = named.collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more > 0 {
        named.push_str(&format!(", the others of {more} more"));
    }
    let (messages, are) = if all == 1 { ("message", "is") } else { ("messages", "are") };
    format!("says that the broker lost {all} {messages} that {are} not here and nobody sent again: {named}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(handle: &str, count: u64) -> MissingView {
        MissingView { handle: handle.into(), account_id: AccountId::from_bytes([1; 32]), count }
    }

    #[test]
    fn r_log_02_a_word_about_lost_messages_says_how_many_of_whom() {
        for (of, expected) in [
            (vec![], "says that the broker lost messages that are not here"),
            (
                vec![missing("alice", 1)],
                "says that the broker lost 1 message that is not here and nobody sent again: 1 of @alice",
            ),
            (
                vec![missing("alice", 3), missing("bob", 1)],
                "says that the broker lost 4 messages that are not here and nobody sent again: 3 of @alice, 1 of @bob",
            ),
        ] {
            assert_eq!(sentence(&of), expected);
        }
        let many: Vec<MissingView> = (0..10).map(|n| missing(&format!("m{n}"), 2)).collect();
        assert!(sentence(&many).ends_with("2 of @m7, the others of 2 more"));
    }
}
