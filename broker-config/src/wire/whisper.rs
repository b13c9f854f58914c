//! What members of a group tell each other without storing it: presence, and that they are writing something.
//!
//! Sealed under a key that the MLS exporter gives for the epoch (RFC 9420 §8.5), signed by the device inside. The
//! broker sees that somebody whispers, and when.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;
use crate::sign::Signed;
use crate::time::Timestamp;
use crate::wire::registry::Presence;

/// Label of the exporter.
pub const EXPORTER_LABEL: &str = "cipher-chat whisper v1";

/// A whisper on an ephemeral subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whisper {
    /// Epoch whose exporter keys it.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// A sealed, signed [`WhisperBody`].
    #[serde(rename = "b", with = "serde_bytes")]
    pub sealed: Vec<u8>,
}

/// Inside the seal: who says it, signed ([`crate::sign::Purpose::Whisper`]) over an encoded [`WhisperBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedWhisper {
    /// The device; its leaf's key verifies.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// The body.
    #[serde(rename = "b")]
    pub body: Signed,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhisperBody {
    /// The group, so that it cannot be replayed into another.
    #[serde(rename = "g")]
    pub group: crate::id::GroupId,
    /// When, by the device's clock: an older one is dropped.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The presence.
    #[serde(rename = "p")]
    pub presence: Presence,
    /// Whether the person is writing something in the group.
    #[serde(rename = "y", default, skip_serializing_if = "std::ops::Not::not")]
    pub typing: bool,
}
