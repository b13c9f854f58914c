//! Waiting until everything is up to date, and for a message to be taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cipher_api::command::StatusCommand;
use cipher_api::command::status::{Refreshed, Synced};
use cipher_api::view::{DeliveredView, StatusView};
use cipher_api::{Advice, ErrorKind, Reply, Result};
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;

use crate::effect::Effect;
use crate::input::{Interest, Ticket};
use crate::machine::Core;
use crate::state::GroupRow;

/// A `sync` that is not done.
#[derive(Debug)]
pub(crate) struct SyncWait {
    pub(crate) ticket: Ticket,
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
enum Registry {
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

/// A `sync` so soon after the connection was made for it.
const JUST_CONNECTED: Duration = Duration::from_secs(15);

/// How long whoever sends waits while the broker takes nothing at all, and how long while it takes others' messages.
const SEND_PATIENCE: Duration = Duration::from_secs(2);
const SEND_DEADLINE: Duration = Duration::from_secs(10);

impl Core {
    /// Tells how everything stands, or waits until it is up to date.
    pub(crate) fn status_command(
        &mut self,
        ticket: Ticket,
        command: &StatusCommand,
    ) -> Result<Option<Reply>> {
        match command {
            StatusCommand::Status(_) => Ok(Some(self.status())),
            StatusCommand::Sync(_) => self.sync(ticket, Registry::Needed),
            StatusCommand::Refresh(_) => self.sync(ticket, Registry::Wished),
        }
    }

    fn sync(&mut self, ticket: Ticket, registry: Registry) -> Result<Option<Reply>> {
        self.state.identity()?;
        if !self.run.connected {
            return Err(ErrorKind::Unreachable
                .because("the broker cannot be reached")
                .hint(Advice::CheckBroker));
        }
        if self.run.interest != Some(Interest::Everything) {
            self.connected(Interest::Everything)?;
        }
        let waiting: BTreeSet<Source> = self.run.delivery.following.keys().copied().collect();
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
        let answered = self.run.registry.questions().len() == 0;
        let settled = !self.run.registry.has_errands() && !tree_missing;
        let idle = settled && self.state.outbox.len() == 0;
        // What waits for members rather than for the broker is nothing that one who only looks would wait for.
        let looked = settled && !self.state.waits_for_broker();
        let (now, queued) = (self.run.now, self.state.outbox.len());
        for mut wait in std::mem::take(&mut self.run.waits.syncs) {
            let begun = wait.deadline.minus(SYNC_DEADLINE);
            let nothing = self.run.delivery.following.keys().all(|source| wait.waiting.contains(source));
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
                self.run.reply(wait.ticket, Ok(reply));
            } else {
                self.run.wake_at(silent.unwrap_or(ends).min(ends));
                if now < places_end {
                    self.run.wake_at(places_end);
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
                self.run.reply(ticket, reply);
            }
        }
    }

    /// When the first of those who wait for a message to be taken is told that it is queued.
    pub(super) fn sends_end(&self) -> Option<Timestamp> {
        self.run.waits.sends.values().map(|(_, since)| self.patience_ends(*since)).min()
    }

    fn patience_ends(&self, since: Timestamp) -> Timestamp {
        let heard = self.run.delivery.stored_at.map_or(since, |stored| stored.max(since));
        heard.plus(SEND_PATIENCE).min(since.plus(SEND_DEADLINE))
    }

    /// When to go on without the registry, for who may and waits for nothing else.
    fn silence_ends(&self, wait: &mut SyncWait, read: bool) -> Option<Timestamp> {
        wait.read_since = read.then(|| wait.read_since.unwrap_or(self.run.now));
        let since = wait.read_since.filter(|_| wait.registry == Registry::Wished)?;
        Some(self.run.registry.silent_at(since))
    }
    /// A log was read to its end: nobody waits for it any more.
    pub(super) fn was_read(&mut self, source: &Source) {
        for wait in &mut self.run.waits.syncs {
            wait.waiting.remove(source);
        }
    }

    /// A log is read: whoever waits for all logs waits for it too.
    pub(super) fn is_read_now(&mut self, source: Source) {
        for wait in &mut self.run.waits.syncs {
            wait.waiting.insert(source);
        }
    }

    /// Whether the registry owes an answer and has said nothing for so long that one may say so: what it answered
    /// may also wait here, behind other work.
    pub(super) fn registry_is_silent(&self) -> bool {
        let asked = self.run.registry.questions().map(|question| question.asked).min();
        asked.is_some_and(|asked| self.run.now >= self.run.registry.silent_at(asked))
    }

    pub(super) fn status(&self) -> Reply {
        let member = |group: &GroupId, row: &GroupRow| !row.personal && self.state.is_member(group);
        let groups = self.state.groups.iter().filter(|(group, row)| member(group, row)).count();
        Reply::Status(Box::new(StatusView {
            registered: self.state.registered(),
            groups,
            invitations: self.state.invites.iter().filter(|(_, invite)| self.state.is_shown(invite)).count(),
            outbox: self.state.outbox.len(),
            questions: self.run.registry.questions().len(),
            registry_silent: self.registry_is_silent(),
            key_packages: self.state.meta.stock,
            skipped: self.state.meta.skipped.clone(),
            clock_skew_ms: self.state.meta.clock_skew_ms,
            log_lost: self.state.log_lost(),
            doubled_at: self.state.meta.doubled.map(|(at, _)| at),
            stopped: self.state.meta.stopped,
            schema: crate::store::table::SCHEMA,
            requests: self.state.meta.request_policy,
            receipts: self.state.receipts_on(),
            arriving: self.state.arriving(),
            sending: self.state.sends_history_to(),
            linking: self.state.offers_itself(),
            phrase_due: self.state.phrase_due(),
        }))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::input::Input;
    use crate::machine::Options;
    use crate::registry::question::SILENCE;
    use cipher_api::Command;
    use cipher_api::command::{account, status};

    const RECENTLY: u64 = 1_700_000_000_000;

    /// A profile that asked the registry something and got no answer.
    fn core() -> Core {
        let options = Options { seed: [1; 32], cached_groups: 4, receipts: false };
        let mut core = Core::in_memory(options);
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
            let almost = begun.plus(SILENCE).minus(Duration::from_millis(1));
            assert!(!replied(&core.handle(vec![Input::Tick], almost).unwrap(), ticket));
            let later = begun.plus(SILENCE);
            assert_eq!(replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket), goes_on);
            assert!(core.run.registry.questions().len() > 0, "what was asked goes on");
        }
    }

    /// F4: made-up members of an invitation are looked up, and a busy machine takes its time for it.
    #[test]
    fn f4_a_registry_that_answers_one_thing_after_the_other_is_not_called_silent() {
        let mut core = core();
        let begun = Timestamp::from_millis(RECENTLY);
        assert!(!core.registry_is_silent(), "it was asked just now");
        core.run.now = begun.plus(SILENCE);
        assert!(core.registry_is_silent());
        core.run.registry.answers(begun.plus(Duration::from_secs(1)));
        assert!(!core.registry_is_silent(), "it answered something else");
        core.run.now = begun.plus(SILENCE).plus(Duration::from_secs(1));
        assert!(core.registry_is_silent());
        core.run.registry.forgets_questions();
        assert!(!core.registry_is_silent(), "nothing is asked");
    }

    #[test]
    fn a_registry_that_answers_one_thing_after_the_other_is_waited_for() {
        let (mut core, ticket) = (core(), Ticket(2));
        let begun = Timestamp::from_millis(RECENTLY);
        let asks = Input::Command { ticket, command: Box::new(status::Refresh {}.into()) };
        core.handle(vec![asks], begun).unwrap();
        let heard = begun.plus(Duration::from_secs(1));
        core.run.registry.answers(heard);
        let later = begun.plus(SILENCE);
        assert!(!replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket));
        let later = heard.plus(SILENCE);
        assert!(replied(&core.handle(vec![Input::Tick], later).unwrap(), ticket));
    }
}
