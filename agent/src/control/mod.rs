//! The control socket of a profile: one process owns the store (redb admits one), all others of the same user speak
//! to it. Unix only; 0600 in a 0700 folder, and the user of the other side is checked on both sides. A second socket, where
//! its owner wants one, is for programs that show a token.
//!
//! What travels: JSON-RPC 2.0, one object per line ([`cipher_api::rpc`]). The same is spoken on standard input and output
//! by `cipher-chat rpc`.

mod access;
pub(crate) mod client;
mod elder;
mod line;
mod misread;
pub(crate) mod server;
pub(crate) mod socket;
mod subscription;

/// Name and version of this program, for the other side.
const PROGRAM: &str = concat!("cipher-chat ", env!("CARGO_PKG_VERSION"));
