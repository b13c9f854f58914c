//! What a bot is told and what it answers.

mod command;
pub(crate) mod event;
