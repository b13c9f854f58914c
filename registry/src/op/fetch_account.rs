//! The account with an id.

use cipher_broker::id::AccountId;
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::Answer;

use crate::error::OpError;
use crate::store::{View, account};

pub(crate) fn run(id: &AccountId, view: &View) -> Result<Answer, OpError> {
    let record = account::by_id(&view.accounts, id)?;
    Ok(Answer::Account(record.ok_or_else(|| Code::NotFound.because("there is no account with this id"))?))
}
