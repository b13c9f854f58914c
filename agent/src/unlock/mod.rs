//! What opens the store of a profile.
//!
//! ```text
//! <profile>/store.keys    the keys of the store, sealed; each slot of it opens with a key or a passphrase
//! <profile>/store.key     the key that opens it unless something else is named: 32 bytes, 0600
//! <profile>/tokens        sealed by a key that comes from store.keys (`token/file.rs`)
//! ```
//!
//! [`unlock`] finds the key or passphrase, `slots` changes which ones open it. The core opens `store.keys` and replaces it as
//! its keys rotate; while it does, nobody else writes to it.

mod find;
pub(crate) mod keyring;
pub(crate) mod slots;

pub(crate) use find::keys;
pub use find::{Lends, Unlocking, unlock};
