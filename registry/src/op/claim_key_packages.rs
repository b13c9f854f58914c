//! Takes one key package of every device of an account: a one-time package goes to one taker, ever.

use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Answer, ClaimedKeyPackage};

use crate::error::{OpError, StoreError};
use crate::key_package::fresh;
use crate::op::change::Change;
use crate::store::{Txn, View, account, stock};

/// From so many packages on a device is not told to refill.
const ENOUGH: u64 = limit::KEY_PACKAGE_REFILL as u64 + 1;

/// Whose packages are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Of which account.
    pub(crate) account: AccountId,
    /// Of which cipher suite.
    pub(crate) suite: u16,
    /// Of this device only.
    pub(crate) device: Option<DeviceId>,
}

pub(crate) fn run(wanted: &Wanted, txn: &mut Txn<'_>, now: Timestamp) -> Result<Change, OpError> {
    let Wanted { account, suite, device: only } = *wanted;
    let mut devices = account::active(&txn.devices, &txn.revoked, &account)?;
    if devices.is_empty() {
        return Err(nobody().into());
    }
    if account::is_barred(&txn.blocked, &account)? {
        return Err(Code::Blocked.because("the operator of this registry blocked the account").into());
    }
    if let Some(only) = only {
        devices.retain(|device| *device == only);
        if devices.is_empty() {
            return Err(Code::NotFound.because("the account has no such device").into());
        }
    }
    let mut change = Change::from(Answer::Done);
    let mut taken = Vec::with_capacity(devices.len());
    for device in devices {
        let shelf = stock::Shelf { account, device, suite };
        let good = |not_after| fresh(not_after, now);
        let package = match stock::take(&txn.stock, &mut txn.shelves, &shelf, good)? {
            Some(taken) => Some((taken.bytes, taken.left, false)),
            None => stock::last_resort(&txn.last_resort, &shelf)?
                .filter(|(not_after, _)| good(*not_after))
                .map(|(_, bytes)| (bytes, 0, true)),
        };
        if let Some((key_package, left, last_resort)) = package {
            if left < ENOUGH {
                change.hints.push(device);
            }
            taken.push(ClaimedKeyPackage { device, key_package, last_resort });
        }
    }
    if taken.is_empty() {
        return Err(Code::NoKeyPackage.because("no device of the account has a key package left").into());
    }
    change.answer = Answer::KeyPackages(taken);
    Ok(change)
}

/// Reads ahead what [`run`] will read, on a thread that keeps nobody waiting.
pub(crate) fn warm(wanted: &Wanted, devices: Vec<DeviceId>, view: &View) -> Result<(), StoreError> {
    for device in devices {
        stock::warm(
            &view.stock,
            &view.shelves,
            &stock::Shelf { account: wanted.account, device, suite: wanted.suite },
        )?;
    }
    Ok(())
}

/// There is no such account.
pub(crate) fn nobody() -> Refusal {
    Code::NotFound.because("there is no account with this id")
}
