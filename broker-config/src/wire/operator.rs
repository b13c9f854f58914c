//! What the operator asks a running registry: requests signed with the registry's own key.

use serde::{Deserialize, Serialize};

use crate::handle::Handle;
use crate::id::{AccountId, DeviceId};
use crate::time::Timestamp;
use crate::wire::registry::{AccountRecord, AdmissionPolicy};

/// What an operator can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OperatorRequest {
    /// Everything that is kept of an account.
    #[serde(rename = "inspect")]
    Inspect(Whom),
    /// From now on requests of the account are refused and nobody can take its key packages.
    #[serde(rename = "block")]
    Block(Handle),
    /// Takes a block back.
    #[serde(rename = "unblock")]
    Unblock(Handle),
    /// Ends a handle and the account behind it, if there is one, for ever.
    #[serde(rename = "bury")]
    Bury(Handle),
    /// The quotas that are in force.
    #[serde(rename = "quotas")]
    Quotas,
}

/// Whom to inspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// By account id.
    #[serde(rename = "a")]
    Account(AccountId),
    /// By handle.
    #[serde(rename = "h")]
    Handle(Handle),
}

/// What an operator is told; a change that is made is [`crate::wire::registry::Answer::Done`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OperatorAnswer {
    /// Everything that is kept of an account.
    #[serde(rename = "inspection")]
    Inspection(Box<Inspection>),
    /// The quotas that are in force.
    #[serde(rename = "quotas")]
    Quotas(Quotas),
}

/// Everything that is kept of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// As everybody gets it.
    #[serde(rename = "r")]
    pub record: AccountRecord,
    /// Whether the operator blocked it.
    #[serde(rename = "b")]
    pub blocked: bool,
    /// Whether its handle is buried.
    #[serde(rename = "e")]
    pub buried: bool,
    /// Every device that ever was, by id.
    #[serde(rename = "d")]
    pub devices: Vec<InspectedDevice>,
}

/// A device of an inspected account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedDevice {
    /// The device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// When the account stated it, by the account's clock.
    #[serde(rename = "t")]
    pub since: Timestamp,
    /// Position of the statement that revoked it.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<u64>,
    /// Its key packages, per cipher suite that has any.
    #[serde(rename = "s")]
    pub stock: Vec<InspectedStock>,
}

/// Key packages of one device and suite that could be handed out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedStock {
    /// Cipher suite (RFC 9420 §17.1).
    #[serde(rename = "c")]
    pub suite: u16,
    /// One-time packages.
    #[serde(rename = "n")]
    pub one_time: u32,
    /// Whether a last-resort package is there.
    #[serde(rename = "l")]
    pub last_resort: bool,
}

/// The quotas in force, each in a window of an hour, and what is asked of newcomers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Claims of key packages by one account against one other.
    #[serde(rename = "t")]
    pub claims_per_target: u32,
    /// Claims of key packages by one account in all.
    #[serde(rename = "c")]
    pub claims_overall: u32,
    /// Look-ups by one account.
    #[serde(rename = "l")]
    pub look_ups: u32,
    /// New accounts, by whomever.
    #[serde(rename = "r")]
    pub registrations: u32,
    /// What newcomers must bring.
    #[serde(rename = "p")]
    pub admission: AdmissionPolicy,
}
