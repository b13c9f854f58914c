//! The registry: which accounts, devices and handles exist, and who gets which key package. Owns the streams.
//!
//! What it is *not* for: trust. Nothing it answers is taken on its word: certificates and statements verify under
//! the account key, which hashes to the account id. It can withhold and delay; it cannot invent.
//!
//! A request travels: [`serve`] (NATS, `service.rs`) → `request/` ([`Answerer`] decodes, `caller.rs` says who asks) → one
//! file of `op/` → `write/` (all writes on one thread, those that wait together share one commit) → `store/` (redb) →
//! signed reply.
//!
//! The rooms, from the ground up; none knows one that comes later (`cargo xtask rooms`):
//!
//! ```text
//! error  terms  settings  key  connect   what everything stands on
//! store/                                 tables, and what reads and writes their rows
//! caller  tree  key_package              who asks, the account log as a tree, what a key package must be
//! op/                                    one file per operation
//! replica_log/                           the log that makes replicas one registry
//! write/                                 the one thread that writes
//! replica/                               being up to date, and which replica writes
//! publisher  provision  room             the account log and the streams in the broker
//! request/  operate/                     from bytes to a signed reply; what the operator does
//! service  ui  cli                       the program
//! ```
//!
//! Reading order: `request/answer.rs`, `caller.rs`, `op/`, `store/table.rs`, `write/`, `provision.rs`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

mod batch;
mod caller;
pub mod cli;
mod clock;
mod connect;
mod error;
mod hint;
mod key;
mod key_package;
mod let_go;
mod op;
mod operate;
mod provision;
mod publisher;
mod replica;
mod replica_log;
mod request;
mod room;
mod service;
mod settings;
mod store;
mod stream_failure;
mod terms;
mod tree;
mod ui;
mod write;

pub use error::{Discord, Error, StoreError};
pub use key::RegistryKey;
pub use operate::archive::{export, import};
pub use operate::backup::{Progress, Stage, backup, restore};
pub use operate::traffic::{Stored, traffic};
pub use provision::{Drift, Mode, Provisioned, provision, provision_log};
pub use replica::health::Health;
pub use replica_log::log::LogName;
pub use request::answer::Answerer;
pub use request::replica::Replica;
pub use service::{Ready, serve};
pub use settings::{Login, Settings, StoreKind, Unlocking};
pub use store::Store;
pub use store::seed::{Filled, fill_unverified};
pub use terms::{Admission, Limits, Terms};
