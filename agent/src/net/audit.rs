//! What an auditor fetches: the published account log from its first entry, and a head that the registry signs now.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::subject::{self, Source};
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::registry::{Operation, RequestBody, open_reply, seal_request};
use cipher_connection::Trouble;
use cipher_core::Interest;
use ed25519_dalek::SigningKey;
use rand_core::{OsRng, RngCore as _};
use tokio::sync::mpsc;

use crate::net::connect::{self, Network};
use crate::net::fetch;
use crate::net::jitter;
use crate::net::link::Reach;
use crate::net::settings::NetworkSettings;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::task::Tasks;
use crate::runtime::timer::now;

/// How long to wait for the broker.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often an entry that must exist is asked for: the registry publishes a moment after it signs.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// A connection to read the log by. It has no profile and sends nothing but questions.
#[derive(Debug)]
pub(crate) struct LogConnection {
    network: Network,
    tasks: Tasks,
}

impl LogConnection {
    /// Connects.
    pub(crate) async fn start(settings: &NetworkSettings) -> Result<Self, Error> {
        let tasks = Tasks::default();
        // Nobody is told of the connection, and nothing is published that could be refused.
        let (violations, _) = mpsc::unbounded_channel();
        let mailbox = Arc::new(Mailbox::default());
        let network = Network::start(settings, Interest::Outbox, mailbox, violations, &tasks)?;
        let connected = tokio::time::timeout(PATIENCE, network.settled()).await.unwrap_or(false);
        if !connected {
            let why = match &*network.link.borrow() {
                Reach::Down(why) => why.clone(),
                Reach::Pending | Reach::Up(_) => Trouble::Slow,
            };
            return Err(connect::unreachable(&network.servers, &why));
        }
        Ok(Self { network, tasks })
    }

    /// The head that the registry shows now, and the key that signed the reply around it.
    pub(crate) async fn head(&self, registry_key: &[u8; 32]) -> Result<SignedHead, Error> {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        let (mut nonce, mut device) = ([0; 16], [0; 16]);
        OsRng.fill_bytes(&mut nonce);
        OsRng.fill_bytes(&mut device);
        let key = SigningKey::from_bytes(&seed);
        let body = RequestBody {
            nonce,
            issued_at: now(),
            account: AccountId::of_key(&key.verifying_key().to_bytes()),
            device: DeviceId::from_bytes(device),
            operation: Operation::Ping,
        };
        let bytes = seal_request(&body, &key);
        let request = async_nats::Request::new()
            .payload(bytes.clone().into())
            .timeout(Some(self.network.registry_timeout));
        let subject = subject::registry(Operation::Ping.name());
        let reply = self.network.client().await.send_request(subject, request).await.map_err(|error| {
            ErrorKind::Unreachable
                .because("the registry does not answer")
                .hint(Hint::text("is cipher-registry running?"))
                .caused_by(error)
        })?;
        let body = open_reply(&reply.payload, &bytes, Some(registry_key)).map_err(|error| {
            ErrorKind::Trust.because_of("an answer was not from the known registry", error).hint(Hint::text(
                "if the registry's key was replaced on purpose, name it with --registry-key",
            ))
        })?;
        body.head.ok_or_else(|| {
            ErrorKind::Unreachable
                .because("the registry shows no head of the account log")
                .hint(Hint::text("it may be of an older version; ask its operator"))
        })
    }

    /// Published entries from `from` (counted from 0) on, at most one batch; none at the end. While fewer than
    /// `promised` entries are there, it is asked again for a while.
    pub(crate) async fn entries(&self, from: u64, promised: u64) -> Result<Vec<Bytes>, Error> {
        let (stream, filter) = (Source::Log.stream(), Source::Log.filter());
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match fetch::page(&self.network, &stream, &filter, from.saturating_add(1)).await {
                Ok(page) if page.messages.is_empty() && from < promised => last = None,
                Ok(page) => return in_order(page, from),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(jitter::jittered(PAUSE)).await;
        }
        match last {
            // The auditor says what it means.
            None => Ok(Vec::new()),
            Some(error) => Err(ErrorKind::Unreachable
                .because_of("the account log cannot be read", error)
                .hint(Hint::text(
                    "the registry makes its stream; is it of this version, and may this login read it?",
                ))),
        }
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.tasks.end().await;
    }
}

/// Entry `n` has sequence `n + 1`: a hole is an entry that somebody took away.
fn in_order(page: fetch::Page, from: u64) -> Result<Vec<Bytes>, Error> {
    let mut entries = Vec::with_capacity(page.messages.len().min(limit::FETCH_MESSAGES));
    for (expected, stored) in (from.saturating_add(1)..).zip(page.messages) {
        if stored.sequence != expected {
            return Err(ErrorKind::Trust
                .because(format!("entry {} of the published account log is gone", expected.saturating_sub(1)))
                .hint(Hint::text(
                    "the log is kept for ever, so an entry was deleted; tell your operator and others",
                )));
        }
        entries.push(stored.bytes);
    }
    Ok(entries)
}
