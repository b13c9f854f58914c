//! The one thread that writes. Requests that wait at the same time share a transaction, so one commit (and one
//! disk flush) serves many; each is answered only after that commit.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry as wire;
use tokio::sync::{mpsc, oneshot, watch};

use crate::caller::{self, Caller};
use crate::error::{OpError, StoreError};
use crate::op::write::{Change, Write};
use crate::replica::engine::Order;
use crate::store::{Store, Txn, once};
use crate::tree::Tree;

/// Requests that may wait for the thread; further ones wait for room.
const QUEUE: usize = 1024;
/// Two of them without a write, and the store is settled.
const MOMENT: Duration = Duration::from_secs(1);
/// Requests in one transaction at most.
const BATCH: usize = 256;

/// What became of a request.
pub(crate) type Outcome = Result<Change, NotDone>;

/// Who waits, and what they will be told.
pub(crate) type Answers = Vec<(oneshot::Sender<Outcome>, Outcome)>;

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// The caller is told why.
    Refused(Refusal),
    /// This replica of the registry is not the one that writes: nothing is said.
    Withheld,
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a thread that writes is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "almost every input is a job")]
pub(crate) enum Input {
    /// A request.
    Job(Job),
    /// What only replicas do.
    Order(Order),
}

/// Rows forgotten per request at most: it makes two that expire, so that those who wait behind a long idle time do not
/// pay for all of it at once.
const SWEEP: usize = 4;

/// The door to the thread. Dropping it waits for the thread: what was accepted is committed.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Input>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failed: watch::Receiver<bool>,
}

/// Whether the file can be opened again at once after a crash. Else redb walks through all of it first, a minute for
/// ten gigabytes; writing down what makes that unnecessary takes too long for every commit, and not when nobody asks.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// Something was written within the last moment.
    Busy,
    /// Nothing since the last moment.
    Quiet,
    /// It can.
    Settled,
}

impl Rest {
    /// A moment without a write has passed.
    fn moment(&mut self, store: &Store) -> Result<(), StoreError> {
        *self = match self {
            Self::Busy => Self::Quiet,
            Self::Quiet => {
                let mut txn = store.begin()?;
                txn.set_quick_repair(true);
                txn.commit()?;
                Self::Settled
            }
            Self::Settled => Self::Settled,
        };
        Ok(())
    }
}

/// Tells a thread again and again that a moment has passed, until it is gone.
pub(crate) async fn moments(thread: mpsc::WeakSender<Input>) {
    loop {
        tokio::time::sleep(MOMENT).await;
        let Some(inputs) = thread.upgrade() else { return };
        // When it has more to do than it can hold, it does not rest.
        let _ = inputs.try_send(Input::Order(Order::Flush));
    }
}

/// A checked request and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    write: Write,
    caller: Caller,
    now: Timestamp,
    done: oneshot::Sender<Outcome>,
}

impl Job {
    /// About as many bytes as the rows that it writes.
    pub(crate) const fn weight(&self) -> usize {
        self.caller.bytes
    }

    /// Tells what became of it. Nobody may be waiting any more.
    pub(crate) fn finish(self, outcome: Outcome) {
        let _ = self.done.send(outcome);
    }
}

impl Writer {
    /// Gives also a way to tell it that a moment has passed.
    pub(crate) fn start(
        store: Store,
        tree: Arc<Tree>,
    ) -> Result<(Self, mpsc::WeakSender<Input>), StoreError> {
        Self::spawn(move |mut waiting| {
            let mut rest = Rest::Busy;
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < BATCH
                    && let Ok(next) = waiting.try_recv()
                {
                    batch.push(next);
                }
                let done = if batch.iter().all(|input| matches!(input, Input::Order(_))) {
                    rest.moment(&store)
                } else {
                    rest = Rest::Busy;
                    commit(&store, &tree, batch)
                };
                // A store that failed once is not trusted again before it was reopened.
                if let Err(error) = done {
                    tracing::error!(%error, "the store failed; no further writes");
                    return false;
                }
            }
            true
        })
    }

    /// A thread that works on what comes in until nothing can come any more (`true`) or it fails. Gives also a way
    /// to tell it other things than requests.
    pub(crate) fn spawn(
        work: impl FnOnce(mpsc::Receiver<Input>) -> bool + Send + 'static,
    ) -> Result<(Self, mpsc::WeakSender<Input>), StoreError> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (fail, failed) = watch::channel(false);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            if !work(waiting) {
                fail.send_replace(true);
            }
        });
        let thread = Mutex::new(Some(thread.map_err(|_| StoreError::Stopped)?));
        let orders = jobs.downgrade();
        Ok((Self { jobs: Some(jobs), thread, failed }, orders))
    }

    /// Runs a checked operation; resolves after its commit.
    pub(crate) async fn submit(&self, write: Write, caller: Caller, now: Timestamp) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let Some(jobs) = &self.jobs else {
            return Err(internal().into());
        };
        if jobs.send(Input::Job(Job { write, caller, now, done })).await.is_err() {
            return Err(internal().into());
        }
        outcome.await.unwrap_or_else(|_| Err(internal().into()))
    }

    /// Resolves when the thread gave up.
    pub(crate) async fn failure(&self) {
        let mut failed = self.failed.clone();
        // An error means that the thread ended in order: then there is no failure to wait for.
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.get_mut().ok().and_then(Option::take)
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

/// Runs a batch in one transaction, then grows the tree, then answers. On an error of the store nobody's change
/// happened, and everybody is told so.
fn commit(store: &Store, tree: &Tree, batch: Vec<Input>) -> Result<(), StoreError> {
    let mut answers = Answers::with_capacity(batch.len());
    let result = transact(store, batch, &mut answers);
    if result.is_ok() {
        let leaves = answers.iter().flat_map(|(_, outcome)| outcome.iter()).flat_map(|change| &change.leaves);
        tree.grow(&leaves.copied().collect::<Vec<_>>());
    }
    for (done, outcome) in answers {
        // Nobody may be waiting any more; the change is made all the same.
        let _ = done.send(if result.is_ok() { outcome } else { Err(internal().into()) });
    }
    result
}

fn transact(store: &Store, batch: Vec<Input>, answers: &mut Answers) -> Result<(), StoreError> {
    let txn = store.begin()?;
    {
        let mut tables = Txn::of(&txn)?;
        for input in batch {
            // Orders are for replicas only.
            let Input::Job(job) = input else { continue };
            sweep(&mut tables, &job)?;
            answers.push(run_job(job, &mut tables)?);
        }
    }
    store.commit(txn)
}

/// Forgets what has expired by the time of a request.
pub(crate) fn sweep(tables: &mut Txn<'_>, job: &Job) -> Result<(), StoreError> {
    once::sweep(tables, job.now, SWEEP)
}

/// Runs one request. On an error of the store its caller, and everybody else in the transaction, is told that the
/// registry failed: whoever waits learns it by the end of the wait.
pub(crate) fn run_job(
    job: Job,
    tables: &mut Txn<'_>,
) -> Result<(oneshot::Sender<Outcome>, Outcome), StoreError> {
    let Job { write, caller, now, done } = job;
    match apply(write, &caller, tables, now) {
        Ok(change) => Ok((done, Ok(change))),
        Err(OpError::Refused(refusal)) => Ok((done, Err(refusal.into()))),
        Err(OpError::Store(error)) => Err(error),
    }
}

/// One write. Uses up the nonce in the transaction of the change: neither can exist without the other. A refused
/// request uses it up too. Exactly the same request within a minute is told the same again.
pub(crate) fn apply(
    write: Write,
    caller: &Caller,
    txn: &mut Txn<'_>,
    now: Timestamp,
) -> Result<Change, OpError> {
    let nonce = once::nonce(&caller.nonce);
    if once::seen(&txn.once, &nonce)? {
        return match once::answered(&txn.answers, caller, now)? {
            Some(wire::Outcome::Answer(answer)) => Ok((*answer).into()),
            Some(wire::Outcome::Refused(refusal)) => Err(refusal.into()),
            None => Err(Code::Replayed.because("this request was made before").into()),
        };
    }
    once::note(&mut txn.once, &mut txn.expiry, &nonce, Caller::nonce_expires(now))?;
    let result =
        caller::admitted(caller, &txn.revoked, &txn.blocked).and_then(|()| write.run(caller, txn, now));
    let outcome = match &result {
        Ok(change) => wire::Outcome::Answer(Box::new(change.answer.clone())),
        Err(OpError::Refused(refusal)) => wire::Outcome::Refused(refusal.clone()),
        Err(OpError::Store(_)) => return result,
    };
    once::keep(txn, caller, outcome, now)?;
    result
}

/// What a caller is told about our own trouble.
pub(crate) fn internal() -> Refusal {
    Code::Internal.because("the registry failed; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    #[test]
    fn a_store_is_settled_after_two_moments_without_a_write() {
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let mut rest = Rest::Busy;
        rest.moment(&store).unwrap();
        assert!(matches!(rest, Rest::Quiet));
        rest.moment(&store).unwrap();
        assert!(matches!(rest, Rest::Settled));
    }
}
