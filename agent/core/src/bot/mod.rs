//! What a bot is told and what it answers.
//!
//! Doors:
//! - `command::Core::bot_command` - does what a host of bots asks for
//! - `due::Core::bot_step` - what happens at each step
//! - `membership::Core::tell_let_in` - the log shows the commit that let the bot in
//! - `name::Core::name_is_known` - the registry has answered for an account
//! - `run::Run` - what this room remembers while the process runs

mod command;
mod due;
pub(crate) mod event;
mod membership;
pub(crate) mod name;
mod ownership;
pub(crate) mod run;
