//! What the store's thread is asked to do: a checked operation, and what comes of it.
//!
//! A write is a pure function of the tables, the request and the time it is given: copies of a registry that run
//! the same writes in the same order come to the same rows. Quotas are spent before (`desk.rs`).

use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Answer;

use crate::caller::Caller;
use crate::error::OpError;
use crate::op::{
    append_statement, claim_key_packages, create_account, operate, publish_key_packages, set_profile,
};
use crate::store::Txn;

/// The operations that may write. Replicas hand them on at once to the one that does.
pub(crate) const WRITING: [&str; 6] = [
    "create-account",
    "publish-key-packages",
    "claim-key-packages",
    "set-profile",
    "append-statement",
    "operate",
];

/// A checked operation that writes.
#[derive(Debug)]
pub(crate) enum Write {
    AppendStatement(Box<append_statement::Appended>),
    ClaimKeyPackages(claim_key_packages::Wanted),
    CreateAccount(Box<create_account::NewAccount>),
    Operate(operate::Order),
    PublishKeyPackages(publish_key_packages::Packages),
    SetProfile(set_profile::NewProfile),
}

/// What a write did.
#[derive(Debug)]
pub(crate) struct Change {
    /// What the caller is told.
    pub(crate) answer: Answer,
    /// Leaves that were appended to the account log.
    pub(crate) leaves: Vec<[u8; 32]>,
    /// Devices that should look at their account and stock.
    pub(crate) hints: Vec<DeviceId>,
}

impl From<Answer> for Change {
    fn from(answer: Answer) -> Self {
        Self { answer, leaves: Vec::new(), hints: Vec::new() }
    }
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
