//! The JSON of every request, reply, event, notice, hint, error and frame, as it is and stays.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod event;
mod frame;
mod golden;
mod hint;
mod method;
mod reader;
mod sample;
