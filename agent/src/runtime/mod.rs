//! Runs a core: its thread, what waits for it, and what it wants done.
//!
//! ```text
//! request ─► ticket ─┐                                   ┌─► net (publish, ask, read)
//! net (messages, ─►  mailbox ─► worker (thread: core) ─► effect ─► ticket (answers), listener (events)
//! acks, answers)                                         └─► timer ─► mailbox
//! ```

pub(crate) mod effect;
pub(crate) mod listener;
pub(crate) mod mailbox;
pub(crate) mod task;
pub(crate) mod ticket;
pub(crate) mod timer;
pub(crate) mod worker;
