//! Whether a replica is up to date: asked before every answer.
//!
//! Every reply shows the head of the account log. A replica that answered from yesterday would look like a registry
//! that was set back, and an agent would be right to raise alarm. So the leader of the stream is asked how long
//! the log is *after* the question came, and the answer waits until as much of it is here. Questions that come
//! while one is asked share the next.

use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use crate::replica_log::log::Log;
use crate::write::replicated::State;

/// Questions that may wait; further ones wait for room.
const WAITING: usize = 4096;

/// Asks for a replica. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Freshness {
    ask: mpsc::Sender<oneshot::Sender<u64>>,
    state: watch::Receiver<State>,
}

impl Freshness {
    /// Gives also the task that asks. `known`: how long the log is, for whoever reads it.
    pub(crate) fn new(
        log: Log,
        state: watch::Receiver<State>,
        known: watch::Sender<u64>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<u64>>(WAITING);
        let task = async move {
            while let Some(first) = asked.recv().await {
                let mut waiting = vec![first];
                while let Ok(next) = asked.try_recv() {
                    waiting.push(next);
                }
                match log.last().await {
                    Ok(last) => {
                        known.send_if_modified(|known| {
                            let grown = last > *known;
                            *known = last.max(*known);
                            grown
                        });
                        for waiter in waiting {
                            // Whoever does not wait any more does not need it.
                            let _ = waiter.send(last);
                        }
                    }
                    // Dropping them tells them that nothing is known.
                    Err(error) => tracing::debug!(error, "the length of the log is not known"),
                }
            }
        };
        (Self { ask, state }, task)
    }

    /// R-REG-23: waits until this replica has all that the log had when this was called. `false`: it did not get there in
    /// time, or the broker cannot say.
    pub(crate) async fn wait(&self, deadline: Instant) -> bool {
        let deadline = tokio::time::Instant::from_std(deadline);
        tokio::time::timeout_at(deadline, async {
            loop {
                let (waiter, told) = oneshot::channel();
                if self.ask.send(waiter).await.is_err() {
                    return false;
                }
                let Ok(last) = told.await else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let mut state = self.state.clone();
                let reached =
                    state.wait_for(|state| state.position.applied >= last || state.broken.is_some());
                return reached.await.is_ok_and(|state| state.broken.is_none());
            }
        })
        .await
        .unwrap_or(false)
    }
}
