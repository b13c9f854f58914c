//! What was asked and told while the process runs, and is asked and told again by the next one.

use std::collections::BTreeSet;

use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// It was told since the start that this machine's clock is wrong.
    pub(super) clock_told: bool,
    /// Evidence was told since the start.
    pub(super) evidence_told: bool,
    /// Heads of the account log that were proven to be beginnings of the accepted one.
    pub(super) proven: BTreeSet<(u64, [u8; 32])>,
    /// When proofs were last asked for, on this connection.
    pub(super) proof_asked_at: Option<Timestamp>,
    /// The registry said that it has no more entries than this.
    pub(super) proof_cap: Option<u64>,
    /// Groups in which somebody uses another registry.
    pub(super) foreign_gossip: BTreeSet<GroupId>,
    /// Known accounts to ask for again, because their statements may have been missed.
    pub(super) refetch: BTreeSet<AccountId>,
    /// Statements that this device made since the start, by their leaf: no news when the log brings them.
    pub(super) own_statements: BTreeSet<[u8; 32]>,
    /// When the own account was last asked for, on this connection.
    pub(super) own_asked_at: Option<Timestamp>,
}

impl Run {
    /// This device states something: no news when the log brings it.
    pub(crate) fn states(&mut self, leaf: [u8; 32]) {
        self.own_statements.insert(leaf);
    }

    /// Whether this device stated it.
    pub(crate) fn stated(&self, leaf: &[u8; 32]) -> bool {
        self.own_statements.contains(leaf)
    }
}
