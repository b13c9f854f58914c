//! What a backup holds: the parts of version 1, in the order in which they come.
//!
//! ```text
//! Account ─► Accounts … ─► Groups … ─► Changes … ─► Evidence … ─► Messages … ─► Bots … ─► End
//! ```
//!
//! A part is encoded as rows of a store are, and rows in it are those of a store, so they follow the same rules: fields
//! come, none goes or changes its meaning. What would let a restored device pass for the one that the backup is of has no
//! field here (R-BACKUP-01). Bots come last: what they have handled by then lies in the parts before.

use std::collections::{BTreeMap, BTreeSet};

use cipher_api::view::{GroupState, RequestPolicy};
use cipher_api::{Error, ErrorKind};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{Kind, Owner};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::envelope::CommitPlace;
use cipher_broker::wire::group::{GroupData, Role, Settings};
use cipher_broker::wire::registry::PublicProfile;
use cipher_broker::wire::sync::Muted;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::state::{
    AccountRow, BotRow, ChangesRow, EvidenceRow, GroupRow, HeadRow, LogPlace, MessageRow, State,
};

/// A part of a backup (R-BACKUP-05).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum BackupPart {
    #[serde(rename = "a")]
    Account(Box<BackupAccount>),
    #[serde(rename = "p")]
    Accounts(Vec<(AccountId, AccountRow)>),
    #[serde(rename = "g")]
    Groups(Vec<BackupGroup>),
    #[serde(rename = "c")]
    Changes(Vec<(GroupId, MessageId, ChangesRow)>),
    #[serde(rename = "v")]
    Evidence(Vec<(u64, EvidenceRow)>),
    #[serde(rename = "m")]
    Messages(Vec<BackupMessage>),
    #[serde(rename = "b")]
    Bots(Vec<BackupBot>),
    /// Nothing comes behind it.
    #[serde(rename = "e")]
    End {
        /// Messages in the parts before.
        #[serde(rename = "m")]
        messages: u64,
    },
}

/// The own account, and what was known of the registry.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct BackupAccount {
    /// When the backup began.
    #[serde(rename = "t")]
    pub at: Timestamp,
    #[serde(rename = "h")]
    pub handle: Handle,
    #[serde(rename = "ak", with = "serde_bytes")]
    pub seed: [u8; 32],
    /// The device that made the backup.
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "k")]
    pub kind: Kind,
    #[serde(rename = "o")]
    pub owner: Option<Owner>,
    #[serde(rename = "p")]
    pub profile: PublicProfile,
    #[serde(rename = "l")]
    pub log: Option<AccountLog>,
    #[serde(rename = "dn")]
    pub names: BTreeMap<DeviceId, String>,
    #[serde(rename = "pd", default)]
    pub phrase_due: bool,
    #[serde(rename = "rk")]
    pub registry_key: Option<ByteBuf>,
    #[serde(rename = "hd")]
    pub head: Option<SignedHead>,
    #[serde(rename = "hs", default)]
    pub heads: Vec<HeadRow>,
    #[serde(rename = "db", default)]
    pub doubt: bool,
    #[serde(rename = "lc")]
    pub log_cursor: Option<u64>,
    #[serde(rename = "lg", default)]
    pub log_gap: u64,
    #[serde(rename = "op", default)]
    pub own_place: LogPlace,
    #[serde(rename = "rp", default)]
    pub request_policy: RequestPolicy,
    #[serde(rename = "rcp", default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<bool>,
    #[serde(rename = "bc", default)]
    pub blocked_contacts: BTreeSet<AccountId>,
    #[serde(rename = "an", default)]
    pub answers: BTreeMap<GroupId, (bool, u64)>,
}

impl std::fmt::Debug for BackupAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupAccount").field("device", &self.device).finish_non_exhaustive()
    }
}

/// A group, without its keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BackupGroup {
    #[serde(rename = "i")]
    pub id: GroupId,
    #[serde(rename = "st")]
    pub state: GroupState,
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "d")]
    pub direct: bool,
    #[serde(rename = "p")]
    pub peer: Option<AccountId>,
    #[serde(rename = "su")]
    pub suite: u16,
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "er")]
    pub era: u16,
    #[serde(rename = "c")]
    pub cursor: u64,
    #[serde(rename = "j")]
    pub joined_at: u64,
    #[serde(rename = "rt", default)]
    pub read_to: Option<u64>,
    #[serde(rename = "rb", default)]
    pub read_beyond: Vec<(u64, u64)>,
    #[serde(rename = "u", default)]
    pub unread: u64,
    #[serde(rename = "um", default, skip_serializing_if = "is_zero")]
    pub mentions: u64,
    #[serde(rename = "al", default)]
    pub alias: Option<String>,
    #[serde(rename = "mu", default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
    #[serde(rename = "sa", default)]
    pub seen_at: Timestamp,
    #[serde(rename = "lb", default)]
    pub let_in_by: Option<AccountId>,
    #[serde(rename = "li", default)]
    pub let_in_at: Option<Timestamp>,
    #[serde(rename = "rk", default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u32>,
    /// Who was in it besides the own account.
    #[serde(rename = "m", default)]
    pub members: Vec<AccountId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A message, without the bytes that it was sealed in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupMessage {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "p")]
    pub place: (u64, u16),
    #[serde(rename = "r")]
    pub row: MessageRow,
}

/// How far a bot is in a conversation, and what it remembers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupBot {
    #[serde(rename = "b")]
    pub bot: String,
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "r")]
    pub row: BotRow,
}

/// A backup that is being taken in, or was: the account does not have this device yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RestoredRow {
    /// The device that made the backup.
    #[serde(rename = "d")]
    pub device: DeviceId,
    /// Messages so far.
    #[serde(rename = "m")]
    pub messages: u64,
    /// All of it is here.
    #[serde(rename = "w")]
    pub whole: bool,
    /// Whether the account's other devices stay, if the person said so.
    #[serde(rename = "k", default)]
    pub keeps: Option<bool>,
    /// When the backup began: with the device it tells one from another.
    #[serde(rename = "t", default)]
    pub at: Option<Timestamp>,
}

/// Whose a backup is, as its first part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOf {
    /// The account.
    pub handle: Handle,
    /// Of a bot: the account that owns it.
    pub owner: Option<AccountId>,
}

impl BackupOf {
    /// Reads it from the first part of a backup; an error for any other part, and for what a newer version made.
    pub fn read(first: &[u8]) -> Result<Self, Error> {
        match codec::decode(first) {
            Ok(BackupPart::Account(kept)) => {
                let owner = kept.owner.filter(|_| kept.kind == Kind::Bot).map(|owner| owner.account);
                Ok(Self { handle: kept.handle, owner })
            }
            Ok(_) | Err(_) => Err(ErrorKind::Misuse.because(
                "this is not the first part of a backup that this version reads: a newer one may have made it",
            )),
        }
    }
}

impl BackupGroup {
    /// A group of a store; `members` are the other accounts in it.
    pub(crate) fn of(id: GroupId, row: &GroupRow, members: Vec<AccountId>) -> Self {
        Self {
            id,
            state: row.state,
            name: row.name.clone(),
            direct: row.direct,
            peer: row.peer,
            suite: row.suite,
            epoch: row.epoch,
            era: row.era,
            cursor: row.cursor,
            joined_at: row.joined_at,
            read_to: row.read_to,
            read_beyond: row.read_beyond.clone(),
            unread: row.unread,
            mentions: row.mentions,
            alias: row.alias.clone(),
            muted: row.muted,
            seen_at: row.seen_at,
            let_in_by: row.let_in_by,
            let_in_at: row.let_in_at,
            retention_seconds: row.retention_seconds,
            members,
        }
    }

    /// The group as a restored device knows it: it has no place there until a member lets it in.
    pub(crate) fn into_row(self) -> GroupRow {
        let data = GroupData {
            version: GroupData::VERSION,
            name: self.name,
            direct: self.direct,
            roles: BTreeMap::new(),
            may_add: Role::Owner,
            may_rename: Role::Owner,
            may_resync: false,
            settings: Settings::default(),
            personal: false,
            links: BTreeMap::new(),
            banned: BTreeSet::new(),
        };
        let state = match self.state {
            GroupState::Left | GroupState::Removed => self.state,
            GroupState::Invited
            | GroupState::Active
            | GroupState::Leaving
            | GroupState::Restored
            | GroupState::Stuck
            | GroupState::Unknown => GroupState::Restored,
        };
        GroupRow {
            state,
            peer: self.peer,
            era: self.era,
            cursor: self.cursor,
            handshake: self.cursor,
            joined_at: self.joined_at,
            read_to: self.read_to,
            read_beyond: self.read_beyond,
            unread: self.unread,
            mentions: self.mentions,
            alias: self.alias,
            muted: self.muted,
            seen_at: self.seen_at,
            let_in_by: self.let_in_by,
            let_in_at: self.let_in_at,
            retention_seconds: self.retention_seconds,
            members_then: self.members,
            ..GroupRow::active(&data, self.suite, self.epoch, CommitPlace { sequence: 0, hash: [0; 32] })
        }
    }
}

impl State {
    /// A backup that lies in this profile, whose account does not have this device yet.
    pub(crate) const fn restored(&self) -> Option<&RestoredRow> {
        self.meta.restored.as_ref()
    }

    /// R-BACKUP-03: whether a group is one of the backup that this device was made from, to which this account may let it
    /// back in without its person being asked.
    pub(crate) fn lets_back(&self, group: &GroupId, inviter: &AccountId, direct: bool) -> bool {
        let row = self.groups.get(group).filter(|row| row.state == GroupState::Restored);
        row.is_some_and(|row| row.direct == direct && row.members_then.contains(inviter))
    }
}
