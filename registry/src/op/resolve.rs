//! The account behind a handle.

use cipher_broker::handle::Handle;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::AccountRecord;

use crate::error::OpError;
use crate::store::{View, account};

pub(crate) fn run(handle: &Handle, view: &View) -> Result<AccountRecord, OpError> {
    if view.buried.get(handle.as_str())?.is_some() {
        let text = format!("@{handle} was ended by the operator and will not come back");
        return Err(Code::Blocked.because(text).into());
    }
    let record = match account::of_handle(&view.handles, handle)? {
        Some(id) => account::by_id(&view.accounts, &id)?,
        None => None,
    };
    Ok(record.ok_or_else(|| Code::NotFound.because(format!("there is no account @{handle}")))?)
}
