//! The own account: identity, devices, linking, recovery, and what own devices tell each other.

mod answer;
mod command;
pub(crate) mod device;
pub(crate) mod history_transfer;
pub(crate) mod identity;
pub(crate) mod linking;
pub(crate) mod recovery;
pub(crate) mod sync;
