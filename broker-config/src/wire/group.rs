//! What all members of a group agree on besides the roster: a GroupContext extension (RFC 9420 §11.1).
//!
//! It changes by commit only, so everybody sees the same, and `authorize` in `cipher-core` can judge by it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::id::AccountId;
use crate::time::Timestamp;

/// GroupContext extension type of [`GroupData`], private-use range (RFC 9420 §17.3).
pub const GROUP_DATA_EXTENSION: u16 = 0xF0A2;
/// GroupInfo extension type that carries the 32-byte key of the sealed tree and note, private-use range.
pub const TREE_KEY_EXTENSION: u16 = 0xF0A3;

/// What an account may do in a group. Ordered: a later one may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Reads and writes.
    #[serde(rename = "member")]
    Member,
    /// Also adds and removes members, and renames.
    #[serde(rename = "admin")]
    Admin,
    /// Also gives roles, and cannot be removed by admins.
    #[serde(rename = "owner")]
    Owner,
}

/// Name, roles and policy of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupData {
    /// Format and policy version; a commit may never lower it.
    #[serde(rename = "v")]
    pub version: u16,
    /// Shown name, at most [`crate::limit::GROUP_NAME_CHARS`] characters. Empty for direct messages.
    #[serde(rename = "n")]
    pub name: String,
    /// Whether this is a direct message: exactly two accounts, nobody can be added.
    #[serde(rename = "d", default)]
    pub direct: bool,
    /// Accounts that are more than members.
    #[serde(rename = "r")]
    pub roles: BTreeMap<AccountId, Role>,
    /// Least role that may add members.
    #[serde(rename = "pa")]
    pub may_add: Role,
    /// Least role that may rename.
    #[serde(rename = "pn")]
    pub may_rename: Role,
    /// Whether a member may come back by an external commit that replaces its own leaf.
    #[serde(rename = "px")]
    pub may_resync: bool,
    /// Whether this is the group of one account's own devices: nobody else can be added.
    #[serde(rename = "o", default, skip_serializing_if = "is_false")]
    pub personal: bool,
    /// Links by which the group can be joined, by their id.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<JoinLinkId, JoinLink>,
    /// Accounts that nobody may add.
    #[serde(rename = "b", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub banned: BTreeSet<AccountId>,
    /// What the group wants of what is said in it.
    #[serde(rename = "s", default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// What a group wants of what is said in it. Members' agents keep to it; the broker knows nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What the group is about, at most [`crate::limit::GROUP_TOPIC_CHARS`] characters; empty for none.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// Least role that may take back what others said; `None` for nobody.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub may_delete: Option<Role>,
    /// Least role that may pin messages; `None` for everybody.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub may_pin: Option<Role>,
    /// How long after it was said a message may be given other words, in seconds; `None` for always.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub edit_seconds: Option<u32>,
    /// How long after it was read a message disappears at the latest, in seconds; `None` where its author alone decides.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub expire_seconds: Option<u32>,
    /// How long after the broker stored it a message is kept by members, in seconds, read or not; `None` for ever.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u32>,
    /// Least role that may give a member messages of before it came; `None` for nobody.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub may_grant: Option<Role>,
}

impl Settings {
    /// Whether the group set nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Names a link: derived from its secret.
pub type JoinLinkId = ByteArray<16>;

/// A link by which a group can be joined. All members know it: any that may add serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinLink {
    /// What the link proves: whoever knows it may ask.
    #[serde(rename = "s")]
    pub secret: ByteArray<16>,
    /// Who made it.
    #[serde(rename = "a")]
    pub by: AccountId,
    /// Nobody is let in by it later; never decides on merging a commit.
    #[serde(rename = "x")]
    pub expires: Timestamp,
    /// How many accounts may still join by it; `None` is no bound.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Whether a member that may add approves each request.
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    pub approval: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl GroupData {
    /// The version this build writes.
    pub const VERSION: u16 = 1;

    /// The role of an account that is a member.
    pub fn role_of(&self, account: &AccountId) -> Role {
        self.roles.get(account).copied().unwrap_or(Role::Member)
    }
}
