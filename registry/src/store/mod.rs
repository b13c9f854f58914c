//! The store: redb tables, who reads them when.
//!
//! [`Store`] opens (`open.rs`); [`View`] reads a snapshot, many at once; [`Txn`] writes, only on the thread of
//! `write/`. `table.rs` is the schema on one page.

pub(crate) mod account;
mod guard;
pub(crate) mod log;
pub(crate) mod once;
mod open;
pub(crate) mod restored;
pub(crate) mod rows;
mod schema;
pub(crate) mod seed;
pub(crate) mod stock;
mod table;

pub use open::Store;
pub(crate) use table::{Txn, View, leaves_of};
