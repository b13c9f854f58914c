//! Invitations that nobody answered yet.

use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::{JoinLinkId, Role};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::state::{Skip, State};

/// An invitation that was not answered yet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct InviteRow {
    #[serde(rename = "w", with = "serde_bytes")]
    pub welcome: Vec<u8>,
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: [u8; 32],
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "s")]
    pub commit_sequence: u64,
    #[serde(rename = "h", with = "serde_bytes")]
    pub commit_hash: [u8; 32],
    #[serde(rename = "p")]
    pub pieces: u32,
    /// SHA-256 of each piece of the tree; empty from agents of before they were named.
    #[serde(rename = "ph", default)]
    pub hashes: Vec<ByteArray<32>>,
    /// The inviter's first words.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(rename = "t")]
    pub received_at: Timestamp,
    /// When the broker stored it; zero in stores of before it was noted.
    #[serde(rename = "bt", default)]
    pub posted_at: Timestamp,
    /// Its maker may itself have missed what the group did.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub doubt: bool,
    /// Times the tree was asked for in vain.
    #[serde(rename = "n")]
    pub attempts: u32,
    /// What the tree told, once it is here.
    #[serde(rename = "i")]
    pub known: Option<InviteFacts>,
    /// Whether it was shown.
    #[serde(rename = "sh", default)]
    pub told: bool,
    /// Declined here or on another own device, and kept for a while: a yes of a third device would win.
    #[serde(rename = "dc", default)]
    pub declined: bool,
    /// It came while this device thought it was in the group: the log decides what becomes of it.
    #[serde(rename = "hd", default)]
    pub held: bool,
    /// It would give back a place that was lost, of somebody who is not known as a member there: the person was asked.
    #[serde(rename = "of", default, skip_serializing_if = "std::ops::Not::not")]
    pub offered: bool,
}

impl std::fmt::Debug for InviteRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteRow")
            .field("epoch", &self.epoch)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// What an invitation says, after its tree was checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InviteFacts {
    #[serde(rename = "t", with = "serde_bytes")]
    pub tree: Vec<u8>,
    #[serde(rename = "i")]
    pub inviter: AccountId,
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "d")]
    pub direct: bool,
    #[serde(rename = "m")]
    pub members: Vec<(AccountId, Role, Kind, u32)>,
    #[serde(rename = "su")]
    pub suite: u16,
    /// Links in the group data, each under the id of its secret.
    #[serde(rename = "l", default)]
    pub links: Vec<JoinLinkId>,
    /// Whether it is the group of one account's devices.
    #[serde(rename = "o", default)]
    pub personal: bool,
    /// Devices in that group; empty for others.
    #[serde(rename = "dv", default)]
    pub devices: Vec<DeviceId>,
    /// Whether the group data does not allow its maker to add.
    #[serde(rename = "br", default)]
    pub beyond_role: bool,
}

/// Fellow members whose accounts are asked for before an invitation was accepted: its maker can make up thousands.
const LOOKED_UP: usize = 32;

impl InviteFacts {
    /// The accounts that are asked for: the inviter, and some of the others.
    pub(crate) fn to_look_up(&self) -> impl Iterator<Item = AccountId> {
        let others = self.members.iter().map(|member| member.0).filter(|account| *account != self.inviter);
        std::iter::once(self.inviter).chain(others.take(LOOKED_UP.saturating_sub(1)))
    }
}

/// What becomes of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// It is gone, counted under this class; its maker is not told.
    Dropped(Skip),
    /// This device becomes a member at once.
    Joins,
    /// The person decides.
    Waits,
}

impl State {
    /// Whether an invitation waits for its tree, and the tree was not looked for in vain yet.
    pub(crate) fn tree_missing(&self) -> bool {
        self.invites.iter().any(|(_, invite)| invite.known.is_none() && invite.attempts < 3)
    }

    /// A waiting direct conversation that an account opened.
    pub(crate) fn direct_invite_of(&self, account: &AccountId) -> Option<GroupId> {
        self.invites
            .iter()
            .filter(|(_, invite)| !invite.declined)
            .find(|(_, invite)| invite.known.as_ref().is_some_and(|k| k.direct && k.inviter == *account))
            .map(|(group, _)| *group)
    }
}
