//! Who writes. The writer is heard several times a second; when it is not, one of the others takes over by a record
//! in the log. Hearing decides only when somebody tries: which of two writes is decided by the log alone.

use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use cipher_broker::codec;
use futures::StreamExt;
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::replica_log::log::Log;
use crate::replica_log::position::ReplicaId;
use crate::write::replicated::State;
use crate::write::writer::{Input, Signal};

/// How often the writer is heard.
const BEAT: Duration = Duration::from_millis(250);
/// Silence after which somebody else may write: long enough for a busy machine, short enough for five seconds in
/// all.
const SILENCE: Duration = Duration::from_millis(2_000);
/// Each waits up to this much longer, by chance, so that not all try at once.
const SPREAD_MS: u32 = 500;

/// What the writer says of itself. Not signed: who can write on these subjects can keep replicas from each other
/// anyhow, and nothing but the log makes a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beat {
    #[serde(rename = "w")]
    writer: ReplicaId,
    #[serde(rename = "e")]
    term: u64,
    /// It stops now.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    ends: bool,
}

/// The watch that one replica keeps.
pub(crate) struct Election {
    pub(crate) log: Log,
    pub(crate) id: ReplicaId,
    /// No other replica ran when this one began: nothing to wait for.
    pub(crate) alone: bool,
    /// What the writer says.
    pub(crate) heard: Subscriber,
    /// Somebody asks who writes.
    pub(crate) asked: Subscriber,
    pub(crate) inputs: mpsc::WeakSender<Input>,
    pub(crate) state: watch::Receiver<State>,
}

/// The thread has ended.
struct Ended;

impl Election {
    /// Keeps watch until the thread of the replica ends.
    pub(crate) async fn run(mut self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_until = if self.alone { Instant::now() } else { later() };
        let mut terms = self.state.borrow().position.term;
        loop {
            let done = tokio::select! {
                message = self.heard.next() => match message {
                    Some(message) => self.hear(&message, &mut silent_until).await,
                    None => Err(Ended),
                },
                Some(question) = self.asked.next() => {
                    let leading = self.state.borrow().leading;
                    if let (true, Some(reply)) = (leading, question.reply) {
                        self.say(reply.as_str()).await;
                    }
                    Ok(())
                }
                changed = self.state.changed() => match changed {
                    Ok(()) => {
                        let State { position, leading, broken } = self.state.borrow_and_update().clone();
                        // Somebody began to write: it will be heard.
                        if position.term > terms {
                            terms = position.term;
                            silent_until = later();
                            if leading {
                                beat.reset_immediately();
                            }
                        }
                        if broken.is_some() { Err(Ended) } else { Ok(()) }
                    }
                    Err(_) => Err(Ended),
                },
                _ = beat.tick() => {
                    let leading = self.state.borrow().leading;
                    if leading {
                        self.say(&self.log.name().subject("writer")).await;
                        silent_until = later();
                        Ok(())
                    } else if Instant::now() >= silent_until {
                        silent_until = later();
                        self.try_to_write().await
                    } else {
                        Ok(())
                    }
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn hear(&self, message: &Message, silent_until: &mut Instant) -> Result<(), Ended> {
        let Ok(beat) = codec::decode::<Beat>(&message.payload) else { return Ok(()) };
        if beat.writer == self.id {
            return Ok(());
        }
        let State { position, leading, .. } = self.state.borrow().clone();
        if beat.term < position.term {
            return Ok(());
        }
        if leading {
            return self.order(Signal::Outranked(beat.term)).await;
        }
        *silent_until = if beat.ends { Instant::now() } else { later() };
        Ok(())
    }

    async fn try_to_write(&self) -> Result<(), Ended> {
        let (done, led) = oneshot::channel();
        self.order(Signal::TakeOver(done)).await?;
        // Meanwhile nothing else is heard: at most as long as the broker takes to answer. When the broker does not
        // answer at all, nobody can take over.
        if led.await.map_err(|_| Ended)? {
            self.say(&self.log.name().subject("writer")).await;
        }
        Ok(())
    }

    async fn order(&self, order: Signal) -> Result<(), Ended> {
        let inputs = self.inputs.upgrade().ok_or(Ended)?;
        inputs.send(Input::Signal(order)).await.map_err(|_| Ended)
    }

    async fn say(&self, subject: &str) {
        let term = self.state.borrow().position.term;
        say(&self.log, subject, self.id, term, false).await;
    }
}

/// Whether no replica runs. Asked before the own subscription, which would count as one.
pub(crate) async fn nobody_runs(log: &Log) -> bool {
    let asking = log.client().request(log.name().subject("who"), "".into());
    matches!(
        tokio::time::timeout(BEAT, asking).await,
        Ok(Err(error)) if error.kind() == async_nats::RequestErrorKind::NoResponders
    )
}

/// Says who writes; lost ones are followed by others.
pub(crate) async fn say(log: &Log, subject: &str, writer: ReplicaId, term: u64, ends: bool) {
    let beat = codec::encode(&Beat { writer, term, ends });
    if let Err(error) = log.client().publish(subject.to_owned(), beat.into()).await {
        tracing::debug!(%error, "the other replicas could not be told who writes");
    }
}

/// When the writer counts as silent if it is not heard from now on.
fn later() -> Instant {
    let spread = Duration::from_millis(u64::from(OsRng.next_u32() % SPREAD_MS));
    let now = Instant::now();
    now.checked_add(SILENCE).and_then(|then| then.checked_add(spread)).unwrap_or(now)
}
