//! The contract between processes, and between them and the broker.
//!
//! Everything that two processes must agree on lives here and nowhere else: ids, the subject grammar, streams,
//! permissions, limits, header names and the bytes on the wire. No network, no clock, no storage.
//! The one helper besides is [`cause`]: both programs tell the sources of an error alike.
//! What it is *not* for: deciding what is allowed. Rules about groups are in `cipher-core`, rules about accounts in
//! `cipher-registry`. The one judgement here is what both must come to alike: whether a statement continues an
//! account's log ([`account_log`]), and whether a proof proves ([`transparency`]).
//!
//! Reading order: [`id`], [`subject`], [`stream`], [`codec`], [`wire`], then [`certificate`] and [`sign`].
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects))]

pub mod account_log;
pub mod answer;
pub mod base64;
pub mod cause;
pub mod certificate;
pub mod codec;
pub mod emoji;
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
pub mod transparency;
pub mod wire;
