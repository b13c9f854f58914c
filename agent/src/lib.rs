//! The agent as a library: what the binary `cipher-chat` is made of, and what tests and the testbed may use.
//!
//! ```text
//! cli ──► app ──► session ──► runtime ──► cipher-core commands in, replies and events out
//!                   │  └────► net                      effects to the broker and the registry, outcomes back
//!                   └──► control                       or: the process that has the profile open
//! host ──► session                                     bots, by the same door
//! token ◄── control, cli                               what lets a program use some of it
//! unlock ◄── cli                                       what opens the store of a profile
//! up                                                   a private broker and registry
//! ```

pub mod app;
pub mod audit;
pub mod cli;
mod control;
pub mod evidence;
pub mod host;
mod net;
mod private_file;
pub mod profile;
mod runtime;
pub mod session;
pub mod settings;
pub mod telemetry;
pub mod token;
pub mod unlock;
pub mod up;
