//! The control socket of a profile: one process owns the store (redb admits one), all others of the same user speak
//! to it. Unix only; 0600 in a 0700 folder, and the user of the other side is checked on both sides.
//!
//! What travels: frames of a length (4 bytes, big endian) and JSON, see [`frame`].

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod server;
pub(crate) mod socket;
