//! Polls: a question with answers to choose from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::MessageRef;
use crate::name::Target;

/// Asks. Answered as `message.send` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Which conversation.
    pub target: Target,
    /// What is asked.
    pub question: String,
    /// The answers to choose from: 2 to 20, no two alike, each of at most 256 bytes.
    pub options: Vec<String>,
    /// Whether an account may choose several.
    #[serde(default)]
    pub multiple: bool,
}

/// Chooses, in the place of what this account chose before. Answered as `message.edit` is, with the poll as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Which poll.
    pub message: MessageRef,
    /// The answers, each by its number, the first one `1`, or by its words; none takes the vote back.
    pub options: Vec<String>,
}

/// Takes no more votes. Answered as `message.edit` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// Which poll.
    pub message: MessageRef,
}
