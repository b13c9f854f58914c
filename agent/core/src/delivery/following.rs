//! Which logs are read, and how far.

use std::time::Duration;

use cipher_api::Result;
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;

use crate::effect::Effect;
use crate::input::{Input, Reading};
use crate::machine::Core;
use crate::machine::step::Step;
use crate::state::{GroupRow, Mark};

/// How often sent bytes are forgotten by age.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);

impl Core {
    /// Takes what the broker brought. What an earlier reading of a log still brings is of no use.
    pub(crate) fn delivery_input(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Delivered { reading, message } => {
                self.run.delivery.broker_at = self.run.delivery.broker_at.max(Some(message.at));
                match message.route.source() {
                    Some(source) if self.goes_on(&source, reading) => self.delivered(message),
                    _ => Ok(()),
                }
            }
            Input::Displaced(displaced) if self.goes_on(&displaced.source, displaced.reading) => {
                self.displaced(&displaced)
            }
            Input::CaughtUp { reading, source, sequence } if self.goes_on(&source, reading) => {
                self.caught_up(source, sequence)
            }
            Input::Published { row, outcome } => self.published(row.0, outcome),
            _ => Ok(()),
        }
    }

    /// What happens at each step.
    pub(crate) fn delivery_step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Opened => self.index_outbox(),
            Step::Connected { whole } => {
                self.forget_flights();
                self.run.delivery.reposted = false;
                self.run.delivery.room_told = false;
                self.prune_ledger()?;
                if whole {
                    self.follow_everything();
                }
            }
            Step::Disconnected => self.forget_flights(),
            Step::Tick | Step::BatchEnds => {}
            Step::BatchEnded => {
                self.finish_syncs();
                self.tell_junk();
                self.finish_sends();
            }
        }
        Ok(())
    }

    fn follow_everything(&mut self) {
        let inbox = self.state.inbox();
        self.follow(inbox);
        self.follow(Source::Log);
        let mut groups = self.state.groups.keys();
        groups.retain(|group| self.state.is_member(group));
        for group in groups {
            self.follow(Source::Group(group));
        }
    }

    fn forget_flights(&mut self) {
        self.run.delivery.in_flight.clear();
        self.run.delivery.attempts.clear();
        self.run.delivery.following.clear();
        self.run.delivery.caught_up.clear();
        self.run.delivery.read.clear();
    }

    pub(super) fn caught_up(&mut self, source: Source, sequence: u64) -> Result<()> {
        if let Source::Group(group) = source
            && (self.lacks_own(group, sequence)
                || self.owns_lie_beyond(group, sequence)
                || self.waits_to_be_confirmed(group, sequence)?)
        {
            return Ok(());
        }
        self.run.delivery.caught_up.insert(source);
        self.run.delivery.read.insert(source);
        self.was_read(&source);
        if let Source::Group(group) = source {
            self.settle_doubts(group, sequence);
        }
        let read = |source: &Source| self.run.delivery.caught_up.contains(source);
        // Hardly ever did another copy say anything, and this is asked for every page that is read.
        let everything = self.run.group.has_copies() && self.run.delivery.following.keys().all(read);
        self.group_caught_up(source, everything)
    }

    /// Starts reading a log from where the store stands.
    pub(crate) fn follow(&mut self, source: Source) {
        let Some(after) = self.state.after(&source) else { return };
        if self.run.connected && !self.run.delivery.following.contains_key(&source) {
            self.run.delivery.caught_up.remove(&source);
            if let Source::Group(group) = source {
                self.run.delivery.gone.remove(&group);
            }
            self.is_read_now(source);
            let mark = self.state.mark_of(&source).filter(|_| after > 0);
            self.begin_reading(source, after, mark);
        }
    }

    /// Reads a log from there on. What an earlier reading of it still brings is of no use any more: it began elsewhere.
    pub(crate) fn begin_reading(&mut self, source: Source, after: u64, mark: Option<Mark>) {
        self.run.delivery.readings = self.run.delivery.readings.saturating_add(1);
        let reading = Reading(self.run.delivery.readings);
        self.run.delivery.following.insert(source, reading);
        self.run.effects.push(Effect::Follow { source, reading, after, mark });
    }

    /// Whether this is the reading of a log that goes on.
    pub(super) fn goes_on(&self, source: &Source, reading: Reading) -> bool {
        self.run.delivery.following.get(source) == Some(&reading)
    }

    /// Something says that a log may have gone back: looks whether it still shows what was read last.
    pub(super) fn look_back(&mut self, group: GroupId) {
        let source = Source::Group(group);
        self.run.delivery.following.remove(&source);
        self.run.delivery.read.remove(&source);
        self.run.delivery.caught_up.remove(&source);
        self.follow(source);
    }

    /// A log is known to have gone back. It is read anew behind a mark that cannot be there, so that the reader says where the
    /// stream stands.
    pub(crate) fn is_displaced(&mut self, group: GroupId) {
        let now = self.run.now;
        let Some(row) = self.state.groups.get_mut(&group) else { return };
        if row.after() == 0 {
            self.log_went_back(group);
            self.begin_reading(Source::Group(group), 0, None);
            return;
        }
        row.mark = Some(Mark { at: row.mark.map_or(now, |mark| mark.at), hash: [0; 32] });
        row.unseen = None;
        self.look_back(group);
    }

    /// Whether the broker said that an entry of ours lies further than the log was read to: then it is read on, and
    /// when it is not there after all the log went back.
    fn lacks_own(&mut self, group: GroupId, covered: u64) -> bool {
        let Some(row) = self.state.groups.get(&group) else { return false };
        let Some(unseen) = row.unseen.filter(|unseen| *unseen > row.cursor) else { return false };
        let sequence = row.here(unseen);
        if covered >= sequence {
            self.is_displaced(group);
        } else {
            self.run.effects.push(Effect::Fetch { source: Source::Group(group), sequence });
        }
        true
    }

    /// Whether the broker said, maybe to an earlier process, that something in the outbox lies further than the log was read
    /// to: it is read on. What turns out to be gone, by age as well, is published again.
    fn owns_lie_beyond(&mut self, group: GroupId, covered: u64) -> bool {
        let covered = self.state.groups.get(&group).map_or(0, GroupRow::after).max(covered);
        let rows = self.run.delivery.by_group.get(&group).into_iter().flatten();
        let stored = rows.filter_map(|id| self.state.outbox.get(id)?.seal.as_ref()?.stored_at);
        let Some(sequence) = stored.filter(|at| *at > covered).max() else { return false };
        self.run.effects.push(Effect::Fetch { source: Source::Group(group), sequence });
        true
    }

    /// Forgets once a day what was sent so long ago that no log has it any more.
    fn prune_ledger(&mut self) -> Result<()> {
        let now = self.run.now;
        if now < self.state.meta.pruned_at.plus(PRUNE_EVERY) {
            return Ok(());
        }
        self.state.meta_mut().pruned_at = now;
        self.state.prune_changes(now);
        self.ledger.prune(now)
    }

    /// Makes sure that a log is read at least up to a sequence that is known to exist.
    pub(crate) fn want(&mut self, source: Source, sequence: u64) {
        if !self.run.connected {
            return;
        }
        self.follow(source);
        self.run.effects.push(Effect::Fetch { source, sequence });
    }

    /// Reads a log no more.
    pub(crate) fn unfollow(&mut self, source: Source) {
        self.run.delivery.caught_up.remove(&source);
        self.was_read(&source);
        if self.run.delivery.following.remove(&source).is_some() {
            self.run.effects.push(Effect::Unfollow { source });
        }
    }
}
