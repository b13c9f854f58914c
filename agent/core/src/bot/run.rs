//! Who waits for bots while the process runs, derived again by the next one.

use std::collections::BTreeMap;

use cipher_broker::id::GroupId;

use crate::bot::name::Nameless;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Turns of the bots' conversations in which something waits.
    pub(super) due: BTreeMap<(String, GroupId), u64>,
    /// Conversations in which bots wait for the name of an account.
    pub(super) nameless: BTreeMap<GroupId, Nameless>,
}
