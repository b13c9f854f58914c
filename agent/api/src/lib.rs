//! What every front end and the agent say to each other: the contract of `--json`, the control socket, `cipher-chat rpc`,
//! screens, scripts and bots. Plain data without behaviour: no network, no clock, no store, no sentence for a terminal.
//!
//! ```text
//! Request ──► Command ──► (the core) ──► Reply ──► Request::Reply
//!                              └──► Event, with Notice      both may carry an Error with its Hint
//! ```
//!
//! Reading order: [`request`] (the table of all requests), [`command`], [`reply`], [`view`], [`event`], [`error`], [`hint`],
//! [`notice`], then [`rpc`] (the frames around all of that). The JSON of every variant lies in `tests/golden`.
//!
//! A reader survives what a newer writer says: closed enums that a reader meets have an `Unknown` variant, unknown fields
//! of replies and events are passed over. Requests are strict: an unknown parameter is refused, because leaving it out
//! would do something else than was asked for.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

pub mod command;
pub mod cursor;
pub mod error;
pub mod event;
pub mod hint;
pub mod name;
pub mod notice;
pub mod reply;
pub mod request;
pub mod rpc;
pub mod schema;
pub mod view;

mod encoding;

pub use crate::command::Command;
pub use crate::cursor::Cursor;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::event::{Event, LinkEvent};
pub use crate::hint::{Advice, Hint};
pub use crate::name::{Target, Who};
pub use crate::notice::Notice;
pub use crate::reply::Reply;
pub use crate::request::{Ask, Reader, Request};
