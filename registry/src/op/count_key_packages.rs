//! How many key packages of the calling device are left, over all suites and of each.
//!
//! Counts only what can still be handed out, so that a device refills as its packages grow old.

use std::collections::BTreeMap;

use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Answer;

use crate::caller::Caller;
use crate::error::OpError;
use crate::key_package::{SUITES, fresh};
use crate::store::{View, stock};

pub(crate) fn run(caller: &Caller, view: &View, now: Timestamp) -> Result<Answer, OpError> {
    let (mut one_time, mut last_resort, mut suites) = (0_u32, true, BTreeMap::new());
    for suite in SUITES {
        let shelf = stock::Shelf { account: caller.account, device: caller.device, suite };
        let left = stock::count(&view.stock, &view.shelves, &shelf, |not_after| fresh(not_after, now))?;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        suites.insert(suite, left);
        one_time = one_time.saturating_add(left);
        last_resort &= stock::last_resort(&view.last_resort, &shelf)?.is_some_and(|(end, _)| fresh(end, now));
    }
    Ok(Answer::Stock { one_time, last_resort, suites })
}
