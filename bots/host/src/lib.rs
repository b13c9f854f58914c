//! Hosts a bot: gives it what it has not handled, in order within a conversation and in parallel across, and saves what
//! it wants in one step with its place and its memory.
//!
//! ```text
//! profile ──waiting──► dispatch ──► runner (own thread, or a child process) ──► outcome
//!    ▲                                                                            │
//!    └──────────── handled: place, memory and messages in one transaction ◄───────┘
//! ```
//! A crash at any point means that the event is handled again, with the same ids for its answers.
//!
//! The profile, its keys and its store are behind [`BotProfile`]: nothing here knows how they are kept, so the order of
//! events can be tested on invented time and profiles.

mod child;
mod dispatch;
mod not_handled;
mod profile;
mod runner;
mod worker;

pub use crate::dispatch::{HostError, run};
pub use crate::not_handled::NotHandled;
pub use crate::profile::{BotProfile, Handled, Notice, ProfileError, Waiting, Wakeups};
pub use crate::runner::Source;
