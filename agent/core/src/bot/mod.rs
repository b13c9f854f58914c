//! What a bot is told and what it answers.

mod command;
mod due;
pub(crate) mod event;
mod membership;
pub(crate) mod name;
mod ownership;
pub(crate) mod run;
