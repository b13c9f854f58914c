//! What a bot is told and what it answers.

pub(crate) mod event;
