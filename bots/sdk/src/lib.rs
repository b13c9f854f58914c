//! Write a bot as plain functions.
//!
//! ```no_run
//! use cipher_bot::prelude::*;
//!
//! /// Repeats what you say.
//! #[command]
//! fn echo(text: Rest) -> Reply { text.into() }
//!
//! fn main() -> Exit { Bot::new("echo").command(echo).run() }
//! ```
//!
//! That is a whole bot: `/echo TEXT` works, `/help` is made from the doc comment and the names of the arguments, and a
//! wrong call is answered with one sentence. `cipher-chat bot run --exec ./mybot` gives it an account and a network.
//!
//! # Arguments
//! The types in [`argument`] are the parser: [`Rest`](argument::Rest) is the rest of the line,
//! [`Word`](argument::Word) one word, integers are numbers, `Option` may be missing. [`Sender`](event::Sender) and
//! [`Context`](argument::Context) take nothing from the line and tell who asked and where. What people write arrives as
//! a value; nothing here ever runs it.
//!
//! # Memory
//! An argument `&mut T` is what the bot remembers about the conversation, under the name of the argument. It is saved
//! in one step with the answer, so neither is ever there without the other.
//!
//! ```
//! # use cipher_bot::prelude::*;
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Score(i64);
//!
//! /// Adds to the score of this conversation.
//! #[command]
//! fn add(score: &mut Score, points: i64) -> Reply {
//!     score.0 = score.0.saturating_add(points);
//!     format!("{} points", score.0).into()
//! }
//! # let _ = Bot::new("score").command(add);
//! ```
//!
//! # What it is not for
//! No network, no clock, no keys, no files: a handler ([`bot::Handler`]) is a function from an [`event::Event`] and
//! the [`memory`] of the conversation to [`action::Action`]s and new memory. The host (`cipher-chat`) delivers each event until its outcome is saved, saves outcome and
//! position together, and sends messages whose ids derive from the event, so a crash at any point neither loses nor
//! repeats an answer. [`testing::BotTest`] plays that host in a test.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

// The attribute names this crate by its own name; so do the tests in here.
extern crate self as cipher_bot;

pub mod action;
pub mod answer;
pub mod argument;
pub mod bot;
pub mod command;
pub mod event;
pub mod file;
pub mod memory;
pub mod stdio;
pub mod testing;
pub mod typing;

/// What a bot needs: `use cipher_bot::prelude::*;`
pub mod prelude {
    pub use cipher_bot_macros::command;
    pub use cipher_broker::certificate::Kind;
    pub use cipher_broker::handle::Handle;
    pub use cipher_broker::time::Timestamp;
    pub use cipher_broker::wire::group::Role;

    pub use crate::action::Action;
    pub use crate::answer::Reply;
    pub use crate::argument::{Context, Rest, Word};
    pub use crate::bot::Bot;
    pub use crate::event::{Conversation, Sender};
    pub use crate::file::File;
    pub use crate::stdio::Exit;
    pub use crate::typing::Typing;
}
