//! Every table on one page: the schema of a profile.

use std::collections::BTreeSet;

use cipher_api::Result;
use redb::{ReadTransaction, TableDefinition, TableHandle, WriteTransaction};

use crate::store::storage;

/// Format of the file. Rows carry the version byte of [`cipher_broker::codec`] besides.
pub(crate) const SCHEMA: u32 = 1;

/// Single values: `schema`, `identity`, `counters`, `profile`.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Rows of OpenMLS: label byte and its key → its value.
pub(crate) const MLS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("mls");
/// (Group id, [`crate::position`], place within it) → [`crate::state::MessageRow`].
pub(crate) const MESSAGES: TableDefinition<'_, (&[u8; 16], u64, u16), &[u8]> =
    TableDefinition::new("messages");
/// (Group id, message id) → position: what was shown already.
pub(crate) const SEEN: TableDefinition<'_, (&[u8; 16], &[u8; 16]), u64> = TableDefinition::new("seen");
/// (Group id, position) → envelope of an epoch that has not begun here.
pub(crate) const PARKED: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("parked");
/// Bot name and group id → [`crate::state::BotRow`].
pub(crate) const BOTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bots");
/// (Group id, epoch) → [`crate::state::KeptRow`]: the commit that ended the epoch.
pub(crate) const COMMITS: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("commits");
/// (Group id, beginning of a hash) → [`crate::state::SentRow`]: bytes that this store sealed.
pub(crate) const SENT: TableDefinition<'_, (&[u8; 16], &[u8; 16]), &[u8]> = TableDefinition::new("sent");
/// Number of the first of them → facts of the events of one batch ([`crate::state::Fact`]).
pub(crate) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
/// Name → [`crate::state::SubscriberRow`].
pub(crate) const SUBSCRIBERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subscribers");

/// The one list of the tables whose rows live in memory: constant, field of [`crate::state::State`], name in the file,
/// key and row. What a table needs (its definition, its creation, loading, writing) derives from its line here.
macro_rules! row_tables {
    ($then:ident) => {
        $then! {
            /// Group id.
            GROUPS groups "groups" GroupId => GroupRow;
            /// Group id.
            INVITES invites "invites" GroupId => InviteRow;
            /// Account id.
            ACCOUNTS accounts "accounts" AccountId => AccountRow;
            /// Outbox id.
            OUTBOX outbox "outbox" u64 => OutboxRow;
            /// Intent id.
            INTENTS intents "intents" u64 => IntentRow;
            /// Number.
            EVIDENCE evidence "evidence" u64 => EvidenceRow;
            /// Group id: own requests to join by a link.
            JOINS joins "joins" GroupId => JoinRow;
            /// Number: requests of others that wait for an answer.
            JOIN_REQUESTS join_requests "join-requests" u64 => JoinRequestRow;
            /// Number: requests of others to come back.
            REJOINS rejoins "rejoins" u64 => RejoinRow;
            /// Device id: history on its way to a device of this account.
            TRANSFERS transfers "transfers" DeviceId => TransferRow;
            /// First bytes of the SHA-256 of a one-time key package.
            PACKAGES packages "packages" u64 => PackageRow;
            /// Number: invitations that left.
            POSTED posted "posted" u64 => PostedRow;
            /// Account id: fellow members whose handle is still to be asked for, which neither the end of the process nor
            /// a registry that is away makes this device forget.
            UNNAMED unnamed "unnamed" AccountId => ();
            /// Group id: what a log that went back lost.
            MISSING missing "missing" GroupId => MissingRow;
            /// Group id and message id: changes of messages that are not here yet.
            CHANGES changes "changes" (GroupId, MessageId) => ChangesRow;
            /// Turn: conversations in which a bot has something to handle, the next one first.
            DUE due "due" u64 => DueRow;
        }
    };
}
pub(crate) use row_tables;

macro_rules! define {
    ($($(#[$doc:meta])* $table:ident $field:ident $name:literal $key:ty => $row:ty;)*) => {
        $($(#[$doc])* pub(crate) const $table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new($name);)*

        /// Tables with plain keys.
        const SINGLES: &[TableDefinition<'_, &[u8], &[u8]>] = &[MLS, BOTS, SUBSCRIBERS, $($table),*];
    };
}
row_tables!(define);

/// Creates every table, so that later reads need not care.
pub(crate) fn create_all(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(META).map_err(storage)?;
    for table in SINGLES {
        txn.open_table(*table).map_err(storage)?;
    }
    txn.open_table(MESSAGES).map_err(storage)?;
    txn.open_table(SEEN).map_err(storage)?;
    txn.open_table(PARKED).map_err(storage)?;
    txn.open_table(COMMITS).map_err(storage)?;
    txn.open_table(SENT).map_err(storage)?;
    txn.open_table(JOURNAL).map_err(storage)?;
    Ok(())
}

/// Whether every table is there: a store of an earlier build lacks those that came later.
pub(crate) fn all_there(read: &ReadTransaction) -> Result<bool> {
    let there: BTreeSet<String> =
        read.list_tables().map_err(storage)?.map(|table| table.name().to_owned()).collect();
    let others = [
        META.name(),
        MESSAGES.name(),
        SEEN.name(),
        PARKED.name(),
        COMMITS.name(),
        SENT.name(),
        JOURNAL.name(),
    ];
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
            store.write(|txn| txn.delete_table(*table).map(drop).map_err(storage)).unwrap();
            assert!(!complete(), "{}", table.name());
            store.write(create_all).unwrap();
        }
        store.write(|txn| txn.delete_table(JOURNAL).map(drop).map_err(storage)).unwrap();
        assert!(!complete());
        store.write(create_all).unwrap();
        assert!(complete());
    }
}
