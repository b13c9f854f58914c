//! What people type: arguments, answers to questions, lines below a conversation, Ctrl-C.

pub mod interrupt;
pub mod keyboard;
pub mod message_id;
pub mod prompt;
pub mod setting;
pub mod target;
pub mod text;
pub mod time_arg;
mod turn;
