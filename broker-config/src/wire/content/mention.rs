//! A member named in a text.

use serde::{Deserialize, Serialize};

use crate::id::AccountId;

/// An account that a text names. Its author's agent knew which one was meant, so another name of the account, or another
/// account of the name, changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The account.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Where its name begins in the text, with the `@`, in bytes of UTF-8.
    #[serde(rename = "p")]
    pub start: u32,
    /// Bytes of its name.
    #[serde(rename = "l")]
    pub length: u32,
}
