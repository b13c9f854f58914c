//! What is known of people while the process runs, and learned again by the next one.

use std::collections::BTreeMap;

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;

use crate::people::presence::Presences;

/// Nothing here is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(super) presence: Presences,
    /// Accounts that the registry said it does not know, and when.
    pub(super) not_found: BTreeMap<AccountId, Timestamp>,
    /// When fellow members without a handle were asked for last on this connection.
    pub(super) unnamed_asked_at: Option<Timestamp>,
}

impl Run {
    /// An account that was not found is there after all.
    pub(crate) fn is_found(&mut self, account: &AccountId) {
        self.not_found.remove(account);
    }
}
