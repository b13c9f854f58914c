//! Contacts.

use cipher_broker::handle::Handle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Who;

/// Asks an account to become a contact: a direct conversation that it may accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The account.
    pub handle: Handle,
    /// First words, read once the other side says yes.
    pub text: Option<String>,
}

/// All contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// Accepts a contact's request and its direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The account that asked.
    pub handle: Handle,
}

/// Declines a contact's request; the account may ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// The account that asked.
    pub handle: Handle,
}

/// Ends an acquaintance: the direct conversation is left, its history stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The contact.
    pub handle: Handle,
}

/// Blocks an account: its messages are hidden everywhere, its requests and invitations dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The account.
    pub who: Who,
}

/// Lifts a block. What was hidden is shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unblock {
    /// The account.
    pub who: Who,
}

/// The safety number with an account; with the other side's number or URI, compares and verifies. Fails with `trust` when
/// they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The account.
    pub handle: Handle,
    /// What the other side shows.
    pub code: Option<String>,
}

/// Accepts that a handle maps to another account than when it was first seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The handle.
    pub handle: Handle,
}
