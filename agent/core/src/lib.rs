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
pub mod effect;
pub mod error;
pub mod event;
pub mod input;
pub mod reply;
pub mod view;

mod account;
mod account_feed;
mod admission;
mod bot;
mod contact;
mod core;
mod device;
mod errand;
mod evidence;
mod group;
mod history;
mod history_transfer;
mod identity;
mod junk;
mod key_package;
mod ledger;
mod link;
mod log_mark;
mod look_alike;
mod outbox;
mod personal;
mod plain_name;
mod position;
mod presence;
mod provider;
mod question;
mod reconcile;
mod recovery;
mod state;
mod store;
mod transparency;
mod unread;
mod verification;

pub use crate::command::{BotOwnership, BotSay, Command, Target, Who};
pub use crate::core::{Core, Options};
pub use crate::effect::Effect;
pub use crate::error::{CoreError, ErrorKind, Result};
pub use crate::event::{Event, LinkEvent};
pub use crate::group::stopped;
pub use crate::input::{
    Delivered, Displaced, Expect, Input, Interest, NoReply, OutboxId, Publish, PublishOutcome, QuestionId,
    Reading, StreamState, Ticket,
};
pub use crate::log_mark::Mark;
pub use crate::reply::Reply;
