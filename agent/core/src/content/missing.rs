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
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Missing, MissingOf};

use crate::group::turn;
use crate::machine::Core;
use crate::state::position::{self, era_of, sequence_of};
use crate::state::roster::Leaf;
use crate::state::{MOST, MessageRow, Skip};
/// How many messages are looked at for that.
const LOOKED_AT: usize = 20_000;
/// Earlier lives of a log in which a place is looked for.
const ERAS: u16 = 8;
/// Accounts that a sentence names.
const NAMED: usize = 8;

impl Core {
    /// While a log is read again: a message that is known at this place and time lies in it still.
    pub(crate) fn still_there(&mut self, group: GroupId, position: u64, at: Timestamp) -> Result<()> {
        if self.state.groups.get(&group).is_none_or(|row| row.back.is_none()) {
            return Ok(());
        }
        for ago in 1..=ERAS {
            let Some(era) = era_of(position).checked_sub(ago) else { break };
            let before = position::of(era, sequence_of(position));
            let known = self.history.at(&group, (before, 0))?;
            if let Some(row) = known.filter(|row| row.is_said() && row.at == Some(at)) {
                self.history.mark_seen(group, row.id, position);
                break;
            }
        }
        Ok(())
    }

    /// A message that is known here came again: it lies in the log as it is now.
    pub(super) fn shown_again(&mut self, group: GroupId, id: MessageId, seen: u64, position: u64) {
        if era_of(seen) < era_of(position) {
            self.history.mark_seen(group, id, position);
        }
    }

    /// A log was put right: what it lacks is told once the authors had their time.
    pub(crate) fn tells_later(&mut self, group: GroupId) {
        if self.state.groups.get(&group).is_none_or(|row| row.personal) {
            return;
        }
        let mut row = self.state.missing.remove(&group).unwrap_or_default();
        row.since = Some(self.run.now);
        self.state.missing.insert(group, row);
    }

    /// R-LOG-02: what was read here of others, and a log that was put right an hour ago does not show, is told to the group,
    /// by turns.
    pub(crate) fn tell_missing(&mut self, group: GroupId) -> Result<()> {
        let since = self.state.missing.get(&group).and_then(|row| row.since);
        let Some(since) = since.filter(|_| self.run.delivery.is_caught_up(&Source::Group(group))) else {
            return Ok(());
        };
        if self.state.outbox.len().saturating_add(MOST) >= limit::OUTBOX_ROWS {
            return Ok(());
        }
        let due = since.plus(limit::MISSING_AFTER);
        if !self.is_time(due) {
            return Ok(());
        }
        let rank = self.with_live(group, |_, live| Ok(turn::rank(live, |_, _| Some(()))))?;
        if !self.is_time(due.plus(turn::after(turn::STEP, rank))) {
            return Ok(());
        }
        let Some(mut row) = self.state.missing.remove(&group) else { return Ok(()) };
        let told = std::mem::take(&mut row.told);
        if !row.lacking.is_empty() {
            row.since = None;
            self.state.missing.insert(group, row);
        }
        let lost = self.lost_from_log(group, &told)?;
        for lost in lost.chunks(limit::MISSING_MESSAGES) {
            let mut of: BTreeMap<AccountId, Vec<(MessageId, Timestamp)>> = BTreeMap::new();
            for (id, account, at) in lost {
                of.entry(*account).or_default().push((*id, *at));
            }
            let of = of.into_iter().map(|(account, messages)| MissingOf { account, messages }).collect();
            let content = self.content(Body::Missing(Missing { of }), None);
            self.enqueue_message(group, &content)?;
        }
        Ok(())
    }

    /// What others said, is in this history, and was not shown by the log since it went back; without what was told.
    fn lost_from_log(
        &mut self,
        group: GroupId,
        told: &BTreeMap<MessageId, (AccountId, Timestamp)>,
    ) -> Result<Vec<(MessageId, AccountId, Timestamp)>> {
        let Some(era) = self.state.groups.get(&group).map(|row| row.era) else { return Ok(Vec::new()) };
        let device = self.state.identity.as_ref().map(|own| own.device);
        // What is older has gone by age.
        let oldest = self.run.now.minus(limit::RETENTION);
        let counts = |row: &MessageRow| {
            row.at.is_some_and(|at| at >= oldest) && Some(row.device) != device && row.is_words()
        };
        let rows = self.history.before(&group, (position::of(era, 0), 0), LOOKED_AT, counts)?;
        let mut lost = Vec::new();
        for (_, row) in rows {
            let shown = self.history.seen(&group, &row.id)?.is_some_and(|seen| era_of(seen) == era);
            let Some(at) = row.at.filter(|_| !shown) else { continue };
            if told.get(&row.id) != Some(&(row.account, at)) {
                lost.push((row.id, row.account, at));
            }
            if lost.len() >= MOST {
                break;
            }
        }
        Ok(lost)
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
