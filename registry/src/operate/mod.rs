//! What the operator does: orders to a running registry ([`operator`]), the whole store as a file and back
//! ([`archive`], and sealed with the key: [`backup`], which asks a running one for a [`snapshot`]), a look at what the
//! broker holds ([`traffic`]).

pub(crate) mod archive;
pub(crate) mod backup;
pub(crate) mod operator;
pub(crate) mod snapshot;
pub(crate) mod traffic;
