//! Carries a signed question to the registry and its answer back. Reads neither.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use async_nats::client::RequestErrorKind;
use cipher_broker::subject::INBOX_PREFIX;
use cipher_broker::{limit, subject};
use cipher_core::{Input, NoReply, QuestionId};

use crate::net::connect::Network;
use crate::net::jitter;
use crate::net::link::Reach;
use crate::net::token;
use crate::runtime::mailbox::Mailbox;

/// Pauses while nobody listens: a registry may be restarting, and in a cluster a server that just started learns of
/// it from the others.
const ABSENT: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];

/// Asks and tells the core what came, or that nothing came.
pub(crate) async fn ask(
    network: Network,
    mailbox: Arc<Mailbox>,
    question: QuestionId,
    operation: &'static str,
    bytes: Vec<u8>,
) {
    let outcome = answer(&network, operation, bytes).await;
    mailbox.push(Input::Answered { question, outcome });
}

async fn answer(network: &Network, operation: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, NoReply> {
    if matches!(*network.link.borrow(), Reach::Down(_)) {
        return Err(NoReply);
    }
    let bytes = bytes::Bytes::from(bytes);
    let client =
        tokio::time::timeout(network.registry_timeout, network.client()).await.map_err(|_| NoReply)?;
    let mut pauses = ABSENT.iter();
    let reply = loop {
        // An inbox that serves once: who listens to all inboxes sees what is answered, and not who asked (F9).
        let inbox = format!("{INBOX_PREFIX}.{}", token::unguessable());
        let request =
            Request::new().payload(bytes.clone()).inbox(inbox).timeout(Some(network.registry_timeout));
        let reply = client.send_request(subject::registry(operation), request).await;
        match &reply {
            // Nobody got it, so the same request may be made again.
            Err(error) if error.kind() == RequestErrorKind::NoResponders => match pauses.next() {
                Some(pause) => tokio::time::sleep(jitter::jittered(*pause)).await,
                None => break reply,
            },
            _ => break reply,
        }
    };
    match reply {
        Ok(reply) if reply.payload.len() <= limit::REGISTRY_BYTES => Ok(reply.payload.into()),
        Ok(_) => {
            tracing::warn!(operation, "the registry's reply is too large");
            Err(NoReply)
        }
        Err(error) => {
            let absent = error.kind() == RequestErrorKind::NoResponders;
            tracing::warn!(operation, absent, "the registry does not answer");
            Err(NoReply)
        }
    }
}
