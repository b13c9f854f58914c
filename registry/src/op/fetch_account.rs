//! The account with an id. Also of a blocked or buried one: what an account stated stays provable.

use cipher_broker::id::AccountId;
use cipher_broker::wire::registry::AccountRecord;

use crate::error::OpError;
use crate::op::claim_key_packages::nobody;
use crate::store::{View, account};

pub(crate) fn run(id: &AccountId, view: &View) -> Result<AccountRecord, OpError> {
    Ok(account::by_id(&view.accounts, id)?.ok_or_else(nobody)?)
}
