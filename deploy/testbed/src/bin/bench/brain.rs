//! A core without a network: what it publishes is stored at once, what it follows is at its end.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cipher_api::Reply;
use cipher_api::command::Command;
use cipher_broker::id::GroupId;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_chat::unlock;
use cipher_core::{
    Core, Delivered, Effect, Folder, Input, Interest, NoReply, Options, Publish, PublishOutcome, Reading,
    Ticket,
};
use testbed::{Result, ensure};

use crate::lab::{Somebody, core, send, words};

/// Messages handed over in one batch: what a reader fetches at once.
const BATCH: usize = cipher_broker::limit::FETCH_MESSAGES;
/// Messages of a writer under way at once.
const WINDOW: usize = cipher_broker::limit::IN_FLIGHT_PER_GROUP;

/// One person's core.
pub(crate) struct Brain {
    pub(crate) core: Core,
    group: GroupId,
    /// Last sequence of the group's log.
    sequence: u64,
    readings: HashMap<Source, Reading>,
    tickets: u64,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

impl Brain {
    /// Opens the store of somebody whose session is closed.
    pub(crate) fn open(who: &Somebody, group: GroupId) -> Result<Self> {
        let options = Options { seed: [42; 32], cached_groups: 64, receipts: false };
        let mut brain = Self {
            core: Core::open(
                Folder::new(who.profile.dir()),
                || unlock::unlock(&who.profile, &unlock::Unlocking::default()),
                &options,
            )
            .map_err(core)?,
            group,
            sequence: 0,
            readings: HashMap::new(),
            tickets: 0,
        };
        let mut effects = brain.core.resume(now()).map_err(core)?;
        effects.extend(brain.core.handle(vec![Input::Connected(Interest::Everything)], now()).map_err(core)?);
        brain.settle(effects)?;
        Ok(brain)
    }

    /// Everything that is wanted of the world is answered: nothing new, nobody there.
    fn settle(&mut self, mut effects: Vec<Effect>) -> Result {
        for _ in 0..100 {
            let mut inputs = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Fetch { source, .. } => {
                        inputs.push(self.covered(source, self.sequence));
                    }
                    Effect::Follow { source, reading, after, .. } => {
                        self.readings.insert(source, reading);
                        if source == Source::Group(self.group) {
                            self.sequence = self.sequence.max(after);
                        }
                        inputs.push(self.covered(source, after));
                    }
                    Effect::Ask { question, .. } => {
                        inputs.push(Input::Answered { question, outcome: Err(NoReply) });
                    }
                    _ => {}
                }
            }
            if inputs.is_empty() {
                return Ok(());
            }
            effects = self.core.handle(inputs, now()).map_err(core)?;
        }
        testbed::fail("the core does not come to rest")
    }

    /// Transactions since it was opened.
    pub(crate) const fn commits(&self) -> u64 {
        self.core.commits()
    }

    /// Sends that many messages, and takes part in their delivery to itself; gives the log.
    pub(crate) fn send(&mut self, count: usize, size: usize) -> Result<Vec<Delivered>> {
        self.send_texts(count, |n| words(size, n))
    }

    /// The same with any texts.
    pub(crate) fn send_texts(
        &mut self,
        count: usize,
        mut text: impl FnMut(usize) -> String,
    ) -> Result<Vec<Delivered>> {
        let mut log = Vec::with_capacity(count);
        let mut waiting: Vec<Input> = Vec::new();
        let mut sent = 0;
        while sent < count || !waiting.is_empty() {
            let mut inputs = std::mem::take(&mut waiting);
            let until = count.min(sent + WINDOW);
            for n in sent..until {
                self.tickets += 1;
                let command = Box::new(send(self.group, text(n)).into());
                inputs.push(Input::Command { ticket: Ticket(self.tickets), command });
            }
            sent = until;
            let mut effects = self.core.handle(inputs, now()).map_err(core)?;
            let mut published = 0;
            let mut looked_for = false;
            for effect in effects.drain(..) {
                match effect {
                    Effect::Publish(publish) => {
                        published += 1;
                        self.stored(publish, &mut log, &mut waiting);
                    }
                    Effect::Follow { source, reading, .. } => {
                        self.readings.insert(source, reading);
                        looked_for |= source == Source::Group(self.group);
                    }
                    Effect::Fetch { source, .. } => looked_for |= source == Source::Group(self.group),
                    _ => {}
                }
            }
            if looked_for || published > 0 {
                // As the reader of the log would say after these.
                waiting.push(self.covered(Source::Group(self.group), self.sequence));
            }
            ensure(published > 0 || looked_for || sent == count, || "the core publishes nothing".into())?;
        }
        ensure(log.len() == count, || format!("{} of {count} messages were published", log.len()))?;
        Ok(log)
    }

    /// Asks something that is answered at once.
    pub(crate) fn asks(&mut self, command: impl Into<Command>) -> Result<Reply> {
        self.tickets += 1;
        let input = Input::Command { ticket: Ticket(self.tickets), command: Box::new(command.into()) };
        for effect in self.core.handle(vec![input], now()).map_err(core)? {
            if let Effect::Reply { result, .. } = effect {
                return result.map_err(core);
            }
        }
        testbed::fail("there was no answer")
    }

    /// Time goes by, and nothing else happens, until the core wants nothing for a minute; gives how long each batch took.
    pub(crate) fn rests(&mut self) -> Result<Vec<f64>> {
        let (mut times, mut at) = (Vec::new(), now());
        let quiet = Duration::from_secs(60);
        loop {
            let begun = Instant::now();
            let effects = self.core.handle(vec![Input::Tick], at).map_err(core)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            let wakes = effects.iter().filter_map(|effect| match effect {
                Effect::WakeAt(at) => Some(*at),
                _ => None,
            });
            match wakes.max() {
                Some(next) if next.since(at) < quiet && times.len() < 1_000 => at = next.max(at),
                _ => return Ok(times),
            }
        }
    }

    fn stored(&mut self, publish: Publish, log: &mut Vec<Delivered>, waiting: &mut Vec<Input>) {
        self.sequence += 1;
        let outcome = PublishOutcome::Stored { sequence: self.sequence, duplicate: false };
        waiting.push(Input::Published { row: publish.row, outcome });
        let message =
            Delivered { route: publish.route, sequence: self.sequence, at: now(), bytes: publish.bytes };
        waiting.push(Input::Delivered {
            reading: self.reading(Source::Group(self.group)),
            message: message.clone(),
        });
        log.push(message);
    }

    fn covered(&self, source: Source, sequence: u64) -> Input {
        Input::CaughtUp { reading: self.reading(source), source, sequence }
    }

    fn reading(&self, source: Source) -> Reading {
        self.readings.get(&source).copied().unwrap_or(Reading(0))
    }

    /// Receives a log in batches as a reader fetches it; gives the number of messages that were shown, and of
    /// transactions.
    pub(crate) fn receive(&mut self, log: Vec<Delivered>) -> Result<(usize, u64)> {
        let before = self.core.commits();
        let reading = self.reading(Source::Group(self.group));
        let mut shown = 0;
        let mut log = log.into_iter().peekable();
        while log.peek().is_some() {
            let inputs =
                log.by_ref().take(BATCH).map(|message| Input::Delivered { reading, message }).collect();
            let effects = self.core.handle(inputs, now()).map_err(core)?;
            shown += effects.iter().filter(|effect| matches!(effect, Effect::Notify { .. })).count();
        }
        Ok((shown, self.core.commits() - before))
    }
}
