//! Publishes in order and matches acknowledgements, many in flight: one task, one subscription for all answers.
//!
//! Every publish gets exactly one outcome. What is in flight when the connection breaks is [`Unknown`]: its answer
//! can no longer arrive, and the core repeats the same bytes under the same id.
//!
//! [`Unknown`]: PublishOutcome::Unknown

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishErrorKind, SubscribeError};
use async_nats::{HeaderMap, Message, Subscriber};
use cipher_broker::header;
use cipher_core::{Input, OutboxId, Publish, PublishOutcome};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::net::ack::{self, Ack};
use crate::net::connect::Network;
use crate::net::jitter;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::unsettled::Unsettled;

/// How long to wait for an acknowledgement while none at all arrives.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// How much longer for each publish in flight: a broker that writes each to disk answers a queue of them late and
/// all at once, and repeating them would make the queue longer.
const ACK_WAIT_EACH: Duration = Duration::from_millis(4);
/// How long at most, whatever else arrives.
const LONGEST_ACK_WAIT: Duration = Duration::from_secs(15);
/// First wait before "no stream" is reported; doubles up to [`ACK_WAIT`] while it lasts.
const NO_STREAM_WAIT: Duration = Duration::from_millis(100);

/// The task's state.
pub(crate) struct Publisher {
    network: Network,
    mailbox: Arc<Mailbox>,
    wanted: mpsc::UnboundedReceiver<Publish>,
    violations: mpsc::UnboundedReceiver<String>,
    acks: Subscriber,
    prefix: String,
    next: u64,
    flying: HashMap<u64, Flying>,
    /// When each was sent, in order; answered ones are skipped.
    sent: VecDeque<(Instant, u64)>,
    /// When the broker last answered anything.
    last_ack: Instant,
    /// Outcomes that are told later, by time.
    held: BTreeMap<(Instant, u64), OutboxId>,
    no_stream_wait: Duration,
    unsettled: Unsettled,
}

struct Flying {
    row: OutboxId,
    subject: String,
}

impl Publisher {
    pub(crate) async fn new(
        network: Network,
        mailbox: Arc<Mailbox>,
        wanted: mpsc::UnboundedReceiver<Publish>,
        violations: mpsc::UnboundedReceiver<String>,
        unsettled: Unsettled,
    ) -> Result<Self, SubscribeError> {
        let prefix = format!("{}.a.", network.prefix);
        let acks = network.client().await.subscribe(format!("{prefix}*")).await?;
        Ok(Self {
            network,
            mailbox,
            wanted,
            violations,
            acks,
            prefix,
            next: 0,
            flying: HashMap::new(),
            sent: VecDeque::new(),
            last_ack: Instant::now(),
            held: BTreeMap::new(),
            no_stream_wait: NO_STREAM_WAIT,
            unsettled,
        })
    }

    /// Runs until nobody can ask for a publish any more.
    pub(crate) async fn run(mut self) {
        loop {
            let wake = self.next_deadline();
            tokio::select! {
                // Answers first: they make room, and an outcome is worth more than another attempt.
                biased;
                Some(message) = self.acks.next() => self.on_ack(&message),
                changed = self.network.link.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if !self.network.link.borrow_and_update().is_up() {
                        self.lose_all();
                    }
                }
                Some(subject) = self.violations.recv() => self.on_violation(&subject),
                () = sleep_until(wake) => self.on_time(),
                wanted = self.wanted.recv() => match wanted {
                    Some(publish) => self.send(publish).await,
                    None => return,
                },
            }
        }
    }

    async fn send(&mut self, publish: Publish) {
        self.next += 1;
        let id = self.next;
        let now = Instant::now();
        if !self.network.link.borrow().is_up() {
            // The core asked before it heard that the connection is gone. Not at once, or both would spin.
            self.held.insert((now + jitter::jittered(NO_STREAM_WAIT), id), publish.row);
            return;
        }
        let subject = publish.route.to_string();
        let headers = headers(&publish);
        let reply = format!("{}{id}", self.prefix);
        let sent = self.network.client().await.publish_with_reply_and_headers(
            subject.clone(),
            reply,
            headers,
            publish.bytes.into(),
        );
        match tokio::time::timeout_at(now + ACK_WAIT, sent).await {
            Ok(Ok(())) => {
                self.flying.insert(id, Flying { row: publish.row, subject });
                self.sent.push_back((now, id));
            }
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.tell(publish.row, PublishOutcome::Refused);
            }
            Ok(Err(_)) | Err(_) => self.tell(publish.row, PublishOutcome::Unknown),
        }
    }

    fn on_ack(&mut self, message: &Message) {
        let id = message.subject.strip_prefix(&self.prefix).and_then(|id| id.parse::<u64>().ok());
        self.last_ack = Instant::now();
        let Some((id, flying)) = id.and_then(|id| Some((id, self.flying.remove(&id)?))) else { return };
        match ack::read(message) {
            Ack::Full => {
                tracing::warn!("the broker has no room for a message");
                self.network.full(true);
                self.tell(flying.row, PublishOutcome::Unknown);
            }
            Ack::Outcome(outcome) => {
                self.no_stream_wait = NO_STREAM_WAIT;
                if let PublishOutcome::Stored { .. } = outcome {
                    self.network.full(false);
                }
                self.tell(flying.row, outcome);
            }
            Ack::NoStream => {
                if self.held.is_empty() {
                    self.no_stream_wait = self.no_stream_wait.saturating_mul(2).min(ACK_WAIT);
                }
                self.held.insert((Instant::now() + jitter::jittered(self.no_stream_wait), id), flying.row);
            }
        }
    }

    /// The server never answers a publish it does not allow; it complains, and this is the complaint.
    fn on_violation(&mut self, subject: &str) {
        let refused: Vec<u64> =
            self.flying.iter().filter(|(_, flying)| flying.subject == subject).map(|(id, _)| *id).collect();
        for id in refused {
            if let Some(flying) = self.flying.remove(&id) {
                self.tell(flying.row, PublishOutcome::Refused);
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        while let Some((sent, id)) =
            self.sent.front().copied().filter(|(sent, _)| self.deadline(*sent) <= now)
        {
            self.sent.pop_front();
            if let Some(flying) = self.flying.remove(&id) {
                tracing::debug!(waited = ?(now - sent), "no acknowledgement");
                self.tell(flying.row, PublishOutcome::Unknown);
            }
        }
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= now) {
            let row = entry.remove();
            self.tell(row, PublishOutcome::Unknown);
        }
    }

    fn lose_all(&mut self) {
        self.sent.clear();
        let mut lost: Vec<(u64, Flying)> = self.flying.drain().collect();
        lost.sort_by_key(|(id, _)| *id);
        for (_, flying) in lost {
            self.tell(flying.row, PublishOutcome::Unknown);
        }
    }

    fn tell(&self, row: OutboxId, outcome: PublishOutcome) {
        self.mailbox.push(Input::Published { row, outcome });
        self.unsettled.done();
    }

    fn deadline(&self, sent: Instant) -> Instant {
        let queue = u32::try_from(self.flying.len()).unwrap_or(u32::MAX);
        let patience = ACK_WAIT.saturating_add(ACK_WAIT_EACH.saturating_mul(queue));
        (self.last_ack.max(sent) + patience.min(LONGEST_ACK_WAIT)).min(sent + LONGEST_ACK_WAIT)
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        while self.sent.front().is_some_and(|(_, id)| !self.flying.contains_key(id)) {
            self.sent.pop_front();
        }
        let ack = self.sent.front().map(|(sent, _)| self.deadline(*sent));
        let held = self.held.keys().next().map(|(at, _)| *at);
        ack.into_iter().chain(held).min()
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn headers(publish: &Publish) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::MESSAGE_ID, publish.publish_id.to_string());
    if let Some(expect) = &publish.expect {
        headers.insert(header::EXPECTED_LAST_SUBJECT_SEQUENCE, expect.sequence.to_string());
        if expect.route != publish.route {
            headers.insert(header::EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT, expect.route.to_string());
        }
    }
    headers
}
