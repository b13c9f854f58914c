//! What the operator does: orders to a running registry ([`operator`]), the whole store as a file and back
//! ([`archive`]), a look at what the broker holds ([`traffic`]).

pub(crate) mod archive;
pub(crate) mod operator;
pub(crate) mod traffic;
