//! Joining a group by a link.
//!
//! The link carries a secret. Its id and its key derive from the secret; the group's members have the same secret
//! in the group data. A request lies on the group's application subject, where any member that may add, now or
//! later, finds it.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::certificate::DeviceCertificate;
use crate::codec;
use crate::id::GroupId;
use crate::sign::{Signed, digest};
use crate::time::Timestamp;
use crate::wire::group::JoinLinkId;

/// What a link says. Text form: `cipher-chat:join/` and, in base64url (RFC 4648 §5), the encoded bytes and four bytes of
/// their hash: a letter that got lost or changed is noticed by whoever reads the link, and not asked of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTicket {
    /// The group.
    #[serde(rename = "g")]
    pub group: GroupId,
    /// The secret.
    #[serde(rename = "s")]
    pub secret: ByteArray<16>,
    /// Cipher suite of the group: what key package to bring (RFC 9420 §17.1).
    #[serde(rename = "u")]
    pub suite: u16,
    /// When it ends, as far as the link itself knows: it may be revoked before.
    #[serde(rename = "x")]
    pub expires: Timestamp,
    /// Whether a member approves each request, as far as the link itself knows.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

const SCHEME: &str = "cipher-chat:join/";
/// Bytes of the hash behind a link.
const CHECK: usize = 4;

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let [a, b, c, d, ..] = digest("cipher-chat/join-link-check/v1", &[bytes]);
    [a, b, c, d]
}

/// A text is not a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a link to a group")]
pub struct NotALink;

impl fmt::Display for JoinTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = codec::encode(self);
        bytes.extend(check(&bytes));
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for JoinTicket {
    type Err = NotALink;
    fn from_str(text: &str) -> Result<Self, NotALink> {
        let encoded = text.trim().strip_prefix(SCHEME).ok_or(NotALink)?;
        if encoded.len() > 512 {
            return Err(NotALink);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| NotALink)?;
        let (bytes, given) = bytes.split_last_chunk::<CHECK>().ok_or(NotALink)?;
        if *given != check(bytes) {
            return Err(NotALink);
        }
        codec::decode(bytes).map_err(|_| NotALink)
    }
}

/// The id of a link: what members find it by.
pub fn link_id(secret: &[u8; 16]) -> JoinLinkId {
    let hash = digest("cipher-chat/join-link-id/v1", &[secret]);
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(hash) {
        *to = from;
    }
    ByteArray::new(id)
}

/// The key under which requests by a link are sealed.
pub fn link_key(secret: &[u8; 16]) -> [u8; 32] {
    digest("cipher-chat/join-link-key/v1", &[secret])
}

/// A request: an encoded [`JoinRequestBody`] signed by the asking device ([`crate::sign::Purpose::JoinRequest`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Certificate of the asking device.
    #[serde(rename = "c")]
    pub certificate: DeviceCertificate,
    /// The signed body.
    #[serde(rename = "b")]
    pub body: Signed,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequestBody {
    /// The group.
    #[serde(rename = "g")]
    pub group: GroupId,
    /// Which link.
    #[serde(rename = "l")]
    pub link: JoinLinkId,
    /// When it was asked, by the asking device's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// A fresh key package of the asking device (RFC 9420 §10).
    #[serde(rename = "k")]
    pub key_package: ByteBuf,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JoinRefusal {
    /// The link's time is over.
    #[serde(rename = "expired")]
    Expired,
    /// As many as may have joined by it.
    #[serde(rename = "used-up")]
    UsedUp,
    /// It was revoked.
    #[serde(rename = "revoked")]
    Revoked,
    /// The account is banned from the group.
    #[serde(rename = "banned")]
    Banned,
    /// Whoever was to approve said no.
    #[serde(rename = "denied")]
    Denied,
    /// The registry of those who serve does not show the account, or not this device of it.
    #[serde(rename = "not-known")]
    NotKnown,
    /// More ask than can be looked at.
    #[serde(rename = "busy")]
    Busy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_back_and_junk_is_none() {
        let link = JoinTicket {
            group: GroupId::from_bytes([1; 16]),
            secret: ByteArray::new([2; 16]),
            suite: 3,
            expires: Timestamp::from_millis(5),
            approval: false,
        };
        assert_eq!(link.to_string().parse(), Ok(link.clone()));
        for text in ["", "cipher-chat:join/", "cipher-chat:join/AAAA", "http://x", &link.to_string()[..40]] {
            assert_eq!(text.parse::<JoinTicket>(), Err(NotALink), "{text}");
        }
        // Any one letter that is another one.
        let text = link.to_string();
        for at in SCHEME.len()..text.len() {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, other);
            assert_eq!(wrong.parse::<JoinTicket>(), Err(NotALink), "{wrong}");
        }
        assert_ne!(link_id(&[1; 16]), link_id(&[2; 16]));
        assert_ne!(link_id(&[1; 16]).as_slice(), &link_key(&[1; 16])[..16]);
    }
}
