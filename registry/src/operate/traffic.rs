//! `traffic`: what the broker sees. Walks the streams without changing anything.

use async_nats::{Client, Message};
use cipher_broker::header;
use cipher_broker::stream;
use cipher_broker::subject::ROOM_STREAM;
use serde::Serialize;

use crate::batch;

/// Bytes of a message that are shown.
const HEAD: usize = 16;

/// One stored message as anybody with the broker's disk sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// The stream.
    pub stream: String,
    /// Position in the stream.
    pub sequence: u64,
    /// The subject.
    pub subject: String,
    /// Bytes of the payload.
    pub size: usize,
    /// When the broker stored it, RFC 3339.
    pub time: String,
    /// The first 16 bytes in hex.
    pub head: String,
}

/// The newest `limit` stored messages of all streams, oldest first.
pub async fn traffic(client: &Client, limit: usize) -> Result<Vec<Stored>, String> {
    let context = async_nats::jetstream::new(client.clone());
    let mut all = Vec::new();
    for spec in stream::all(1).into_iter().filter(|spec| spec.name != ROOM_STREAM) {
        let stream =
            context.get_stream(&spec.name).await.map_err(|error| format!("{}: {error}", spec.name))?;
        let state = &stream.cached_info().state;
        if state.messages > 0 {
            let newest = u64::try_from(limit).unwrap_or(u64::MAX);
            let after =
                state.last_sequence.saturating_sub(newest).max(state.first_sequence.saturating_sub(1));
            walk(client, &spec.name, after.saturating_add(1), state.last_sequence, &mut all).await?;
        }
    }
    all.sort_by_cached_key(|stored| (moment(&stored.time), stored.stream.clone(), stored.sequence));
    let surplus = all.len().saturating_sub(limit);
    Ok(all.split_off(surplus))
}

/// Reads the messages from `next` to `last`, batch after batch.
async fn walk(
    client: &Client,
    stream: &str,
    mut next: u64,
    last: u64,
    all: &mut Vec<Stored>,
) -> Result<(), String> {
    while next <= last {
        let messages = batch::read(client, stream, next).await?;
        let Some((newest, _)) = messages.last() else { return Ok(()) };
        next = newest.saturating_add(1);
        // Those that arrived meanwhile belong to the next look.
        for (sequence, message) in messages.iter().filter(|(sequence, _)| *sequence <= last) {
            let stored = read(stream, *sequence, message);
            all.push(stored.ok_or_else(|| format!("{stream}: a message without subject or time"))?);
        }
    }
    Ok(())
}

fn read(stream: &str, sequence: u64, message: &Message) -> Option<Stored> {
    Some(Stored {
        stream: stream.to_owned(),
        sequence,
        subject: batch::text(message, header::SUBJECT)?,
        size: message.payload.len(),
        time: batch::text(message, header::TIME_STAMP)?,
        head: data_encoding::HEXLOWER.encode(message.payload.get(..HEAD).unwrap_or(&message.payload)),
    })
}

/// A key that sorts RFC 3339 times in UTC: the broker leaves out trailing zeros of the fraction.
fn moment(time: &str) -> (String, String) {
    let time = time.trim_end_matches('Z');
    let (second, fraction) = time.split_once('.').unwrap_or((time, ""));
    (second.to_owned(), format!("{fraction:0<9}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_although_the_broker_shortens_fractions() {
        let sorted = ["2026-01-01T00:00:05Z", "2026-01-01T00:00:05.1Z", "2026-01-01T00:00:05.12Z"];
        assert!(sorted.is_sorted_by_key(|time| moment(time)));
        assert!(moment(sorted[2]) < moment("2026-01-01T00:00:06.000000001Z"));
    }
}
