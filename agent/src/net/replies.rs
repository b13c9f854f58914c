//! Replies to requests that have more than one: one subscription, sorted by the last token of the subject.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, Message, Subscriber, client::SubscribeError};
use futures::StreamExt as _;
use tokio::sync::mpsc;

type Open = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Message>>>>;

/// Hands out reply subjects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Replies {
    open: Open,
    next: Arc<AtomicU64>,
    prefix: Arc<str>,
}

/// The replies to one request. Dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Expected {
    id: u64,
    open: Open,
    pub(crate) subject: String,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
}

impl Replies {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { open: Open::default(), next: Arc::default(), prefix: format!("{prefix}.b.").into() }
    }

    /// Where all of them arrive.
    pub(crate) async fn subscribe(&self, client: &Client) -> Result<Subscriber, SubscribeError> {
        client.subscribe(format!("{}*", self.prefix)).await
    }

    /// Sorts what arrives, for ever.
    pub(crate) async fn sort(&self, mut arriving: Subscriber) {
        while let Some(message) = arriving.next().await {
            let id = message.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = id.and_then(|id| open.get(&id)) {
                // Whoever waited may have given up this moment.
                drop(waiting.send(message));
            }
        }
    }

    /// A fresh reply subject and what arrives on it.
    pub(crate) fn expect(&self) -> Expected {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, messages) = mpsc::unbounded_channel();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        Expected { id, open: Arc::clone(&self.open), subject: format!("{}{id}", self.prefix), messages }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
