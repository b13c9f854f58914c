//! The journal: events in the order they were told, for front ends that come again.
//!
//! ```text
//! what happens ──► tell ──► Effect::Notify, with its cursor
//!                    └────► book ──► command: the events behind a cursor, as the store has them by then
//! ```

mod command;
mod tell;
