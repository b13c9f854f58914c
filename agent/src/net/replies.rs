//! Replies to requests that have more than one: one subscription, sorted by the last token of the subject.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, Message, client::SubscribeError};
use futures::StreamExt as _;
use tokio::sync::mpsc;

use crate::runtime::task::Tasks;

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
    pub(crate) async fn start(client: &Client, prefix: &str, tasks: &Tasks) -> Result<Self, SubscribeError> {
        let prefix: Arc<str> = format!("{prefix}.b.").into();
        let mut arriving = client.subscribe(format!("{prefix}*")).await?;
        let open = Open::default();
        let sorted = Arc::clone(&open);
        tasks.spawn("replies", async move {
            while let Some(message) = arriving.next().await {
                let id = message.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
                let open = sorted.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(waiting) = id.and_then(|id| open.get(&id)) {
                    // Whoever waited may have given up this moment.
                    drop(waiting.send(message));
                }
            }
        });
        Ok(Self { open, next: Arc::default(), prefix })
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
