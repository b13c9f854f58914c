//! What a bot author may rely on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod commands;
mod exactly_once;
mod process;
mod silence;
