//! What was found against the registry, as it is kept.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::view::EvidenceView;

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
