//! Messages of before it came that a member gives to another one.
//!
//! ```text
//! HistoryGrant ── who, to whom, how many, of when: every member reads that
//!   keys ──────── for each device of the account that gets them: the key of this piece, sealed by HPKE (RFC 9180) to
//!   │             the encryption key of the device's leaf (RFC 9420 §7.2)
//!   └► sealed ─── an encoded list of [`GrantedMessage`]
//! ```

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::certificate::Kind;
use crate::codec;
use crate::id::{AccountId, DeviceId, GroupId, MessageId};
use crate::time::Timestamp;
use crate::wire::content::Attachment;

/// What the key of a piece is sealed for, as `info` of HPKE: no other use of the key of a leaf has it.
pub const GRANT_INFO: &[u8] = b"cipher-chat/history-grant/v1";

/// A piece of what a member gives another one. All pieces of one grant say the same but for what is sealed in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryGrant {
    /// Names the grant among those of the account that gives.
    #[serde(rename = "i")]
    pub id: ByteArray<16>,
    /// The account that gets the messages.
    #[serde(rename = "a")]
    pub to: AccountId,
    /// Number of messages in all pieces.
    #[serde(rename = "n")]
    pub count: u32,
    /// When the oldest of them was said.
    #[serde(rename = "f")]
    pub from: Timestamp,
    /// When the latest of them was said.
    #[serde(rename = "u")]
    pub until: Timestamp,
    /// Number of this piece, the first one 0.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub piece: u16,
    /// Number of pieces.
    #[serde(rename = "q")]
    pub pieces: u16,
    /// The key of this piece, for each device that may open it.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<GrantKey>,
    /// The messages, sealed.
    #[serde(rename = "s")]
    pub sealed: ByteBuf,
}

/// The key of a piece for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantKey {
    /// The device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// The encapsulated secret.
    #[serde(rename = "e")]
    pub kem: ByteBuf,
    /// The key, sealed.
    #[serde(rename = "s")]
    pub sealed: ByteBuf,
}

/// What a granted message was, as the member says that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedOf {
    /// Its id there.
    #[serde(rename = "i")]
    pub id: MessageId,
    /// The account that said it.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// Person or bot.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// The message it answered.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Whether it had other words before.
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    pub edited: bool,
}

/// A message as it stood where it was given. All of it is that member's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedMessage {
    /// What it was.
    #[serde(rename = "o")]
    pub of: GrantedOf,
    /// Sequence in the log.
    #[serde(rename = "p")]
    pub sequence: u64,
    /// How often the log went back since then.
    #[serde(rename = "z", default, skip_serializing_if = "is_zero")]
    pub ago: u16,
    /// When its author said that it was written.
    #[serde(rename = "t")]
    pub sent_at: Timestamp,
    /// When the broker stored it.
    #[serde(rename = "bt", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Its words.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whether its author said that the words were somebody else's.
    #[serde(rename = "fw", default, skip_serializing_if = "is_zero")]
    pub forwarded: bool,
    /// Files under it.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

impl HistoryGrant {
    /// What the messages of a piece are sealed with besides their key: they are opened in no other place.
    pub fn place(group: &GroupId, giver: &AccountId, id: &ByteArray<16>, piece: u16) -> Vec<u8> {
        codec::encode(&(group, giver, id, piece))
    }

    /// The same for the key of a piece, as `aad` of HPKE.
    pub fn place_of_key(
        group: &GroupId,
        giver: &AccountId,
        id: &ByteArray<16>,
        piece: u16,
        device: &DeviceId,
    ) -> Vec<u8> {
        codec::encode(&(group, giver, id, piece, device))
    }
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
