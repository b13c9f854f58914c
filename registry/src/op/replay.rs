//! Takes statements back that were published before: from the account log of the broker, or from an export. Each
//! verifies by itself, so nothing is taken on anybody's word.

use cipher_broker::account_log::AccountLog;
use cipher_broker::codec;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AccountRecord, SignedProfile};
use cipher_broker::wire::statement::{LogEntry, Statement, StatementKind};

use crate::error::{Error, OpError, StoreError};
use crate::op::create_account::refused;
use crate::op::{append_statement, set_profile};
use crate::store::{Store, Txn, account, log};

/// Takes statements back, all or none. `Err`: which of them, and why.
pub(crate) fn all(store: &Store, entries: Vec<LogEntry>) -> Result<(), (u64, Error)> {
    let failed = |error: StoreError| (0, Error::Store(error));
    let txn = store.begin().map_err(failed)?;
    {
        let mut tables = Txn::of(&txn).map_err(failed)?;
        for (place, entry) in (0..).zip(entries) {
            run(entry, &mut tables).map_err(|error| (place, error.into()))?;
        }
    }
    store.commit(txn).map_err(failed)
}

/// Takes one entry; gives its leaf. Profiles and key packages are not in a log: devices bring them again.
pub(crate) fn run(entry: LogEntry, txn: &mut Txn<'_>) -> Result<[u8; 32], OpError> {
    let stated: Statement = codec::decode(&entry.statement.body)
        .map_err(|error| Code::Malformed.because(format!("a statement cannot be read: {error}")))?;
    if matches!(stated.claim, StatementKind::Create { .. }) {
        return begin(entry, txn);
    }
    let record = account::by_id(&txn.accounts, &stated.account)?
        .ok_or_else(|| Code::Malformed.because("a statement comes before its account"))?;
    let log = account::log(&txn.logs, &record)?;
    let LogEntry { statement, certificate } = entry;
    append_statement::continued(record, log, statement, certificate)?.without_lost_profile().store(txn)
}

fn begin(entry: LogEntry, txn: &mut Txn<'_>) -> Result<[u8; 32], OpError> {
    let certificate = entry
        .certificate
        .clone()
        .ok_or_else(|| Code::Malformed.because("a creation comes without its certificate"))?;
    let log = AccountLog::begin(&entry.statement, &certificate).map_err(|error| refused(&error))?;
    let body = certificate.verify().map_err(|error| Code::Denied.because(error.to_string()))?;
    let (account, handle) = (log.account(), log.handle().clone());
    if account::by_id(&txn.accounts, &account)?.is_some()
        || account::of_handle(&txn.handles, &handle)?.is_some()
    {
        return Err(Code::HandleTaken.because(format!("@{handle} or its account exists already")).into());
    }
    let record = AccountRecord {
        handle,
        account,
        statements: vec![entry.statement.clone()],
        certificates: vec![certificate],
        profile: SignedProfile::unknown(body.device),
        inclusion: None,
    };
    account::put(&mut txn.accounts, &record)?;
    account::claim(&mut txn.handles, &record.handle, &account)?;
    account::enrol(&mut txn.devices, &account, &body.device, &body.device_key)?;
    Ok(log::append(txn, &account, &entry)?)
}

/// Takes a profile of an account that was taken back.
pub(crate) fn profile(
    account: &cipher_broker::id::AccountId,
    profile: SignedProfile,
    txn: &mut Txn<'_>,
) -> Result<(), OpError> {
    let refuse = |text: &str| -> Refusal { Code::Denied.because(text) };
    let mut record =
        account::by_id(&txn.accounts, account)?.ok_or_else(|| refuse("a profile has no account"))?;
    let key = account::device_key(&txn.devices, account, &profile.device)?;
    let key = key.ok_or_else(|| refuse("a profile is signed by a device of another account"))?;
    if account::is_revoked(&txn.revoked, account, &profile.device)? {
        return Err(refuse("a profile is signed by a revoked device").into());
    }
    set_profile::verify(&profile, account, &key)?;
    record.profile = profile;
    Ok(account::put(&mut txn.accounts, &record)?)
}
