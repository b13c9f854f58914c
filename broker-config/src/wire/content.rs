//! What people and bots say: the payload inside an MLS application message.
//!
//! Semantics follow the IETF MIMI content format (draft-ietf-mimi-content): the id is derived from content,
//! sender and room and never transmitted; the sender is the MLS leaf, so no author field exists.

use serde::{Deserialize, Serialize};

use serde_bytes::ByteBuf;

use crate::id::{AccountId, MessageId};
use crate::time::Timestamp;
use crate::transparency::SignedHead;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// 16 random bytes (for bots: derived from the event that caused the message), so that equal texts have
    /// different ids.
    #[serde(rename = "s", with = "serde_bytes")]
    pub salt: [u8; 16],
    /// When the sender says it was written.
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    /// The message this one answers.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// How many bots in a row led to this message; people send 0. Bots do not answer above a bound.
    #[serde(rename = "hop", default, skip_serializing_if = "is_zero")]
    pub hops: u8,
    /// What it is, one of the kinds below. Kinds this build does not know are kept and shown as
    /// unsupported.
    #[serde(rename = "k")]
    pub kind: String,
    /// The text, for kinds that have one.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Bytes, for kinds that have them: an encoded [`crate::wire::sync::Sync`] for [`SYNC`], a [`Missing`] for [`MISSING`].
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ByteBuf>,
    /// Gossip: the latest head of the account log that the sender accepted. The registry cannot rewrite it here.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SignedHead>,
}

/// Kind of an ordinary message.
pub const TEXT: &str = "text";
/// Kind by which an account tells a new contact that it accepted; carries no text and is not shown.
pub const CONTACT_ACCEPTED: &str = "contact-accepted";
/// Kind by which devices of one account keep each other up to date, in the group that only they are in.
pub const SYNC: &str = "sync";
/// Kind by which a member tells the others what a log that went back lost and nobody said again; carries a [`Missing`]
/// and no text.
pub const MISSING: &str = "missing";

/// What one member had read, and the log of the conversation does not show any more. It is that member's word; who has
/// all of it takes no notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// By who had said it; at most [`crate::limit::MISSING_MESSAGES`] messages in all.
    #[serde(rename = "o")]
    pub of: Vec<MissingOf>,
}

/// Lost messages of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingOf {
    /// Who had said them.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Each with the broker's time of it: who came later does not miss it.
    #[serde(rename = "m")]
    pub messages: Vec<(MessageId, Timestamp)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u8) -> bool {
    *n == 0
}
