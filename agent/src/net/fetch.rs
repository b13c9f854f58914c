//! One page of a log by batched direct get (ADR-31). No consumer, no state in the server.
//!
//! Any replica may answer, so a page may end before what is known to exist; the reader asks again.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use cipher_broker::stream::LET_GO;
use cipher_broker::time::Timestamp;
use cipher_broker::{header, limit};
use cipher_core::StreamState;
use serde::{Deserialize, Serialize};

use crate::net::connect::Network;

/// How long to wait for the next reply.
const PATIENCE: Duration = Duration::from_secs(2);
/// End of a batch.
const END_OF_BATCH: u16 = 204;

/// Messages of a log in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) messages: Vec<Stored>,
    /// Whether the log goes on behind the last message, as far as this replica knows.
    pub(crate) more: bool,
    /// How many messages lie there, if it said so.
    pub(crate) pending: Option<u64>,
}

/// One stored message.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) bytes: Bytes,
}

/// No answer, or none that makes sense. Asking again later may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// Nobody answered in time, or the connection is gone.
    #[error("no answer")]
    NoAnswer,
    /// The stream is not there or has no leader.
    #[error("no stream answers")]
    NoStream,
    /// The server refused with this status.
    #[error("refused with status {0}")]
    Status(u16),
}

#[derive(Serialize)]
struct Request<'a> {
    seq: u64,
    next_by_subj: &'a str,
    batch: usize,
    max_bytes: usize,
}

/// Fetches what follows from sequence `from` on, at most one batch.
pub(crate) async fn page(
    network: &Network,
    stream: &str,
    filter: &str,
    from: u64,
) -> Result<Page, FetchError> {
    let request = Request {
        seq: from,
        next_by_subj: filter,
        batch: limit::FETCH_MESSAGES,
        max_bytes: limit::FETCH_BYTES,
    };
    let body = serde_json::to_vec(&request).map_err(|_| FetchError::Status(0))?;
    let mut expected = network.replies.expect();
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    let asked = network.client().await.publish_with_reply(subject, expected.subject.clone(), body.into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => return Err(FetchError::NoAnswer),
    }
    let mut page = Page::default();
    loop {
        let Ok(Some(message)) = tokio::time::timeout(PATIENCE, expected.messages.recv()).await else {
            return part(page, FetchError::NoAnswer);
        };
        match message.status {
            Some(StatusCode::NOT_FOUND) => return Ok(page),
            Some(StatusCode::NO_RESPONDERS) => return part(page, FetchError::NoStream),
            Some(status) if status.as_u16() == END_OF_BATCH => {
                page.pending = number(&message, header::NUM_PENDING);
                page.more = page.pending.is_some_and(|pending| pending > 0);
                return Ok(page);
            }
            Some(status) => return part(page, FetchError::Status(status.as_u16())),
            None => {}
        }
        let Some(stored) = stored(&message) else { return part(page, FetchError::Status(0)) };
        let before = page.messages.last().map(|last| last.sequence);
        // Each reply names the one before it. A hole means a reply was lost on the way: continue behind it.
        let whole = before.is_none_or(|before| {
            stored.sequence > before
                && number(&message, header::LAST_SEQUENCE).is_none_or(|named| named == before)
        });
        if !whole {
            return part(page, FetchError::NoAnswer);
        }
        page.messages.push(stored);
    }
}

/// What is needed of an answer to `$JS.API.STREAM.INFO`.
#[derive(Deserialize)]
struct Info {
    created: String,
    config: Config,
    state: State,
}

#[derive(Deserialize)]
struct Config {
    /// Nanoseconds; 0 is for ever.
    #[serde(default)]
    max_age: u64,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    first_seq: u64,
    last_seq: u64,
}

/// Where a stream stands, by its leader, and its first sequence: what lies before is gone. No answer when the server's
/// file does not allow the question.
pub(crate) async fn stream_state(network: &Network, stream: &str) -> Result<(StreamState, u64), FetchError> {
    let reply = one(network, format!("$JS.API.STREAM.INFO.{stream}"), Vec::new()).await?;
    info(&reply.payload).ok_or(FetchError::Status(0))
}

fn info(bytes: &[u8]) -> Option<(StreamState, u64)> {
    let Info { created, config, state } = serde_json::from_slice(bytes).ok()?;
    let max_age = Some(Duration::from_nanos(config.max_age));
    let let_go = config.metadata.get(LET_GO).and_then(|text| Timestamp::parse(text));
    let stands = StreamState { last: state.last_seq, created: Timestamp::parse(&created), max_age, let_go };
    Some((stands, state.first_seq))
}

#[derive(Serialize)]
struct LastRequest<'a> {
    last_by_subj: &'a str,
}

/// The last entry of a stream as any replica has it. `None` where there is none: sequences go on behind what is gone.
pub(crate) async fn last(network: &Network, stream: &str) -> Result<Option<StreamState>, FetchError> {
    let body = serde_json::to_vec(&LastRequest { last_by_subj: ">" }).map_err(|_| FetchError::Status(0))?;
    let reply = one(network, format!("$JS.API.DIRECT.GET.{stream}"), body).await?;
    match reply.status {
        Some(StatusCode::NOT_FOUND) => Ok(None),
        Some(StatusCode::NO_RESPONDERS) => Err(FetchError::NoStream),
        Some(status) => Err(FetchError::Status(status.as_u16())),
        None => {
            let last = number(&reply, header::SEQUENCE).ok_or(FetchError::Status(0))?;
            Ok(Some(StreamState { last, created: None, max_age: None, let_go: None }))
        }
    }
}

/// One question with one answer.
pub(crate) async fn one(network: &Network, subject: String, body: Vec<u8>) -> Result<Message, FetchError> {
    let mut expected = network.replies.expect();
    let asked = network.client().await.publish_with_reply(subject, expected.subject.clone(), body.into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => return Err(FetchError::NoAnswer),
    }
    tokio::time::timeout(PATIENCE, expected.messages.recv()).await.ok().flatten().ok_or(FetchError::NoAnswer)
}

/// What arrived before something went wrong is still good, and there may be more.
fn part(mut page: Page, error: FetchError) -> Result<Page, FetchError> {
    if page.messages.is_empty() {
        return Err(error);
    }
    page.more = true;
    Ok(page)
}

fn stored(message: &Message) -> Option<Stored> {
    let subject = text(message.headers.as_ref()?, header::SUBJECT)?.to_owned();
    let sequence = number(message, header::SEQUENCE)?;
    let at = Timestamp::parse(text(message.headers.as_ref()?, header::TIME_STAMP)?)?;
    Some(Stored { subject, sequence, at, bytes: message.payload.clone() })
}

/// A header's value as a number.
pub(crate) fn number(message: &Message, name: &'static str) -> Option<u64> {
    text(message.headers.as_ref()?, name)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(name).map(|value| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e2_what_a_leader_says_of_its_stream_is_read() {
        let answer = br#"{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"CHAT-0",
            "max_age":3888000000000000,"metadata":{"cipher_let_go":"2026-10-14T20:00:00Z"}},
            "created":"2026-11-28T20:00:00.5Z","state":{"messages":3,"first_seq":2,
            "last_seq":4},"ts":"2026-11-28T21:00:00Z"}"#;
        let (state, first) = info(answer).unwrap();
        assert_eq!((first, state.last, state.max_age), (2, 4, Some(limit::RETENTION)));
        assert_eq!(state.let_go, Timestamp::parse("2026-10-14T20:00:00Z"));
        assert_eq!(state.created, Timestamp::parse("2026-11-28T20:00:00.5Z"));
        assert_eq!(
            info(br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#),
            None
        );
    }
}
