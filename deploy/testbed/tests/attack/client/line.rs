//! A connection with the login that all agents of a site share: whatever the broker allows, it does.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use cipher_broker::header;
use cipher_broker::limit;
use cipher_broker::subject::{Route, Source, registry};
use cipher_broker::wire::registry::Operation;
use futures::StreamExt;
use serde_json::{Value, json};
use testbed::{Broker, Failure, Result, raw};
use tokio::runtime::{Builder, Runtime};

/// What anything of a server on the same machine may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, and what drives it.
pub(crate) struct Line {
    runtime: Runtime,
    client: Client,
}

/// A message of a log.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its sequence in the stream.
    pub(crate) sequence: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Line {
    /// A connection to the first server.
    pub(crate) fn to(broker: &Broker) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(raw::agent(broker))?;
        Ok(Self { runtime, client })
    }

    /// Puts bytes into a log; gives their sequence, or what the broker says against it.
    pub(crate) fn store(&self, route: &Route, bytes: Vec<u8>) -> Result<u64> {
        self.store_with(&route.to_string(), HeaderMap::new(), bytes)
    }

    /// The same with headers, to any subject.
    pub(crate) fn store_with(&self, subject: &str, headers: HeaderMap, bytes: Vec<u8>) -> Result<u64> {
        let asked = self.client.request_with_headers(subject.to_owned(), headers, bytes.into());
        let reply = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await })??;
        let ack: Value = serde_json::from_slice(&reply.payload)?;
        let refused = || Failure::new(format!("the broker refused what was put on {subject}: {ack}"));
        ack.get("seq").and_then(Value::as_u64).ok_or_else(refused)
    }

    /// Everything in a log behind a sequence, by batched direct get like an agent.
    pub(crate) fn log(&self, source: Source, after: u64) -> Result<Vec<Stored>> {
        self.found(&source.stream(), &source.filter(), after)
    }

    /// Everything of a stream on one subject or pattern behind a sequence.
    pub(crate) fn found(&self, stream: &str, filter: &str, after: u64) -> Result<Vec<Stored>> {
        self.runtime.block_on(async {
            let (mut from, mut all) = (after + 1, Vec::new());
            loop {
                let inbox = self.client.new_inbox();
                let mut replies = self.client.subscribe(inbox.clone()).await?;
                let ask = json!({ "seq": from, "next_by_subj": filter, "batch": limit::FETCH_MESSAGES });
                let subject = format!("$JS.API.DIRECT.GET.{stream}");
                self.client.publish_with_reply(subject, inbox, ask.to_string().into()).await?;
                let mut more = false;
                while let Some(message) = tokio::time::timeout(PATIENCE, replies.next()).await? {
                    let headers = message.headers.clone().unwrap_or_default();
                    let number =
                        |name| headers.get(name).and_then(|value| value.as_str().parse::<u64>().ok());
                    if message.status.is_some() {
                        more = number(header::NUM_PENDING).is_some_and(|pending| pending > 0);
                        break;
                    }
                    let Some(sequence) = number(header::SEQUENCE) else {
                        return testbed::fail(format!("not a stored message: {message:?}"));
                    };
                    from = sequence + 1;
                    all.push(Stored { sequence, bytes: message.payload.to_vec() });
                }
                if !more {
                    return Ok(all);
                }
            }
        })
    }

    /// The last message on one subject.
    pub(crate) fn last(&self, route: &Route) -> Result<Stored> {
        let found = self.found(&route.stream(), &route.to_string(), 0)?;
        found.into_iter().last().ok_or_else(|| Failure::new(format!("nothing lies on {route}")))
    }

    /// A request to the registry, as bytes; gives the bytes of its answer.
    pub(crate) fn ask(&self, operation: &Operation, request: Vec<u8>) -> Result<Vec<u8>> {
        let asked = self.client.request(registry(operation.name()), request.into());
        let reply: Message =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await })??;
        Ok(reply.payload.to_vec())
    }
}
