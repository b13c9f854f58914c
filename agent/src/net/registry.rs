//! Carries a signed question to the registry and its answer back. Reads neither.

use std::sync::Arc;

use async_nats::Request;
use async_nats::client::RequestErrorKind;
use cipher_broker::{limit, subject};
use cipher_core::{Input, NoReply, QuestionId};

use crate::net::connect::{Link, Network};
use crate::runtime::mailbox::Mailbox;

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
    if matches!(*network.link.borrow(), Link::Down(_)) {
        return Err(NoReply);
    }
    let request = Request::new().payload(bytes.into()).timeout(Some(network.registry_timeout));
    match network.client.send_request(subject::registry(operation), request).await {
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
