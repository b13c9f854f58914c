//! The machine: takes batches of inputs, commits them together, gives effects.
//!
//! Doors:
//! - `core::Core::connected` - the broker is there
//! - `core::Core::is_clean` - whether the running batch has changed nothing so far that must be on disk
//! - `core::Core::skip` - drops a message that could not be used, and says why in the counters
//! - `core::fatal` - errors that end the batch
//! - `run::Run` - what lives only as long as the process
//! - `run::Run::reply` - answers a command
//! - `run::Run::volatile_id` - a number that nothing else has while the process runs
//! - `run::Run::wake_at` - has the machine look again at that time
//! - `step::Step` - a step of the machine
//! - `waits::Waits` - tickets by what their commands wait for

mod core;
mod dispatch;
pub mod effect;
pub mod input;
pub(crate) mod run;
pub(crate) mod step;
mod waits;

pub(crate) use self::core::fatal;
pub use self::core::{Core, Options};
