//! Links by which groups can be joined.

use cipher_broker::id::GroupId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Target;
use crate::view::GroupView;

/// Makes a link by which a group can be joined. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Which group.
    pub target: Target,
    /// Seconds until it ends.
    pub lifetime: u64,
    /// How many may join by it; `null` is no bound.
    pub uses: Option<u32>,
    /// Whether a member approves each request.
    #[serde(default)]
    pub approval: bool,
}

/// The links of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Which group.
    pub target: Target,
}

/// Revokes a link. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Which group.
    pub target: Target,
    /// Its id, or the link.
    pub link: String,
}

/// Asks to join a group by a link. Answered once in it, or when no member answered for a while or one has to approve: the
/// group appears by itself later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The link.
    pub link: String,
}

/// Accounts that ask to be let into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Which group; all when `null`.
    pub target: Option<Target>,
}

/// Lets an account in, or not. A yes is answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which group.
    pub target: Target,
    /// Handle or account id.
    pub account: String,
    /// Whether it is let in.
    pub accept: bool,
}

/// What became of asking to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Joined {
    /// This account is in.
    Group(Box<GroupView>),
    /// The request waits for an answer.
    JoinPending {
        /// The group.
        group: GroupId,
        /// Whether a member has it and must approve, as far as is known.
        approval: bool,
    },
    /// Something that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}
