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
        // Schema 2 has no shelves: each is made when it is first used.
        None | Some(2 | SCHEMA) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
    use cipher_broker::id::{AccountId, DeviceId};
    use cipher_broker::sign::{Purpose, Signed, wire_hash};
    use cipher_broker::time::Timestamp;
    use cipher_broker::wire::registry::SignedProfile;
    use cipher_broker::wire::statement::{Statement, StatementKind};
    use ed25519_dalek::SigningKey;
    use redb::backends::InMemoryBackend;

    use crate::store::{Store, account};

    fn record(seed: u8, at: u64) -> AccountRecord {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let account_key = key.verifying_key().to_bytes();
        let (account, device) = (AccountId::of_key(&account_key), DeviceId::from_bytes([seed; 16]));
        let at = Timestamp::from_millis(at);
        let body = CertificateBody {
            account,
            account_key,
            device,
            device_key: [seed; 32],
            kind: Kind::Person,
            owner: None,
            not_before: at,
            not_after: Timestamp::from_millis(u64::MAX),
            serial: 1,
        };
        let certificate = DeviceCertificate::sign(&body, &key);
        let handle: cipher_broker::handle::Handle = format!("person{seed}").parse().unwrap();
        let claim =
            StatementKind::Create { handle: handle.clone(), certificate: wire_hash(&certificate.to_bytes()) };
        let statement = Statement { account, sequence: 0, previous: [0; 32], at, claim };
        let statement = Signed::new(&key, Purpose::AccountStatement, codec::encode(&statement));
        let profile = SignedProfile::unknown(device);
        let (statements, certificates) = (vec![statement], vec![certificate]);
        AccountRecord { handle, account, statements, certificates, profile, inclusion: None }
    }

    #[test]
    fn a_store_of_schema_1_gets_its_log_in_the_order_of_time_and_only_once() {
        let store = Store::open(InMemoryBackend::new()).unwrap();
        let records = [record(1, 30), record(2, 10), record(3, 20), record(4, 10)];
        let write = |work: &dyn Fn(&WriteTransaction)| {
            let txn = store.begin().unwrap();
            work(&txn);
            store.commit(txn).unwrap();
        };
        write(&|txn| {
            let mut tables = Txn::of(txn).unwrap();
            records.iter().for_each(|record| account::put(&mut tables.accounts, record).unwrap());
            drop(tables);
            txn.open_table(META).unwrap().insert(SCHEMA_ROW, 1).unwrap();
        });
        for _ in 0..2 {
            write(&|txn| settle(txn).unwrap());
        }
        let mut first = [&records[1], &records[3]];
        first.sort_by_key(|record| record.account);
        let order: Vec<_> = [first[0], first[1], &records[2], &records[0]]
            .map(|record| cipher_broker::account_log::leaf(&record.statements[0]))
            .to_vec();
        let mut leaves = Vec::new();
        let view = store.view();
        log::leaves(&view, |leaf| leaves.push(leaf)).unwrap();
        assert_eq!(leaves, order);
        assert_eq!(log::latest(&view, &records[0].account).unwrap(), Some(3));
    }
}
