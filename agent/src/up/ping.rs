//! Asks the registry whether it is there, the way an agent would.

use std::time::Duration;

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::subject;
use cipher_broker::wire::registry::{Operation, RequestBody, open_reply, seal_request};
use ed25519_dalek::SigningKey;
use rand_core::{OsRng, RngCore};
use tokio::time::Instant;

use crate::runtime::timer::now;

/// How long one attempt may take, and how long all.
const ATTEMPT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// The registry's public key, once it answers as an agent would hear it; `None` when it does not.
pub(super) async fn registry_key(client: &async_nats::Client) -> Option<[u8; 32]> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(key) = ping(client).await {
            return Some(key);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

async fn ping(client: &async_nats::Client) -> Option<[u8; 32]> {
    let mut random = [0; 64];
    OsRng.fill_bytes(&mut random);
    let (seed, rest) = random.split_first_chunk::<32>()?;
    let (nonce, rest) = rest.split_first_chunk::<16>()?;
    let key = SigningKey::from_bytes(seed);
    let body = RequestBody {
        nonce: *nonce,
        issued_at: now(),
        account: AccountId::of_key(&key.verifying_key().to_bytes()),
        device: DeviceId::from_slice(rest).ok()?,
        operation: Operation::Ping,
    };
    let bytes = seal_request(&body, &key);
    let request = async_nats::Request::new().payload(bytes.clone().into()).timeout(Some(ATTEMPT));
    let reply = client.send_request(subject::registry(Operation::Ping.name()), request).await.ok()?;
    // A refusal is an answer too: it is there.
    open_reply(&reply.payload, &bytes, None).ok().map(|reply| reply.registry_key)
}
