//! Accounts, handles and devices in the store.

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

/// The devices of an account, in the order of their ids. None: there is no such account.
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

fn device_row(account: &AccountId, device: &DeviceId) -> [u8; 48] {
    let mut row = [0; 48];
    for (to, from) in row.iter_mut().zip(account.as_bytes().iter().chain(device.as_bytes())) {
        *to = *from;
    }
    row
}
