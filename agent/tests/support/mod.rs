//! A sealed room for the binary: its own home, no environment, no terminal, no broker.

mod room;
mod terminal;

pub(crate) use room::{Outcome, Room, is_plain};
