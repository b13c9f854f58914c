//! Every table on one page: the schema. Keys are raw bytes of fixed length, so that ranges are prefixes.

use std::fmt;

use cipher_broker::sign::digest;
use redb::{Key, ReadOnlyTable, ReadTransaction, TableDefinition, TableHandle, Value, WriteTransaction};

use crate::error::StoreError;
use crate::store::rows::{Change, Notes, Raw, Rows};

/// Version of what is below; a store with a higher one is refused.
pub(super) const SCHEMA: u64 = 3;

/// `"schema"` → version.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Account id → encoded `AccountRecord`.
const ACCOUNTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("accounts");

/// Handle → account id. A handle is never given to another account.
const HANDLES: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("handles");

/// Account id, device id → device key, also of revoked devices. A key is never replaced.
const DEVICES: TableDefinition<'_, &[u8; 48], &[u8; 32]> = TableDefinition::new("devices");

/// Account id, device id, suite, number → end of lifetime (ms), key package. The lowest number goes first. Those below
/// the first number of their shelf were handed out.
const STOCK: TableDefinition<'_, &[u8; 58], (u64, &[u8])> = TableDefinition::new("stock");

/// Account id, device id, suite → number of the first package that was not handed out, number of the next that comes.
const SHELVES: TableDefinition<'_, &[u8; 50], (u64, u64)> = TableDefinition::new("shelves");

/// Account id, device id, suite → end of lifetime (ms), key package.
const LAST_RESORT: TableDefinition<'_, &[u8; 50], (u64, &[u8])> = TableDefinition::new("last-resort");

/// What counts once (`once.rs`): tag and key → nothing.
const ONCE: TableDefinition<'_, &[u8], ()> = TableDefinition::new("once");

/// When a row of `once` may be forgotten (ms), its key → nothing.
const EXPIRY: TableDefinition<'_, (u64, &[u8]), ()> = TableDefinition::new("expiry");

/// Account id, device id → position of the statement that revoked the device.
const REVOKED: TableDefinition<'_, &[u8; 48], u64> = TableDefinition::new("revoked");

/// Position in the account log → encoded `LogEntry`. Only ever appended to.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// Position in the account log → leaf of the tree: small, because all of them are read at start.
const LEAVES: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("leaves");

/// Account id → position in the account log of its latest statement.
const LATEST: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("latest");

/// Account id → encoded `AccountLog`, from the second statement on: most accounts never make one, and the log of
/// one statement is made from the record.
const LOGS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("logs");

/// Account id → nothing: blocked by the operator.
const BLOCKED: TableDefinition<'_, &[u8; 32], ()> = TableDefinition::new("blocked");

/// Handle → nothing: ended by the operator for ever.
const BURIED: TableDefinition<'_, &str, ()> = TableDefinition::new("buried");

/// SHA-256 of a registration code → account that used it.
const CODES: TableDefinition<'_, &[u8; 32], &[u8; 32]> = TableDefinition::new("codes");

/// Account id, device id, nonce → hash of the request and what became of it (`once.rs`).
const ANSWERS: TableDefinition<'_, &[u8; 64], &[u8]> = TableDefinition::new("answers");

/// A snapshot for reading.
pub(crate) struct View {
    pub(crate) accounts: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    pub(crate) handles: ReadOnlyTable<&'static str, &'static [u8; 32]>,
    pub(crate) devices: ReadOnlyTable<&'static [u8; 48], &'static [u8; 32]>,
    pub(crate) stock: ReadOnlyTable<&'static [u8; 58], (u64, &'static [u8])>,
    pub(crate) shelves: ReadOnlyTable<&'static [u8; 50], (u64, u64)>,
    pub(crate) last_resort: ReadOnlyTable<&'static [u8; 50], (u64, &'static [u8])>,
    pub(crate) revoked: ReadOnlyTable<&'static [u8; 48], u64>,
    pub(crate) log: ReadOnlyTable<u64, &'static [u8]>,
    pub(crate) leaves: ReadOnlyTable<u64, &'static [u8; 32]>,
    pub(crate) latest: ReadOnlyTable<&'static [u8; 32], u64>,
    pub(crate) logs: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    pub(crate) blocked: ReadOnlyTable<&'static [u8; 32], ()>,
    pub(crate) buried: ReadOnlyTable<&'static str, ()>,
    pub(crate) codes: ReadOnlyTable<&'static [u8; 32], &'static [u8; 32]>,
    pub(crate) answers: ReadOnlyTable<&'static [u8; 64], &'static [u8]>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}

impl View {
    pub(super) fn of(txn: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            accounts: txn.open_table(ACCOUNTS)?,
            handles: txn.open_table(HANDLES)?,
            devices: txn.open_table(DEVICES)?,
            stock: txn.open_table(STOCK)?,
            shelves: txn.open_table(SHELVES)?,
            last_resort: txn.open_table(LAST_RESORT)?,
            revoked: txn.open_table(REVOKED)?,
            log: txn.open_table(LOG)?,
            leaves: txn.open_table(LEAVES)?,
            latest: txn.open_table(LATEST)?,
            logs: txn.open_table(LOGS)?,
            blocked: txn.open_table(BLOCKED)?,
            buried: txn.open_table(BURIED)?,
            codes: txn.open_table(CODES)?,
            answers: txn.open_table(ANSWERS)?,
        })
    }
}

/// The tables of a transaction that writes.
pub(crate) struct Txn<'t> {
    pub(crate) accounts: Rows<'t, &'static [u8; 32], &'static [u8]>,
    pub(crate) handles: Rows<'t, &'static str, &'static [u8; 32]>,
    pub(crate) devices: Rows<'t, &'static [u8; 48], &'static [u8; 32]>,
    pub(crate) stock: Rows<'t, &'static [u8; 58], (u64, &'static [u8])>,
    pub(crate) shelves: Rows<'t, &'static [u8; 50], (u64, u64)>,
    pub(crate) last_resort: Rows<'t, &'static [u8; 50], (u64, &'static [u8])>,
    pub(crate) once: Rows<'t, &'static [u8], ()>,
    pub(crate) expiry: Rows<'t, (u64, &'static [u8]), ()>,
    pub(crate) revoked: Rows<'t, &'static [u8; 48], u64>,
    pub(crate) log: Rows<'t, u64, &'static [u8]>,
    pub(crate) leaves: Rows<'t, u64, &'static [u8; 32]>,
    pub(crate) latest: Rows<'t, &'static [u8; 32], u64>,
    pub(crate) logs: Rows<'t, &'static [u8; 32], &'static [u8]>,
    pub(crate) blocked: Rows<'t, &'static [u8; 32], ()>,
    pub(crate) buried: Rows<'t, &'static str, ()>,
    pub(crate) codes: Rows<'t, &'static [u8; 32], &'static [u8; 32]>,
    pub(crate) answers: Rows<'t, &'static [u8; 64], &'static [u8]>,
}

impl<'t> Txn<'t> {
    pub(crate) fn of(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        Self::noted(txn, &None)
    }

    /// The same, noting what is written.
    pub(crate) fn noted(txn: &'t WriteTransaction, notes: &Notes) -> Result<Self, StoreError> {
        Ok(Self {
            accounts: open(txn, ACCOUNTS, notes)?,
            handles: open(txn, HANDLES, notes)?,
            devices: open(txn, DEVICES, notes)?,
            stock: open(txn, STOCK, notes)?,
            shelves: open(txn, SHELVES, notes)?,
            last_resort: open(txn, LAST_RESORT, notes)?,
            once: open(txn, ONCE, notes)?,
            expiry: open(txn, EXPIRY, notes)?,
            revoked: open(txn, REVOKED, notes)?,
            log: open(txn, LOG, notes)?,
            leaves: open(txn, LEAVES, notes)?,
            latest: open(txn, LATEST, notes)?,
            logs: open(txn, LOGS, notes)?,
            blocked: open(txn, BLOCKED, notes)?,
            buried: open(txn, BURIED, notes)?,
            codes: open(txn, CODES, notes)?,
            answers: open(txn, ANSWERS, notes)?,
        })
    }

    /// Every table, without its types.
    fn raw(&mut self) -> [&mut dyn Raw; 17] {
        // Without `..`: a table that is added and not listed here does not compile.
        let Self {
            accounts,
            handles,
            devices,
            stock,
            shelves,
            last_resort,
            once,
            expiry,
            revoked,
            log,
            leaves,
            latest,
            logs,
            blocked,
            buried,
            codes,
            answers,
        } = self;
        [
            accounts,
            handles,
            devices,
            stock,
            shelves,
            last_resort,
            once,
            expiry,
            revoked,
            log,
            leaves,
            latest,
            logs,
            blocked,
            buried,
            codes,
            answers,
        ]
    }

    /// Makes changes that were noted elsewhere.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut tables = self.raw();
        for change in changes {
            let table = tables.iter_mut().find(|table| table.name() == change.table);
            let value = change.value.as_ref().map(|value| value.as_slice());
            table.ok_or(StoreError::Row("change of an unknown table"))?.put(&change.key, value)?;
        }
        Ok(())
    }

    /// One hash of every row of every table.
    pub(crate) fn hash(&mut self) -> Result<[u8; 32], StoreError> {
        let mut hash = [0; 32];
        for table in self.raw() {
            let name = table.name().to_owned();
            table.each(&mut |key, value| {
                hash = digest("cipher-registry/rows/v1", &[&hash, name.as_bytes(), key, value]);
            })?;
        }
        Ok(hash)
    }
}

/// The leaves of the account log that these changes appended, in order.
pub(crate) fn leaves_of(changes: &[Change]) -> Vec<[u8; 32]> {
    let appended = changes.iter().filter(|change| change.table == LEAVES.name());
    appended.filter_map(|change| change.value.as_ref()?.as_slice().try_into().ok()).collect()
}

fn open<'t, K: Key + 'static, V: Value + 'static>(
    txn: &'t WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    notes: &Notes,
) -> Result<Rows<'t, K, V>, StoreError> {
    Ok(Rows::new(txn.open_table(definition)?, notes.clone()))
}
