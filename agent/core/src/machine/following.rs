//! Which logs are read, how far, and who waits until they were.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::command::status::{Refreshed, Synced};
use cipher_api::view::DeliveredView;
use cipher_api::{Advice, ErrorKind, Reply, Result};
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::effect::Effect;
use crate::input::{Interest, Reading, Ticket};
use crate::machine::Core;
use crate::state::{GroupRow, Mark};

/// A `sync` that is not done.
#[derive(Debug)]
pub(crate) struct SyncWait {
    pub(super) ticket: Ticket,
    waiting: BTreeSet<Source>,
    /// Messages received and delivered before it.
    before: (u64, BTreeMap<GroupId, u64>),
    deadline: Timestamp,
    registry: Registry,
    /// Since when only answers of the registry are missing.
    read_since: Option<Timestamp>,
}

/// What a `sync` wants of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registry {
    /// Its answers, however long they take.
    Needed,
    /// Its answers if it gives any.
    Wished,
}

/// How long a `sync` waits for an answering but slow deployment.
const SYNC_DEADLINE: Duration = Duration::from_secs(20);

/// How long a `sync` waits for the members of a group to let this device back in, when it waits for nothing else.
const PLACE_PATIENCE: Duration = Duration::from_secs(3);

/// How long a `sync` waits for a broker that gave nothing at all yet.
const BROKER_SILENCE: Duration = Duration::from_secs(5);

/// How often sent bytes are forgotten by age.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A `sync` so soon after the connection was made for it.
const JUST_CONNECTED: Duration = Duration::from_secs(15);

/// How long a registry says nothing before whoever only looks goes on without it.
const REGISTRY_SILENCE: Duration = Duration::from_secs(2);

/// How long whoever sends waits while the broker takes nothing at all, and how long while it takes others' messages.
const SEND_PATIENCE: Duration = Duration::from_secs(2);
const SEND_DEADLINE: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn sync(&mut self, ticket: Ticket, registry: Registry) -> Result<Option<Reply>> {
        self.state.identity()?;
        if !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached")
                .hint(Advice::CheckBroker));
        }
        if self.run.interest != Some(Interest::Everything) {
            self.connected(Interest::Everything)?;
        }
        let waiting: BTreeSet<Source> = self.run.following.keys().copied().collect();
        for source in &waiting {
            self.run.effects.push(Effect::Fetch { source: *source, sequence: 0 });
        }
        self.run.waits.syncs.push(SyncWait {
            ticket,
            waiting,
            before: self.before_sync(),
            deadline: self.run.now.plus(SYNC_DEADLINE),
            registry,
            read_since: None,
        });
        Ok(None)
    }

    /// What a `sync` counts from. Whoever connects for it means what that connection brought, though it may have come
    /// before the command itself did.
    fn before_sync(&self) -> (u64, BTreeMap<GroupId, u64>) {
        let (at, received, delivered) = &self.run.since_connected;
        if self.run.now.since(*at) <= JUST_CONNECTED {
            return (*received, delivered.clone());
        }
        (self.run.received, self.run.delivered.clone())
    }

    fn delivered_since(&self, before: &BTreeMap<GroupId, u64>) -> Vec<DeliveredView> {
        let counts =
            self.run.delivered.iter().map(|(group, now)| {
                (*group, now.saturating_sub(before.get(group).copied().unwrap_or_default()))
            });
        counts
            .filter(|(_, messages)| *messages > 0)
            .map(|(group, messages)| DeliveredView {
                group,
                name: self.state.conversation_name(&group),
                messages,
            })
            .collect()
    }

    pub(super) fn finish_syncs(&mut self) {
        if self.run.waits.syncs.is_empty() {
            return;
        }
        let tree_missing = self.state.tree_missing();
        let answered = self.run.questions.is_empty();
        let settled = self.run.errands.is_empty() && !tree_missing;
        let idle = settled && self.state.outbox.len() == 0;
        // What waits for members rather than for the broker is nothing that one who only looks would wait for.
        let looked = settled && !self.state.waits_for_broker();
        let (now, queued) = (self.run.now, self.state.outbox.len());
        for mut wait in std::mem::take(&mut self.run.waits.syncs) {
            let begun = wait.deadline.minus(SYNC_DEADLINE);
            let nothing = self.run.following.keys().all(|source| wait.waiting.contains(source));
            let places_end = begun.plus(PLACE_PATIENCE);
            let looks = wait.registry == Registry::Wished || now >= places_end;
            let read = wait.waiting.is_empty() && if looks { looked } else { idle };
            let silent = self.silence_ends(&mut wait, read);
            let mut ends = wait.deadline;
            if nothing {
                ends = ends.min(begun.plus(BROKER_SILENCE));
            }
            if (read && answered) || silent.is_some_and(|ends| now >= ends) || now >= ends {
                let received = self.run.received.saturating_sub(wait.before.0);
                let delivered = self.delivered_since(&wait.before.1);
                let unread: Vec<String> = wait.waiting.iter().map(|source| self.log_name(source)).collect();
                let silent = nothing && !unread.is_empty();
                let reply = match wait.registry {
                    Registry::Needed => {
                        Synced { received, delivered, queued: queued as u64, unread, silent }.into()
                    }
                    Registry::Wished => Refreshed { answered }.into(),
                };
                self.reply(wait.ticket, Ok(reply));
            } else {
                self.wake_at(silent.unwrap_or(ends).min(ends));
                if now < places_end {
                    self.wake_at(places_end);
                }
                self.run.waits.syncs.push(wait);
            }
        }
    }

    /// A log as a person knows it.
    fn log_name(&self, source: &Source) -> String {
        match source {
            Source::Group(group) => self.state.conversation_name(group),
            Source::Inbox(_) if *source == self.state.inbox() => "the inbox of this device".into(),
            Source::Inbox(_) => "the inbox of a device link".into(),
            Source::Log => "the account log".into(),
            _ => "a log of another version".into(),
        }
    }

    /// Answers whoever waits for a message that the broker does not take: it stays queued. As long as it takes others,
    /// there is hope that this one is next.
    pub(super) fn finish_sends(&mut self) {
        let now = self.run.now;
        for (row, (ticket, since)) in self.run.waits.sends.clone() {
            if now >= self.patience_ends(since) {
                self.run.waits.sends.remove(&row);
                let reply = self.queued_reply(row);
                self.reply(ticket, reply);
            }
        }
    }

    /// When the first of those who wait for a message to be taken is told that it is queued.
    pub(super) fn sends_end(&self) -> Option<Timestamp> {
        self.run.waits.sends.values().map(|(_, since)| self.patience_ends(*since)).min()
    }

    fn patience_ends(&self, since: Timestamp) -> Timestamp {
        let heard = self.run.stored_at.map_or(since, |stored| stored.max(since));
        heard.plus(SEND_PATIENCE).min(since.plus(SEND_DEADLINE))
    }

    /// When to go on without the registry, for who may and waits for nothing else.
    fn silence_ends(&self, wait: &mut SyncWait, read: bool) -> Option<Timestamp> {
        wait.read_since = read.then(|| wait.read_since.unwrap_or(self.run.now));
        let since = wait.read_since.filter(|_| wait.registry == Registry::Wished)?;
        let heard = self.run.answered_at.map_or(since, |answered| answered.max(since));
        Some(heard.plus(REGISTRY_SILENCE))
    }

    /// Whether the registry owes an answer and has said nothing for so long that one may say so: what it answered
    /// may also wait here, behind other work.
    pub(crate) fn registry_is_silent(&self) -> bool {
        let asked = self.run.questions.values().map(|question| question.asked).min();
        let heard = |asked: Timestamp| self.run.answered_at.map_or(asked, |answered| answered.max(asked));
        asked.is_some_and(|asked| self.run.now >= heard(asked).plus(REGISTRY_SILENCE))
    }

    pub(super) fn caught_up(&mut self, source: Source, sequence: u64) -> Result<()> {
        if let Source::Group(group) = source
            && (self.lacks_own(group, sequence)
                || self.owns_lie_beyond(group, sequence)
                || self.waits_to_be_confirmed(group, sequence)?)
        {
            return Ok(());
        }
        self.run.caught_up.insert(source);
        self.run.read.insert(source);
        for wait in &mut self.run.waits.syncs {
            wait.waiting.remove(&source);
        }
        // Hardly ever did another copy say anything, and this is asked for every page that is read.
        if !self.run.copies.is_empty()
            && self.run.following.keys().all(|source| self.run.caught_up.contains(source))
        {
            self.judge_copies()?;
        }
        if let Source::Group(group) = source {
            self.settle_doubts(group, sequence);
            self.look_for_place(group)?;
            self.invitation_decided(group)?;
            self.run.touched.insert(group);
        }
        Ok(())
    }

    /// Starts reading a log from where the store stands.
    pub(crate) fn follow(&mut self, source: Source) {
        let Some(after) = self.state.after(&source) else { return };
        if self.run.connected && !self.run.following.contains_key(&source) {
            self.run.caught_up.remove(&source);
            if let Source::Group(group) = source {
                self.run.gone.remove(&group);
            }
            for wait in &mut self.run.waits.syncs {
                wait.waiting.insert(source);
            }
            let mark = self.state.mark_of(&source).filter(|_| after > 0);
            self.begin_reading(source, after, mark);
        }
    }

    /// Reads a log from there on. What an earlier reading of it still brings is of no use any more: it began elsewhere.
    pub(crate) fn begin_reading(&mut self, source: Source, after: u64, mark: Option<Mark>) {
        self.run.readings = self.run.readings.saturating_add(1);
        let reading = Reading(self.run.readings);
        self.run.following.insert(source, reading);
        self.run.effects.push(Effect::Follow { source, reading, after, mark });
    }

    /// Whether this is the reading of a log that goes on.
    pub(crate) fn goes_on(&self, source: &Source, reading: Reading) -> bool {
        self.run.following.get(source) == Some(&reading)
    }

    /// Whether something may be sent into a group's log: it was read to its end on this connection, so it is known
    /// to be the one that was read before. Else it is read now.
    pub(crate) fn may_write(&mut self, group: GroupId) -> bool {
        let source = Source::Group(group);
        if self.run.read.contains(&source) {
            return true;
        }
        self.follow(source);
        false
    }

    /// Something says that a log may have gone back: looks whether it still shows what was read last.
    pub(crate) fn look_back(&mut self, group: GroupId) {
        let source = Source::Group(group);
        self.run.following.remove(&source);
        self.run.read.remove(&source);
        self.run.caught_up.remove(&source);
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
        let rows = self.run.by_group.get(&group).into_iter().flatten();
        let stored = rows.filter_map(|id| self.state.outbox.get(id)?.seal.as_ref()?.stored_at);
        let Some(sequence) = stored.filter(|at| *at > covered).max() else { return false };
        self.run.effects.push(Effect::Fetch { source: Source::Group(group), sequence });
        true
    }

    /// Forgets once a day what was sent so long ago that no log has it any more.
    pub(crate) fn prune_ledger(&mut self) -> Result<()> {
        let now = self.run.now;
        if now < self.state.meta.pruned_at.plus(PRUNE_EVERY) {
            return Ok(());
        }
        self.state.meta_mut().pruned_at = now;
        self.prune_changes();
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

    pub(crate) fn unfollow(&mut self, source: Source) {
        self.run.caught_up.remove(&source);
        for wait in &mut self.run.waits.syncs {
            wait.waiting.remove(&source);
        }
        if self.run.following.remove(&source).is_some() {
            self.run.effects.push(Effect::Unfollow { source });
        }
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::input::Input;
    use crate::machine::Options;
    use cipher_api::Command;
    use cipher_api::command::{account, status};

    const RECENTLY: u64 = 1_700_000_000_000;

    /// A profile that asked the registry something and got no answer.
    fn core() -> Core {
        let options = Options { seed: [1; 32], cached_groups: 4 };
        let mut core = Core::open_on(InMemoryBackend::new(), options).unwrap();
        let register = account::Register {
            handle: "ana".parse().unwrap(),
            name: String::new(),
            bot: None,
            invite_code: None,
        };
        let asks = Input::Command { ticket: Ticket(1), command: Box::new(register.into()) };
        core.handle(vec![Input::Connected(Interest::Everything), asks], Timestamp::from_millis(RECENTLY))
            .unwrap();
        core.state.identity.as_mut().unwrap().registered = true;
        core
    }

    fn replied(effects: &[Effect], to: Ticket) -> bool {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Reply { ticket, result: Ok(_) } if *ticket == to))
    }

    /// A5
    #[test]
    fn a5_a_sync_names_the_logs_that_it_could_not_read() {
        let (mut core, ticket) = (core(), Ticket(2));
        let begun = Timestamp::from_millis(RECENTLY);
        let asks = Input::Command { ticket, command: Box::new(status::Sync {}.into()) };
        core.handle(vec![Input::Connected(Interest::Everything), asks], begun).unwrap();
        let effects = core.handle(vec![Input::Tick], begun.plus(SYNC_DEADLINE)).unwrap();
        let unread = effects.iter().find_map(|effect| match effect {
            Effect::Reply { ticket: to, result: Ok(Reply::Synced(Synced { unread, .. })) }
                if *to == ticket =>
            {
                Some(unread)
            }
            _ => None,
        });
        assert_eq!(unread.unwrap(), &["the inbox of this device"]);
    }

    #[test]
    fn who_only_looks_goes_on_without_a_registry_that_says_nothing() {
        for (command, goes_on) in [(Command::from(status::Refresh {}), true), (status::Sync {}.into(), false)]
        {
            let (mut core, ticket) = (core(), Ticket(2));
            let begun = Timestamp::from_millis(RECENTLY);
            let asks = Input::Command { ticket, command: Box::new(command) };
            assert!(!replied(&core.handle(vec![asks], begun).unwrap(), ticket), "it may still answer");
            let almost = begun.plus(REGISTRY_SILENCE).minus(Duration::from_millis(1));
            assert!(!replied(&core.handle(vec![Input::Tick], almost).unwrap(), ticket));
            let later = begun.plus(REGISTRY_SILENCE);
            assert_eq!(replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket), goes_on);
            assert!(!core.run.questions.is_empty(), "what was asked goes on");
        }
    }

    /// F4: made-up members of an invitation are looked up, and a busy machine takes its time for it.
    #[test]
    fn f4_a_registry_that_answers_one_thing_after_the_other_is_not_called_silent() {
        let mut core = core();
        let begun = Timestamp::from_millis(RECENTLY);
        assert!(!core.registry_is_silent(), "it was asked just now");
        core.run.now = begun.plus(REGISTRY_SILENCE);
        assert!(core.registry_is_silent());
        core.run.answered_at = Some(begun.plus(Duration::from_secs(1)));
        assert!(!core.registry_is_silent(), "it answered something else");
        core.run.now = begun.plus(REGISTRY_SILENCE).plus(Duration::from_secs(1));
        assert!(core.registry_is_silent());
        core.run.questions.clear();
        assert!(!core.registry_is_silent(), "nothing is asked");
    }

    #[test]
    fn a_registry_that_answers_one_thing_after_the_other_is_waited_for() {
        let (mut core, ticket) = (core(), Ticket(2));
        let begun = Timestamp::from_millis(RECENTLY);
        let asks = Input::Command { ticket, command: Box::new(status::Refresh {}.into()) };
        core.handle(vec![asks], begun).unwrap();
        let heard = begun.plus(Duration::from_secs(1));
        core.run.answered_at = Some(heard);
        let later = begun.plus(REGISTRY_SILENCE);
        assert!(!replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket));
        let later = heard.plus(REGISTRY_SILENCE);
        assert!(replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket));
    }
}
