//! The own account, its profile, and the profiles of others.

use cipher_broker::certificate::Owner;
use cipher_broker::handle::Handle;
use cipher_broker::wire::registry::Presence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Base64, OwnerText, bytes};
use crate::view::{AccountView, RequestPolicy};

/// Makes the account and its first device, and registers both. Repeated under the same handle it gives the same, until
/// [`PhraseShown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The name to claim.
    pub handle: Handle,
    /// Display name.
    #[serde(default)]
    pub name: String,
    /// Present for bots: from [`super::bot::Prepare`] and the owner's [`super::bot::Sign`].
    pub bot: Option<BotOwnership>,
    /// What the registry's operator gave to newcomers, if it asks for a code.
    pub invite_code: Option<String>,
}

/// A person has the recovery phrase on the screen: it is not given out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhraseShown {}

/// The own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// Changes the own profile; what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProfile {
    /// Display name.
    pub name: Option<String>,
    /// Status text.
    pub status: Option<String>,
    /// Presence, as chosen.
    pub presence: Option<Presence>,
}

/// The profile of an account, from the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowProfile {
    /// The account.
    pub handle: Handle,
}

/// Decides which accounts may ask to become a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequests {
    /// Which.
    pub policy: RequestPolicy,
}

/// Decides whether others are told how far this account came with what they say, and whether it is shown how far they came.
/// Its own devices are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetReceipts {
    /// Whether.
    pub on: bool,
}

/// The person is here: presence is not away for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Active {}

/// The owner's word on a bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BotOwnership {
    /// Account and key of the owner.
    #[serde(with = "OwnerText")]
    #[schemars(with = "OwnerText")]
    pub owner: Owner,
    /// Handle of the owner: its invitations are accepted.
    pub handle: Handle,
    /// Signature of the owner's account key over the bot's certificate, 64 bytes.
    #[serde(with = "bytes")]
    #[schemars(with = "Base64<'_>")]
    pub signature: Vec<u8>,
}

/// The account is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// The new account.
    pub account: AccountView,
    /// BIP-39 words of the account key, given until [`PhraseShown`]; `null` for bots.
    pub phrase: Option<String>,
}
