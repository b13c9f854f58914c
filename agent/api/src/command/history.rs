//! History of before a member came.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Target, Who};

/// Gives a member the latest messages of before it came, if the group's settings let this account do so: those that are here,
/// as they stand, and that do not disappear. Every member is told. Answered with the line that tells them, once the broker has
/// everything; or at once, with state `queued`, if that takes long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Which group.
    pub target: Target,
    /// The member.
    pub who: Who,
    /// How many messages, at most 1,000. Either this or `age_seconds` is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Of how long a time, in seconds: of more than 1,000 messages the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}
