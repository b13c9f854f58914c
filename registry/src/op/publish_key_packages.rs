//! Adds key packages to the stock of the calling device.

use std::collections::BTreeSet;

use cipher_broker::id::DeviceId;
use cipher_broker::limit;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::Answer;
use serde_bytes::ByteBuf;

use crate::caller::Caller;
use crate::error::OpError;
use crate::key_package::{Acceptable, Examiner, SUITES, fresh};
use crate::op::change::Change;
use crate::store::{Txn, account, once, stock};

/// Most one-time packages kept per device and suite.
const MOST: usize = 4 * limit::KEY_PACKAGE_STOCK;

/// Packages that are acceptable.
#[derive(Debug)]
pub(crate) struct Packages {
    one_time: Vec<Acceptable>,
    last_resort: Option<Acceptable>,
}

/// Verifies every package: one that is not acceptable refuses the whole request.
pub(crate) fn check(
    one_time: &[ByteBuf],
    last_resort: Option<&ByteBuf>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Packages, Refusal> {
    let most = limit::KEY_PACKAGES_PER_REQUEST;
    if one_time.len() > most {
        return Err(Code::TooLarge.because(format!("one request brings at most {most} key packages")));
    }
    let mut examiner = Examiner::new(caller, now);
    let mut checked: Vec<Acceptable> = Vec::with_capacity(one_time.len());
    for bytes in one_time {
        let package = examiner.examine(bytes)?;
        if checked.iter().all(|other| other.hash != package.hash) {
            checked.push(package);
        }
    }
    let last_resort = last_resort.map(|bytes| examiner.examine(bytes)).transpose()?;
    if let Some(last) = &last_resort
        && checked.iter().any(|package| package.hash == last.hash)
    {
        return Err(both());
    }
    Ok(Packages { one_time: checked, last_resort })
}

pub(crate) fn run(
    packages: Packages,
    caller: &Caller,
    txn: &mut Txn<'_>,
    now: Timestamp,
) -> Result<Change, OpError> {
    let shelf = |suite| stock::Shelf { account: caller.account, device: caller.device, suite };
    // A package that was brought before is not taken again, not even after it was handed out.
    let mut new = Vec::with_capacity(packages.one_time.len());
    for package in packages.one_time {
        if !once::seen(&txn.once, &once::key_package(&package.hash))? {
            new.push(package);
        }
    }
    if let Some(last) = &packages.last_resort
        && once::seen(&txn.once, &once::key_package(&last.hash))?
    {
        return Err(both().into());
    }
    for suite in SUITES {
        let coming = new.iter().filter(|package| package.suite == suite).count();
        let kept = stock::rows(&txn.stock, &txn.shelves, &shelf(suite))?;
        let kept = kept.iter().filter(|row| fresh(row.not_after, now)).count();
        if coming > 0 && kept.saturating_add(coming) > MOST {
            let text = format!("a device keeps at most {MOST} key packages of a suite, {kept} are there");
            return Err(Code::TooLarge.because(text).into());
        }
    }
    for suite in SUITES {
        stock::discard(&mut txn.stock, &txn.shelves, &shelf(suite), |row| !fresh(row.not_after, now))?;
    }
    let brought =
        new.iter().chain(&packages.last_resort).map(|package| package.suite).collect::<BTreeSet<_>>();
    let mut hints = Vec::new();
    for suite in brought {
        if stock::count(&txn.stock, &txn.shelves, &shelf(suite), |_| true)? == 0
            && stock::last_resort(&txn.last_resort, &shelf(suite))?.is_none()
        {
            hints = others(caller, txn)?;
        }
    }
    for package in new {
        once::note(&mut txn.once, &mut txn.expiry, &once::key_package(&package.hash), package.not_after)?;
        stock::push(
            &mut txn.stock,
            &mut txn.shelves,
            &shelf(package.suite),
            package.not_after,
            &package.bytes,
        )?;
    }
    if let Some(last) = packages.last_resort {
        stock::put_last_resort(&mut txn.last_resort, &shelf(last.suite), last.not_after, &last.bytes)?;
    }
    Ok(Change { hints, ..Answer::Done.into() })
}

/// The account's other devices: they wait for a new one's first packages to bring it into their groups.
fn others(caller: &Caller, txn: &Txn<'_>) -> Result<Vec<DeviceId>, OpError> {
    let Some(record) = account::by_id(&txn.accounts, &caller.account)? else { return Ok(Vec::new()) };
    let log = account::log(&txn.logs, &record)?;
    Ok(log.active().map(|(device, _)| *device).filter(|device| *device != caller.device).collect())
}

fn both() -> Refusal {
    Code::BadKeyPackage.because("a one-time key package cannot be the last resort too")
}
