//! Runs a core: its thread, what waits for it, and who hears of what it did. What it wants done is carried out by the
//! session, which knows the network.
//!
//! ```text
//! request ─► ticket ─┐                                   ┌─► net (publish, ask, read)
//! net (messages, ─►  mailbox ─► worker (thread: core) ─► session/effect ─► ticket (answers), listener (events)
//! acks, answers)                                         └─► timer ─► mailbox
//! ```

pub(crate) mod listener;
pub(crate) mod mailbox;
pub(crate) mod task;
pub(crate) mod ticket;
pub(crate) mod timer;
pub(crate) mod unsettled;
pub(crate) mod worker;
