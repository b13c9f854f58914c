//! Doorbells and what else is heard beside a log.

use async_nats::{Message, Subscriber};
use cipher_broker::header;
use futures::StreamExt as _;

use crate::net::fetch;

/// What bells said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// The highest sequence.
    pub(super) sequence: u64,
    /// The highest one of an entry that was the first on its subject; 0 for none.
    pub(super) first: u64,
}

impl Rung {
    /// What one bell says.
    pub(super) fn of(bell: &Message) -> Self {
        let sequence = fetch::number(bell, header::SEQUENCE).unwrap_or(0);
        let first = fetch::number(bell, header::LAST_SEQUENCE) == Some(0);
        Self { sequence, first: if first { sequence } else { 0 } }
    }

    /// What both said.
    pub(super) fn and(self, other: Self) -> Self {
        Self { sequence: self.sequence.max(other.sequence), first: self.first.max(other.first) }
    }
}

/// The next message of a subscription; `None` while there is none.
pub(super) async fn next_of(subscriber: &mut Option<Subscriber>) -> Option<Message> {
    match subscriber {
        Some(open) => open.next().await,
        None => None,
    }
}

/// The next bell; none rings while none is listened to.
pub(super) async fn rung_by(bells: &mut Option<Subscriber>) -> Option<Message> {
    match bells {
        Some(open) => open.next().await,
        None => std::future::pending().await,
    }
}
