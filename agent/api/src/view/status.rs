//! Figures about the own state.

use std::collections::BTreeMap;

use cipher_broker::id::DeviceId;
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RequestPolicy;
use crate::encoding::{Time, maybe_time, time};

/// Figures about the own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// Whether an account is registered here.
    pub registered: bool,
    /// Number of groups that this account is a member of.
    pub groups: usize,
    /// Number of invitations that wait.
    pub invitations: usize,
    /// Number of own messages and commits that wait for the broker.
    pub outbox: usize,
    /// Number of questions to the registry that wait for an answer.
    pub questions: usize,
    /// Whether the registry has answered nothing for two seconds although it was asked.
    #[serde(default)]
    pub registry_silent: bool,
    /// Key packages at the registry: as last counted, and those it took since; `null` while never counted.
    pub key_packages: Option<u32>,
    /// Number of messages that could not be read since this store exists, by the reason as the log file names it; reasons
    /// are no closed list.
    pub skipped: BTreeMap<String, u64>,
    /// Last known difference of the registry's clock to this one's, milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// When bytes that name this device and that it did not send were last seen.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub doubled_at: Option<Timestamp>,
    /// Whether another copy of this profile took over.
    #[serde(default)]
    pub stopped: bool,
    /// What the broker lost last, if it ever did.
    #[serde(default)]
    pub log_lost: Option<LogLostView>,
    /// Version of the stored format.
    pub schema: u32,
    /// Which accounts may ask to become a contact.
    pub requests: RequestPolicy,
    /// Whether others are told how far this account came with what they say.
    #[serde(default)]
    pub receipts: bool,
    /// This device was linked or recovered a moment ago, and its groups or history are not all here yet.
    pub arriving: bool,
    /// Own devices that this one still has groups or history for.
    pub sending: Vec<DeviceId>,
    /// This profile has no account yet, and offers itself as a new device of one.
    pub linking: bool,
    /// The recovery phrase was never shown: registering again under the same handle shows it.
    #[serde(default)]
    pub phrase_due: bool,
}

/// The last time the broker turned out to have lost what it had stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLostView {
    /// When it was noticed here.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// Number of conversations concerned.
    pub conversations: u64,
    /// Of these, how many are not put right yet.
    pub open: u64,
    /// Own messages that were sent again.
    pub messages: u64,
    /// Changes of groups that this device gave back.
    pub commits: u64,
    /// Others' messages that are not here, as fellow members say.
    #[serde(default)]
    pub missing: u64,
}
