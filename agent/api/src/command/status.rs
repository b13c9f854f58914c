//! How things stand, and bringing them up to date.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::view::DeliveredView;

/// Figures about the own state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Brings everything up to date and delivers everything queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {}

/// The same for a caller that only wants to look: does not insist on a registry that says nothing for a while. What was
/// asked of it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {}

/// Everything is up to date, or what is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Synced {
    /// Messages received since the request.
    pub received: u64,
    /// Own messages that came into the log since then, per conversation.
    pub delivered: Vec<DeliveredView>,
    /// Own messages that still wait.
    pub queued: u64,
    /// Logs that could not be read to their end, as a person knows them.
    #[serde(default)]
    pub unread: Vec<String>,
    /// Not one of them was: the broker gave nothing.
    #[serde(default)]
    pub silent: bool,
}

/// Everything is up to date as far as the broker can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// Whether the registry answered what it was asked.
    pub answered: bool,
}
