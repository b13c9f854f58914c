//! The files of a profile: opening them, and writing one batch in one transaction.
//!
//! ```text
//! store.redb   tables; every value is sealed (seal.rs)
//! store.keys   the wrapping keys of its chapters, sealed by whoever unlocks the store (ring.rs)
//! store.sums   sums of its blocks, of when it was closed (sums.rs)
//! ```
//!
//! Rows live in memory ([`crate::state`]) and in the OpenMLS overlay ([`mls`]); both are written here, together,
//! or not at all. Nothing else in the crate touches redb.

mod convert;
pub(crate) mod examine;
mod guard;
mod hidden;
pub(crate) mod key;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod mls;
pub(crate) mod named;
mod open;
#[cfg(test)]
mod open_test;
pub(crate) mod place;
pub(crate) mod provider;
mod ring;
mod rotate;
#[cfg(test)]
mod rotate_test;
mod salvage;
mod seal;
pub(crate) mod sealed;
mod shrink;
mod sums;
pub(crate) mod table;
mod unwritten;

pub(crate) use self::open::{Store, storage};
pub use self::ring::keys_unopened;
