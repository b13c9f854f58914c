//! The account log in the broker: every committed entry, in order, so that anybody can replay what the registry
//! says. Entry `n` is the message with sequence `n + 1`; the broker refuses any other place.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::Instant;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use cipher_broker::account_log::leaf;
use cipher_broker::codec;
use cipher_broker::header;
use cipher_broker::limit;
use cipher_broker::subject::{LOG_STREAM, LOG_SUBJECT};
use cipher_broker::wire::statement::LogEntry;
use tokio::sync::watch;

use crate::batch;
use crate::connect::{pause, redacted};
use crate::error::{Discord, Error, StoreError};
use crate::op::replay;
use crate::settings::Settings;
use crate::store::{Store, log};

/// Name of the header that names the last sequence of the stream, whatever its subject.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
/// Entries under way at once.
const WINDOW: usize = 256;

/// Looks after which a log in the broker that stays longer than ours is an error.
const AHEAD: usize = 16;

/// What can go wrong with the log in the broker.
#[derive(Debug)]
enum PublishProblem {
    /// May work later.
    Passing(String),
    /// Will not.
    Final(Discord),
}

impl From<String> for PublishProblem {
    fn from(reason: String) -> Self {
        Self::Passing(reason)
    }
}

/// Entries that the broker has.
pub(crate) async fn published(context: &Context) -> Result<u64, String> {
    let stream = context.get_stream(LOG_STREAM).await.map_err(|error| error.to_string())?;
    Ok(stream.cached_info().state.last_sequence)
}

/// Compares the log in the broker with the committed one: that it is not longer, and that its first and its latest
/// entries are the same. Gives its length.
async fn compare(client: &Client, store: &Store) -> Result<u64, PublishProblem> {
    let failed = |error: StoreError| PublishProblem::Passing(error.to_string());
    let stream = published(&jetstream::new(client.clone())).await?;
    let own = log::size(&store.view()).map_err(failed)?;
    let newest = limit::FETCH_MESSAGES as u64;
    for from in [0, stream.min(own).saturating_sub(newest)] {
        agree(client, store, from, stream.min(own)).await?;
    }
    if stream > own {
        return Err(PublishProblem::Final(Discord::Longer { stream, store: own }));
    }
    Ok(stream)
}

/// Compares one batch of entries from a position on, before `end`.
async fn agree(client: &Client, store: &Store, from: u64, end: u64) -> Result<(), PublishProblem> {
    if from >= end {
        return Ok(());
    }
    let theirs = batch::read(client, LOG_STREAM, from.saturating_add(1)).await?;
    let view = store.view();
    let ours = log::entries(&view, from, theirs.len()).map_err(|error| error.to_string())?;
    for ((sequence, message), entry) in theirs.iter().zip(&ours) {
        let index = sequence.saturating_sub(1);
        let same = match (codec::decode::<LogEntry>(&message.payload), codec::decode::<LogEntry>(entry)) {
            (Ok(theirs), Ok(ours)) => leaf(&theirs.statement) == leaf(&ours.statement),
            _ => false,
        };
        if !same {
            return Err(PublishProblem::Final(Discord::Differs { index }));
        }
    }
    Ok(())
}

/// Takes the entries that only the broker has into the store. Gives how many.
async fn adopt(client: &Client, store: &Store) -> Result<u64, PublishProblem> {
    let (from, end) = match compare(client, store).await {
        Ok(_) => return Ok(0),
        Err(PublishProblem::Final(Discord::Longer { stream, store })) => (store, stream),
        Err(other) => return Err(other),
    };
    let mut next = from;
    while next < end {
        let messages = batch::read(client, LOG_STREAM, next.saturating_add(1)).await?;
        let mut entries = Vec::with_capacity(messages.len());
        for (sequence, message) in messages {
            let index = sequence.saturating_sub(1);
            if index != next.saturating_add(entries.len() as u64) {
                return Err(PublishProblem::Passing(format!("entry {next} is missing in the broker")));
            }
            let entry = codec::decode::<LogEntry>(&message.payload);
            let invalid = |error: codec::DecodeError| {
                PublishProblem::Final(Discord::Invalid { index, reason: error.to_string() })
            };
            entries.push(entry.map_err(invalid)?);
        }
        if entries.is_empty() {
            return Err(PublishProblem::Passing("the broker does not give its account log".into()));
        }
        let (store, count) = (store.clone(), entries.len() as u64);
        let taken = tokio::task::spawn_blocking(move || replay::all(&store, entries)).await;
        match taken {
            Ok(Ok(())) => next = next.saturating_add(count),
            Ok(Err((place, Error::Refused(refusal)))) => {
                let index = next.saturating_add(place);
                return Err(PublishProblem::Final(Discord::Invalid { index, reason: refusal.message }));
            }
            Ok(Err((_, error))) => return Err(PublishProblem::Passing(error.to_string())),
            Err(error) => return Err(PublishProblem::Passing(error.to_string())),
        }
    }
    Ok(end.saturating_sub(from))
}

/// Compares the log in the broker with the store, again and again while the broker says that it may work later.
/// Adopts what only the broker has, when that is wanted.
pub(crate) async fn settle(client: &Client, store: &Store, settings: &Settings) -> Result<(), Error> {
    let began = Instant::now();
    for attempt in 1.. {
        let settled = if settings.adopt_log {
            adopt(client, store).await.map(|taken| {
                if taken > 0 {
                    tracing::warn!(taken, "statements were taken from the account log in the broker");
                }
            })
        } else {
            compare(client, store).await.map(|_| ())
        };
        match settled {
            Ok(()) => return Ok(()),
            Err(PublishProblem::Final(discord)) => return Err(discord.into()),
            Err(PublishProblem::Passing(reason)) if began.elapsed() >= settings.patience => {
                let server = redacted(&settings.server);
                return Err(Error::Broker {
                    doing: "cannot read the account log",
                    server,
                    reason: reason.into(),
                });
            }
            Err(PublishProblem::Passing(_)) => tokio::time::sleep(pause(attempt)).await,
        }
    }
    Ok(())
}

/// Publishes what is committed, for ever. Ends only when the broker's log turns out to be another one.
///
/// `size`: number of committed entries, and whenever it grows.
pub(crate) async fn publish(client: Client, store: Store, mut size: watch::Receiver<u64>) -> Discord {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(limit::REQUEST_TIMEOUT);
    let (mut next, mut attempt) = (None, 0_usize);
    loop {
        let trouble = match next {
            Some(from) if from >= *size.borrow_and_update() => {
                // Without a sender the log does not grow any more.
                if size.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            Some(from) => match advance(&context, &store, from).await {
                Ok(after) => {
                    (next, attempt) = (Some(after), 0);
                    continue;
                }
                Err(reason) => PublishProblem::Passing(reason),
            },
            None => match compare(&client, &store).await {
                Ok(published) => {
                    next = Some(published);
                    continue;
                }
                Err(trouble) => trouble,
            },
        };
        match trouble {
            // Another copy of this registry may have published what comes here a moment later.
            PublishProblem::Final(Discord::Longer { .. }) if attempt < AHEAD => {}
            PublishProblem::Final(discord) => return discord,
            PublishProblem::Passing(reason) => {
                tracing::debug!(reason, "the account log is not published yet");
            }
        }
        next = None;
        attempt = attempt.saturating_add(1);
        tokio::time::sleep(pause(attempt)).await;
    }
}

/// Publishes some entries from a position on, many under way at once; each names the place that it must get.
async fn advance(context: &Context, store: &Store, from: u64) -> Result<u64, String> {
    let entries = log::entries(&store.view(), from, limit::FETCH_MESSAGES);
    let entries = entries.map_err(|error| error.to_string())?;
    let mut under_way = VecDeque::with_capacity(WINDOW);
    let mut next = from;
    for (sequence, entry) in (from..).zip(entries) {
        if under_way.len() >= WINDOW {
            next = acknowledged(&mut under_way, next).await?;
        }
        let mut headers = HeaderMap::new();
        let id = format!("log-{}", data_encoding::HEXLOWER.encode(&cipher_broker::sign::wire_hash(&entry)));
        headers.insert(header::MESSAGE_ID, id.as_str());
        headers.insert(EXPECTED_LAST_SEQUENCE, sequence.to_string().as_str());
        let sent = context.publish_with_headers(LOG_SUBJECT, headers, entry.into()).await;
        under_way.push_back(sent.map_err(|error| error.to_string())?);
    }
    while !under_way.is_empty() {
        next = acknowledged(&mut under_way, next).await?;
    }
    Ok(next)
}

/// Waits for the oldest acknowledgement; gives the position after it.
async fn acknowledged(
    under_way: &mut VecDeque<jetstream::context::PublishAckFuture>,
    next: u64,
) -> Result<u64, String> {
    let Some(oldest) = under_way.pop_front() else { return Ok(next) };
    let stored = oldest.into_future().await.map_err(|error| error.to_string())?;
    let after = next.saturating_add(1);
    if stored.sequence == after { Ok(after) } else { Err(format!("entry {next} got another place")) }
}
