//! Commands that were taken and not answered yet: one place for all who wait.
//!
//! Each function takes the struct apart without `..`: a further kind of wait does not compile before it says what
//! becomes of it when the connection or the batch is lost.

use std::collections::BTreeMap;

use cipher_api::{Advice, Error, ErrorKind};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;

use crate::delivery::sync::SyncWait;
use crate::group::JoinWait;
use crate::machine::input::Ticket;

/// Tickets by what their commands wait for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// A message that the broker stores, by its outbox row, and since when.
    pub sends: BTreeMap<u64, (Ticket, Timestamp)>,
    /// A commit that wins, by its intent.
    pub intents: BTreeMap<u64, Ticket>,
    /// A wish to leave that lies in the log of the group.
    pub leaves: BTreeMap<GroupId, Ticket>,
    /// The other side of a device link, and until when.
    pub link: Option<(Ticket, Timestamp)>,
    /// Logs that are read to their end.
    pub syncs: Vec<SyncWait>,
    /// Members who let this account in.
    pub joins: Vec<JoinWait>,
}

/// What a command is answered when the connection goes away under it.
#[derive(Debug)]
pub(super) enum Lost {
    /// The message of this outbox row is queued.
    Queued(u64),
    /// An error that says what becomes of the wish.
    Error(Error),
}

impl Waits {
    /// Ends every wait for the broker: each command, and its answer.
    pub(super) fn disconnected(&mut self) -> Vec<(Ticket, Lost)> {
        let Self { sends, intents, leaves, link, syncs, joins } = std::mem::take(self);
        let away = || ErrorKind::Unreachable.because("the broker cannot be reached");
        let kept = || Lost::Error(away().hint(Advice::ChangeKept));
        let asked = || Lost::Error(away().hint(Advice::JoinKept));
        let queued = sends.into_iter().map(|(row, (ticket, _))| (ticket, Lost::Queued(row)));
        let changes = intents.into_values().chain(leaves.into_values()).chain(link.map(|(ticket, _)| ticket));
        queued
            .chain(changes.map(|ticket| (ticket, kept())))
            .chain(joins.into_iter().map(|wait| (wait.ticket, asked())))
            .chain(syncs.into_iter().map(|wait| (wait.ticket, Lost::Error(away()))))
            .collect()
    }

    /// Every command that waits.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        let Self { sends, intents, leaves, link, syncs, joins } = self;
        sends
            .into_values()
            .map(|(ticket, _)| ticket)
            .chain(intents.into_values())
            .chain(leaves.into_values())
            .chain(link.map(|(ticket, _)| ticket))
            .chain(syncs.into_iter().map(|wait| wait.ticket))
            .chain(joins.into_iter().map(|wait| wait.ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_lost_ends_every_wait_once() {
        let mut waits = Waits { link: Some((Ticket(4), Timestamp::default())), ..Waits::default() };
        waits.sends.insert(7, (Ticket(1), Timestamp::default()));
        waits.intents.insert(8, Ticket(2));
        waits.leaves.insert(GroupId::from_bytes([1; 16]), Ticket(3));
        let ended = waits.disconnected();
        let tickets: Vec<Ticket> = ended.iter().map(|(ticket, _)| *ticket).collect();
        assert_eq!(tickets, [Ticket(1), Ticket(2), Ticket(3), Ticket(4)]);
        assert!(matches!(ended.first(), Some((_, Lost::Queued(7)))), "a message stays in the outbox");
        assert!(waits.disconnected().is_empty());
    }
}
