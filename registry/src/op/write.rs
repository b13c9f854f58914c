//! What the store's thread is asked to do: a checked operation.

use cipher_broker::id::AccountId;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::Answer;

use crate::caller::Caller;
use crate::error::OpError;
use crate::op::{claim_key_packages, create_account, publish_key_packages, set_profile};
use crate::quota::Quota;
use crate::store::Txn;

/// A checked operation that writes.
#[derive(Debug)]
pub(crate) enum Write {
    ClaimKeyPackages { account: AccountId, suite: u16 },
    CreateAccount(Box<create_account::NewAccount>),
    PublishKeyPackages(publish_key_packages::Packages),
    SetProfile(set_profile::NewProfile),
}

impl Write {
    pub(crate) fn run(
        self,
        caller: &Caller,
        txn: &mut Txn<'_>,
        quota: &mut Quota,
        now: Timestamp,
    ) -> Result<Answer, OpError> {
        match self {
            Self::ClaimKeyPackages { account, suite } => {
                claim_key_packages::run(&account, suite, caller, txn, quota, now)
            }
            Self::CreateAccount(new) => create_account::run(*new, txn),
            Self::PublishKeyPackages(packages) => publish_key_packages::run(packages, caller, txn, now),
            Self::SetProfile(profile) => set_profile::run(profile, caller, txn),
        }
    }
}
