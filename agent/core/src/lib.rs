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
//! Reading order: [`input`], [`command`], [`effect`], then `core.rs`, `group/`, `outbox.rs`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

pub mod command;
pub mod error;
pub mod event;
pub mod reply;
pub mod view;

mod bot;
mod content;
mod delivery;
mod group;
mod machine;
mod own;
mod people;
mod registry;
mod state;
mod store;
mod watch;

pub use crate::command::{BotOwnership, Command, MessageRef, Target, Who};
pub use crate::effect::Effect;
pub use crate::error::{CoreError, ErrorKind, Result};
pub use crate::event::{Event, LinkEvent};
pub use crate::input::{
    Delivered, Displaced, Expect, Input, Interest, NoReply, OutboxId, Publish, PublishOutcome, QuestionId,
    Reading, StreamState, Ticket,
};
pub use crate::machine::{Core, Options, effect, input};
pub use crate::reply::Reply;
pub use crate::state::Mark;
pub use crate::state::stopped;
pub use cipher_broker::answer::BotSay;
