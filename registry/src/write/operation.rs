//! What the store's thread is asked to do: a checked operation, and what comes of it.
//!
//! A write is a pure function of the tables, the request and the time it is given: copies of a registry that run
//! the same writes in the same order come to the same rows. Quotas are spent before (`request/answer.rs`).

use cipher_broker::time::Timestamp;

use crate::caller::Caller;
use crate::error::OpError;
use crate::op::change::Change;
use crate::op::{
    append_statement, claim_key_packages, create_account, operate, publish_key_packages, set_profile,
};
use crate::store::Txn;

/// A checked operation that writes.
#[derive(Debug)]
pub(crate) enum Write {
    AppendStatement(Box<append_statement::Appended>),
    ClaimKeyPackages(claim_key_packages::Wanted),
    CreateAccount(Box<create_account::NewAccount>),
    Operate(operate::OperatorOrder),
    PublishKeyPackages(publish_key_packages::Packages),
    SetProfile(set_profile::NewProfile),
}

impl Write {
    pub(crate) fn run(self, caller: &Caller, txn: &mut Txn<'_>, now: Timestamp) -> Result<Change, OpError> {
        match self {
            Self::AppendStatement(appended) => append_statement::run(*appended, caller, txn),
            Self::ClaimKeyPackages(wanted) => claim_key_packages::run(&wanted, txn, now),
            Self::CreateAccount(new) => create_account::run(*new, txn),
            Self::Operate(order) => operate::run(&order, txn),
            Self::PublishKeyPackages(packages) => publish_key_packages::run(packages, caller, txn, now),
            Self::SetProfile(profile) => set_profile::run(profile, caller, txn),
        }
    }
}
