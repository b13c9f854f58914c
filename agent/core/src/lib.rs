//! The MLS brain of an agent: synchronous, without network, clock or async.
//!
//! ```text
//! Command ──┐                        ┌─ Publish, Ask, Follow, Fetch, FetchTree
//! Delivered ┤   Core::handle(batch,  ├─ Reply
//! Published ┼─►  now)                ├─ Notify
//! Answered ─┤   one redb transaction └─ WakeAt
//! Tick ─────┘   per batch                effects leave after the commit
//! ```
//!
//! A `Core` owns one profile: its redb file, its identity, its groups. It is told the time and is driven by one
//! thread. Rows are the truth; effects are reminders, and [`Core::resume`] repeats those that are unfinished.
//!
//! What is asked and what is answered, shown and told is `cipher-api`: front ends need no core.
//!
//! Reading order: [`input`], `cipher_api::command`, [`effect`], then `machine/core.rs`, `group/`, `delivery/outbox.rs`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

mod bot;
mod content;
mod delivery;
mod group;
mod journal;
mod machine;
mod own;
mod people;
mod registry;
mod state;
mod store;
mod watch;

pub use crate::effect::Effect;
pub use crate::input::{
    Delivered, Displaced, Expect, Input, Interest, NoReply, OutboxId, Publish, PublishOutcome, QuestionId,
    Reading, StreamState, Ticket,
};
pub use crate::machine::{Core, Options, effect, input};
pub use crate::state::{BackupOf, Mark, stopped};
pub use crate::store::examine::{Examined, examine, values};
pub use crate::store::keys_unopened;
pub use crate::store::place::{Folder, Place};
