//! Links by which a group can be joined, and requests to join it.

use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, time};

/// A link by which a group can be joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinLinkView {
    /// Names it, to revoke it.
    pub id: String,
    /// The group it leads to.
    pub group: GroupId,
    /// The text to pass on: `cipher-chat:join/…`.
    pub link: String,
    /// When it ends.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// How many accounts may still join by it; `null` is no bound.
    pub uses: Option<u32>,
    /// Whether each request is approved by a member.
    pub approval: bool,
    /// The member that made it: handle, when known, else the account id.
    pub by: String,
}

/// An account that wants to join a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinRequestView {
    /// The group it asks for.
    pub group: GroupId,
    /// What that group is called here.
    #[serde(default)]
    pub group_name: String,
    /// Handle, when known, else the account id.
    pub handle: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// When it asked, by its clock.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub at: Timestamp,
}
