//! Messages of before it came that a member gives to another one.

use cipher_broker::id::{AccountId, MessageId};
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, time};

/// What a member gave to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantView {
    /// Handle, when known, else the account id, of who got it.
    pub to: String,
    /// Digest of the account's key.
    pub account_id: AccountId,
    /// Number of messages.
    pub count: u32,
    /// When the oldest of them was said, as the giver says.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub from: Timestamp,
    /// When the latest of them was said, as the giver says.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub until: Timestamp,
    /// The group does not let it: nobody has got anything.
    #[serde(default)]
    pub refused: bool,
}

/// What a message of before was, as the member says that gave it: nothing proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantedView {
    /// Its id for those who were there.
    pub message: MessageId,
    /// Handle, when known, else the account id, of who is said to have said it.
    pub from: String,
    /// Digest of that account's key.
    pub account_id: AccountId,
    /// The message that it is said to have answered.
    pub reply_to: Option<MessageId>,
    /// Whether it is said to have had other words before.
    #[serde(default)]
    pub edited: bool,
}
