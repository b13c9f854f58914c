//! The way to the one thread that writes: of a registry of its own (`single.rs`) or of a replica (`replicated.rs`).

use std::sync::Mutex;
use std::thread::JoinHandle;

use bytes::Bytes;
use cipher_broker::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::caller::Caller;
use crate::error::StoreError;
use crate::write::job::{Job, Outcome, internal};
use crate::write::operation::Write;

/// Requests that may wait for the thread; further ones wait for room.
const QUEUE: usize = 1024;

/// What a thread that writes is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "almost every input is a job")]
pub(crate) enum Input {
    /// A request.
    Job(Job),
    /// What only replicas do.
    Signal(Signal),
}

/// What the thread is told besides requests.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Records of the log, in order.
    Follow(Vec<(u64, Bytes)>),
    /// Become the writer; says whether that worked.
    TakeOver(oneshot::Sender<bool>),
    /// A writer of a later reign was heard.
    Outranked(u64),
    /// A moment to flush.
    Flush,
}

/// The handle of the thread. Dropping it waits for the thread: what was accepted is committed.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Input>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failed: watch::Receiver<bool>,
}

impl Writer {
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
        if jobs.send(Input::Job(Job::new(write, caller, now, done))).await.is_err() {
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
