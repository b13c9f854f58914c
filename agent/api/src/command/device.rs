//! Devices of the own account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, bytes, maybe_bytes};
use crate::view::{AccountView, HistoryPolicy};

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

/// The next part of a backup of this profile: what a new device needs to be this account again. Nothing of it lets that
/// device pass for this one: no device key, no state of a group's encryption, nothing that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// What came as `next` with the part before; nothing for the first part.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub behind: Option<Vec<u8>>,
}

/// A part of a backup. Parts hold the key of the account in the clear: seal them before they are kept anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupPart {
    /// For [`Restore`], in the order in which parts came.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub part: Vec<u8>,
    /// Ask for the next part with it; nothing with the last one.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub next: Option<Vec<u8>>,
    /// Messages in the parts so far.
    pub done: u64,
    /// Messages in all, about.
    pub total: u64,
}

/// In a fresh profile: takes a part of a backup in. The parts come in their order and only once; but when all of them are in, the
/// first one may come again: an error says that it is of another backup than the one that waits to be finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The part.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub part: Vec<u8>,
}

/// In a profile that took a whole backup in: makes it a new device of its account. Repeated after a lost reply it is the
/// same new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// What this machine calls itself.
    pub name: String,
    /// Whether the account's other devices stay, one of which must let this one into the groups, or are revoked, and members
    /// of the groups let this one in. Without a word they stay if there is another than the one that the backup is of.
    #[serde(default)]
    pub keep_devices: Option<bool>,
    /// For a bot: the owner's signature under the certificate that the request gave without it, from [`super::bot::Sign`].
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub signature: Option<Vec<u8>>,
}

/// How a restored profile stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Returned {
    /// The account, whose device this is now.
    pub account: Option<AccountView>,
    /// Instead, for a bot: what its owner must sign first.
    #[serde(default, with = "maybe_bytes")]
    #[schemars(with = "Option<Base64<'_>>")]
    pub certificate: Option<Vec<u8>>,
}
