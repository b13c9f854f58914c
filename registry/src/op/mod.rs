//! One file per operation. Each is pure but for the transaction it is given and is told the time.
//!
//! An operation that writes has two halves: `check` runs beside others and does what costs time (signatures),
//! `run` runs on the store's thread, first looks and then writes: many share one transaction, so an operation
//! that refuses must not have written anything but what may stay.

pub(crate) mod append_statement;
pub(crate) mod change;
pub(crate) mod claim_key_packages;
pub(crate) mod count_key_packages;
pub(crate) mod create_account;
pub(crate) mod fetch_account;
pub(crate) mod operate;
pub(crate) mod publish_key_packages;
pub(crate) mod replay;
pub(crate) mod resolve;
pub(crate) mod set_profile;
