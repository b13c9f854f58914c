//! Fetches the pieces of a sealed ratchet tree by name.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use cipher_broker::id::GroupId;
use cipher_broker::limit;
use cipher_broker::subject::Route;
use cipher_core::Input;

use crate::net::connect::Network;
use crate::runtime::mailbox::Mailbox;

/// How long one piece may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Fetches all pieces and tells the core: all of them, or that one is missing yet.
pub(crate) async fn fetch(network: Network, mailbox: Arc<Mailbox>, group: GroupId, epoch: u64, pieces: u32) {
    let pieces = all(&network, group, epoch, pieces).await;
    mailbox.push(Input::TreeFetched { group, epoch, pieces });
}

async fn all(network: &Network, group: GroupId, epoch: u64, count: u32) -> Option<Vec<Vec<u8>>> {
    if count > limit::TREE_CHUNKS {
        return None;
    }
    let mut pieces = Vec::new();
    for piece in 0..count {
        pieces.push(one(network, Route::Tree { group, epoch, piece }).await?);
    }
    Some(pieces)
}

async fn one(network: &Network, route: Route) -> Option<Vec<u8>> {
    // A get by subject gives the last message of it, and there should be only one.
    let subject = format!("$JS.API.DIRECT.GET.{}.{route}", route.stream());
    let request = Request::new().timeout(Some(PATIENCE));
    let reply = network.client().await.send_request(subject, request).await.ok()?;
    // Any status means that there is no such message on the replica that answered.
    reply.status.is_none().then(|| reply.payload.into())
}
