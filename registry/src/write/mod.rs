//! Writing: a checked operation (`operation.rs`) comes to the one thread that writes (`writer.rs`), which runs it with
//! others in one transaction (`job.rs`) and answers when that cannot be lost any more.
//!
//! A registry of its own answers after its commit (`single.rs`), a replica after its record lies in the log
//! (`replicated.rs`).

pub(crate) mod job;
pub(crate) mod operation;
pub(crate) mod replicated;
pub(crate) mod single;
pub(crate) mod writer;
