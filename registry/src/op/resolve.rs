//! The account behind a handle.

use cipher_broker::handle::Handle;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::Answer;

use crate::error::OpError;
use crate::store::{View, account};

pub(crate) fn run(handle: &Handle, view: &View) -> Result<Answer, OpError> {
    let record = match account::of_handle(&view.handles, handle)? {
        Some(id) => account::by_id(&view.accounts, &id)?,
        None => None,
    };
    let record = record.ok_or_else(|| Code::NotFound.because(format!("there is no account @{handle}")))?;
    Ok(Answer::Account(record))
}
