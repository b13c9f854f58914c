//! Asking to come back: a device that cannot follow the log of a group any more, although its leaf is still in the tree.
//!
//! The request lies on the group's application subject, where any member, now or later, finds it. It is signed and not
//! sealed: who asks has lost every key that the members share. The broker sees which device asks. So is the answer to
//! a device that was removed meanwhile and cannot know.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::id::{AccountId, DeviceId, GroupId};
use crate::sign::Signed;
use crate::time::Timestamp;

/// A request to come back: an encoded [`RejoinBody`] signed by the asking device
/// ([`crate::sign::Purpose::Rejoin`]), and the key package that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejoinRequest {
    /// The signed body. A commit that serves the request shows it.
    #[serde(rename = "b")]
    pub body: Signed,
    /// A fresh key package of the asking device (RFC 9420 §10).
    #[serde(rename = "k")]
    pub key_package: ByteBuf,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejoinBody {
    /// The group.
    #[serde(rename = "g")]
    pub group: GroupId,
    /// Account of the asking device.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// The asking device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// The last epoch that the device could follow.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// SHA-256 of the commit that began it; zeros for the first epoch. Whoever is there too has lost nothing that the
    /// asker has not.
    #[serde(rename = "c", with = "serde_bytes")]
    pub commit: [u8; 32],
    /// SHA-256 of the key package: no other one may be added in the name of this request.
    #[serde(rename = "p", with = "serde_bytes")]
    pub package: [u8; 32],
    /// Whether the device needs new keys although it could follow: it does not know all that was sealed with them.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub new_keys: bool,
    /// When it was asked, by the asking device's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The number of the copy of the profile that asks: of two that are in use, the smaller one goes on.
    #[serde(rename = "f", default = "no_number", skip_serializing_if = "is_no_number")]
    pub copy: u64,
    /// Sequence of the last word (a request, or new keys) of the device in the group's log that the copy knows as its own: one
    /// whose word lies behind that is in use as well.
    #[serde(rename = "k", default, skip_serializing_if = "is_nothing")]
    pub knew: u64,
}

/// Of a build without numbers: no other copy stops for it.
const fn no_number() -> u64 {
    u64::MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_no_number(number: &u64) -> bool {
    *number == u64::MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_nothing(sequence: &u64) -> bool {
    *sequence == 0
}

/// What a member says to a device that asks to come back and has no leaf in the group any more. It is that member's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMemberBody {
    /// The group.
    #[serde(rename = "g")]
    pub group: GroupId,
    /// [`RejoinBody::package`] of the request that is answered.
    #[serde(rename = "p", with = "serde_bytes")]
    pub package: [u8; 32],
    /// Account of the answering device.
    #[serde(rename = "a")]
    pub account: AccountId,
    /// The answering device.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// The epoch in which the answering device is, and the asking one is not.
    #[serde(rename = "e")]
    pub epoch: u64,
}
