//! The contract between processes, and between them and the broker.
//!
//! Everything that two processes must agree on lives here and nowhere else: ids, the subject grammar, streams,
//! permissions, limits, header names and the bytes on the wire. Data only: no network, no clock, no storage.
//! What it is *not* for: deciding anything. Rules about groups are in `cipher-core`, rules about accounts in
//! `cipher-registry`.
//!
//! Reading order: [`id`], [`subject`], [`stream`], [`codec`], [`wire`], then [`certificate`] and [`sign`].
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

pub mod certificate;
pub mod codec;
pub mod handle;
pub mod header;
pub mod id;
pub mod limit;
pub mod permission;
pub mod server_file;
pub mod sign;
pub mod stream;
pub mod subject;
pub mod time;
pub mod wire;
