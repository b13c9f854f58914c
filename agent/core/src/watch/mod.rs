//! Holding the registry to its word: heads of the account log, its feed, evidence.

mod command;
pub(crate) mod evidence;
pub(crate) mod feed;
pub(crate) mod head;
pub(crate) mod run;
