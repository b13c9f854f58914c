//! Accounts, handles and devices in the store.

use cipher_broker::account_log::AccountLog;
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::wire::registry::AccountRecord;
use redb::ReadableTable;

use crate::error::StoreError;
use crate::store::rows::Rows;

type Found<T> = Result<Option<T>, StoreError>;

/// The account with an id.
pub(crate) fn by_id(
    accounts: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    id: &AccountId,
) -> Found<AccountRecord> {
    let Some(row) = accounts.get(id.as_bytes())? else {
        return Ok(None);
    };
    codec::decode(row.value()).map(Some).map_err(|_| StoreError::Row("account"))
}

/// The account that has a handle.
pub(crate) fn of_handle(
    handles: &impl ReadableTable<&'static str, &'static [u8; 32]>,
    handle: &Handle,
) -> Found<AccountId> {
    Ok(handles.get(handle.as_str())?.map(|row| AccountId::from_bytes(*row.value())))
}

/// The registered key of a device.
pub(crate) fn device_key(
    devices: &impl ReadableTable<&'static [u8; 48], &'static [u8; 32]>,
    account: &AccountId,
    device: &DeviceId,
) -> Found<[u8; 32]> {
    Ok(devices.get(&device_row(account, device))?.map(|row| *row.value()))
}

/// Every device of an account, active or not, in the order of their ids. None: there is no such account.
pub(crate) fn devices(
    devices: &impl ReadableTable<&'static [u8; 48], &'static [u8; 32]>,
    account: &AccountId,
) -> Result<Vec<DeviceId>, StoreError> {
    let first = device_row(account, &DeviceId::from_bytes([0; 16]));
    let last = device_row(account, &DeviceId::from_bytes([0xff; 16]));
    let mut found = Vec::new();
    for row in devices.range::<&[u8; 48]>(&first..=&last)? {
        let (key, _) = row?;
        let device = key.value().last_chunk::<16>().ok_or(StoreError::Row("device"))?;
        found.push(DeviceId::from_bytes(*device));
    }
    Ok(found)
}

/// Writes an account.
pub(crate) fn put(
    accounts: &mut Rows<'_, &'static [u8; 32], &'static [u8]>,
    record: &AccountRecord,
) -> Result<(), StoreError> {
    accounts.insert(record.account.as_bytes(), codec::encode(record).as_slice())?;
    Ok(())
}

/// Gives a handle to an account. The caller has made sure that it is free.
pub(crate) fn claim(
    handles: &mut Rows<'_, &'static str, &'static [u8; 32]>,
    handle: &Handle,
    account: &AccountId,
) -> Result<(), StoreError> {
    handles.insert(handle.as_str(), account.as_bytes())?;
    Ok(())
}

/// Registers a device. The caller has made sure that it is new.
pub(crate) fn enrol(
    devices: &mut Rows<'_, &'static [u8; 48], &'static [u8; 32]>,
    account: &AccountId,
    device: &DeviceId,
    key: &[u8; 32],
) -> Result<(), StoreError> {
    devices.insert(&device_row(account, device), key)?;
    Ok(())
}

/// The devices of an account that were not revoked.
pub(crate) fn active(
    all: &impl ReadableTable<&'static [u8; 48], &'static [u8; 32]>,
    revoked: &impl ReadableTable<&'static [u8; 48], u64>,
    account: &AccountId,
) -> Result<Vec<DeviceId>, StoreError> {
    let mut found = Vec::new();
    for device in devices(all, account)? {
        if !is_revoked(revoked, account, &device)? {
            found.push(device);
        }
    }
    Ok(found)
}

/// Whether a device was revoked by its account.
pub(crate) fn is_revoked(
    revoked: &impl ReadableTable<&'static [u8; 48], u64>,
    account: &AccountId,
    device: &DeviceId,
) -> Result<bool, StoreError> {
    Ok(revoked.get(&device_row(account, device))?.is_some())
}

/// Notes that a device was revoked by the statement at a position of the account's log.
pub(crate) fn revoke(
    revoked: &mut Rows<'_, &'static [u8; 48], u64>,
    account: &AccountId,
    device: &DeviceId,
    by: u64,
) -> Result<(), StoreError> {
    revoked.insert(&device_row(account, device), by)?;
    Ok(())
}

/// The log of an account: the stored one, or the one of a single statement, made from the record.
pub(crate) fn log(
    logs: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    record: &AccountRecord,
) -> Result<AccountLog, StoreError> {
    if let Some(row) = logs.get(record.account.as_bytes())? {
        return codec::decode(row.value()).map_err(|_| StoreError::Row("account log"));
    }
    let (Some(statement), Some(certificate)) = (record.statements.first(), record.certificates.first())
    else {
        return Err(StoreError::Row("account"));
    };
    AccountLog::begin(statement, certificate).map_err(|_| StoreError::Row("account"))
}

/// A row that this version does not write.
pub(crate) const fn bad_row() -> StoreError {
    StoreError::Row("account")
}

/// Whether the operator blocked an account, or buried its handle.
pub(crate) fn is_barred(
    blocked: &impl ReadableTable<&'static [u8; 32], ()>,
    account: &AccountId,
) -> Result<bool, StoreError> {
    Ok(blocked.get(account.as_bytes())?.is_some())
}

fn device_row(account: &AccountId, device: &DeviceId) -> [u8; 48] {
    let mut row = [0; 48];
    for (to, from) in row.iter_mut().zip(account.as_bytes().iter().chain(device.as_bytes())) {
        *to = *from;
    }
    row
}
