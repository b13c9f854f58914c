//! What a running core knows and a restarted one learns again.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::{Error, Reply, Result};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use crate::effect::Effect;
use crate::input::{Interest, Ticket};
use crate::machine::waits::Waits;
use crate::{bot, content, delivery, group, people, registry, watch};

/// What lives only as long as the process: nothing here is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    // What each room holds is its own: the others see what it lets them.
    pub bot: bot::run::Run,
    pub content: content::run::Run,
    pub delivery: delivery::run::Run,
    pub group: group::run::Run,
    pub people: people::run::Run,
    pub registry: registry::run::Run,
    pub watch: watch::run::Run,
    pub now: Timestamp,
    pub connected: bool,
    pub interest: Option<Interest>,
    /// Groups to look at before the batch ends.
    pub touched: BTreeSet<GroupId>,
    pub effects: Vec<Effect>,
    pub next_volatile: u64,
    /// Commands that are not answered yet.
    pub waits: Waits,
    /// Groups to tell about before the batch ends.
    pub changed: BTreeSet<GroupId>,
    /// Messages received since the start.
    pub received: u64,
    /// Messages of no use since the start.
    pub skips: u64,
    /// Own messages that came into the log since the start, per conversation.
    pub delivered: BTreeMap<GroupId, u64>,
    /// When the broker was last reached, and both counts at that moment.
    pub since_connected: (Timestamp, u64, BTreeMap<GroupId, u64>),
    /// Tickets whose command was swept away by a storage error in a later batch.
    pub orphans: Vec<(Ticket, Error)>,
    /// When to look again, as long as that is ahead.
    pub wakes: BTreeSet<Timestamp>,
}

impl Run {
    /// Answers a command.
    pub(crate) fn reply(&mut self, ticket: Ticket, result: Result<Reply>) {
        self.effects.push(Effect::Reply { ticket, result });
    }

    /// Has the machine look again at that time.
    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wakes.insert(at);
    }

    /// A number that nothing else has while the process runs.
    pub(crate) fn volatile_id(&mut self) -> u64 {
        self.next_volatile = self.next_volatile.saturating_add(1);
        self.next_volatile
    }
}
