//! What a token lets its holder do.

use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encoding::{Time, time};

/// What a token lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TokenScope")]
pub struct TokenView {
    /// Its name, which is also the only name that its holder may use as a subscriber or as a bot.
    pub name: String,
    /// The conversations it is for; `null`: all of them.
    pub groups: Option<Vec<GroupId>>,
    /// The methods it is for.
    pub methods: Vec<String>,
    /// From when on it is refused.
    #[serde(with = "time")]
    #[schemars(with = "Time")]
    pub expires_at: Timestamp,
}
