//! Contacts and safety numbers.

use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
use cipher_broker::wire::registry::Presence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Trust;

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactView {
    /// The name people type.
    pub handle: Handle,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// Display name; empty for a blocked account.
    pub name: String,
    /// Status text; empty for a blocked account.
    #[serde(default)]
    pub status: String,
    /// What it whispers to shared groups, `offline` when nothing is heard of it; its profile's word while this agent is
    /// not listening.
    #[serde(default)]
    pub presence: Presence,
    /// How far the acquaintance is.
    pub state: ContactState,
    /// What is known of its key.
    pub trust: Trust,
    /// Number of its devices.
    pub devices: usize,
    /// First words of an account that asks to be a contact, if it said any; they are its own.
    #[serde(default)]
    pub text: Option<String>,
    /// What a person should know of its name: it looks like that of another account.
    pub warning: Option<String>,
}

/// How far an acquaintance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContactState {
    /// This account asked.
    Pending,
    /// The other one asked.
    Requested,
    /// Both agreed.
    Accepted,
    /// This account wants nothing of the other one.
    Blocked,
    /// A state that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// A safety number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SafetyNumberView {
    /// With which account.
    pub handle: Handle,
    /// Digest of that account's key.
    pub account_id: AccountId,
    /// Sixty digits in twelve groups of five; the same on both sides.
    pub number: String,
    /// For a QR code: `cipher-chat:verify/…`; the other side gives it as the `code` of its own request.
    pub uri: String,
    /// What is known of the key now.
    pub trust: Trust,
}
