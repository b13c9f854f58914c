//! Everything that touches the broker. Nothing here decides: outcomes go back to the core as inputs.
//!
//! ```text
//! Effect::Publish ──► publisher ──► ack ──► Input::Published
//! Effect::Follow, Fetch ──► reader ──► fetch (pages of the log) ──► Input::Delivered, CaughtUp
//! Effect::FetchTree ──► tree ──► Input::TreeFetched
//! Effect::Ask ──► registry ──► Input::Answered
//! connection events ──► connect ──► Input::Connected, Disconnected
//! ```
//! A doorbell (`live.…`) carries headers only: it says that the log grew, and the log is read to see what by.

mod ack;
pub(crate) mod audit;
mod cluster;
pub(crate) mod connect;
mod fetch;
pub(crate) mod file;
pub(crate) mod file_line;
mod flood;
pub(crate) mod jitter;
pub(crate) mod link;
pub(crate) mod publisher;
pub(crate) mod reader;
pub(crate) mod registry;
mod replies;
pub(crate) mod settings;
pub(crate) mod token;
pub(crate) mod tree;
