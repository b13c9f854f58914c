//! Whether the broker takes messages, and how an operator makes room when it does not.
//!
//! No limit of a server is visible to a client, and a message that is refused for another reason is refused before its
//! room is looked at: so the question is a message that is stored, in a stream that keeps one.

use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::datetime::DateTime;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, ErrorCode};
use cipher_broker::stream;
use cipher_broker::subject::ROOM_SUBJECT;
use serde::Serialize;

use crate::let_go;
use crate::stream_failure::{ANSWER, Failure, NOT_READY};

/// How often a registry that runs looks, and how long the broker may take to answer.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);

/// What the broker says when it is given a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Takes {
    /// It stores it.
    Messages,
    /// It has no room; its words.
    Nothing(String),
    /// It was not to be found out: no answer, or another trouble that is told elsewhere.
    Unknown,
}

/// Gives the broker a message.
pub(crate) async fn takes(client: &Client) -> Takes {
    let context = jetstream::context::ContextBuilder::new().timeout(PATIENCE).build(client.clone());
    let refused = match context.publish(ROOM_SUBJECT, "".into()).await {
        Ok(acknowledged) => match acknowledged.into_future().await {
            Ok(_) => return Takes::Messages,
            Err(error) => error,
        },
        Err(error) => error,
    };
    let source = std::error::Error::source(&refused);
    match source.and_then(|source| source.downcast_ref::<jetstream::Error>()) {
        Some(cause) if is_full(cause) => Takes::Nothing(cause.to_string()),
        _ => Takes::Unknown,
    }
}

/// Whether the broker means that it has no room: of the server, of the account, or of the disk.
fn is_full(cause: &jetstream::Error) -> bool {
    let words = cause.to_string();
    match cause.error_code() {
        ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => true,
        // Writing failed, and the text says why.
        ErrorCode::STREAM_STORE_FAILED => {
            ["maximum", "space", "resource", "exceeded", "quota"].iter().any(|word| words.contains(word))
        }
        _ => false,
    }
}

/// Says once that the broker is full, and once that it takes messages again; for ever.
pub(crate) async fn watch(client: &Client) {
    let mut full = false;
    loop {
        match takes(client).await {
            Takes::Nothing(reason) if !full => {
                full = true;
                tracing::error!(
                    reason,
                    "the broker is full: it takes no more messages; `cipher-registry room` makes room"
                );
            }
            Takes::Messages if full => {
                full = false;
                tracing::warn!("the broker takes messages again");
            }
            Takes::Messages | Takes::Nothing(_) | Takes::Unknown => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What making room did to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Room {
    /// The stream.
    pub(crate) stream: String,
    /// Bytes before.
    pub(crate) before: u64,
    /// Bytes after.
    pub(crate) after: u64,
}

/// How long one stream may take to let go of what is too old, and how often it is looked at.
const LETTING_GO: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Lets go of what is older than `keep` in the streams of conversations, by lowering their age for a moment: nobody may
/// purge them. Each stream remembers until when, so that agents do not take it for a loss and send all of it again. While
/// the age is short they take it for the reason; if this is cut off, `provision` sets it back and notes the same. The
/// account log is kept for ever and is not touched.
pub(crate) async fn make_room(
    client: &Client,
    replicas: usize,
    keep: Duration,
) -> Result<Vec<Room>, Failure> {
    let context = jetstream::context::ContextBuilder::new().timeout(ANSWER).build(client.clone());
    let mut rooms = Vec::new();
    for spec in stream::all(replicas).iter().filter(|spec| !spec.max_age.is_zero() && spec.max_age > keep) {
        let failed = |reason: String| Failure::of(spec, reason, NOT_READY);
        let mut stream = context.get_stream(&spec.name).await.map_err(|error| failed(error.to_string()))?;
        let info = stream.info().await.map_err(|error| failed(error.to_string()))?.clone();
        let short = Config {
            max_age: keep,
            // It must not be longer than the age.
            duplicate_window: info.config.duplicate_window.min(keep),
            ..info.config.clone()
        };
        let began = Instant::now();
        let outcome = async {
            context.update_stream(short).await.map_err(|error| failed(error.to_string()))?;
            loop {
                let state = stream.info().await.map_err(|error| failed(error.to_string()))?.state.clone();
                let oldest = std::time::SystemTime::now().checked_sub(keep).unwrap_or(std::time::UNIX_EPOCH);
                let done = state.messages == 0 || reached(&state.first_timestamp, oldest);
                if done || began.elapsed() >= LETTING_GO {
                    return Ok(state);
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        .await;
        // Also when something went wrong in between: a short age must not stay.
        let mut long = info.config.clone();
        let cut_off = let_go::is_short(&info.config, spec);
        if cut_off {
            // An earlier attempt was cut off.
            (long.max_age, long.duplicate_window) = (spec.max_age, spec.duplicate_window);
        }
        if let Ok(state) = &outcome
            && (cut_off || state.first_sequence > info.state.first_sequence)
        {
            let_go::note(&mut long.metadata, state);
        }
        let restored = context.update_stream(long).await;
        let after = outcome?.bytes;
        restored.map_err(|error| {
            failed(format!("its age is still {} s and could not be set back: {error}", keep.as_secs()))
        })?;
        rooms.push(Room { stream: spec.name.clone(), before: info.state.bytes, after });
    }
    Ok(rooms)
}

/// Whether what is left is younger than that.
fn reached(first: &DateTime, oldest: std::time::SystemTime) -> bool {
    let since = oldest.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    i128::try_from(since).is_ok_and(|since| first.unix_timestamp_nanos() >= since)
}
