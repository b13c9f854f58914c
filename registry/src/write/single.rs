//! The one thread that writes to the store of a registry of its own. Requests that wait at the same time share a
//! transaction, so one commit (and one disk flush) serves many; each is answered only after that commit.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::StoreError;
use crate::store::{Store, Txn};
use crate::tree::Tree;
use crate::write::job::{Answers, internal, run_job, sweep};
use crate::write::writer::{Input, Signal, Writer};

/// Two of them without a write, and the store is settled.
const MOMENT: Duration = Duration::from_secs(1);
/// Requests in one transaction at most.
const BATCH: usize = 256;

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
        let _ = inputs.try_send(Input::Signal(Signal::Flush));
    }
}

/// Starts the thread of a registry of its own. Gives also a way to tell it that a moment has passed.
pub(crate) fn start(store: Store, tree: Arc<Tree>) -> Result<(Writer, mpsc::WeakSender<Input>), StoreError> {
    Writer::spawn(move |mut waiting| {
        let mut rest = Rest::Busy;
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = waiting.try_recv()
            {
                batch.push(next);
            }
            let done = if batch.iter().all(|input| matches!(input, Input::Signal(_))) {
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
