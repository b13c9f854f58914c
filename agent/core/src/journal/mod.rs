//! The journal: events in the order they were told, for front ends that come again.
//!
//! ```text
//! what happens ──► tell ──► Effect::Notify, with its cursor
//!                    └────► state::book ──► command: the events behind a cursor, as the store has them by then
//! ```
//!
//! Doors:
//! - `command::Core::event_command` - gives events behind a cursor, or notes what a subscriber has
//! - `tell::Core::notify` - tells an event, and keeps it if it is one of those that are kept
//! - `tell::Core::remind` - tells an event that has its place in the journal already, or that needs none
//! - `tell::Core::tell` - tells an event that can be told again from a fact
//! - `tell::Core::tell_message` - tells that a message or an observation took its place
//! - `tell::Core::warn` - tells something that a person should know

mod command;
mod tell;
