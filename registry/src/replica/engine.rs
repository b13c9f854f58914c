//! The one thread of a replica that writes to its redb: runs requests while it leads, makes the changes of others
//! while it follows.
//!
//! The log is what is durable: a commit here is not flushed by itself but once a second with all before it. Rows
//! and position change in one transaction, so a replica that lost power goes on exactly where its file is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cipher_broker::stream::MAX_RECORD_BYTES;
use cipher_broker::wire::refusal::Code;
use redb::Durability;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::StoreError;
use crate::key::RegistryKey;
use crate::replica::ReplicaId;
use crate::replica::log::{Appended, Log};
use crate::replica::position::Position;
use crate::replica::record::{self, Record, RecordError};
use crate::store::rows::{Change, Changes};
use crate::store::writer::{Input, Job, NotDone, Outcome, run_job, sweep};
use crate::store::{Store, Txn, leaves_of};
use crate::tree::Tree;

/// Requests in one record at most.
const BATCH: usize = 512;
/// Bytes of rows after which a record takes no further request.
const FULL: usize = 256 * 1024;
/// Bytes that a record may be expected to have: below what it may really have by all that is around the rows.
const MOST: usize = 900_000;
/// Time after which what was committed is flushed. A flush writes every page that changed and holds everybody up while it
/// does; what it saves is reading so much of the log again after a crash.
const FLUSH: Duration = Duration::from_secs(5);

/// What the thread is told besides requests.
#[derive(Debug)]
pub(crate) enum Order {
    /// Records of the log, in order.
    Follow(Vec<(u64, Bytes)>),
    /// Become the writer; says whether that worked.
    TakeOver(oneshot::Sender<bool>),
    /// A writer of a later reign was heard.
    Outranked(u64),
    /// A moment to flush.
    Flush,
}

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

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
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
        let result = result.and_then(|()| self.flush());
        let broken = result.as_ref().err().cloned();
        if let Some(broken) = &broken {
            tracing::error!(%broken, "this replica cannot go on");
        }
        self.state.send_replace(State { position: self.position, leading: false, broken });
        result
    }

    fn work(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Result<(), Broken> {
        let mut jobs = VecDeque::new();
        loop {
            // Requests that wait go first into the record that is made next; orders are obeyed between records.
            let input = if jobs.is_empty() { inputs.blocking_recv() } else { inputs.try_recv().ok() };
            match input {
                Some(Input::Job(job)) => {
                    jobs.push_back(job);
                    if jobs.len() < BATCH {
                        continue;
                    }
                }
                Some(Input::Order(order)) => {
                    self.obey(order)?;
                    continue;
                }
                None if jobs.is_empty() => return Ok(()),
                None => {}
            }
            self.write(&mut jobs)?;
            self.flush_in_time()?;
        }
    }

    fn obey(&mut self, order: Order) -> Result<(), Broken> {
        match order {
            Order::Follow(records) => self.follow(records)?,
            Order::TakeOver(done) => {
                let led = self.take_over()?;
                // Whoever asked may be gone; the reign counts all the same.
                let _ = done.send(led);
            }
            Order::Outranked(term) => {
                if self.leading && term > self.position.term {
                    self.step_down();
                }
            }
            Order::Flush => {}
        }
        self.flush_in_time()
    }

    /// Runs requests that wait and makes them the next record. They are answered when it lies in the log and the
    /// rows are here; requests that did not get into it are told so.
    fn write(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), Broken> {
        if !self.leading {
            jobs.drain(..).for_each(|job| job.finish(Err(NotDone::Withheld)));
            return Ok(());
        }
        let mut answers: Vec<(oneshot::Sender<Outcome>, Outcome)> = Vec::new();
        let txn = self.store.begin()?;
        let notes = Rc::new(RefCell::new(Changes::default()));
        {
            let mut tables = Txn::noted(&txn, &Some(Rc::clone(&notes)))?;
            while let Some(job) = jobs.pop_front() {
                sweep(&mut tables, &job)?;
                answers.push(run_job(job, &mut tables)?);
                let bytes = notes.borrow().bytes();
                let fits = |next: &Job| bytes < FULL && bytes.saturating_add(next.weight()) < MOST;
                if answers.len() >= BATCH || !jobs.front().is_some_and(fits) {
                    break;
                }
            }
        }
        let changes = notes.take().into_rows();
        if changes.is_empty() {
            txn.abort().map_err(StoreError::from)?;
            finish(answers);
            return Ok(());
        }
        let leaves = leaves_of(&changes);
        let (record, bytes) = self.next(self.position.term, changes);
        if bytes.len() > usize::try_from(MAX_RECORD_BYTES).unwrap_or(usize::MAX) {
            txn.abort().map_err(StoreError::from)?;
            too_large(answers);
            return Ok(());
        }
        // R-REG-21, R-REG-22: nothing is changed here and nobody is answered before the record lies at its place.
        match self.append(record.sequence, &bytes) {
            Appended::Stored => {
                self.commit(txn, &record, &bytes)?;
                self.tree.grow(&leaves);
                self.publish();
                finish(answers);
                Ok(())
            }
            other => {
                txn.abort().map_err(StoreError::from)?;
                self.step_down();
                for (done, _) in answers {
                    let _ = done.send(Err(NotDone::Withheld));
                }
                if other == Appended::Shrunk { Err(Broken::Shrunk) } else { Ok(()) }
            }
        }
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
        txn.commit().map_err(StoreError::from)?;
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
        let (record, bytes) = self.next(self.position.term.saturating_add(1), Vec::new());
        match self.append(record.sequence, &bytes) {
            Appended::Stored => {
                let txn = self.store.begin()?;
                self.commit(txn, &record, &bytes)?;
                self.leading = true;
                self.publish();
                tracing::info!(term = record.term, "this replica writes now");
                Ok(true)
            }
            Appended::Fenced | Appended::Stopped => Ok(false),
            Appended::Shrunk => Err(Broken::Shrunk),
        }
    }

    fn next(&self, term: u64, changes: Vec<Change>) -> (Record, Bytes) {
        let Position { applied, hash, .. } = self.position;
        let sequence = applied.saturating_add(1);
        let record = Record { sequence, previous: hash, writer: self.id, term, changes };
        let bytes = Bytes::from(record.seal(&self.key));
        (record, bytes)
    }

    fn append(&self, sequence: u64, bytes: &Bytes) -> Appended {
        self.runtime.block_on(self.log.append(sequence, bytes, self.stop.clone()))
    }

    fn commit(
        &mut self,
        mut txn: redb::WriteTransaction,
        record: &Record,
        bytes: &Bytes,
    ) -> Result<(), Broken> {
        let position = position_after(record, bytes);
        position.write(&txn)?;
        txn.set_durability(Durability::None).map_err(StoreError::from)?;
        txn.commit().map_err(StoreError::from)?;
        self.position = position;
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
        if self.unflushed && self.flushed.elapsed() >= FLUSH { self.flush() } else { Ok(()) }
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

fn finish(answers: Vec<(oneshot::Sender<Outcome>, Outcome)>) {
    for (done, outcome) in answers {
        // Nobody may be waiting any more; the change is made all the same.
        let _ = done.send(outcome);
    }
}

/// One request alone changed more than a record holds. It is the last one: after it none was taken. The others
/// did nothing wrong and are run again.
fn too_large(answers: Vec<(oneshot::Sender<Outcome>, Outcome)>) {
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
