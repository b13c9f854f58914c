//! Devices of the own account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::view::HistoryPolicy;

/// Devices of the own account, revoked ones too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// In a fresh profile: begins to link it to an account, and gives a code at once; what follows is told by events of type
/// `link`. Repeated while the code is good it gives the same code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What this machine calls itself; only own devices see it.
    pub name: String,
}

/// On a device of the account: finds the new one by its code. Answered when both sides can show the string to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The code, or the URI.
    pub code: String,
    /// What the new device gets of the past.
    #[serde(default)]
    pub history: HistoryPolicy,
}

/// The person compared the strings of [`Approve`]. Answered when the registry has the new device; when they differ,
/// nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The code of the link.
    pub code: String,
    /// Whether the strings are equal.
    pub equal: bool,
}

/// Gives a device of the account a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Its id, the beginning of it, or its name.
    pub device: String,
    /// The new name.
    pub name: String,
}

/// A device is not the account's any more: signed, told to the registry, removed from every group. Answered when the
/// registry has it; the groups follow as soon as a member is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Its id, the beginning of it, or its name.
    pub device: String,
}

/// A copy of a profile that stopped for another one goes on, and the other one stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {}

/// In a fresh profile, without another device: takes the account over from the recovery phrase. Every other device is
/// revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// BIP-39 words.
    pub phrase: String,
    /// What this machine calls itself.
    pub name: String,
}
