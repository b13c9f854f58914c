//! What makes replicas one registry: a log on JetStream (`log.rs`) of the rows that each transaction changed
//! (`record.rs`), and how far a store has followed it (`position.rs`).

pub(crate) mod log;
pub(crate) mod position;
pub(crate) mod record;
