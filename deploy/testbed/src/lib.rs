//! A real deployment in a temporary folder: broker, registry and agents as processes of this machine, with faults
//! on demand. For tests, the demo and the benchmarks; never shipped.
//!
//! ```no_run
//! # fn main() -> testbed::Result {
//! let site = testbed::Site::single()?;
//! let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
//! alice.creates("team", &["bob"])?;
//! bob.accepts("team")?;
//! let mut bobs_screen = bob.follows("team")?;
//! alice.sends("team", "hi")?;
//! bobs_screen.sees("hi")?;
//! # Ok(()) }
//! ```
//!
//! Nothing in here sleeps for a guessed time: whoever waits, waits for an event and has a deadline.

pub mod agreement;
pub mod broker;
pub mod disk;
pub mod failure;
pub mod fault;
pub mod flood;
pub mod frame;
pub mod person;
pub mod process;
pub mod raw;
pub mod registry;
pub mod site;
pub mod terminal;
pub mod wait;

pub use broker::Broker;
pub use failure::{Failure, Result, ensure, fail};
pub use fault::Fault;
pub use person::{Output, Person, Screen};
pub use site::Site;
pub use terminal::Terminal;
