//! Leaves a server that has lost its cluster: it keeps its clients and answers pings, and no stream takes anything.
//!
//! Asked is by a message that no stream can take: it is fenced on a sequence that does not exist. A stream with a leader
//! says so, which costs nothing and stores nothing; without one there is no answer, or "no responders". While single
//! streams elect a leader others answer: only when most do not is the server left, and only if there is another one.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Request, StatusCode};
use cipher_broker::header;
use cipher_broker::id::DeviceId;
use cipher_broker::subject::Route;
use cipher_connection::{Dial, Trouble};
use futures::future::join_all;
use rand_core::{OsRng, RngCore as _};
use tokio::sync::{SetOnce, watch};

use crate::net::jitter;
use crate::net::link::Reach;
use crate::runtime::mailbox::Mailbox;

/// How often a server is looked at, and by how many streams.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const LOOK_AT: u8 = 2;
/// How many streams decide.
const JURY: u8 = 9;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the watch needs of the connection.
pub(crate) struct Watch {
    pub(crate) client: Arc<SetOnce<Client>>,
    pub(crate) dial: Arc<Dial>,
    pub(crate) link: Arc<watch::Sender<Reach>>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Watch {
    /// Runs for ever.
    pub(crate) async fn run(self) {
        let client = self.client.wait().await;
        loop {
            tokio::time::sleep(jitter::jittered(LOOK_EVERY)).await;
            if !self.link.borrow().is_up() || silent(client, LOOK_AT).await == 0 {
                continue;
            }
            let before = self.link.borrow().clone();
            let lost = silent(client, JURY).await > JURY / 2;
            // The connection may be another one by now.
            if !lost || *self.link.borrow() != before || !before.is_up() || !self.dial.shun() {
                continue;
            }
            tracing::warn!("the server has lost its cluster; going to another one");
            self.mailbox.disconnected();
            self.link.send_replace(Reach::Down(Trouble::NoCluster));
            // Whoever tells people why must see it before the connection moves on.
            tokio::task::yield_now().await;
            if client.force_reconnect().await.is_err() {
                return;
            }
        }
    }
}

/// How many of so many streams do not answer.
async fn silent(client: &Client, streams: u8) -> u8 {
    let [first, ..] = OsRng.next_u32().to_le_bytes();
    let asked = (0..streams).map(|nth| {
        // Another shard each: they follow from this byte.
        answers(client, first.wrapping_add(nth.wrapping_mul(17)))
    });
    let silent = join_all(asked).await.into_iter().filter(|answers| !answers).count();
    u8::try_from(silent).unwrap_or(u8::MAX)
}

/// Whether a stream has a leader that this server can reach.
async fn answers(client: &Client, first: u8) -> bool {
    // Nobody's inbox: what is fenced like this is refused whoever it is for.
    let mut device = [first; 16];
    if let Some(rest) = device.get_mut(1..) {
        OsRng.fill_bytes(rest);
    }
    let route = Route::Inbox(DeviceId::from_bytes(device));
    let mut headers = HeaderMap::new();
    headers.insert(header::EXPECTED_LAST_SUBJECT_SEQUENCE, IMPOSSIBLE);
    let request = Request::new().headers(headers).timeout(Some(PATIENCE));
    match client.send_request(route.to_string(), request).await {
        Ok(reply) => reply.status != Some(StatusCode::NO_RESPONDERS),
        // Our own queue to the server is full or closed: that says nothing of the cluster.
        Err(error) => !matches!(error.kind(), RequestErrorKind::NoResponders | RequestErrorKind::TimedOut),
    }
}

/// A sequence that no subject reaches.
const IMPOSSIBLE: &str = "9007199254740991";
