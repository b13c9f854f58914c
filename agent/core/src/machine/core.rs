//! The machine: opens the store, takes batches of inputs, commits them together, gives effects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cipher_api::{Advice, Error, ErrorKind, Notice, Result};
use cipher_broker::time::Timestamp;
use cipher_seal::{Key, Unlock};
use openmls_traits::OpenMlsProvider;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::effect::Effect;
use crate::input::{Input, Interest, Ticket};
use crate::machine::run::Run;
use crate::machine::step::Step;
use crate::machine::waits::Lost;
use crate::state::book::Journal;
use crate::state::history::History;
use crate::state::ledger::Ledger;
use crate::state::live::Groups;
use crate::state::{Skip, State};
use crate::store::Store;
use crate::store::place::Place;
use crate::store::provider::Provider;

/// What was superseded or removed cannot be opened any more after that long. A minute is promised.
const SHREDDED_AFTER: Duration = Duration::from_secs(50);

/// A process that ends sooner leaves that to the next one, if nothing is due.
const MOMENTS: Duration = Duration::from_secs(5);
/// A process that lived so long looks whether the file of the store is to be rewritten.
const LONG: Duration = Duration::from_secs(600);

/// What a core is told at start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of every random choice made outside of MLS's own sealing. Must be unpredictable in production.
    pub seed: [u8; 32],
    /// Most loaded groups kept in memory.
    pub cached_groups: usize,
    /// Whether receipts are said and shown where the person did not choose.
    pub receipts: bool,
}

/// One profile's brain. See the crate's documentation.
#[derive(Debug)]
pub struct Core {
    pub(crate) store: Store,
    pub(crate) state: State,
    pub(crate) provider: Provider,
    pub(crate) history: History,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) groups: Groups,
    pub(crate) run: Run,
    commits: u64,
    /// When this process began to handle anything.
    opened_at: Option<Timestamp>,
    /// A storage error poisoned the handle: it must be opened again before it is used.
    poisoned: bool,
}

impl Core {
    /// Opens the store of a profile, or makes it. `ErrorKind::Locked` when another process has it open, and
    /// `ErrorKind::Storage` when what `unlock` gives does not open it. It is asked once the store is this process's.
    pub fn open(
        place: impl Place + 'static,
        unlock: impl FnOnce() -> Result<Unlock>,
        options: &Options,
    ) -> Result<Self> {
        let mut seeds = ChaCha20Rng::from_seed(options.seed);
        let mut seed = || {
            let mut seed = [0; 32];
            seeds.fill_bytes(&mut seed);
            seed
        };
        let store = Store::open(Arc::new(place), unlock, seed())?;
        let seed = seed();
        let ready = || store.guarded(|| Self::ready(store.clone(), seed, options));
        match ready() {
            Err(_) if store.is_torn() => {
                store.guarded(|| store.reopen())?;
                ready()
            }
            ready => ready,
        }
    }

    /// A core in memory that nothing opens again.
    #[cfg(test)]
    pub(crate) fn in_memory(options: Options) -> Self {
        Self::ready(Store::in_memory(), options.seed, &options).unwrap()
    }

    fn ready(store: Store, seed: [u8; 32], options: &Options) -> Result<Self> {
        let mut core = Self {
            state: State::load(&store, options.receipts)?,
            provider: Provider::new(store.clone(), seed),
            history: History::new(store.clone()),
            ledger: Ledger::new(store.clone()),
            journal: Journal::open(store.clone())?,
            groups: Groups::new(options.cached_groups),
            run: Run::default(),
            opened_at: None,
            store,
            commits: 0,
            poisoned: false,
        };
        core.step(Step::Opened)?;
        core.store.whole()?;
        Ok(core)
    }

    /// A key for something beside the store that is to open with what opens the store. It changes when a key or passphrase
    /// that opened it is removed.
    pub fn derived_key(&self, purpose: &str) -> Key {
        self.store.derived(purpose)
    }

    /// Repeats what an earlier process left unfinished. Call once after opening. What needs the broker follows
    /// when [`Input::Connected`] says that it is there.
    pub fn resume(&mut self, now: Timestamp) -> Result<Vec<Effect>> {
        match self.handle(vec![Input::Tick], now) {
            // Nobody waits for it, and the store is mended.
            Err(error) if error.hint == Some(Advice::TryAgain.into()) => self.handle(vec![Input::Tick], now),
            resumed => resumed,
        }
    }

    /// Number of transactions committed since opening: one fsync each.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Handles a batch of inputs in one transaction and gives what is to be done now that it is committed.
    ///
    /// On error nothing of the batch happened. Commands that were open are answered by the caller with that
    /// error; the caller also sends [`Input::Connected`] again, so that logs are read anew from where the store
    /// stands.
    ///
    /// A store that turns out to be damaged where no seal tells what it cost gives the same error for good.
    pub fn handle(&mut self, inputs: Vec<Input>, now: Timestamp) -> Result<Vec<Effect>> {
        let store = self.store.clone();
        store.guarded(|| self.batch(inputs, now))
    }

    /// Commands that are open and that no batch will answer, because the store cannot be used any more.
    pub fn abandoned(&mut self) -> Vec<Ticket> {
        if self.store.broken().is_none() {
            return Vec::new();
        }
        let Run { waits, registry, orphans, .. } = std::mem::take(&mut self.run);
        let orphans = orphans.into_iter().map(|(ticket, _)| ticket);
        waits.into_tickets().chain(registry.into_tickets()).chain(orphans).collect()
    }

    fn batch(&mut self, inputs: Vec<Input>, now: Timestamp) -> Result<Vec<Effect>> {
        self.run.now = now;
        self.opened_at.get_or_insert(now);
        let fresh: BTreeSet<Ticket> = inputs
            .iter()
            .filter_map(|input| match input {
                Input::Command { ticket, .. } => Some(*ticket),
                _ => None,
            })
            .collect();
        let done = self.heal().and_then(|()| self.shred_in_time()).and_then(|()| {
            for (ticket, error) in std::mem::take(&mut self.run.orphans) {
                self.run.reply(ticket, Err(error));
            }
            for input in inputs {
                self.take(input)?;
            }
            self.step(Step::BatchEnds)?;
            self.step(Step::BatchEnded)?;
            self.store.whole()?;
            self.tell_damage();
            self.commit()
        });
        match done {
            Ok(()) => {
                self.groups.shrink();
                let mut effects = std::mem::take(&mut self.run.effects);
                if let Some(at) = self.next_wake() {
                    effects.push(Effect::WakeAt(at));
                }
                Ok(effects)
            }
            Err(error) => {
                self.abort(&error, &fresh);
                if !self.store.is_torn() {
                    return Err(error);
                }
                // At once: the next process would come upon the same.
                self.heal()?;
                Err(ErrorKind::Storage
                    .because_of(
                        "a part of the store of this profile was damaged; what can be read of it was kept",
                        error,
                    )
                    .hint(Advice::TryAgain))
            }
        }
    }

    fn take(&mut self, input: Input) -> Result<()> {
        match input {
            Input::Command { ticket, command } => {
                // Not an error of the batch, whatever its kind.
                if let Err(error) = self.may_still(&command) {
                    self.run.reply(ticket, Err(error));
                    return Ok(());
                }
                match self.command(ticket, *command) {
                    Ok(Some(reply)) => self.run.reply(ticket, Ok(reply)),
                    Ok(None) => {}
                    Err(error) if fatal(&error) => return Err(error),
                    Err(error) => self.run.reply(ticket, Err(error)),
                }
                Ok(())
            }
            Input::Connected(interest) => self.connected(interest),
            Input::Disconnected => self.disconnected(),
            Input::Delivered { .. }
            | Input::Displaced(_)
            | Input::CaughtUp { .. }
            | Input::Published { .. } => self.delivery_input(input),
            Input::Answered { question, outcome } => self.answered(question.0, outcome),
            Input::TreeFetched { group, epoch, pieces } => self.tree_fetched(group, epoch, pieces),
            Input::Whispered { group, bytes } => self.whispered(group, &bytes),
            Input::Hinted => self.hinted(),
            Input::Tick => self.tick(),
        }
    }

    /// The broker is there.
    pub(crate) fn connected(&mut self, interest: Interest) -> Result<()> {
        if !self.run.connected {
            self.run.since_connected = (self.run.now, self.run.received, self.run.delivered.clone());
        }
        self.run.connected = true;
        self.run.interest = Some(interest);
        let whole = interest == Interest::Everything && self.state.registered();
        self.step(Step::Connected { whole })
    }

    fn disconnected(&mut self) -> Result<()> {
        self.run.connected = false;
        self.step(Step::Disconnected)?;
        for (ticket, lost) in self.run.waits.disconnected() {
            let reply = match lost {
                Lost::Queued(row) => self.queued_reply(row),
                Lost::Error(error) => Err(error),
            };
            self.run.reply(ticket, reply);
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<()> {
        let now = self.run.now;
        self.run.wakes.retain(|at| *at > now);
        self.history.index.tick(now)?;
        self.step(Step::Tick)
    }

    /// When to look again without being asked.
    fn next_wake(&self) -> Option<Timestamp> {
        let asked = self.run.wakes.first().copied();
        let due = self.delivery_due().filter(|at| *at > self.run.now);
        asked.into_iter().chain(due).chain(self.shred_at()).chain(self.history.index.wake()).min()
    }

    /// When what was superseded or removed is due to be made unreadable.
    fn shred_at(&self) -> Option<Timestamp> {
        self.store.dirty_since().map(|since| since.plus(SHREDDED_AFTER))
    }

    /// Makes unreadable what was superseded or removed, if it is due.
    fn shred_in_time(&self) -> Result<()> {
        let now = self.run.now;
        // A clock that was set back must not put it off.
        let due = |since: Timestamp| since.plus(SHREDDED_AFTER) <= now || since > now;
        if self.store.dirty_since().is_some_and(due) { self.store.rotate() } else { Ok(()) }
    }

    /// Tells which values of the store turned out to be damaged.
    fn tell_damage(&mut self) {
        let damage = self.store.damage();
        if damage.is_empty() {
            return;
        }
        let count = damage.len() as u64;
        let of: BTreeSet<String> = damage.into_iter().map(str::to_owned).collect();
        tracing::warn!(count, ?of, "values of the store are damaged");
        self.warn(Notice::ValuesDamaged { of: of.into_iter().collect(), count });
    }

    /// What is stored from now on is not taken into the index of words: for a bench, which tells what that costs.
    #[doc(hidden)]
    pub fn without_index(&self) {
        self.history.index.switch_off();
    }

    /// Segments of the index of words, and bytes of its rows as they lie in the store: for a bench.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    #[doc(hidden)]
    pub fn index_size(&self) -> Result<(usize, usize)> {
        self.history.index.size()
    }

    /// Writes what was put off, and makes unreadable what was superseded or removed, unless this process lived for moments
    /// only. Call it before the process ends; without it some junk is read again, and the next process has to do the rest.
    pub fn rest(&mut self) -> Result<()> {
        if self.poisoned || self.store.broken().is_some() {
            return Ok(());
        }
        let store = self.store.clone();
        store.guarded(|| self.put_away())
    }

    fn put_away(&mut self) -> Result<()> {
        // What the file lost is told only once: the index has to know by then.
        self.history.index.hurry_if_broken();
        if self.state.has_put_off() || !self.history.is_clean() {
            self.write()?;
        }
        self.store.told()?;
        // Of commands that follow each other one does it for all of them.
        let lived = self.opened_at.map_or(Duration::ZERO, |at| self.run.now.since(at));
        if lived < MOMENTS {
            return self.shred_in_time();
        }
        self.store.rotate()?;
        // It looks at every page.
        if lived >= LONG { self.store.shrink() } else { Ok(()) }
    }

    /// Whether the running batch has changed nothing so far that must be on disk.
    pub(crate) fn is_clean(&self) -> bool {
        self.provider.storage().is_clean()
            && self.state.is_clean()
            && self.history.is_clean()
            && self.ledger.is_clean()
            && self.journal.is_clean()
    }

    /// Writes everything that changed, in one transaction.
    fn commit(&mut self) -> Result<()> {
        if self.is_clean() { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<()> {
        self.groups.write_secrets(&self.provider)?;
        let (overlay, state, history) = (self.provider.storage(), &self.state, &self.history);
        let (ledger, journal) = (&self.ledger, &self.journal);
        self.store.write(self.run.now, |writing| {
            overlay.flush(writing)?;
            state.flush(writing)?;
            history.flush(writing)?;
            ledger.flush(writing)?;
            journal.flush(writing)
        })?;
        self.provider.storage().flushed();
        self.state.flushed();
        self.history.flushed();
        self.ledger.flushed();
        self.journal.flushed();
        self.commits = self.commits.saturating_add(1);
        Ok(())
    }

    /// Forgets everything that was not committed. Loaded groups are ahead of the disk and go too.
    fn abort(&mut self, error: &Error, fresh: &BTreeSet<Ticket>) {
        tracing::warn!(kind = error.kind.name(), "batch aborted");
        let run = std::mem::take(&mut self.run);
        let (now, next_volatile, delivery) = (run.now, run.next_volatile, run.delivery.after_abort());
        let open: BTreeSet<Ticket> = run.waits.into_tickets().chain(run.registry.into_tickets()).collect();
        self.run = Run { now, next_volatile, delivery, ..Run::default() };
        self.run.orphans = open.difference(fresh).map(|ticket| (*ticket, error.clone())).collect();
        self.provider.storage().discard();
        self.history.discard();
        self.ledger.discard();
        self.journal.discard();
        self.groups.clear();
        self.poisoned = true;
    }

    /// After a storage error: opens the file again and reads the rows as they are on disk.
    fn heal(&mut self) -> Result<()> {
        if !self.poisoned && !self.store.is_torn() {
            return Ok(());
        }
        self.store.reopen()?;
        self.state = State::load(&self.store, self.state.receipts_by_default)?;
        self.journal = Journal::open(self.store.clone())?;
        self.step(Step::Opened)?;
        self.poisoned = false;
        Ok(())
    }

    /// Drops a message that could not be used, and says why in the counters.
    pub(crate) fn skip(&mut self, class: Skip) {
        tracing::debug!(class = class.name(), "message skipped");
        self.run.skips = self.run.skips.saturating_add(1);
        self.state.count_skipped(class.name());
    }
}

/// Errors that end the batch: the store failed or the program is wrong.
pub(crate) const fn fatal(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Storage | ErrorKind::Bug | ErrorKind::Locked)
}
