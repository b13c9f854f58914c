//! What people type: arguments, answers to questions, Ctrl-C.

pub mod interrupt;
pub mod message_id;
pub mod prompt;
pub mod setting;
pub mod target;
pub mod text;
pub mod time_arg;
