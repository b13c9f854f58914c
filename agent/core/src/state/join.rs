//! Requests to join a group or to come back into it.

use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::sign::Signed;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::JoinLinkId;
use cipher_broker::wire::join::{JoinTicket, link_id};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::State;

/// Somebody's request to come back, until it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RejoinRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// Where the asker stands: epoch, and the commit that began it.
    #[serde(rename = "e")]
    pub place: (u64, ByteBuf),
    #[serde(rename = "f")]
    pub new_keys: bool,
    /// As it was signed.
    #[serde(rename = "b")]
    pub body: Signed,
    #[serde(rename = "k")]
    pub key_package: ByteBuf,
    /// When it was asked, by the asking device's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// When it came, by ours: turns are counted from there.
    #[serde(rename = "n")]
    pub arrived: Timestamp,
    /// The asking device is not in the group: it is told, or was (`true`).
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub outsider: Option<bool>,
}

/// Somebody's request to join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRequestRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "l")]
    pub link: JoinLinkId,
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// When it was asked, by the asking device's clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// When it came, by ours: turns are counted from there.
    #[serde(rename = "n")]
    pub arrived: Timestamp,
    /// Empty once it is done.
    #[serde(rename = "k")]
    pub key_package: ByteBuf,
    /// SHA-256 of the sealed request.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    #[serde(rename = "s")]
    pub standing: RequestState,
    /// Whether the person was told of it.
    #[serde(rename = "p", default)]
    pub told: bool,
    /// Whether the registry was asked for the account since.
    #[serde(rename = "f", default)]
    pub looked_up: bool,
}

/// Where a request stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestState {
    /// To be served, by us or others.
    #[serde(rename = "o")]
    Open,
    /// This intent lets it in.
    #[serde(rename = "i")]
    Admitting(u64),
    /// Nothing more is to be done.
    #[serde(rename = "d")]
    Done,
}

/// An own request to join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRow {
    /// The link.
    #[serde(rename = "l")]
    pub ticket: JoinTicket,
    /// SHA-256 of the sealed request: what refuses it names it.
    #[serde(rename = "h", with = "serde_bytes")]
    pub request: [u8; 32],
    /// When it was made.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

impl State {
    /// R-LINK-03: an invitation joins by itself when we asked for this very group, and its group data holds the link
    /// that we asked by, with its secret. Who only saw the request does not know that.
    pub(crate) fn asked_for(&self, group: &GroupId, links: &[JoinLinkId]) -> bool {
        self.joins.get(group).is_some_and(|row| links.contains(&link_id(&row.ticket.secret)))
    }
}
