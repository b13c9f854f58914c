//! What the operator asks: blocks, tombstones, a look at everything that is kept of an account.

use cipher_broker::handle::Handle;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::operator::{InspectedDevice, InspectedStock, Inspection, Whom};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::Answer;
use redb::ReadableTable;

use crate::error::OpError;
use crate::key_package::{SUITES, fresh};
use crate::op::change::Change;
use crate::store::{Txn, View, account, stock};

/// A change that the operator orders.
#[derive(Debug, Clone)]
pub(crate) enum OperatorOrder {
    Block(Handle),
    Unblock(Handle),
    Bury(Handle),
}

pub(crate) fn run(order: &OperatorOrder, txn: &mut Txn<'_>) -> Result<Change, OpError> {
    let (OperatorOrder::Block(handle) | OperatorOrder::Unblock(handle) | OperatorOrder::Bury(handle)) = order;
    let account = account::of_handle(&txn.handles, handle)?;
    match (order, account) {
        (OperatorOrder::Bury(_), account) => {
            // R-REG-04: a buried handle is never given again, also one that nobody had.
            txn.buried.insert(handle.as_str(), ())?;
            if let Some(account) = account {
                txn.blocked.insert(account.as_bytes(), ())?;
            }
        }
        (_, None) => return Err(Code::NotFound.because(format!("there is no account @{handle}")).into()),
        (OperatorOrder::Block(_), Some(account)) => {
            txn.blocked.insert(account.as_bytes(), ())?;
        }
        (OperatorOrder::Unblock(_), Some(account)) => {
            if txn.buried.get(handle.as_str())?.is_some() {
                return Err(Code::Blocked.because(format!("@{handle} was buried: that is for ever")).into());
            }
            txn.blocked.remove(account.as_bytes())?;
        }
    }
    Ok(Answer::Done.into())
}

/// Everything that is kept of an account. The proof of inclusion is added by who has the tree.
pub(crate) fn inspect(whom: &Whom, view: &View, now: Timestamp) -> Result<Inspection, OpError> {
    let id = match whom {
        Whom::Account(account) => Some(*account),
        Whom::Handle(handle) => account::of_handle(&view.handles, handle)?,
    };
    let record = match &id {
        Some(id) => account::by_id(&view.accounts, id)?,
        None => None,
    };
    let record = record.ok_or_else(|| Code::NotFound.because("there is no such account"))?;
    let log = account::log(&view.logs, &record)?;
    let mut devices = Vec::new();
    for (device, state) in log.devices() {
        let mut kept = Vec::new();
        for suite in SUITES {
            let shelf = stock::Shelf { account: record.account, device: *device, suite };
            let good = |not_after| fresh(not_after, now);
            let one_time = stock::count(&view.stock, &view.shelves, &shelf, good)?;
            let last_resort =
                stock::last_resort(&view.last_resort, &shelf)?.is_some_and(|(end, _)| good(end));
            if one_time > 0 || last_resort {
                let one_time = u32::try_from(one_time).unwrap_or(u32::MAX);
                kept.push(InspectedStock { suite, one_time, last_resort });
            }
        }
        let (since, revoked_by) = (state.since, state.revoked_by);
        devices.push(InspectedDevice { device: *device, since, revoked_by, stock: kept });
    }
    let blocked = account::is_barred(&view.blocked, &record.account)?;
    let buried = view.buried.get(record.handle.as_str())?.is_some();
    Ok(Inspection { record, blocked, buried, devices })
}
