//! The machine: takes batches of inputs, commits them together, gives effects.

mod core;
mod dispatch;
pub mod effect;
pub mod input;
pub(crate) mod run;
pub(crate) mod step;
mod waits;

pub(crate) use self::core::fatal;
pub use self::core::{Core, Options};
