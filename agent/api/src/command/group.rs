//! Groups and who is in them.

use cipher_broker::handle::Handle;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, maybe_time};
use crate::name::{Target, Who};
use crate::view::WhoMay;

/// Makes a group, with members if any are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What it is called.
    pub name: String,
    /// First members.
    #[serde(default)]
    pub with: Vec<Handle>,
    /// Post-quantum suite 0x004F instead of 0x0003.
    #[serde(default)]
    pub post_quantum: bool,
}

/// All groups, and invitations that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Which conversation.
    pub target: Target,
}

/// Joins a group that this account was invited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// Which group.
    pub target: Target,
}

/// Drops an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// Which group.
    pub target: Target,
}

/// Adds accounts. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Which group.
    pub target: Target,
    /// The accounts.
    pub handles: Vec<Handle>,
}

/// Removes accounts. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Which group.
    pub target: Target,
    /// The accounts.
    pub who: Vec<Who>,
}

/// Renames a group. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Which group.
    pub target: Target,
    /// The new name.
    pub name: String,
}

/// Keeps messages of a conversation from being told to the person, on all own devices. Nobody else hears of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// Which conversation.
    pub target: Target,
    /// Until then; for good without it.
    #[serde(default, with = "maybe_time")]
    #[schemars(with = "Option<Time>")]
    pub until: Option<Timestamp>,
    /// What names this account is told all the same.
    #[serde(default)]
    pub mentions: bool,
}

/// Has the messages of a conversation told again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unmute {
    /// Which conversation.
    pub target: Target,
}

/// Gives a group a name of one's own, on all own devices. Nobody else hears of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// Which group.
    pub target: Target,
    /// What it is called here; empty: its own name again.
    #[serde(default)]
    pub name: String,
}

/// Changes what a group wants of what is said in it; what is not named stays. Answered once the commit is in the log, or at
/// once if nothing is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Which conversation.
    pub target: Target,
    /// What it is about, one line of at most 512 characters; empty for nothing.
    #[serde(default)]
    pub topic: Option<String>,
    /// Who may take back what others said.
    #[serde(default)]
    pub delete: Option<WhoMay>,
    /// Who may pin messages: `owners`, `admins` or `all`.
    #[serde(default)]
    pub pin: Option<WhoMay>,
    /// How long after it was said a message may be given other words, in seconds; 0 for always.
    #[serde(default)]
    pub edit_seconds: Option<u32>,
    /// For how many seconds after it was read a message is kept at most, up to 366 days; 0 where its author alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_seconds: Option<u32>,
    /// For how many seconds after it was said a message is kept at most, read or not; 0 for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u32>,
    /// Who may give a member messages of before it came (`history.grant`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<WhoMay>,
}

impl Set {
    /// Sets nothing yet.
    pub const fn of(target: Target) -> Self {
        let (topic, delete, pin, history) = (None, None, None, None);
        let (edit_seconds, expire_seconds, retention_seconds) = (None, None, None);
        Self { target, topic, delete, pin, edit_seconds, expire_seconds, retention_seconds, history }
    }
}

/// Gives a member a role. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// Which group.
    pub target: Target,
    /// The member.
    pub who: Who,
    /// What it may do from now on.
    pub role: Role,
}

/// Leaves a group. Answered once the request to be removed is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// Which group.
    pub target: Target,
}

/// Removes accounts and keeps them out. Answered once the commit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// Which group.
    pub target: Target,
    /// The accounts.
    pub who: Vec<Who>,
    /// Lifts the ban instead.
    #[serde(default)]
    pub lift: bool,
}
