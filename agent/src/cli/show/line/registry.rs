//! Lines of what the registry published, and of what was found against it.

use std::path::Path;

use cipher_api::view::{EvidenceView, HeadView};
use cipher_broker::transparency::TreeHead;
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::cli::show::line::Line;

/// An audit without a finding.
#[derive(Debug, Serialize)]
pub struct AuditLine {
    /// Entries that were verified.
    pub entries: u64,
    /// Accounts in them.
    pub accounts: usize,
    /// Active devices of those accounts.
    pub devices: usize,
    /// Devices that were revoked.
    pub revoked: usize,
    /// Size of the head that the registry shows.
    pub size: u64,
    /// Its root, hexadecimal; that of the rebuilt tree too.
    pub root: String,
    /// When it was signed, RFC 3339.
    pub at: String,
    /// Key that signed it, hexadecimal.
    pub registry_key: String,
    /// Heads that the log was compared with.
    pub compared: usize,
    /// How long it took.
    pub seconds: f64,
    /// Entries a second.
    pub rate: u64,
}

impl<'a> Line<'a> {
    /// What was found against the registry.
    pub fn evidence(evidence: &'a EvidenceView, file: Option<&Path>) -> Self {
        Self::Evidence {
            kind: evidence.kind.name(),
            at: evidence.at.to_string(),
            what: &evidence.what,
            file: file.map(|file| file.display().to_string()),
        }
    }

    /// What is known of the account log.
    pub fn head(head: &HeadView) -> Self {
        let known: Option<TreeHead> =
            head.head.as_ref().and_then(|signed| cipher_broker::codec::decode(&signed.body).ok());
        Self::Head {
            size: known.as_ref().map_or(head.size, |head| head.size),
            root: known.as_ref().map(|head| HEXLOWER.encode(&head.root)),
            at: known.as_ref().map(|head| head.at.to_string()),
            registry_key: (!head.registry_key.is_empty()).then(|| HEXLOWER.encode(&head.registry_key)),
        }
    }
}
