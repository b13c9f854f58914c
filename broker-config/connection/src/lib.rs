//! The way to the broker, as agents and the registry go it: where it is and with which login ([`address`]),
//! in which order ([`dial`]), by which
//! TLS ([`tls`]), and what stands in the way, in one sentence that both use ([`trouble`]).
//!
//! Nothing in here shows a login: a list of servers is shown without what stands before `@`, and the client library is
//! never given an address that has one.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

pub mod address;
pub mod advice;
pub mod dial;
pub mod tls;
pub mod trouble;

pub use address::{Server, Servers, UrlLogin};
pub use dial::Dial;
pub use tls::{First, Greeting, Tls};
pub use trouble::Trouble;
