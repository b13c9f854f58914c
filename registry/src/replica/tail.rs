//! Reads the log for the thread of a replica: each record as the broker passes it on, those that were missed from
//! the stream.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::replica_log::log::{Log, sequence};
use crate::write::replicated::State;
use crate::write::writer::{Input, Signal};

/// How often is looked without being told, and what was committed flushed.
const LOOK: Duration = Duration::from_secs(1);
/// What is known to be there comes by itself within this time, mostly.
const GRACE: Duration = Duration::from_millis(20);
/// A writer's own records are in the log a moment before they are here.
const OWN_GRACE: Duration = Duration::from_millis(200);
/// Records handed over at once.
const TOGETHER: usize = 256;
/// Attempts to get what is known to be there from any copy of the stream, before its leader is asked.
const ATTEMPTS: u8 = 3;

/// The reader of a replica.
pub(crate) struct Tail {
    pub(crate) log: Log,
    /// The records as they are stored.
    pub(crate) live: Subscriber,
    /// Where they go.
    pub(crate) inputs: mpsc::WeakSender<Input>,
    pub(crate) state: watch::Receiver<State>,
    /// How long the log is known to be.
    pub(crate) known: watch::Receiver<u64>,
    /// The last record that was handed over.
    pub(crate) sent: u64,
}

/// The thread has ended.
struct Ended;

impl Tail {
    /// Reads until the thread ends.
    pub(crate) async fn run(mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut led) = (0, false);
        let mut due: Option<(Instant, u64)> = None;
        loop {
            let at = due.map_or_else(Instant::now, |(at, _)| at);
            let done = tokio::select! {
                () = tokio::time::sleep_until(at), if due.is_some() => match due.take() {
                    Some((_, target)) => self.read_to(target).await,
                    None => Ok(()),
                },
                changed = self.state.changed() => {
                    let leads = self.state.borrow_and_update().leading;
                    // Somebody else wrote: what was not listened to is read.
                    let ended = std::mem::replace(&mut led, leads) && !leads;
                    match changed {
                        Ok(()) if ended => self.look().await,
                        Ok(()) => Ok(()),
                        Err(_) => Err(Ended),
                    }
                }
                message = self.live.next() => match message {
                    Some(message) => self.heard(message).await,
                    None => Err(Ended),
                },
                changed = self.known.changed() => {
                    let target = *self.known.borrow_and_update();
                    if due.is_none() && target >= self.next() {
                        let grace = if self.state.borrow().leading { OWN_GRACE } else { GRACE };
                        due = Instant::now().checked_add(grace).map(|at| (at, target));
                    }
                    changed.map_err(|_| Ended)
                }
                _ = look.tick() => {
                    let applied = self.state.borrow().position.applied;
                    // Nothing happened since the last look: what was handed over did not fit. Read it again.
                    if applied == before {
                        self.sent = applied;
                    }
                    before = applied;
                    self.look().await
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn hand_over(&mut self, records: Vec<(u64, Bytes)>) -> Result<(), Ended> {
        let Some((last, _)) = records.last() else { return Ok(()) };
        self.sent = *last;
        self.order(Signal::Follow(records)).await
    }

    async fn order(&self, order: Signal) -> Result<(), Ended> {
        let inputs = self.inputs.upgrade().ok_or(Ended)?;
        inputs.send(Input::Signal(order)).await.map_err(|_| Ended)
    }

    /// Where reading goes on.
    fn next(&mut self) -> u64 {
        self.sent = self.sent.max(self.state.borrow().position.applied);
        self.sent.saturating_add(1)
    }

    /// A record was stored. A writer knows its own; should it be another's, its next record is fenced, or the
    /// next look finds out.
    async fn heard(&mut self, message: Message) -> Result<(), Ended> {
        let mut next = self.next();
        let leading = self.state.borrow().leading;
        let (mut records, mut newest) = (Vec::new(), 0);
        let mut message = Some(message);
        while let Some(heard) = message.take() {
            if let Some(sequence) = sequence(&heard) {
                if sequence == next {
                    records.push((sequence, heard.payload));
                    next = next.saturating_add(1);
                }
                newest = newest.max(sequence);
            }
            if records.len() < TOGETHER {
                message = self.live.next().now_or_never().flatten();
            }
        }
        if leading {
            return Ok(());
        }
        self.hand_over(records).await?;
        if newest >= next { self.read_to(newest).await } else { Ok(()) }
    }

    async fn look(&mut self) -> Result<(), Ended> {
        self.order(Signal::Flush).await?;
        if !self.state.borrow().leading
            && let Ok(last) = self.log.last().await
        {
            return self.read_to(last).await;
        }
        Ok(())
    }

    /// Reads on until a record that is known to be there.
    async fn read_to(&mut self, target: u64) -> Result<(), Ended> {
        let mut failed = 0;
        loop {
            let next = self.next();
            if next > target || failed > ATTEMPTS.saturating_mul(4) {
                return Ok(());
            }
            let found = if failed < ATTEMPTS {
                self.log.read(next).await
            } else {
                self.log.get(next).await.map(|found| found.map(|bytes| (next, bytes)).into_iter().collect())
            };
            let records: Vec<(u64, Bytes)> = match found {
                Ok(found) => found
                    .into_iter()
                    .zip(next..)
                    .take_while(|((at, _), want)| at == want)
                    .map(|(found, _)| found)
                    .collect(),
                Err(error) => {
                    tracing::debug!(error, "the log cannot be read");
                    Vec::new()
                }
            };
            if records.is_empty() {
                failed = failed.saturating_add(1);
                tokio::time::sleep(Duration::from_millis(10)).await;
            } else {
                failed = 0;
                self.hand_over(records).await?;
            }
        }
    }
}
