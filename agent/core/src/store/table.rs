//! Every table on one page: the schema of a profile.

use std::collections::BTreeSet;

use redb::{ReadTransaction, TableDefinition, TableHandle, WriteTransaction};

use crate::error::Result;
use crate::store::storage;

/// Format of the file. Rows carry the version byte of [`cipher_broker::codec`] besides.
pub(crate) const SCHEMA: u32 = 1;

/// Single values: `schema`, `identity`, `counters`, `profile`.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Rows of OpenMLS: label byte and its key → its value.
pub(crate) const MLS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("mls");
/// Group id → [`crate::state::GroupRow`].
pub(crate) const GROUPS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("groups");
/// Group id → [`crate::state::InviteRow`].
pub(crate) const INVITES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("invites");
/// Account id → [`crate::state::AccountRow`].
pub(crate) const ACCOUNTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");
/// Outbox id, big-endian → [`crate::state::OutboxRow`].
pub(crate) const OUTBOX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("outbox");
/// Intent id, big-endian → [`crate::state::IntentRow`].
pub(crate) const INTENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("intents");
/// (Group id, [`crate::position`], place within it) → [`crate::content::history::MessageRow`].
pub(crate) const MESSAGES: TableDefinition<'_, (&[u8; 16], u64, u16), &[u8]> =
    TableDefinition::new("messages");
/// (Group id, message id) → position: what was shown already.
pub(crate) const SEEN: TableDefinition<'_, (&[u8; 16], &[u8; 16]), u64> = TableDefinition::new("seen");
/// (Group id, position) → envelope of an epoch that has not begun here.
pub(crate) const PARKED: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("parked");
/// Bot name and group id → [`crate::state::BotRow`].
pub(crate) const BOTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bots");
/// Number, big-endian → [`crate::watch::evidence::EvidenceRow`].
pub(crate) const EVIDENCE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("evidence");
/// Group id → [`crate::group::JoinRow`]: own requests to join by a link.
pub(crate) const JOINS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("joins");
/// Number, big-endian → [`crate::group::JoinRequestRow`]: others' requests that wait for an answer.
pub(crate) const JOIN_REQUESTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("join-requests");
/// Number, big-endian → [`crate::group::RejoinRow`]: others' requests to come back.
pub(crate) const REJOINS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rejoins");
/// Device id → [`crate::own::history_transfer::TransferRow`]: history on its way to a device of ours.
pub(crate) const TRANSFERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("transfers");
/// First bytes of the SHA-256 of a one-time key package → [`crate::state::PackageRow`].
pub(crate) const PACKAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("packages");

/// Number, big-endian → [`crate::state::PostedRow`]: invitations that left.
pub(crate) const POSTED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("posted");
/// Account id → nothing: fellow members whose handle is still to be asked for.
pub(crate) const UNNAMED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("unnamed");
/// Group id → [`crate::group::MissingRow`]: what a log that went back lost.
pub(crate) const MISSING: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("missing");
/// (Group id, epoch) → [`crate::delivery::ledger::KeptRow`]: the commit that ended the epoch.
pub(crate) const COMMITS: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("commits");
/// (Group id, beginning of a hash) → [`crate::delivery::ledger::SentRow`]: bytes that this store sealed.
pub(crate) const SENT: TableDefinition<'_, (&[u8; 16], &[u8; 16]), &[u8]> = TableDefinition::new("sent");

/// Tables of one kind, for the two functions below.
const SINGLES: [TableDefinition<'_, &[u8], &[u8]>; 16] = [
    MLS,
    GROUPS,
    INVITES,
    ACCOUNTS,
    OUTBOX,
    INTENTS,
    BOTS,
    EVIDENCE,
    JOINS,
    JOIN_REQUESTS,
    REJOINS,
    TRANSFERS,
    PACKAGES,
    POSTED,
    UNNAMED,
    MISSING,
];

/// Creates every table, so that later reads need not care.
pub(crate) fn create_all(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(META).map_err(storage)?;
    for table in SINGLES {
        txn.open_table(table).map_err(storage)?;
    }
    txn.open_table(MESSAGES).map_err(storage)?;
    txn.open_table(SEEN).map_err(storage)?;
    txn.open_table(PARKED).map_err(storage)?;
    txn.open_table(COMMITS).map_err(storage)?;
    txn.open_table(SENT).map_err(storage)?;
    Ok(())
}

/// Whether every table is there: a store of an earlier build lacks those that came later.
pub(crate) fn all_there(read: &ReadTransaction) -> Result<bool> {
    let there: BTreeSet<String> =
        read.list_tables().map_err(storage)?.map(|table| table.name().to_owned()).collect();
    let others = [META.name(), MESSAGES.name(), SEEN.name(), PARKED.name(), COMMITS.name(), SENT.name()];
    Ok(SINGLES.iter().map(TableHandle::name).chain(others).all(|name| there.contains(name)))
}

#[cfg(test)]
mod tests {
    use redb::ReadableDatabase as _;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Store;

    /// E12: an upgrade from any earlier build.
    #[test]
    fn e12_a_store_that_lacks_any_table_that_came_later_is_not_complete_until_it_was_made() {
        let store = Store::open_on(InMemoryBackend::new()).unwrap();
        let complete = || all_there(&store.db().begin_read().unwrap()).unwrap();
        for table in SINGLES {
            assert!(complete());
            store.write(|txn| txn.delete_table(table).map(drop).map_err(storage)).unwrap();
            assert!(!complete(), "{}", table.name());
            store.write(create_all).unwrap();
        }
        assert!(complete());
    }
}
