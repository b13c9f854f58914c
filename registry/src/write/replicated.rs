//! The one thread of a replica that writes to its redb: runs requests while it leads, makes the changes of others
//! while it follows.
//!
//! The log is what is durable: a commit here is not flushed by itself but every five seconds with all before it. Rows
//! and position change in one transaction, so a replica that lost power goes on exactly where its file is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cipher_broker::stream::MAX_RECORD_BYTES;
use cipher_broker::wire::refusal::Code;
use redb::{Durability, Savepoint};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::error::{Error, StoreError};
use crate::key::RegistryKey;
use crate::replica_log::log::{Appended, Log};
use crate::replica_log::position::{Position, ReplicaId};
use crate::replica_log::record::{self, Record, RecordError};
use crate::store::rows::{Change, Changes};
use crate::store::{Store, Txn, leaves_of};
use crate::tree::Tree;
use crate::write::job::{Answers, Job, NotDone, run_job, sweep};
use crate::write::writer::{Input, Signal};

/// Requests in one record at most.
const BATCH: usize = 512;
/// Bytes of rows after which a record takes no further request.
const FULL: usize = 256 * 1024;
/// Bytes that a record may be expected to have: below what it may really have by all that is around the rows.
const MOST: usize = 900_000;
/// Time after which what was committed is flushed. A flush writes every page that changed and holds everybody up while it
/// does; what it saves is reading so much of the log again after a crash.
const FLUSH: Duration = Duration::from_secs(5);

/// What others see of the thread.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Where it is.
    pub(crate) position: Position,
    /// Whether it writes.
    pub(crate) leading: bool,
    /// Why it ended.
    pub(crate) broken: Option<Broken>,
}

/// Why a replica cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the log at the broker is shorter than what this replica has followed: the broker lost records")]
    Shrunk,
    #[error("{0}")]
    Store(String),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Record(_) | Broken::Store(_) => Self::Replica(broken.into()),
            Broken::Shrunk => Self::LogLost(broken.to_string()),
        }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A record on its way into the log. Its changes are made here, so that the next ones can be made on top while it
/// flies, but shown to nobody: they are taken back when another record has the place.
struct Flight {
    /// Where this replica is when it has landed.
    position: Position,
    leaves: Vec<[u8; 32]>,
    answers: Answers,
    /// The rows without it.
    before: Savepoint,
    landing: JoinHandle<Appended>,
}

/// What the thread was told and has not come to yet.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    orders: VecDeque<Signal>,
}

impl Waiting {
    fn take(&mut self, input: Input) {
        match input {
            Input::Job(job) => self.jobs.push_back(job),
            Input::Signal(order) => self.orders.push_back(order),
        }
    }
}

/// What happens next.
#[expect(clippy::large_enum_variant, reason = "almost every input is a job")]
enum Next {
    Input(Input),
    /// What was on its way is there, or will not come.
    Landed(Appended),
    /// Nobody can ask any more.
    End,
}

/// The thread's own.
pub(crate) struct Engine {
    store: Store,
    tree: Arc<Tree>,
    key: RegistryKey,
    log: Log,
    id: ReplicaId,
    runtime: Handle,
    position: Position,
    leading: bool,
    flight: Option<Flight>,
    flushed: Instant,
    unflushed: bool,
    state: watch::Sender<State>,
    stop: watch::Receiver<bool>,
}

impl Engine {
    /// Reads where the store is. The hash of all rows is made once, when the store never followed a log.
    pub(crate) fn load(
        store: Store,
        tree: Arc<Tree>,
        key: RegistryKey,
        log: Log,
        id: ReplicaId,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, watch::Receiver<State>), StoreError> {
        let txn = store.begin()?;
        let position = match Position::read(&txn)? {
            Some(position) => position,
            None => {
                let start = Position::start(Txn::of(&txn)?.hash()?);
                start.write(&txn)?;
                start
            }
        };
        txn.commit()?;
        let state = watch::Sender::new(State { position, leading: false, broken: None });
        let seen = state.subscribe();
        let engine = Self {
            store,
            tree,
            key,
            log,
            id,
            runtime: Handle::current(),
            position,
            leading: false,
            flight: None,
            flushed: Instant::now(),
            unflushed: false,
            state,
            stop,
        };
        Ok((engine, seen))
    }

    /// Works until nobody can ask any more. `Err`: the replica cannot go on; what broke is in the state too.
    pub(crate) fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), Broken> {
        let result = self.work(&mut inputs);
        self.leading = false;
        // What is still on its way is taken back, else closing would keep it: it is read from the log again should it
        // be there.
        let taken_back = self.landed(Appended::Stopped);
        let result = result.and(taken_back).and_then(|()| self.flush());
        let broken = result.as_ref().err().cloned();
        if let Some(broken) = &broken {
            tracing::error!(%broken, "this replica cannot go on");
        }
        self.state.send_replace(State { position: self.position, leading: false, broken });
        result
    }

    fn work(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Result<(), Broken> {
        let mut waiting = Waiting::default();
        loop {
            // Orders are obeyed between records.
            if let Some(order) = waiting.orders.pop_front() {
                self.land_all()?;
                self.obey(order)?;
            } else if !waiting.jobs.is_empty() {
                self.write(&mut waiting, inputs)?;
                self.flush_in_time()?;
            } else {
                match self.next(inputs) {
                    Next::Input(input) => waiting.take(input),
                    Next::Landed(appended) => self.landed(appended)?,
                    Next::End => return self.land_all(),
                }
            }
        }
    }

    /// Waits for whatever comes first.
    fn next(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Next {
        let Some(flight) = &mut self.flight else {
            return inputs.blocking_recv().map_or(Next::End, Next::Input);
        };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                appended = &mut flight.landing => Next::Landed(appended.unwrap_or(Appended::Stopped)),
                input = inputs.recv() => input.map_or(Next::End, Next::Input),
            }
        })
    }

    /// Waits for what is on its way. `None`: nothing is.
    fn landing(&mut self) -> Option<Appended> {
        let flight = self.flight.as_mut()?;
        Some(self.runtime.block_on(&mut flight.landing).unwrap_or(Appended::Stopped))
    }

    /// Waits until nothing is on its way.
    fn land_all(&mut self) -> Result<(), Broken> {
        self.landing().map_or(Ok(()), |appended| self.landed(appended))
    }

    fn obey(&mut self, order: Signal) -> Result<(), Broken> {
        match order {
            Signal::Follow(records) => self.follow(records)?,
            Signal::TakeOver(done) => {
                let led = self.take_over()?;
                // Whoever asked may be gone; the reign counts all the same.
                let _ = done.send(led);
            }
            Signal::Outranked(term) => {
                if self.leading && term > self.position.term {
                    self.step_down();
                }
            }
            Signal::Flush => {}
        }
        self.flush_in_time()
    }

    /// Runs requests that wait, and those that come while the record before is on its way, and sends off the next
    /// record with their changes.
    fn write(&mut self, waiting: &mut Waiting, inputs: &mut mpsc::Receiver<Input>) -> Result<(), Broken> {
        if !self.leading {
            waiting.jobs.drain(..).for_each(|job| job.finish(Err(NotDone::Withheld)));
            return Ok(());
        }
        let txn = self.store.begin()?;
        let before = txn.ephemeral_savepoint().map_err(StoreError::from)?;
        let notes = Rc::new(RefCell::new(Changes::default()));
        let mut answers: Answers = Vec::new();
        let mut appended = None;
        {
            let mut tables = Txn::noted(&txn, &Some(Rc::clone(&notes)))?;
            loop {
                let bytes = notes.borrow().bytes();
                let room = bytes < FULL && answers.len() < BATCH;
                let fits = |job: &Job| room && bytes.saturating_add(job.weight()) < MOST;
                let fits = waiting.jobs.front().is_some_and(|job| answers.is_empty() || fits(job));
                if let Some(job) = if fits { waiting.jobs.pop_front() } else { None } {
                    sweep(&mut tables, &job)?;
                    answers.push(run_job(job, &mut tables)?);
                } else if !waiting.jobs.is_empty() {
                    break;
                } else if let Ok(input) = inputs.try_recv() {
                    waiting.take(input);
                } else if self.flight.is_some() && appended.is_none() {
                    match self.next(inputs) {
                        Next::Input(input) => waiting.take(input),
                        Next::Landed(result) => appended = Some(result),
                        Next::End => break,
                    }
                } else {
                    break;
                }
            }
        }
        if let Some(appended) = appended.or_else(|| self.landing()) {
            if appended != Appended::Stored {
                txn.abort().map_err(StoreError::from)?;
                withhold(answers);
                return self.landed(appended);
            }
            self.landed(appended)?;
        }
        let changes = notes.take().into_rows();
        let leaves = leaves_of(&changes);
        let (record, bytes) = self.next_record(self.position.term, changes);
        if bytes.len() > usize::try_from(MAX_RECORD_BYTES).unwrap_or(usize::MAX) {
            txn.abort().map_err(StoreError::from)?;
            too_large(answers);
            return Ok(());
        }
        let (log, stop, sequence) = (self.log.clone(), self.stop.clone(), record.sequence);
        let position = position_after(&record, &bytes);
        let landing = self.runtime.spawn(async move { log.append(sequence, &bytes, stop).await });
        self.flight = Some(Flight { position, leaves, answers, before, landing });
        self.commit(txn, &position)
    }

    /// What became of the record that was on its way. R-REG-21, R-REG-22: nothing is shown here and nobody is answered
    /// before it lies at its place.
    fn landed(&mut self, appended: Appended) -> Result<(), Broken> {
        let Some(flight) = self.flight.take() else { return Ok(()) };
        if appended == Appended::Stored {
            self.position = flight.position;
            self.store.show()?;
            self.tree.grow(&flight.leaves);
            self.publish();
            finish(flight.answers);
            return Ok(());
        }
        let mut txn = self.store.begin()?;
        txn.restore_savepoint(&flight.before).map_err(StoreError::from)?;
        txn.set_durability(Durability::None).map_err(StoreError::from)?;
        txn.commit().map_err(StoreError::from)?;
        withhold(flight.answers);
        self.step_down();
        if appended == Appended::Shrunk { Err(Broken::Shrunk) } else { Ok(()) }
    }

    /// Makes the changes of records that others wrote.
    fn follow(&mut self, records: Vec<(u64, Bytes)>) -> Result<(), Broken> {
        let mut leaves = Vec::new();
        let mut txn = None;
        for (sequence, bytes) in records {
            if sequence <= self.position.applied {
                continue;
            }
            if sequence > self.position.applied.saturating_add(1) {
                break;
            }
            let record = self.open(sequence, &bytes)?;
            if txn.is_none() {
                txn = Some(self.store.begin()?);
            }
            if let Some(txn) = &txn {
                Txn::of(txn)?.apply(&record.changes)?;
            }
            leaves.extend(leaves_of(&record.changes));
            self.position = position_after(&record, &bytes);
        }
        let Some(mut txn) = txn else { return Ok(()) };
        // Somebody else wrote: whatever we thought, we do not.
        self.leading = false;
        self.position.write(&txn)?;
        txn.set_durability(Durability::None).map_err(StoreError::from)?;
        self.store.commit(txn)?;
        self.unflushed = true;
        self.tree.grow(&leaves);
        self.publish();
        Ok(())
    }

    /// R-REG-24: only records of this registry, in their order, on the rows they were made for.
    fn open(&self, sequence: u64, bytes: &Bytes) -> Result<Record, RecordError> {
        let record = Record::open(bytes, sequence, &self.key)?;
        match () {
            () if record.previous != self.position.hash && self.position.applied == 0 => {
                Err(RecordError::Base)
            }
            () if record.previous != self.position.hash || record.term < self.position.term => {
                Err(RecordError::Order)
            }
            () => Ok(record),
        }
    }

    /// Begins a reign with a record that says so. Does not work when the log has more than is here.
    fn take_over(&mut self) -> Result<bool, Broken> {
        if self.leading {
            return Ok(true);
        }
        let (record, bytes) = self.next_record(self.position.term.saturating_add(1), Vec::new());
        let appended = self.log.append(record.sequence, &bytes, self.stop.clone());
        match self.runtime.block_on(appended) {
            Appended::Stored => {
                let txn = self.store.begin()?;
                let position = position_after(&record, &bytes);
                self.commit(txn, &position)?;
                self.position = position;
                self.leading = true;
                self.publish();
                tracing::info!(term = record.term, "this replica writes now");
                Ok(true)
            }
            Appended::Fenced | Appended::Stopped => Ok(false),
            Appended::Shrunk => Err(Broken::Shrunk),
        }
    }

    fn next_record(&self, term: u64, changes: Vec<Change>) -> (Record, Bytes) {
        let Position { applied, hash, .. } = self.position;
        let sequence = applied.saturating_add(1);
        let record = Record { sequence, previous: hash, writer: self.id, term, changes };
        let bytes = Bytes::from(record.seal(&self.key));
        (record, bytes)
    }

    /// Commits rows and position here, not flushed and not shown.
    fn commit(&mut self, mut txn: redb::WriteTransaction, position: &Position) -> Result<(), Broken> {
        position.write(&txn)?;
        txn.set_durability(Durability::None).map_err(StoreError::from)?;
        txn.commit().map_err(StoreError::from)?;
        self.unflushed = true;
        Ok(())
    }

    fn step_down(&mut self) {
        self.leading = false;
        tracing::info!("this replica does not write any more");
        self.publish();
    }

    fn publish(&self) {
        self.state.send_replace(State { position: self.position, leading: self.leading, broken: None });
    }

    fn flush_in_time(&mut self) -> Result<(), Broken> {
        if self.unflushed && self.flushed.elapsed() >= FLUSH {
            self.land_all()?;
            self.flush()?;
        }
        Ok(())
    }

    /// Flushes everything that was committed.
    fn flush(&mut self) -> Result<(), Broken> {
        if self.unflushed {
            let mut txn = self.store.begin()?;
            // The file can be opened again at once after a crash: nothing has to be walked through.
            txn.set_quick_repair(true);
            txn.commit().map_err(StoreError::from)?;
            self.unflushed = false;
        }
        self.flushed = Instant::now();
        Ok(())
    }
}

fn position_after(record: &Record, bytes: &Bytes) -> Position {
    let Record { sequence, writer, term, .. } = record;
    Position { applied: *sequence, hash: record::hash(bytes), term: *term, writer: *writer }
}

fn finish(answers: Answers) {
    for (done, outcome) in answers {
        // Nobody may be waiting any more; the change is made all the same.
        let _ = done.send(outcome);
    }
}

/// Nothing came of them here.
fn withhold(answers: Answers) {
    for (done, _) in answers {
        let _ = done.send(Err(NotDone::Withheld));
    }
}

/// One request alone changed more than a record holds. It is the last one: after it none was taken. The others
/// did nothing wrong and are run again.
fn too_large(answers: Answers) {
    let last = answers.len().saturating_sub(1);
    for (index, (done, _)) in answers.into_iter().enumerate() {
        let outcome = if index == last {
            Err(Code::TooLarge.because("this changes more than this registry can write at once").into())
        } else {
            Err(NotDone::Withheld)
        };
        let _ = done.send(outcome);
    }
}
