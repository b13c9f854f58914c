//! Reads stored messages in batches (ADR-31), without a consumer and without changing anything.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use cipher_broker::header;
use cipher_broker::limit;
use futures::StreamExt;
use serde_json::json;

/// Time for the next message of a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// Status that ends a batch.
const END_OF_BATCH: u16 = 204;

/// One batch of a stream from a sequence on, each with its sequence. Empty: there is nothing from there on, or the
/// replica that answered does not have it yet.
pub(crate) async fn read(client: &Client, stream: &str, from: u64) -> Result<Vec<(u64, Message)>, String> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    let ask = json!({ "seq": from, "batch": limit::FETCH_MESSAGES, "max_bytes": limit::FETCH_BYTES });
    client
        .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, ask.to_string().into())
        .await
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    loop {
        let Ok(Some(reply)) = tokio::time::timeout(PATIENCE, replies.next()).await else {
            return Err(format!("{stream}: the broker does not answer"));
        };
        match reply.status.map(|status| status.as_u16()) {
            None | Some(200) => {
                let sequence = text(&reply, header::SEQUENCE).and_then(|text| text.parse().ok());
                let sequence = sequence
                    .ok_or_else(|| format!("{stream}: the broker sent something else than a message"))?;
                found.push((sequence, reply));
            }
            // Everything from here on has expired meanwhile, or was never there.
            Some(END_OF_BATCH | 404) => return Ok(found),
            Some(other) => return Err(format!("{stream}: the broker answers with status {other}")),
        }
    }
}

/// A header of a message.
pub(crate) fn text(message: &Message, name: &'static str) -> Option<String> {
    HeaderMap::get(message.headers.as_ref()?, name).map(|value| value.as_str().to_owned())
}
