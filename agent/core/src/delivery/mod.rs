//! The way of bytes into a log: outbox, ledger of what was sent, marks of logs, junk.

mod following;
pub(crate) mod junk;
pub(crate) mod log_mark;
pub(crate) mod outbox;
mod outcome;
pub(crate) mod run;
pub(crate) mod sync;
