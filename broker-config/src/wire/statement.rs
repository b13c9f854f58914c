//! What an account states about itself, signed by its account key and chained: the account log.

use serde::{Deserialize, Serialize};

use crate::certificate::DeviceCertificate;
use crate::handle::Handle;
use crate::id::{AccountId, DeviceId};
use crate::sign::Signed;
use crate::time::Timestamp;

/// One entry of an account's log. Each carries the hash of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Position in the account's log, from 0.
    #[serde(rename = "n")]
    pub sequence: u64,
    /// SHA-256 of the previous signed statement, encoded; zeros for the first.
    #[serde(rename = "p", with = "serde_bytes")]
    pub previous: [u8; 32],
    /// When, by the account's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// What is stated.
    #[serde(rename = "c")]
    pub claim: StatementKind,
}

/// What an account can state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StatementKind {
    /// The account begins, under a handle, with a first device.
    #[serde(rename = "create")]
    Create {
        /// The claimed handle.
        #[serde(rename = "h")]
        handle: Handle,
        /// SHA-256 of the encoded certificate of the first device.
        #[serde(rename = "c", with = "serde_bytes")]
        certificate: [u8; 32],
    },
    /// A further device.
    #[serde(rename = "add-device")]
    AddDevice {
        /// The device.
        #[serde(rename = "d")]
        device: DeviceId,
        /// SHA-256 of its encoded certificate.
        #[serde(rename = "c", with = "serde_bytes")]
        certificate: [u8; 32],
    },
    /// A device is not the account's any more, for ever. Never the last one.
    #[serde(rename = "revoke-device")]
    RevokeDevice {
        /// The device.
        #[serde(rename = "d")]
        device: DeviceId,
    },
    /// Every device so far is revoked; the account goes on with a new one.
    #[serde(rename = "recover")]
    Recover {
        /// The new device.
        #[serde(rename = "d")]
        device: DeviceId,
        /// SHA-256 of its encoded certificate.
        #[serde(rename = "c", with = "serde_bytes")]
        certificate: [u8; 32],
    },
}

/// One entry of the account log as the registry publishes it. What counts is the statement: it is a leaf of the
/// tree and commits to the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The statement, signed by the account key.
    #[serde(rename = "s")]
    pub statement: Signed,
    /// Certificate of the device that it brings, for claims that bring one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<DeviceCertificate>,
}
