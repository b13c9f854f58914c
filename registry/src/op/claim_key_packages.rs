//! Takes one key package of every device of an account: a one-time package goes to one taker, ever.

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Answer, ClaimedKeyPackage};

use crate::caller::Caller;
use crate::error::OpError;
use crate::key_package::fresh;
use crate::quota::Quota;
use crate::store::{Txn, account, stock};

pub(crate) fn run(
    target: &AccountId,
    suite: u16,
    caller: &Caller,
    txn: &mut Txn<'_>,
    quota: &mut Quota,
    now: Timestamp,
) -> Result<Answer, OpError> {
    let devices = account::devices(&txn.devices, target)?;
    if devices.is_empty() {
        return Err(Code::NotFound.because("there is no account with this id").into());
    }
    if let Err(wait) = quota.spend(caller.account, *target, now) {
        let minutes = wait.as_secs().div_ceil(60);
        let text = format!("too many key packages taken; again possible in {minutes} minutes");
        return Err(Code::Quota.because(text).into());
    }
    let mut taken = Vec::with_capacity(devices.len());
    for device in devices {
        let shelf = stock::Shelf { account: *target, device, suite };
        let package = match stock::take(&mut txn.stock, &shelf, |not_after| fresh(not_after, now))? {
            Some(bytes) => Some((bytes, false)),
            None => stock::last_resort(&txn.last_resort, &shelf)?
                .filter(|(not_after, _)| fresh(*not_after, now))
                .map(|(_, bytes)| (bytes, true)),
        };
        if let Some((key_package, last_resort)) = package {
            taken.push(ClaimedKeyPackage { device, key_package, last_resort });
        }
    }
    if taken.is_empty() {
        return Err(Code::NoKeyPackage.because("no device of the account has a key package left").into());
    }
    Ok(Answer::KeyPackages(taken))
}
