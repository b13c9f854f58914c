//! Every table on one page: the schema of a profile.

use std::collections::BTreeSet;

use cipher_api::Result;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use redb::{ReadTransaction, TableDefinition, TableHandle as _, WriteTransaction};

use crate::store::key::RowKey as _;
use crate::store::ring::Heat;
use crate::store::storage;

/// Format of the file. Rows carry the version byte of [`cipher_broker::codec`] besides. 1 was not sealed
/// ([`crate::store::convert`]); 2 was never released: ids stood in its keys.
pub(crate) const SCHEMA: u32 = 3;

pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// `schema` → [`SCHEMA`]. In the clear: every version must be able to tell that a store is too new for it.
pub(crate) const FORMAT: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");
/// Name of a table, a zero, the key at which a chapter begins → number of its wrapping key, and its key sealed under it.
pub(crate) const KEYS: Definition = TableDefinition::new("keys");
/// The same key: chapters in which something died since the last rotation.
pub(crate) const DIRTY: Definition = TableDefinition::new("dirty");

/// What the key of a row tells, and how that is hidden in the file ([`crate::store::hidden`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Nothing: a number, or a hash of this store's own.
    Nothing,
    /// So many bytes of it, which come first, are the id of a group, an account or a device.
    Id(usize),
    /// Ids and public keys, as OpenMLS writes them behind the label.
    Mls,
}

/// A table whose values are sealed. Keys are bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub name: &'static str,
    pub key: Tells,
    pub heat: Heat,
    /// Whether what is superseded or removed must not be opened again.
    pub forgets: bool,
}

impl Table {
    const fn hot(name: &'static str, key: Tells) -> Self {
        Self { name, key, heat: Heat::Hot, forgets: true }
    }

    const fn cold(name: &'static str, key: Tells) -> Self {
        Self { name, key, heat: Heat::Cold, forgets: true }
    }

    pub(crate) const fn definition(self) -> Definition {
        TableDefinition::new(self.name)
    }
}

/// The id of a group comes first.
const OF_GROUP: Tells = Tells::Id(GroupId::LEN);

/// Single values: `identity`, `counters`.
pub(crate) const META: Table = Table::hot("single", Tells::Nothing);
/// Rows of OpenMLS: label byte and its key → its value.
pub(crate) const MLS: Table = Table::hot("mls", Tells::Mls);
/// (Group id, [`crate::position`], place within it) → [`crate::state::MessageRow`].
pub(crate) const MESSAGES: Table = Table::cold("messages", OF_GROUP);
/// (Group id, [`crate::position`], place within it) → ids of the files of the message there.
pub(crate) const FILES: Table = Table::cold("files", OF_GROUP);
/// Number of a segment, and of its part → words of messages ([`crate::state::index`]).
pub(crate) const INDEX: Table = Table::hot("index", Tells::Nothing);
/// (Group id, message id) → position: what was shown already. A position tells nothing that has to be forgotten.
pub(crate) const SEEN: Table = Table { forgets: false, ..Table::cold("seen", OF_GROUP) };
/// (Time in milliseconds, beginning of a message id) → group and place of a message that is to be forgotten then.
pub(crate) const EXPIRING: Table = Table::hot("expiring", Tells::Nothing);
/// (Group id, position) → envelope of an epoch that has not begun here.
pub(crate) const PARKED: Table = Table::hot("parked", OF_GROUP);
/// Group id, and hash of the name of a bot → [`crate::state::BotRow`].
pub(crate) const BOTS: Table = Table::hot("bots", OF_GROUP);
/// (Group id, epoch) → [`crate::state::KeptRow`]: the commit that ended the epoch.
pub(crate) const COMMITS: Table = Table::cold("commits", OF_GROUP);
/// (Group id, beginning of a hash) → [`crate::state::SentRow`]: bytes that this store sealed.
pub(crate) const SENT: Table = Table::cold("sent", OF_GROUP);
/// Number of the first of them → facts of the events of one batch ([`crate::state::Fact`]).
pub(crate) const JOURNAL: Table = Table::cold("journal", Tells::Nothing);
/// Hash of a name → [`crate::state::SubscriberRow`].
pub(crate) const SUBSCRIBERS: Table = Table::hot("subscribers", Tells::Nothing);

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
            /// Group id: how far members came with what was said, by their receipts.
            RECEIPTS receipts "receipts" GroupId => ReceiptsRow;
            /// Group id: what members gave each other of the time before they came.
            GRANTS grants "grants" GroupId => GrantsRow;
            /// Group id: which messages are pinned, once that was looked for.
            PINS pins "pins" GroupId => PinsRow;
            /// Number: uploads that no message names yet.
            UPLOADS uploads "uploads" u64 => UploadRow;
            /// Group id: messages that are gone, of which sealed bytes may still hold words.
            UNSAID unsaid "unsaid" GroupId => UnsaidRow;
            /// Turn: conversations in which a bot has something to handle, the next one first.
            DUE due "due" u64 => DueRow;
        }
    };
}
pub(crate) use row_tables;

macro_rules! define {
    ($($(#[$doc:meta])* $table:ident $field:ident $name:literal $key:ty => $row:ty;)*) => {
        $($(#[$doc])* pub(crate) const $table: Table = Table::hot($name, <$key>::TELLS);)*

        /// All tables whose values are sealed.
        pub(crate) const ALL: &[Table] =
            &[META, MLS, MESSAGES, FILES, INDEX, SEEN, EXPIRING, PARKED, BOTS, COMMITS, SENT, JOURNAL, SUBSCRIBERS, $($table),*];
    };
}
row_tables!(define);

/// The table of a name.
pub(crate) fn named(name: &str) -> Option<Table> {
    ALL.iter().copied().find(|table| table.name == name)
}

/// Creates every table, so that later reads need not care.
pub(crate) fn create_all(txn: &WriteTransaction) -> Result<()> {
    for definition in definitions() {
        txn.open_table(definition).map_err(storage)?;
    }
    txn.open_table(FORMAT).map(drop).map_err(storage)
}

/// Whether every table is there: a store of an earlier build lacks those that came later.
pub(crate) fn all_there(read: &ReadTransaction) -> Result<bool> {
    let there: BTreeSet<String> =
        read.list_tables().map_err(storage)?.map(|table| table.name().to_owned()).collect();
    Ok(definitions().all(|table| there.contains(table.name())))
}

pub(super) fn definitions() -> impl Iterator<Item = Definition> {
    ALL.iter().map(|table| table.definition()).chain([KEYS, DIRTY])
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _};

    use super::*;

    /// E12: an upgrade from any earlier build.
    #[test]
    fn e12_a_store_that_lacks_any_table_that_came_later_is_not_complete_until_it_was_made() {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let make = || {
            let txn = db.begin_write().unwrap();
            create_all(&txn).unwrap();
            txn.commit().unwrap();
        };
        let complete = || all_there(&db.begin_read().unwrap()).unwrap();
        for table in definitions() {
            make();
            assert!(complete());
            let txn = db.begin_write().unwrap();
            txn.delete_table(table).unwrap();
            txn.commit().unwrap();
            assert!(!complete(), "{}", table.name());
        }
    }
}
