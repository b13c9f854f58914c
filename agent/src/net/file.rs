//! Chunks of files, to the broker and back: each by its own request, many at a time. Nothing is read in order, and the
//! server keeps nothing for it.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::header;
use cipher_broker::id::FileId;
use cipher_broker::limit;
use cipher_broker::stream::{FILE_LIMIT, LET_GO};
use cipher_broker::subject::{FILES_STREAM, file_chunk};
use cipher_broker::time::Timestamp;
use cipher_core::PublishOutcome;
use serde::Deserialize;
use tokio::time::Instant;

use crate::net::ack::{self, Ack};
use crate::net::connect::Network;
use crate::net::fetch;
use crate::net::jitter;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long one chunk is tried, through lost connections and leaders.
const PATIENCE: Duration = Duration::from_secs(45);
/// Pause before it is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a chunk that a replica does not have is looked for before the leader is asked: one may be behind.
const BEHIND: Duration = Duration::from_secs(3);
/// How long it is asked what the site takes: a cluster elects a leader meanwhile.
const LEADERLESS: Duration = Duration::from_secs(15);
/// JetStream's error for a stream that is not there.
const NO_STREAM: u32 = 10059;

/// What a site takes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Largest file, bytes.
    pub(crate) largest: u64,
    /// Bytes that there is room for; `None` when only the server's disk says.
    pub(crate) room: Option<u64>,
    /// What was stored before that and is gone was let go of by the operator.
    pub(crate) let_go: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    config: Option<Config>,
    #[serde(default)]
    state: State,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    max_bytes: i64,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    bytes: u64,
    /// Those of the subjects that were asked for on which something lies.
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

/// What the leader of the stream says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Terms(Terms),
    /// This site has no such stream.
    NoStream,
    /// Nothing yet; and why, if it says so.
    Nothing(String),
}

/// Asks what the site takes of files, until its leader says so.
pub(crate) async fn terms(network: &Network) -> Result<Terms, Error> {
    let began = Instant::now();
    loop {
        let why = match info(network, Vec::new()).await.as_deref().map(read_terms) {
            Some(Told::Terms(terms)) => return Ok(terms),
            Some(Told::NoStream) => {
                return Err(ErrorKind::Refused.because("the broker has no place for files yet").hint(
                    Hint::text(
                        "its operator has to bring the server's permissions up to date and let this version's registry make the \
                         streams",
                    ),
                ));
            }
            Some(Told::Nothing(why)) => why,
            // A server that does not allow the question says nothing either.
            None => "no answer".into(),
        };
        if began.elapsed() >= LEADERLESS {
            return Err(ErrorKind::Unreachable
                .because(format!("the broker does not say which files it takes ({why})"))
                .hint(Hint::text(
                    "try again later; if it stays so, its operator has to bring the server's permissions up to date",
                )));
        }
        tokio::time::sleep(jitter::jittered(PAUSE)).await;
    }
}

/// What the leader of the stream answers.
async fn info(network: &Network, body: Vec<u8>) -> Option<Bytes> {
    let reply = fetch::one(network, format!("$JS.API.STREAM.INFO.{FILES_STREAM}"), body).await.ok()?;
    reply.status.is_none().then_some(reply.payload)
}

fn read_terms(answer: &[u8]) -> Told {
    let Ok(Answer { config, state, error }) = serde_json::from_slice(answer) else {
        return Told::Nothing("its answer makes no sense".into());
    };
    if let Some(Refusal { err_code, description }) = error {
        return if err_code == NO_STREAM { Told::NoStream } else { Told::Nothing(description) };
    }
    let Some(Config { max_bytes, metadata }) = config else {
        return Told::Nothing("its answer makes no sense".into());
    };
    let largest = metadata.get(FILE_LIMIT).and_then(|text| text.parse().ok()).unwrap_or(limit::FILE_BYTES);
    let room = u64::try_from(max_bytes).ok().filter(|most| *most > 0);
    let let_go = metadata.get(LET_GO).and_then(|text| Timestamp::parse(text));
    Told::Terms(Terms { largest, room: room.map(|most| most.saturating_sub(state.bytes)), let_go })
}

/// Stores one chunk, unless the broker has it; `same` tells whether two sealed chunks have one content.
pub(crate) async fn put(
    network: &Network,
    file: &FileId,
    chunk: u32,
    sealed: &Bytes,
    same: impl Fn(&Bytes, &Bytes) -> bool,
) -> Result<(), Error> {
    let subject = file_chunk(file, chunk);
    let until = Instant::now() + PATIENCE;
    loop {
        match ask_to_store(network, &subject, sealed).await.as_ref().map(ack::read) {
            Some(Ack::Outcome(PublishOutcome::Stored { .. })) => return Ok(()),
            Some(Ack::Outcome(PublishOutcome::Conflict { last: Some(_) })) => {
                return is_it(network, file, chunk, |stored| same(stored, sealed)).await;
            }
            Some(Ack::Outcome(PublishOutcome::Refused)) => {
                return Err(ErrorKind::Refused.because("the broker does not take the chunks of files"));
            }
            Some(Ack::Full) => {
                return Err(ErrorKind::Limit
                    .because("the broker has no room for this file")
                    .hint(Hint::BrokerRoom));
            }
            Some(Ack::Outcome(_) | Ack::NoStream) | None => {}
        }
        if Instant::now() >= until {
            return Err(silent());
        }
        tokio::time::sleep(jitter::jittered(PAUSE)).await;
    }
}

async fn ask_to_store(network: &Network, subject: &str, sealed: &Bytes) -> Option<Message> {
    let mut expected = network.replies.expect();
    let mut headers = HeaderMap::new();
    // Nobody replaces what lies there.
    headers.insert(header::EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    let (subject, reply) = (subject.to_owned(), expected.subject.clone());
    let answered = async {
        let client = network.client().await;
        client.publish_with_reply_and_headers(subject, reply, headers, sealed.clone()).await.ok()?;
        expected.messages.recv().await
    };
    tokio::time::timeout(ANSWER, answered).await.ok().flatten()
}

/// Something lies there already: it must be this chunk, whose acknowledgement was lost.
async fn is_it(
    network: &Network,
    file: &FileId,
    chunk: u32,
    same: impl Fn(&Bytes) -> bool,
) -> Result<(), Error> {
    match get(network, file, chunk).await {
        Ok(stored) if same(&stored) => Ok(()),
        Ok(_) => Err(ErrorKind::Trust
            .because("another client wrote into the place of this file at the broker")
            .hint(Hint::text("nothing was said; send the file again, it gets another place"))),
        Err(Ungot::Silent) => Err(silent()),
        Err(Ungot::Missing) => {
            Err(ErrorKind::Trust
                .because("the broker says that it has a part of this file, and does not give it"))
        }
    }
}

/// Why a chunk was not got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ungot {
    /// The broker does not have it.
    Missing,
    /// Nobody answered.
    Silent,
}

/// Fetches one chunk. Any replica may answer, and one that is behind does not have it yet: that it is missing is the leader's
/// word.
pub(crate) async fn get(network: &Network, file: &FileId, chunk: u32) -> Result<Bytes, Ungot> {
    let subject = format!("$JS.API.DIRECT.GET.{FILES_STREAM}.{}", file_chunk(file, chunk));
    let began = Instant::now();
    let mut missing: Option<Instant> = None;
    loop {
        let mut expected = network.replies.expect();
        let (asked, reply) = (subject.clone(), expected.subject.clone());
        let answered = async {
            let client = network.client().await;
            client.publish_with_reply(asked, reply, Bytes::new()).await.ok()?;
            expected.messages.recv().await
        };
        let answer = tokio::time::timeout(ANSWER, answered).await.ok().flatten();
        match answer {
            Some(Message { status: None, payload, .. }) => return Ok(payload),
            Some(Message { status: Some(StatusCode::NOT_FOUND), .. }) => {
                let since = *missing.get_or_insert_with(Instant::now);
                if since.elapsed() >= BEHIND && leader_has(network, file, chunk).await == Some(false) {
                    return Err(Ungot::Missing);
                }
            }
            Some(_) | None => {}
        }
        if began.elapsed() >= PATIENCE {
            return Err(Ungot::Silent);
        }
        tokio::time::sleep(jitter::jittered(PAUSE)).await;
    }
}

/// Whether the leader of the stream has a chunk; `None` when it does not say.
async fn leader_has(network: &Network, file: &FileId, chunk: u32) -> Option<bool> {
    let subject = file_chunk(file, chunk);
    let body = serde_json::to_vec(&serde_json::json!({ "subjects_filter": subject })).ok()?;
    read_has(&info(network, body).await?, &subject)
}

fn read_has(answer: &[u8], subject: &str) -> Option<bool> {
    let Answer { config, state, error } = serde_json::from_slice(answer).ok()?;
    match error {
        Some(Refusal { err_code: NO_STREAM, .. }) => Some(false),
        Some(_) => None,
        None => config.map(|_| state.subjects.is_some_and(|there| there.contains_key(subject))),
    }
}

/// The error for a broker that does not answer about chunks.
pub(crate) fn silent() -> Error {
    ErrorKind::Unreachable.because("the broker does not answer").hint(Hint::text(
        "what was transferred is kept: run the same command again, and it goes on from there",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_site_takes_is_read_from_its_stream() {
        let answer = br#"{"config":{"name":"FILES","max_bytes":1000,"metadata":{"cipher_file_limit":"500",
            "cipher_let_go":"2026-10-14T20:00:00Z"}},"state":{"bytes":300}}"#;
        let let_go = Timestamp::parse("2026-10-14T20:00:00Z");
        assert_eq!(read_terms(answer), Told::Terms(Terms { largest: 500, room: Some(700), let_go }));
        let bare = read_terms(br#"{"config":{"max_bytes":-1}}"#);
        assert_eq!(bare, Told::Terms(Terms { largest: limit::FILE_BYTES, room: None, let_go: None }));
    }

    #[test]
    fn only_a_stream_that_is_not_found_means_that_a_site_takes_no_files() {
        assert_eq!(read_terms(br#"{"error":{"code":404,"err_code":10059}}"#), Told::NoStream);
        let passing = br#"{"error":{"code":503,"err_code":10008,"description":"temporarily unavailable"}}"#;
        assert_eq!(read_terms(passing), Told::Nothing("temporarily unavailable".into()));
        for nonsense in [b"[]".as_slice(), b"{}", b"", br#"{"error":{}}"#] {
            assert!(matches!(read_terms(nonsense), Told::Nothing(_)), "{nonsense:?}");
        }
    }

    #[test]
    fn that_a_chunk_is_missing_is_the_leaders_word() {
        for (answer, has) in [
            (br#"{"config":{},"state":{"subjects":{"file.a.1":1}}}"#.as_slice(), Some(true)),
            (br#"{"config":{},"state":{"subjects":{"file.a.2":1}}}"#, Some(false)),
            (br#"{"config":{},"state":{"subjects":null}}"#, Some(false)),
            (br#"{"config":{},"state":{}}"#, Some(false)),
            (br#"{"error":{"code":404,"err_code":10059}}"#, Some(false)),
            (br#"{"error":{"code":503,"err_code":10008}}"#, None),
            (b"{}", None),
            (b"", None),
        ] {
            assert_eq!(read_has(answer, "file.a.1"), has, "{}", String::from_utf8_lossy(answer));
        }
    }
}
