//! The log of the replicas on JetStream: append at exactly one place, read on, ask how long it is.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request};
use bytes::Bytes;
use cipher_broker::header;
use cipher_broker::limit;
use cipher_broker::subject::{REPLICA, REPLICA_STREAM};
use data_encoding::{BASE64, HEXLOWER};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::connect::pause;
use crate::replica_log::record;

/// Refuse unless this is the last sequence of the stream.
const EXPECTED_LAST: &str = "Nats-Expected-Last-Sequence";
/// Time for the broker to answer: an acknowledgement takes about a millisecond.
const ANSWER: Duration = Duration::from_secs(2);
/// What the broker answers to a get where nothing lies.
const NOTHING_THERE: u16 = 10_037;
/// What the broker answers when it has no such stream.
const NO_STREAM: u16 = 10_059;
/// Status that ends a batch.
const END_OF_BATCH: u16 = 204;

/// What the log is called: tests have logs of their own.
#[derive(Debug, Clone)]
pub struct LogName {
    /// Name of the stream.
    pub stream: String,
    /// First tokens of every subject of the replicas.
    pub prefix: String,
}

impl Default for LogName {
    fn default() -> Self {
        Self { stream: REPLICA_STREAM.into(), prefix: REPLICA.into() }
    }
}

impl LogName {
    /// A subject of the replicas.
    pub(crate) fn subject(&self, rest: impl std::fmt::Display) -> String {
        format!("{}.{rest}", self.prefix)
    }
}

/// The log behind a connection.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    client: Client,
    name: LogName,
}

/// What became of a record that was to be the one at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It lies there.
    Stored,
    /// Another one does; ours never will.
    Fenced,
    /// Told to stop before it was known.
    Stopped,
    /// The log is shorter than it was.
    Shrunk,
}

/// One answer to one attempt.
enum Attempt {
    Stored,
    /// Somebody may have been there first, or it was we: what lies there tells.
    Unclear(String),
}

#[derive(Deserialize)]
struct Acknowledged {
    #[serde(default)]
    seq: u64,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    err_code: u16,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Info {
    state: Option<State>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct State {
    last_seq: u64,
}

#[derive(Deserialize)]
struct Gone {
    #[serde(default)]
    success: bool,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Got {
    message: Option<Stored>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    data: String,
}

impl Log {
    pub(crate) const fn new(client: Client, name: LogName) -> Self {
        Self { client, name }
    }

    pub(crate) const fn name(&self) -> &LogName {
        &self.name
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a record the one at `sequence`, or learns that another is. An attempt without an answer is repeated
    /// with the same bytes, under the same id and for the same place, so it cannot land twice; what lies at the
    /// place decides, never a guess. Gives up only when `stop` says so.
    pub(crate) async fn append(
        &self,
        sequence: u64,
        bytes: &Bytes,
        mut stop: watch::Receiver<bool>,
    ) -> Appended {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Appended::Stopped,
            appended = self.append_until_known(sequence, bytes) => appended,
        }
    }

    async fn append_until_known(&self, sequence: u64, bytes: &Bytes) -> Appended {
        for attempt in 1.. {
            let reason = match self.attempt(sequence, bytes).await {
                Attempt::Stored => return Appended::Stored,
                Attempt::Unclear(reason) => reason,
            };
            match self.get(sequence).await {
                Ok(Some(there)) if there == *bytes => return Appended::Stored,
                Ok(Some(_)) => return Appended::Fenced,
                Ok(None) => {
                    // Not even the record before: what was once acknowledged is gone.
                    let before = sequence.saturating_sub(1);
                    if before > 0 && self.last().await.is_ok_and(|last| last < before) {
                        return Appended::Shrunk;
                    }
                }
                Err(error) => tracing::debug!(error, "the log cannot be read"),
            }
            if attempt == 1 {
                tracing::warn!(reason, sequence, "the broker did not take a record yet; asking again");
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Appended::Stopped
    }

    async fn attempt(&self, sequence: u64, bytes: &Bytes) -> Attempt {
        let mut headers = HeaderMap::new();
        headers.insert(header::MESSAGE_ID, HEXLOWER.encode(&record::hash(bytes)).as_str());
        headers.insert(EXPECTED_LAST, sequence.saturating_sub(1).to_string().as_str());
        let request = Request::new().payload(bytes.clone()).headers(headers).timeout(Some(ANSWER));
        let reply = match self.client.send_request(self.name.subject("log"), request).await {
            Ok(reply) => reply,
            Err(error) => return Attempt::Unclear(error.to_string()),
        };
        match serde_json::from_slice::<Acknowledged>(&reply.payload) {
            Ok(Acknowledged { seq, error: None }) if seq == sequence => Attempt::Stored,
            Ok(Acknowledged { seq, error: None }) => Attempt::Unclear(format!("acknowledged as {seq}")),
            Ok(Acknowledged { error: Some(error), .. }) => Attempt::Unclear(error.description),
            Err(error) => Attempt::Unclear(error.to_string()),
        }
    }

    /// The sequence of the last record, as the leader of the stream knows it: never less than what was
    /// acknowledged to anybody before this was asked.
    pub(crate) async fn last(&self) -> Result<u64, String> {
        let reply: Info = self.ask("STREAM.INFO", String::new()).await?;
        match (reply.state, reply.error) {
            (Some(state), None) => Ok(state.last_seq),
            (_, Some(error)) => Err(error.description),
            (None, None) => Err("the broker says nothing about the log".into()),
        }
    }

    /// The sequence of the last record; `None`: the broker has no log.
    pub(crate) async fn length(&self) -> Result<Option<u64>, String> {
        let reply: Info = self.ask("STREAM.INFO", String::new()).await?;
        match (reply.state, reply.error) {
            (Some(state), None) => Ok(Some(state.last_seq)),
            (_, Some(error)) if error.err_code == NO_STREAM => Ok(None),
            (_, Some(error)) => Err(error.description),
            (None, None) => Err("the broker says nothing about the log".into()),
        }
    }

    /// Throws the log away, stream and all.
    pub(crate) async fn delete(&self) -> Result<(), String> {
        let reply: Gone = self.ask("STREAM.DELETE", String::new()).await?;
        match reply.error {
            None if reply.success => Ok(()),
            None => Err("the broker says nothing about throwing the log away".into()),
            Some(error) => Err(error.description),
        }
    }

    /// The record at a place, as the leader of the stream has it.
    pub(crate) async fn get(&self, sequence: u64) -> Result<Option<Bytes>, String> {
        let reply: Got = self.ask("STREAM.MSG.GET", json!({ "seq": sequence }).to_string()).await?;
        match (reply.message, reply.error) {
            (Some(stored), _) => match BASE64.decode(stored.data.as_bytes()) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) => Err(error.to_string()),
            },
            (None, Some(error)) if error.err_code == NOTHING_THERE => Ok(None),
            (None, Some(error)) => Err(error.description),
            (None, None) => Err("the broker says nothing about a record".into()),
        }
    }

    async fn ask<T: for<'a> Deserialize<'a>>(&self, what: &str, body: String) -> Result<T, String> {
        let subject = format!("$JS.API.{what}.{}", self.name.stream);
        let request = Request::new().payload(body.into()).timeout(Some(ANSWER));
        let reply = self.client.send_request(subject, request).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&reply.payload).map_err(|error| error.to_string())
    }

    /// Records from a place on, as many as come in one batch. Any copy of the stream answers, and one may be
    /// behind: none came does not mean that none is there.
    pub(crate) async fn read(&self, from: u64) -> Result<Vec<(u64, Bytes)>, String> {
        let inbox = self.client.new_inbox();
        let mut replies = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let ask = json!({
            "seq": from, "batch": limit::FETCH_MESSAGES, "max_bytes": limit::FETCH_BYTES.saturating_mul(4),
        });
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name.stream);
        self.client
            .publish_with_reply(subject, inbox, ask.to_string().into())
            .await
            .map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        loop {
            let Ok(Some(reply)) = tokio::time::timeout(ANSWER, replies.next()).await else {
                return if found.is_empty() { Err("the broker does not answer".into()) } else { Ok(found) };
            };
            match reply.status.map(|status| status.as_u16()) {
                None | Some(200) => {
                    let sequence = sequence(&reply).ok_or("the broker sent something else than a record")?;
                    found.push((sequence, reply.payload));
                }
                Some(END_OF_BATCH | 404) => return Ok(found),
                Some(other) => return Err(format!("the broker answers with status {other}")),
            }
        }
    }
}

/// The place in the stream of a message that was read or republished.
pub(crate) fn sequence(message: &Message) -> Option<u64> {
    message.headers.as_ref()?.get(header::SEQUENCE)?.as_str().parse().ok()
}
