//! Brings groups forward: what there is to do in each, in its order.

use cipher_api::view::GroupState;
use cipher_api::{Event, Result};
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;

use crate::machine::Core;
use crate::machine::step::Step;

impl Core {
    /// What happens at each step.
    pub(crate) fn group_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Opened => {
                self.index_join_requests();
                self.wake_stuck();
                self.wake_damaged()?;
            }
            Step::Connected { .. } => {
                self.run.group.claims.clear();
                self.begin_refreshing();
                self.touch_unfinished();
                self.fetch_missing_trees();
            }
            Step::Disconnected => {}
            Step::Tick => {
                self.refresh_groups()?;
                self.renew_joins()?;
                self.touch_unfinished();
                self.fetch_missing_trees();
            }
            Step::BatchEnds => {
                self.empty_unsaid()?;
                self.drive_touched()?;
                self.tell_changed()?;
            }
            Step::BatchEnded => self.finish_joins()?,
        }
        Ok(())
    }

    /// A log was read to its end; `everything` when every log was, and another copy of this store said something.
    pub(crate) fn group_caught_up(&mut self, source: Source, everything: bool) -> Result<()> {
        if everything {
            self.judge_copies()?;
        }
        if let Source::Group(group) = source {
            self.look_for_place(group)?;
            self.invitation_decided(group)?;
            self.run.touched.insert(group);
        }
        Ok(())
    }

    /// Looks again at every group that has something waiting.
    fn touch_unfinished(&mut self) {
        let waiting: Vec<GroupId> = self.run.delivery.groups_with_rows().collect();
        self.run.touched.extend(waiting);
        let wanted: Vec<GroupId> = self
            .state
            .groups
            .iter()
            .filter(|(_, row)| {
                row.slot.is_some()
                    || !row.proposals.is_empty()
                    || row.leave_epoch.is_some()
                    || row.back.is_some()
                    || row.lost.is_some()
            })
            .map(|(group, _)| *group)
            .chain(self.state.intents.iter().map(|(_, intent)| intent.group))
            .chain(self.run.group.asked.iter().copied())
            .chain(self.state.missing.iter().filter(|(_, row)| row.since.is_some()).map(|(group, _)| *group))
            .chain(self.state.rejoins.iter().map(|(_, row)| row.group))
            .collect();
        self.run.touched.extend(wanted);
    }

    fn drive_touched(&mut self) -> Result<()> {
        self.reconcile_changed()?;
        if self.state.transfers.iter().any(|(_, transfer)| transfer.has_more()) {
            // What ends a transfer is that the groups are in line with the devices.
            self.run.touched.extend(self.state.personal_group());
        }
        while let Some(group) = self.run.touched.pop_first() {
            self.drive(group)?;
        }
        Ok(())
    }

    /// Brings everything of a group forward.
    fn drive(&mut self, group: GroupId) -> Result<()> {
        if !self.run.connected {
            return Ok(());
        }
        self.drive_posts(group);
        if self.state.meta.stopped {
            return Ok(());
        }
        if self.state.is_revoked() {
            // A commit that may lie in the log already still has to be settled; nothing new is made.
            let pending = self.state.groups.get(&group).is_some_and(|row| row.slot.is_some());
            return if pending && self.may_write(group) { self.drive_commits(group) } else { Ok(()) };
        }
        let state = self.state.groups.get(&group).map(|row| row.state);
        if matches!(state, Some(GroupState::Active | GroupState::Leaving)) {
            if !self.may_write(group) || self.mend(group)? {
                return Ok(());
            }
            if self.state.is_lost(&group) {
                return self.drive_lost(group);
            }
            self.serve_joins(group)?;
            self.answer_outsiders(group)?;
            self.drive_commits(group)?;
            self.drive_transfers(group)?;
            self.tell_missing(group)?;
            // What was said before leaving is still said: nobody may be there yet to carry the leaving out.
            self.drive_messages(group)?;
        }
        Ok(())
    }

    /// One piece of news per changed group and batch, however many commits there were.
    fn tell_changed(&mut self) -> Result<()> {
        for group in std::mem::take(&mut self.run.changed) {
            if self.state.groups.get(&group).is_some_and(|row| !row.personal) {
                let view = Box::new(self.group_view(group)?);
                self.notify(Event::Group(view));
            }
        }
        Ok(())
    }

    /// Whether something may be sent into a group's log: it was read to its end on this connection, so it is known
    /// to be the one that was read before. Else it is read now.
    pub(super) fn may_write(&mut self, group: GroupId) -> bool {
        let source = Source::Group(group);
        if self.run.delivery.is_read(&source) {
            return true;
        }
        self.follow(source);
        false
    }
}
