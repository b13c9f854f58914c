//! Accounts.

use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::wire::registry::Presence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account, own or other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// The name people type.
    pub handle: Handle,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// Own account: this device. Others: `null`.
    pub device_id: Option<DeviceId>,
    /// Person or bot.
    pub kind: Kind,
    /// Handle of a bot's owner, when known, else its account id.
    pub owner: Option<String>,
    /// Display name.
    pub name: String,
    /// Status text.
    pub status: String,
    /// Own account: as chosen. Others: what they whisper to shared groups, `offline` when nothing is heard; their
    /// profile's word while this agent is not listening.
    pub presence: Presence,
    /// What is known of its key; `null` for the own account.
    pub trust: Option<Trust>,
    /// What a person should know of its name: it looks like that of another account.
    pub warning: Option<String>,
}

/// What is known of an account's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Pinned at first use.
    Unverified,
    /// Compared with the person.
    Verified,
    /// The handle maps to another account now: sending stops.
    Changed,
    /// A state that this version does not know: a newer peer said it.
    #[serde(other)]
    Unknown,
}

/// Which accounts may ask to become a contact: requests and invitations of all others are dropped unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestPolicy {
    /// None: only contacts, and members of shared groups that are contacts, reach this account.
    Contacts,
    /// Accounts that the own registry knows.
    #[default]
    Deployment,
    /// All, accounts whose handle cannot be looked up too.
    Anyone,
}
