//! What members say: said and heard, kept, changed, shown, and what of it is unread.

pub(crate) mod change;
mod command;
pub(crate) mod heard;
pub(crate) mod missing;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod timeline;
pub(crate) mod unread;
