//! What members say: history, sending, what is unread.

pub(crate) mod history;
pub(crate) mod send;
pub(crate) mod unread;
