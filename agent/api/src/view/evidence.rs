//! What was found against the registry, and what is known of its account log.

use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, SignedText, Time, bytes, maybe_signed, time};

/// Proof of a lie, or a sign of one: what to show to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// What kind of finding it is.
    pub kind: EvidenceKind,
    /// When it was found.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// One sentence.
    pub what: String,
    /// Signed heads, records and replies as they came: transferable where they are signed.
    pub exhibits: Vec<ExhibitView>,
}

/// Bytes that prove something, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExhibitView {
    /// What they are, in words.
    pub name: String,
    /// The bytes, unchanged.
    #[serde(rename = "base64", with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub bytes: Vec<u8>,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Two histories of one log, or of one account.
    SplitView,
    /// The log went back in time.
    Rollback,
    /// What was shown is not proven to be part of the log.
    NotProven,
    /// A device that the account never named.
    GhostDevice,
    /// A handle that maps to another account.
    ChangedAccount,
    /// A log that ended long ago.
    StaleHead,
    /// An entry of the published log that cannot be one.
    BadEntry,
    /// The published log lacks an entry.
    MissingEntry,
    /// Two accounts of one handle in the published log.
    HandleTwice,
    /// A kind that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

impl EvidenceKind {
    /// The name that scripts see in `"kind"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SplitView => "split-view",
            Self::Rollback => "rollback",
            Self::NotProven => "not-proven",
            Self::GhostDevice => "ghost-device",
            Self::ChangedAccount => "changed-account",
            Self::StaleHead => "stale-head",
            Self::BadEntry => "bad-entry",
            Self::MissingEntry => "missing-entry",
            Self::HandleTwice => "handle-twice",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of the account log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadView {
    /// The registry's key, as pinned; empty while none is.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub registry_key: Vec<u8>,
    /// The latest accepted head: signed bytes as the registry gave them.
    #[serde(default, with = "maybe_signed")]
    #[schemars(with = "Option<SignedText>")]
    pub head: Option<SignedHead>,
    /// Number of entries in that head.
    pub size: u64,
    /// Entries read from the log by this device.
    pub log_cursor: u64,
}
