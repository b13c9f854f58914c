//! What was found against the registry, as it is kept.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use cipher_api::view::{EvidenceKind, EvidenceView, ExhibitView};
use cipher_broker::codec;
use cipher_broker::time::Timestamp;

/// Something found against the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EvidenceRow {
    #[serde(rename = "v")]
    pub finding: Finding,
    /// What makes it one finding, however often it is found again.
    #[serde(rename = "k", default)]
    pub key: ByteBuf,
    /// The person has taken note of it.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
}

/// What was found, with names that never change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub kind: EvidenceKind,
    pub at: Timestamp,
    /// One sentence.
    pub what: String,
    pub exhibits: Exhibits,
}

impl Finding {
    /// As shown.
    pub(crate) fn view(&self) -> EvidenceView {
        let exhibits = self.exhibits.iter();
        EvidenceView {
            kind: self.kind,
            at: self.at,
            what: self.what.clone(),
            exhibits: exhibits
                .map(|(name, bytes)| ExhibitView { name: name.clone(), bytes: bytes.clone() })
                .collect(),
        }
    }
}

/// Named bytes, as they came.
pub(crate) type Exhibits = Vec<(String, Vec<u8>)>;

/// A named value, encoded as it travels.
pub(crate) fn exhibit(name: &str, value: &impl Serialize) -> (String, Vec<u8>) {
    (name.into(), codec::encode(value))
}
