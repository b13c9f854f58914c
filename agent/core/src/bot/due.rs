//! The due-queue: in which conversations a bot has something to handle, and which of them is next.
//!
//! A conversation is one row, however much waits in it: under a number that is its turn. The row comes in the
//! transaction of the first message that waits, moves to the end of the queue with each event that is handled, and goes
//! with the last one. So a busy conversation delays no other, and a look costs as much as it finds: what waits nowhere
//! is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::Result;
use cipher_api::view::{GroupEvent, GroupState};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use crate::machine::Core;
use crate::machine::step::Step;
use crate::state::{DueRow, MessageRow, Place, RowBody};

/// Rows of a conversation that are read at once, to find the next one that is for the bot.
const PAGE: usize = 16;

impl Core {
    /// What happens at each step.
    pub(crate) fn bot_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Opened => self.open_due(),
            Step::Tick => {
                self.look_past_names();
                Ok(())
            }
            Step::BatchEnded => self.queue_for_bots(),
            Step::Connected { .. } | Step::Disconnected | Step::BatchEnds => Ok(()),
        }
    }

    /// After opening: the queue by its conversations. A store of before there was a queue gets it from the bots' places.
    fn open_due(&mut self) -> Result<()> {
        let rows = self.state.due.iter();
        self.run.bot.due = rows.map(|(turn, row)| ((row.bot.clone(), row.group), *turn)).collect();
        if self.state.meta.bots.is_none() {
            for turn in self.state.due.keys() {
                self.state.due.remove(&turn);
            }
            self.run.bot.due.clear();
            for bot in self.history.bot_names()? {
                self.know_bot(&bot)?;
            }
        }
        Ok(())
    }

    /// A bot that asks for the first time: the one time when all its conversations are looked at.
    pub(super) fn know_bot(&mut self, bot: &str) -> Result<()> {
        if self.state.meta.bots.as_ref().is_some_and(|known| known.contains(bot)) {
            return Ok(());
        }
        self.state.meta_mut().bots.get_or_insert_default().insert(bot.to_owned());
        let rows = self.state.groups.iter();
        let active: Vec<GroupId> = rows
            .filter(|(_, row)| row.state == GroupState::Active && !row.personal)
            .map(|(group, _)| *group)
            .collect();
        let mut waiting = Vec::new();
        for group in active {
            let handled = self.handled(bot, &group)?;
            if let Some((_, row)) = self.due_behind(&group, handled, 1)?.pop() {
                waiting.push((arrived(&row), group));
            }
        }
        waiting.sort();
        for (_, group) in waiting {
            self.is_waiting(bot, group);
        }
        Ok(())
    }

    /// What the running batch brought: conversations in which nothing waited go to the end of the queue, in the order in
    /// which the broker stored what waits there now.
    fn queue_for_bots(&mut self) -> Result<()> {
        let Some(bots) = self.state.meta.bots.clone() else { return Ok(()) };
        let mut brought: BTreeMap<GroupId, (Timestamp, Place)> = BTreeMap::new();
        let mut back: BTreeSet<GroupId> = BTreeSet::new();
        for (group, place, row) in self.history.written() {
            let ours = |group: &GroupId| self.state.groups.get(group).is_some_and(|row| !row.personal);
            if matches!(row.body(), RowBody::Event(GroupEvent::Missed, _)) {
                back.insert(group);
            }
            if self.is_due(&group, row) && ours(&group) {
                brought.entry(group).or_insert((arrived(row), place)).1 = place;
            }
        }
        let mut brought: Vec<_> = brought.into_iter().map(|(group, (at, last))| (at, group, last)).collect();
        brought.sort();
        for bot in bots {
            for (_, group, last) in &brought {
                // What is written again, or came from another device, may lie before what was handled.
                if !self.run.bot.due.contains_key(&(bot.clone(), *group))
                    && *last > self.handled(&bot, group)?
                {
                    self.is_waiting(&bot, *group);
                }
            }
            // A restored device came back: what waited there in the backup can be handled now.
            for group in &back {
                let handled = self.handled(&bot, group)?;
                if !self.run.bot.due.contains_key(&(bot.clone(), *group))
                    && !self.due_behind(group, handled, 1)?.is_empty()
                {
                    self.is_waiting(&bot, *group);
                }
            }
        }
        Ok(())
    }

    /// Whose turn it is, at most so many, without the busy ones.
    pub(super) fn next_turns(&self, bot: &str, limit: usize, busy: &BTreeSet<GroupId>) -> Vec<GroupId> {
        let rows = self.state.due.iter().map(|(_, row)| row);
        let waiting = rows.filter(|row| row.bot == bot && !busy.contains(&row.group));
        waiting.take(limit).map(|row| row.group).collect()
    }

    /// An event of a conversation was handled: others come first now, if anything waits there still.
    pub(super) fn turn_is_over(&mut self, bot: &str, group: GroupId, handled: Place) -> Result<()> {
        self.waits_no_more(bot, group);
        if !self.due_behind(&group, handled, 1)?.is_empty() {
            self.is_waiting(bot, group);
        }
        Ok(())
    }

    fn is_waiting(&mut self, bot: &str, group: GroupId) {
        let turn = self.state.next_id();
        self.state.due.insert(turn, DueRow { bot: bot.to_owned(), group });
        self.run.bot.due.insert((bot.to_owned(), group), turn);
    }

    pub(super) fn waits_no_more(&mut self, bot: &str, group: GroupId) {
        if let Some(turn) = self.run.bot.due.remove(&(bot.to_owned(), group)) {
            self.state.due.remove(&turn);
        }
    }

    /// The place behind which a bot goes on: where it was let in, until it has handled anything.
    pub(super) fn handled(&self, bot: &str, group: &GroupId) -> Result<Place> {
        let joined = self.state.groups.get(group).map_or(0, |row| row.joined_at);
        let row = self.history.bot(bot, group)?;
        Ok(row.map_or((joined.saturating_sub(1), u16::MAX), |row| row.handled()))
    }

    /// What is for a bot behind a place, at most so much.
    pub(super) fn due_behind(
        &self,
        group: &GroupId,
        mut behind: Place,
        most: usize,
    ) -> Result<Vec<(Place, MessageRow)>> {
        let mut found = Vec::new();
        while found.len() < most {
            let page = self.history.behind(group, behind, most.max(PAGE))?;
            let Some((last, _)) = page.last() else { break };
            behind = *last;
            found.extend(page.into_iter().filter(|(_, row)| self.is_due(group, row)));
        }
        found.truncate(most);
        Ok(found)
    }

    /// Whether a bot is told of a row: the words of others that were not taken back and did not disappear, and what happened. Of
    /// what this account did itself only what changes the members: that may have been its owner.
    fn is_due(&self, group: &GroupId, row: &MessageRow) -> bool {
        let own = row.account == self.state.own_id();
        match row.body() {
            RowBody::Text | RowBody::Poll | RowBody::Missing | RowBody::Grant | RowBody::Unknown(_) => {
                !own && !row.deleted
                    && !self.state.is_over(group, row, self.run.now)
                    && !self.state.hides(row)
            }
            // R-CONTENT-01: a change that had no effect is nothing that happened.
            RowBody::Change(..) => !own && row.edited.is_some() && !self.state.hides(row),
            // R-GRANT-07: nobody says it to the bot.
            RowBody::Granted(_) | RowBody::Silent => false,
            RowBody::Event(event, _) => !own || is_of_members(event),
        }
    }
}

/// Whether accounts came, went or changed.
pub(super) const fn is_of_members(event: GroupEvent) -> bool {
    matches!(
        event,
        GroupEvent::Added | GroupEvent::Joined | GroupEvent::Removed | GroupEvent::Left | GroupEvent::Role
    )
}

/// When the broker stored it, as far as that is known.
fn arrived(row: &MessageRow) -> Timestamp {
    row.at.unwrap_or(row.sent_at)
}

#[cfg(test)]
#[path = "due_test.rs"]
mod tests;
