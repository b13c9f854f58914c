//! Hosts a bot: gives it what it has not handled, in order per conversation and in parallel across, and saves what
//! it wants in one step with its position and its memory.
//!
//! ```text
//! core ──BotEvents──► dispatch ──► translate ──► runner (own thread, or a child process) ──► outcome
//!   ▲                                                                                          │
//!   └────────────────── BotHandled: position, memory and messages in one transaction ◄─────────┘
//! ```
//! A crash at any point means that the event is handled again, with the same ids for its answers.

mod child;
mod dispatch;
mod runner;
mod translate;
mod trouble;

pub use dispatch::run;
pub use runner::Source;
