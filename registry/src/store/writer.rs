//! The one thread that writes. Requests that wait at the same time share a transaction, so one commit (and one
//! disk flush) serves many; each is answered only after that commit.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::caller::{self, Caller};
use crate::error::{OpError, StoreError};
use crate::op::write::{Change, Write};
use crate::store::{Store, Txn, once};
use crate::tree::Tree;

/// Requests that may wait for the thread; further ones wait for room.
const QUEUE: usize = 1024;
/// Requests in one transaction at most.
const BATCH: usize = 256;

/// What became of a request.
pub(crate) type Outcome = Result<Change, Refusal>;

/// The door to the thread. Dropping it waits for the thread: what was accepted is committed.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failed: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Job {
    write: Write,
    caller: Caller,
    now: Timestamp,
    done: oneshot::Sender<Outcome>,
}

impl Writer {
    pub(crate) fn start(store: Store, tree: Arc<Tree>) -> Result<Self, StoreError> {
        let (jobs, mut waiting) = mpsc::channel(QUEUE);
        let (fail, failed) = watch::channel(false);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < BATCH
                    && let Ok(next) = waiting.try_recv()
                {
                    batch.push(next);
                }
                // A store that failed once is not trusted again before it was reopened.
                if let Err(error) = commit(&store, &tree, batch) {
                    tracing::error!(%error, "the store failed; no further writes");
                    fail.send_replace(true);
                    return;
                }
            }
        });
        let thread = Mutex::new(Some(thread.map_err(|_| StoreError::Stopped)?));
        Ok(Self { jobs: Some(jobs), thread, failed })
    }

    /// Runs a checked operation; resolves after its commit.
    pub(crate) async fn submit(&self, write: Write, caller: Caller, now: Timestamp) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let Some(jobs) = &self.jobs else {
            return Err(internal());
        };
        if jobs.send(Job { write, caller, now, done }).await.is_err() {
            return Err(internal());
        }
        outcome.await.unwrap_or_else(|_| Err(internal()))
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
fn commit(store: &Store, tree: &Tree, batch: Vec<Job>) -> Result<(), StoreError> {
    let mut answers = Vec::with_capacity(batch.len());
    let result = transact(store, batch, &mut answers);
    if result.is_ok() {
        let leaves = answers.iter().flat_map(|(_, outcome)| outcome.iter()).flat_map(|change| &change.leaves);
        tree.grow(&leaves.copied().collect::<Vec<_>>());
    }
    for (done, outcome) in answers {
        // Nobody may be waiting any more; the change is made all the same.
        let _ = done.send(if result.is_ok() { outcome } else { Err(internal()) });
    }
    result
}

fn transact(
    store: &Store,
    batch: Vec<Job>,
    answers: &mut Vec<(oneshot::Sender<Outcome>, Outcome)>,
) -> Result<(), StoreError> {
    let txn = store.begin()?;
    {
        let mut tables = Txn::of(&txn)?;
        if let Some(job) = batch.first() {
            once::sweep(&mut tables.once, &mut tables.expiry, job.now)?;
        }
        for job in batch {
            let Job { write, caller, now, done } = job;
            let outcome = match apply(write, &caller, &mut tables, now) {
                Ok(change) => Ok(change),
                Err(OpError::Refused(refusal)) => Err(refusal),
                Err(OpError::Store(error)) => {
                    answers.push((done, Err(internal())));
                    return Err(error);
                }
            };
            answers.push((done, outcome));
        }
    }
    txn.commit()?;
    Ok(())
}

/// One write. Uses up the nonce in the transaction of the change: neither can exist without the other. A refused
/// request uses it up too.
pub(crate) fn apply(
    write: Write,
    caller: &Caller,
    txn: &mut Txn<'_>,
    now: Timestamp,
) -> Result<Change, OpError> {
    let nonce = once::nonce(&caller.nonce_key());
    if once::seen(&txn.once, &nonce)? {
        return Err(Code::Replayed.because("this request was made before").into());
    }
    once::note(&mut txn.once, &mut txn.expiry, &nonce, Caller::nonce_expires(now))?;
    caller::admitted(caller, &txn.revoked, &txn.blocked)?;
    write.run(caller, txn, now)
}

/// What a caller is told about our own trouble.
pub(crate) fn internal() -> Refusal {
    Code::Internal.because("the registry failed; nothing was changed")
}
