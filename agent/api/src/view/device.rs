//! Devices of the own account and how one is linked.

use cipher_broker::certificate::Kind;
use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, time};

/// A device of the own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// Random, bound to the device's key by its certificate.
    pub device_id: DeviceId,
    /// A name that a person gave it; only own devices see it.
    pub name: String,
    /// Person or bot.
    pub kind: Kind,
    /// Whether it is this one.
    pub current: bool,
    /// When it was certified.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub created_at: Timestamp,
    /// Whether the account revoked it.
    pub revoked: bool,
}

/// What a new device of the own account gets of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryPolicy {
    /// Everything that the device that lets it in has.
    #[default]
    All,
    /// Nothing.
    None,
    /// What is younger than this many days.
    Days(u32),
}

/// A code by which another device of the account finds this new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkCodeView {
    /// As typed: `xxxx-xxxx`.
    pub code: String,
    /// The same as a URI, for a QR code: `cipher-chat:link/<code>`.
    pub uri: String,
    /// When it ends.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub expires: Timestamp,
}

/// What both sides of a link show: a person compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkCompareView {
    /// Names the link.
    pub code: String,
    /// Seven digits, `ddd dddd`.
    pub string: String,
    /// On the approving side: what the new machine calls itself. On the new side: the handle.
    pub other: String,
}
