//! What was found against the registry, as it is kept.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::view::EvidenceView;
use cipher_broker::codec;

/// Something found against the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EvidenceRow {
    /// As shown.
    #[serde(rename = "v")]
    pub view: EvidenceView,
    /// What makes it one finding, however often it is found again.
    #[serde(rename = "k", default)]
    pub key: ByteBuf,
    /// The person has taken note of it.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
}

/// Named bytes.
pub(crate) type Exhibits = Vec<(String, Vec<u8>)>;

/// Kinds of evidence, as scripts see them.
pub(crate) mod kind {
    pub(crate) const SPLIT_VIEW: &str = "split-view";
    pub(crate) const ROLLBACK: &str = "rollback";
    pub(crate) const NOT_PROVEN: &str = "not-proven";
    pub(crate) const GHOST_DEVICE: &str = "ghost-device";
    pub(crate) const CHANGED_ACCOUNT: &str = "changed-account";
    pub(crate) const STALE_HEAD: &str = "stale-head";
}

/// A named value, encoded as it travels.
pub(crate) fn exhibit(name: &str, value: &impl Serialize) -> (String, Vec<u8>) {
    (name.into(), codec::encode(value))
}
