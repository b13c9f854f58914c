//! Holding the registry to its word: heads of the account log, its feed, evidence.

pub(crate) mod evidence;
pub(crate) mod feed;
pub(crate) mod head;
