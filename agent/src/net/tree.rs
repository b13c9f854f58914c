//! Fetches the pieces of a sealed ratchet tree by name.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::sign::wire_hash;
use cipher_broker::subject::Route;
use cipher_core::Input;

use crate::net::connect::Network;
use crate::net::fetch;
use crate::runtime::mailbox::Mailbox;

/// Pages of a subject that are looked through for one piece.
const PAGES: usize = 64;

/// How long one piece may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Fetches all pieces and tells the core: all of them, or that one is missing yet.
pub(crate) async fn fetch(
    network: Network,
    mailbox: Arc<Mailbox>,
    group: GroupId,
    epoch: u64,
    pieces: u32,
    hashes: Vec<[u8; 32]>,
) {
    let pieces = all(&network, group, epoch, pieces, &hashes).await;
    mailbox.push(Input::TreeFetched { group, epoch, pieces });
}

async fn all(
    network: &Network,
    group: GroupId,
    epoch: u64,
    count: u32,
    hashes: &[[u8; 32]],
) -> Option<Vec<Vec<u8>>> {
    if count > limit::TREE_CHUNKS {
        return None;
    }
    let mut pieces = Vec::new();
    for piece in 0..count {
        let hash = usize::try_from(piece).ok().and_then(|piece| hashes.get(piece));
        pieces.push(one(network, Route::Tree { group, epoch, piece }, hash).await?);
    }
    Some(pieces)
}

async fn one(network: &Network, route: Route, hash: Option<&[u8; 32]>) -> Option<Vec<u8>> {
    // A get by subject gives the last message of it, and mostly there is only one.
    let subject = format!("$JS.API.DIRECT.GET.{}.{route}", route.stream());
    let request = Request::new().timeout(Some(PATIENCE));
    let reply = network.client().await.send_request(subject, request).await.ok()?;
    // Any status means that there is no such message on the replica that answered.
    let last: Vec<u8> = reply.status.is_none().then(|| reply.payload.into())?;
    match hash {
        Some(hash) if wire_hash(&last) != *hash => among(network, route, hash).await,
        Some(_) | None => Some(last),
    }
}

/// The message with this hash among all on a subject: anybody may have stored something before or behind it (F7).
async fn among(network: &Network, route: Route, hash: &[u8; 32]) -> Option<Vec<u8>> {
    let (stream, subject) = (route.stream(), route.to_string());
    let mut from = 1;
    for _ in 0..PAGES {
        let page = fetch::page(network, &stream, &subject, from).await.ok()?;
        from = page.messages.last()?.sequence.saturating_add(1);
        if let Some(found) = page.messages.into_iter().find(|stored| wire_hash(&stored.bytes) == *hash) {
            return Some(found.bytes.into());
        }
        if !page.more {
            return None;
        }
    }
    None
}
