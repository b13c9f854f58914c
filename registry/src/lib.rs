//! The registry: which accounts, devices and handles exist, and who gets which key package. Owns the streams.
//!
//! What it is *not* for: trust. Nothing it answers is taken on its word: certificates and statements verify under
//! the account key, which hashes to the account id. It can withhold and delay; it cannot invent.
//!
//! A request travels: [`serve`] (NATS, `service.rs`) → [`Desk`] (decode, `caller.rs` says who asks) → one file of
//! `op/` → `store/` (redb; all writes on one thread, those that wait together share one commit) → signed reply.
//!
//! Reading order: `desk.rs`, `caller.rs`, `op/`, `store/table.rs`, `store/writer.rs`, `provision.rs`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

mod admission;
mod archive;
mod batch;
mod caller;
pub mod cli;
mod clock;
mod connect;
mod desk;
mod error;
mod fill;
mod front;
mod hint;
mod key;
mod key_package;
mod let_go;
mod nonce;
mod op;
mod operator;
mod provision;
mod publisher;
mod quota;
mod replica;
mod room;
mod service;
mod settings;
mod store;
mod stream_failure;
mod traffic;
mod tree;
mod ui;
mod underway;

pub use admission::Admission;
pub use archive::{export, import};
pub use desk::{Desk, Terms};
pub use error::{Error, StoreError};
pub use fill::{Filled, fill_unverified};
pub use key::RegistryKey;
pub use provision::{Drift, Mode, Provisioned, provision, provision_log};
pub use publisher::Discord;
pub use quota::Limits;
pub use replica::door::Replica;
pub use replica::health::Health;
pub use replica::log::LogName;
pub use service::{Ready, serve};
pub use settings::{Login, Settings, StoreKind};
pub use store::Store;
pub use traffic::{Stored, traffic};
