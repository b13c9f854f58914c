//! The second store: one registry on several machines. Every replica has the whole store in its own redb; what
//! makes them one is a log on JetStream with three copies, `REGISTRY-LOG`.
//!
//! One replica at a time writes. It runs requests in a transaction of its redb, seals the rows that changed as a
//! record (`replica_log/record.rs`) and publishes it as *the* next one of the log (`replica_log/log.rs`): the broker takes it only if
//! nobody wrote there meanwhile, so a second writer is fenced by construction. Only then does the transaction
//! commit (`write/replicated.rs`) and the caller get an answer. The others make the same changes in the order of the log
//! (`tail.rs`), answer what only reads, and hand on what writes (`request/replica.rs`). No replica answers before it has what
//! the log had when the question came (`freshness.rs`), so whoever was answered sees it at every replica.
//!
//! Who writes is told by the log too: a writer begins with a record that takes over (`election.rs`).
//! `docs/adr/0012-replicated-registry.md` says why.

pub(crate) mod begin;
pub(crate) mod election;
pub(crate) mod freshness;
pub(crate) mod health;
pub(crate) mod tail;
