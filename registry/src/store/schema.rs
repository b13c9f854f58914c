//! Older stores become today's when they are opened, in one transaction.

use cipher_broker::account_log::AccountLog;
use cipher_broker::codec;
use cipher_broker::wire::registry::AccountRecord;
use cipher_broker::wire::statement::LogEntry;
use redb::{ReadableTable, WriteTransaction};

use crate::error::StoreError;
use crate::store::log;
use crate::store::table::{META, SCHEMA, Txn};

/// The row of the schema version.
pub(super) const SCHEMA_ROW: &str = "schema";

/// Brings the tables of a transaction to today's schema, or refuses a newer one.
pub(super) fn settle(txn: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = txn.open_table(META)?;
    let found = meta.get(SCHEMA_ROW)?.map(|version| version.value());
    // Opening makes the tables, so that readers find them.
    let mut tables = Txn::of(txn)?;
    match found {
        None | Some(SCHEMA) => {}
        Some(1) => begin_log(&mut tables)?,
        Some(newer) => return Err(StoreError::Newer(newer)),
    }
    if found != Some(SCHEMA) {
        meta.insert(SCHEMA_ROW, SCHEMA)?;
    }
    Ok(())
}

/// Schema 1 had accounts of one statement and no log: it begins with these statements, in the order of the times
/// they carry, then of account ids, so that it is the same whoever makes it.
fn begin_log(txn: &mut Txn<'_>) -> Result<(), StoreError> {
    const BAD: StoreError = StoreError::Row("account");
    let mut begun = Vec::new();
    for row in txn.accounts.iter()? {
        let (id, row) = row?;
        let record: AccountRecord = codec::decode(row.value()).map_err(|_| BAD)?;
        let ([statement], [certificate]) = (record.statements.as_slice(), record.certificates.as_slice())
        else {
            return Err(BAD);
        };
        let log = AccountLog::begin(statement, certificate).map_err(|_| BAD)?;
        let at = log.devices().map(|(_, state)| state.since).min().unwrap_or_default();
        let entry = LogEntry { statement: statement.clone(), certificate: Some(certificate.clone()) };
        begun.push((at, *id.value(), log.account(), entry));
    }
    begun.sort_by_key(|(at, id, ..)| (*at, *id));
    for (_, _, account, entry) in begun {
        log::append(txn, &account, &entry)?;
    }
    Ok(())
}
