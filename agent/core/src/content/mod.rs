//! What members say: history, sending, what is unread.

mod command;
pub(crate) mod history;
pub(crate) mod send;
pub(crate) mod unread;
