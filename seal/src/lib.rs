//! Sealing what lies on a disk: keys, key slots, small files that are sealed whole, and long ones that are sealed in chunks.
//!
//! ```text
//! key file, passphrase ──► slot ──► file key ──► body of the sealed file
//! ```
//!
//! Sealing is pure: bytes in, bytes out; the caller gives the randomness. What touches the system stands apart, because every
//! program that unlocks something needs the same: [`key_file`] and [`typed`] say where keys and passphrases come from, [`new_file`]
//! where a stream lies until it has its name, [`Key::locked`] keeps a few pages out of the swap, and [`no_core_dumps`] keeps
//! memory out of dumps.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

mod aead;
mod chunk;
mod file;
mod ids;
mod key;
pub mod key_file;
mod locked;
pub mod new_file;
mod passphrase;
mod process;
mod slot;
pub mod stream;
pub mod typed;

pub use crate::aead::{Draft, OVERHEAD, Plain, Unopened, open, seal};
pub use crate::chunk::Chunks;
pub use crate::file::{FileError, SealedFile, SlotError};
pub use crate::ids::IdMask;
pub use crate::key::Key;
pub use crate::passphrase::Passphrase;
pub use crate::process::no_core_dumps;
pub use crate::slot::{KeySlot, SlotKind, Unlock};
