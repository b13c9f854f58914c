//! Sealing what lies on a disk: keys, key slots, and small files that are sealed whole.
//!
//! ```text
//! key file, passphrase ──► slot ──► file key ──► body of the sealed file
//! ```
//!
//! Pure: bytes in, bytes out. Who calls reads and writes the files, and gives the randomness. Of the system it asks only
//! that a few pages are not swapped ([`Key::locked`]), and that nothing is dumped ([`no_core_dumps`]).
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

mod aead;
mod file;
mod key;
mod locked;
mod passphrase;
mod process;
mod slot;

pub use crate::aead::{OVERHEAD, Unopened, open, seal};
pub use crate::file::{FileError, SealedFile, SlotError};
pub use crate::key::Key;
pub use crate::passphrase::Passphrase;
pub use crate::process::no_core_dumps;
pub use crate::slot::{Slot, SlotKind, Unlock};
