//! Accounts as this device knows them: pinned keys, contacts, verification, presence.

pub(crate) mod account;
mod command;
pub(crate) mod contact;
mod found;
pub(crate) mod look_alike;
pub(crate) mod presence;
pub(crate) mod run;
pub(crate) mod verification;
