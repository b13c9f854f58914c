//! The rows of a profile in memory, and which of them changed since the last commit.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{DeviceCertificate, Kind, Owner};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId, PublishId};
use cipher_broker::sign::wire_hash;
use cipher_broker::time::Timestamp;
use cipher_broker::transparency::SignedHead;
use cipher_broker::wire::envelope::CommitLink;
use cipher_broker::wire::group::{GroupData, JoinLink, LinkId, Role};
use cipher_broker::wire::registry::Profile;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::{ErrorKind, Result};
use crate::evidence::EvidenceRow;
use crate::group::{JoinRequestRow, JoinRow};
use crate::history_transfer::TransferRow;
use crate::link::LinkRow;
use crate::store::{Store, storage, table};
use crate::transparency::HeadRow;
use crate::view::{ContactState, GroupState, RequestPolicy, Trust};

/// Rows of one table, all in memory, with the keys that changed.
#[derive(Debug)]
pub(crate) struct Rows<K, V> {
    rows: BTreeMap<K, V>,
    dirty: BTreeSet<K>,
}

impl<K: Ord + Copy, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), dirty: BTreeSet::new() }
    }
}

impl<K: Ord + Copy, V> Rows<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// For changing: the row is written at the end of the batch.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.dirty.insert(*key);
        Some(row)
    }

    /// For changing what lives only as long as the process: the row is not written.
    pub(crate) fn volatile_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.rows.insert(key, value);
        self.dirty.insert(key);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key)?;
        self.dirty.insert(*key);
        Some(row)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.rows.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<K: Ord + Copy + RowKey, V: Serialize + DeserializeOwned> Rows<K, V> {
    fn load(
        store: &Store,
        definition: TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<Self> {
        let read = store.db().begin_read().map_err(storage)?;
        let table = read.open_table(definition).map_err(storage)?;
        let mut rows = BTreeMap::new();
        for row in table.iter().map_err(storage)? {
            let (key, value) = row.map_err(storage)?;
            let key = K::from_key(key.value()).ok_or_else(|| damaged(&definition))?;
            rows.insert(key, codec::decode(value.value()).map_err(|_| damaged(&definition))?);
        }
        Ok(Self { rows, dirty: BTreeSet::new() })
    }

    fn flush(
        &self,
        txn: &WriteTransaction,
        definition: TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<()> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        let mut table = txn.open_table(definition).map_err(storage)?;
        for key in &self.dirty {
            match self.rows.get(key) {
                Some(row) => table.insert(key.to_key().as_slice(), codec::encode(row).as_slice()),
                None => table.remove(key.to_key().as_slice()),
            }
            .map_err(storage)?;
        }
        Ok(())
    }
}

fn damaged(definition: &TableDefinition<'_, &'static [u8], &'static [u8]>) -> crate::CoreError {
    use redb::TableHandle as _;
    ErrorKind::Storage
        .because(format!(
            "the store of this profile is damaged: a row of '{}' cannot be read",
            definition.name()
        ))
        .hint("move the profile away and register anew; an old copy would repeat keys and lose messages")
}

/// How a key is written.
pub(crate) trait RowKey: Sized {
    fn to_key(&self) -> Vec<u8>;
    fn from_key(bytes: &[u8]) -> Option<Self>;
}

impl RowKey for GroupId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for AccountId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for DeviceId {
    fn to_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for u64 {
    fn to_key(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_key(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// The own account and device, with their secret keys.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRow {
    #[serde(rename = "h")]
    pub handle: Option<Handle>,
    #[serde(rename = "ak", with = "serde_bytes")]
    pub account_seed: [u8; 32],
    #[serde(rename = "dk", with = "serde_bytes")]
    pub device_seed: [u8; 32],
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "k")]
    pub kind: Kind,
    #[serde(rename = "o")]
    pub owner: Option<Owner>,
    /// The certificate; for a bot without its owner's signature until it is registered.
    #[serde(rename = "c", with = "serde_bytes")]
    pub certificate: Vec<u8>,
    #[serde(rename = "t")]
    pub created_at: Timestamp,
    /// Whether the registry confirmed the account.
    #[serde(rename = "r")]
    pub registered: bool,
    #[serde(rename = "p")]
    pub profile: Profile,
    /// The account's log as last seen; `None` in stores of before there was one.
    #[serde(rename = "l", default)]
    pub log: Option<AccountLog>,
    /// Certificates of the account's active devices, this one's included.
    #[serde(rename = "cs", default)]
    pub certificates: Vec<DeviceCertificate>,
    /// What the person calls the devices.
    #[serde(rename = "dn", default)]
    pub names: BTreeMap<DeviceId, String>,
    /// The account revoked this device: nothing works any more.
    #[serde(rename = "rv", default)]
    pub revoked: bool,
    /// The keys are from a recovery phrase, and the registry does not have this device yet.
    #[serde(rename = "rc", default)]
    pub recovering: bool,
}

impl std::fmt::Debug for IdentityRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityRow")
            .field("account", &self.account)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Counters and small facts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    /// Next id of an outbox row or intent.
    #[serde(rename = "n")]
    pub next_id: u64,
    /// Position in the own inbox.
    #[serde(rename = "ic")]
    pub inbox_cursor: u64,
    /// Key of the registry, pinned at first contact.
    #[serde(rename = "rk")]
    pub registry_key: Option<ByteBuf>,
    /// Key packages at the registry when last counted.
    #[serde(rename = "kp")]
    pub stock: Option<u32>,
    /// Messages that could not be used, by class.
    #[serde(rename = "sk")]
    pub skipped: BTreeMap<String, u64>,
    /// Clock of the registry minus ours, milliseconds.
    #[serde(rename = "cs")]
    pub clock_skew_ms: Option<i64>,
    /// The latest head of the account log that was proven to continue the one before.
    #[serde(rename = "hd", default)]
    pub head: Option<SignedHead>,
    /// Heads that were shown, here or to fellow members, and are not proven to fit `head` yet.
    #[serde(rename = "hs", default)]
    pub heads: Vec<HeadRow>,
    /// The registry was caught with a history that does not fit `head`: what depends on it is refused until it
    /// shows one that does.
    #[serde(rename = "db", default)]
    pub doubt: bool,
    /// When a person was last told that the registry's head is old.
    #[serde(rename = "sw", default)]
    pub stale_told_at: Timestamp,
    /// Everything up to this sequence of the account log was handled; `None` before the first head.
    #[serde(rename = "lc", default)]
    pub log_cursor: Option<u64>,
    /// Entries before this position were passed over.
    #[serde(rename = "lg", default)]
    pub log_gap: u64,
    /// Where the own account's latest statement lies in the account log.
    #[serde(rename = "op", default)]
    pub own_place: LogPlace,
    /// Who may ask to become a contact.
    #[serde(rename = "rp", default)]
    pub request_policy: RequestPolicy,
    /// The group of the own devices, once there are several.
    #[serde(rename = "pg", default)]
    pub personal: Option<GroupId>,
    /// Blocked accounts that were accepted contacts before.
    #[serde(rename = "bc", default)]
    pub blocked_contacts: BTreeSet<AccountId>,
    /// What other own devices answered to invitations that have not come here yet, up to which epoch.
    #[serde(rename = "an", default)]
    pub answers: BTreeMap<GroupId, (bool, u64)>,
    /// This device was linked, and not all of its groups and history are here.
    #[serde(rename = "ar", default)]
    pub arriving: bool,
    /// Suites whose last-resort key package was used, and is not replaced yet.
    #[serde(rename = "lr", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub used_last_resorts: BTreeSet<u16>,
    /// A device link under way, on either side.
    #[serde(rename = "lk", default)]
    pub link: Option<LinkRow>,
}

/// A group we are or were in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupRow {
    #[serde(rename = "st")]
    pub state: GroupState,
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "d")]
    pub direct: bool,
    /// The other account of a direct conversation.
    #[serde(rename = "p")]
    pub peer: Option<AccountId>,
    #[serde(rename = "su")]
    pub suite: u16,
    #[serde(rename = "e")]
    pub epoch: u64,
    /// Everything up to this stream sequence was handled.
    #[serde(rename = "c")]
    pub cursor: u64,
    /// Last sequence handled on the handshake subject: what compare-and-set expects.
    #[serde(rename = "h")]
    pub handshake: u64,
    /// The last merged commit.
    #[serde(rename = "l")]
    pub link: CommitLink,
    /// Sequence at which we joined.
    #[serde(rename = "j")]
    pub joined_at: u64,
    #[serde(rename = "u")]
    pub unread: u64,
    /// Everything up to here was read, by this device or another own one; `None` in stores of before it was noted.
    #[serde(rename = "rd", default)]
    pub read_to: Option<u64>,
    /// Own commit that waits for its place in the log.
    #[serde(rename = "s")]
    pub slot: Option<Slot>,
    /// Verified proposals of others for the current epoch, not given to OpenMLS before a commit needs them: a
    /// stored proposal would block every send.
    #[serde(rename = "q")]
    pub proposals: Vec<ByteBuf>,
    /// Own proposal to leave, and the epoch it was made for.
    #[serde(rename = "lv")]
    pub leave_epoch: Option<u64>,
    /// A commit of this epoch could not be applied.
    #[serde(rename = "x")]
    pub suspect: Option<u64>,
    #[serde(rename = "pn")]
    pub parked: u32,
    #[serde(rename = "pb")]
    pub parked_bytes: u64,
    /// The group of the own devices: never shown.
    #[serde(rename = "o", default)]
    pub personal: bool,
    /// Links that were revoked or dropped, the latest ones: who asks by one is told why it stays out.
    #[serde(rename = "gl", default, skip_serializing_if = "Vec::is_empty")]
    pub gone_links: Vec<(LinkId, JoinLink)>,
    /// When this device last told the group its head of the account log.
    #[serde(rename = "gs", default)]
    pub gossiped_at: Timestamp,
}

impl GroupRow {
    /// A group we are in from now on, at the place of the commit that `link` names.
    pub(crate) fn active(data: &GroupData, suite: u16, epoch: u64, link: CommitLink) -> Self {
        Self {
            state: GroupState::Active,
            name: data.name.clone(),
            direct: data.direct,
            peer: None,
            suite,
            epoch,
            cursor: link.sequence,
            handshake: link.sequence,
            joined_at: link.sequence,
            read_to: Some(link.sequence),
            link,
            unread: 0,
            slot: None,
            proposals: Vec::new(),
            leave_epoch: None,
            suspect: None,
            parked: 0,
            parked_bytes: 0,
            personal: data.personal,
            gossiped_at: Timestamp::default(),
            gone_links: Vec::new(),
        }
    }

    /// A link that is in the group data no more.
    pub(crate) fn gone_link(&self, id: &LinkId) -> Option<JoinLink> {
        self.gone_links.iter().rev().find(|(gone, _)| gone == id).map(|(_, link)| link.clone())
    }
}

/// An own commit between being made and being seen in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// Its outbox row.
    #[serde(rename = "r")]
    pub row: u64,
    /// The intent it carries out; `None` when it only commits others' proposals.
    #[serde(rename = "i")]
    pub intent: Option<u64>,
    /// Epoch it was made in.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// SHA-256 of its bytes.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    /// The Welcome, and for whom: leaves only after the commit is in the log.
    #[serde(rename = "w")]
    pub welcome: Option<PendingWelcome>,
}

/// A Welcome that waits for its commit.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingWelcome {
    #[serde(rename = "w", with = "serde_bytes")]
    pub welcome: Vec<u8>,
    /// Key of the sealed tree and note; also in the GroupInfo.
    #[serde(rename = "k", with = "serde_bytes")]
    pub key: [u8; 32],
    #[serde(rename = "d")]
    pub devices: Vec<DeviceId>,
}

impl std::fmt::Debug for PendingWelcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingWelcome").field("devices", &self.devices).finish_non_exhaustive()
    }
}

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
    #[serde(rename = "t")]
    pub received_at: Timestamp,
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
    pub links: Vec<LinkId>,
    /// Whether it is the group of one account's devices.
    #[serde(rename = "o", default)]
    pub personal: bool,
    /// Devices in that group; empty for others.
    #[serde(rename = "dv", default)]
    pub devices: Vec<DeviceId>,
}

/// Another account, as pinned at first use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountRow {
    #[serde(rename = "h")]
    pub handle: Handle,
    #[serde(rename = "k")]
    pub kind: Kind,
    #[serde(rename = "o")]
    pub owner: Option<AccountId>,
    #[serde(rename = "d")]
    pub devices: Vec<DeviceId>,
    #[serde(rename = "p")]
    pub profile: Profile,
    #[serde(rename = "c")]
    pub contact: Option<ContactState>,
    #[serde(rename = "t")]
    pub trust: Trust,
    /// Its log as far as it was seen: never goes back. `None` in stores of before there was one, and while only the
    /// account id is known.
    #[serde(rename = "l", default)]
    pub log: Option<AccountLog>,
    /// The account that the registry says has the handle now, while trust is [`Trust::Changed`].
    #[serde(rename = "rv", default)]
    pub rival: Option<AccountId>,
    /// The person accepted that another account has the handle: this one is history.
    #[serde(rename = "rt", default)]
    pub retired: bool,
    /// It claims a handle that another account was pinned for, and nobody accepted that: never found by handle.
    #[serde(rename = "rp", default)]
    pub claimant: bool,
    /// What was known of its key before it became [`Trust::Changed`].
    #[serde(rename = "tb", default)]
    pub trust_before: Option<Trust>,
    /// Where its latest statement lies in the account log.
    #[serde(rename = "lp", default)]
    pub place: LogPlace,
}

/// Where the latest known statement of an account lies in the account log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogPlace {
    /// How many statements there were when it was the latest, and its position, from 0; `None` when that is not known.
    #[serde(rename = "t")]
    pub tip: Option<(u64, u64)>,
    /// From this position on, the stream was read with the account known: nothing of it may be missing.
    #[serde(rename = "f")]
    pub followed: u64,
}

/// A one-time key package that was used here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackageRow {
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Something of ours that must reach the broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OutboxRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "k")]
    pub kind: OutboxKind,
    #[serde(rename = "s")]
    pub seal: Option<Seal>,
    /// Attempts of this process. What the broker said of a row is not stored: it can be asked again, and every
    /// write of the row would write its bytes again.
    #[serde(skip)]
    pub attempts: u32,
    /// Not before this time.
    #[serde(skip)]
    pub retry_at: Timestamp,
}

/// What it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum OutboxKind {
    /// An application message; its content is sealed again when a commit came first.
    #[serde(rename = "m")]
    Message {
        #[serde(rename = "c", with = "serde_bytes")]
        content: Vec<u8>,
        #[serde(rename = "i")]
        id: MessageId,
    },
    /// A commit; belongs to the slot of its group.
    #[serde(rename = "c")]
    Commit,
    /// A proposal to leave.
    #[serde(rename = "l")]
    Leave,
    /// A piece of a sealed tree, a Welcome, or what else anybody may send without being in the group.
    #[serde(rename = "p")]
    Post(Post),
}

/// Where a post goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Post {
    #[serde(rename = "t")]
    Tree { epoch: u64, piece: u32 },
    #[serde(rename = "w")]
    Welcome { device: DeviceId },
    /// An own request to join, on the group's application subject.
    #[serde(rename = "j")]
    Join,
    /// Why somebody else's request was refused.
    #[serde(rename = "n")]
    Refusal { device: DeviceId },
    /// A step of a device link; its row's group stands for the inbox.
    #[serde(rename = "l")]
    Link { inbox: DeviceId },
}

/// Bytes that may have been published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// Epoch of the bytes.
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "b", with = "serde_bytes")]
    pub bytes: Vec<u8>,
    #[serde(rename = "h", with = "serde_bytes")]
    pub hash: [u8; 32],
    #[serde(rename = "i")]
    pub publish_id: PublishId,
    /// Expected last handshake sequence, when it goes fenced.
    #[serde(skip)]
    pub fence: Option<u64>,
    /// The broker stored it there; the log must still show it in the right epoch.
    #[serde(skip)]
    pub stored_at: Option<u64>,
    /// It was refused or its outcome is open: read the log to its end before doing anything else.
    #[serde(skip)]
    pub doubtful: bool,
}

impl OutboxRow {
    /// A row that may go at once.
    pub(crate) fn new(group: GroupId, kind: OutboxKind, seal: Option<Seal>) -> Self {
        Self { group, kind, seal, attempts: 0, retry_at: Timestamp::default() }
    }
}

impl Seal {
    /// Bytes that nobody published yet.
    pub(crate) fn new(epoch: u64, bytes: Vec<u8>, publish_id: PublishId) -> Self {
        let hash = wire_hash(&bytes);
        Self { epoch, bytes, hash, publish_id, fence: None, stored_at: None, doubtful: false }
    }
}

/// A change of a group that survives lost races.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IntentRow {
    #[serde(rename = "g")]
    pub group: GroupId,
    #[serde(rename = "w")]
    pub wish: Wish,
}

/// What is to be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Wish {
    #[serde(rename = "a")]
    Add(Vec<Joiner>),
    #[serde(rename = "r")]
    Remove(Vec<AccountId>),
    #[serde(rename = "n")]
    Rename(String),
    #[serde(rename = "o")]
    Role(AccountId, Role),
    /// Brings the group's leaves in line with what accounts stated: revoked devices go, own new devices and
    /// recovered accounts come. What that means is worked out when the commit is made; `joiners` has the key
    /// packages that were taken for it.
    #[serde(rename = "d")]
    Devices { joiners: Vec<Joiner> },
    /// Makes a link to join by, or revokes one.
    #[serde(rename = "l")]
    Link { id: LinkId, link: Option<JoinLink> },
    /// Lets an account in by a link.
    #[serde(rename = "j")]
    Admit { link: LinkId, joiner: Joiner },
    /// Gives this device new keys in the group.
    #[serde(rename = "t")]
    Rotate,
    /// Bans accounts, removing those that are members; or lifts their ban.
    #[serde(rename = "b")]
    Ban { accounts: Vec<AccountId>, lift: bool },
}

/// A device to add, with its checked key package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Joiner {
    #[serde(rename = "a")]
    pub account: AccountId,
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "k", with = "serde_bytes")]
    pub key_package: Vec<u8>,
}

/// How far a bot is in one conversation, and what it remembers of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BotRow {
    #[serde(rename = "c")]
    pub cursor: u64,
    #[serde(rename = "m")]
    pub memory: Option<ByteBuf>,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub identity: Option<IdentityRow>,
    pub identity_dirty: bool,
    pub meta: MetaRow,
    pub meta_dirty: bool,
    pub groups: Rows<GroupId, GroupRow>,
    pub invites: Rows<GroupId, InviteRow>,
    pub accounts: Rows<AccountId, AccountRow>,
    pub outbox: Rows<u64, OutboxRow>,
    pub intents: Rows<u64, IntentRow>,
    pub evidence: Rows<u64, EvidenceRow>,
    pub joins: Rows<GroupId, JoinRow>,
    pub join_requests: Rows<u64, JoinRequestRow>,
    pub transfers: Rows<DeviceId, TransferRow>,
    pub packages: Rows<u64, PackageRow>,
}

impl State {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let read = store.db().begin_read().map_err(storage)?;
        let meta_table = read.open_table(table::META).map_err(storage)?;
        let bytes = |key: &str| -> Result<Option<Vec<u8>>> {
            Ok(meta_table.get(key).map_err(storage)?.map(|row| row.value().to_vec()))
        };
        let identity = bytes("identity")?.map(|b| codec::decode(&b)).transpose();
        let meta = bytes("counters")?.map(|b| codec::decode(&b)).transpose();
        let broken = |_| {
            ErrorKind::Storage
                .because("the store of this profile is damaged: its identity cannot be read")
                .hint("move the profile away and register anew; an old copy would repeat keys and lose messages")
        };
        Ok(Self {
            identity: identity.map_err(broken)?,
            identity_dirty: false,
            meta: meta.map_err(broken)?.unwrap_or_default(),
            meta_dirty: false,
            groups: Rows::load(store, table::GROUPS)?,
            invites: Rows::load(store, table::INVITES)?,
            accounts: Rows::load(store, table::ACCOUNTS)?,
            outbox: Rows::load(store, table::OUTBOX)?,
            intents: Rows::load(store, table::INTENTS)?,
            evidence: Rows::load(store, table::EVIDENCE)?,
            joins: Rows::load(store, table::JOINS)?,
            join_requests: Rows::load(store, table::JOIN_REQUESTS)?,
            transfers: Rows::load(store, table::TRANSFERS)?,
            packages: Rows::load(store, table::PACKAGES)?,
        })
    }

    pub(crate) fn is_clean(&self) -> bool {
        !self.identity_dirty
            && !self.meta_dirty
            && self.groups.dirty.is_empty()
            && self.invites.dirty.is_empty()
            && self.accounts.dirty.is_empty()
            && self.outbox.dirty.is_empty()
            && self.intents.dirty.is_empty()
            && self.evidence.dirty.is_empty()
            && self.joins.dirty.is_empty()
            && self.join_requests.dirty.is_empty()
            && self.transfers.dirty.is_empty()
            && self.packages.dirty.is_empty()
    }

    pub(crate) fn flush(&self, txn: &WriteTransaction) -> Result<()> {
        if self.identity_dirty || self.meta_dirty {
            let mut meta = txn.open_table(table::META).map_err(storage)?;
            if let Some(identity) = &self.identity {
                meta.insert("identity", codec::encode(identity).as_slice()).map_err(storage)?;
            }
            meta.insert("counters", codec::encode(&self.meta).as_slice()).map_err(storage)?;
        }
        self.groups.flush(txn, table::GROUPS)?;
        self.invites.flush(txn, table::INVITES)?;
        self.accounts.flush(txn, table::ACCOUNTS)?;
        self.outbox.flush(txn, table::OUTBOX)?;
        self.intents.flush(txn, table::INTENTS)?;
        self.evidence.flush(txn, table::EVIDENCE)?;
        self.joins.flush(txn, table::JOINS)?;
        self.join_requests.flush(txn, table::JOIN_REQUESTS)?;
        self.transfers.flush(txn, table::TRANSFERS)?;
        self.packages.flush(txn, table::PACKAGES)
    }

    pub(crate) fn flushed(&mut self) {
        self.identity_dirty = false;
        self.meta_dirty = false;
        self.groups.dirty.clear();
        self.invites.dirty.clear();
        self.accounts.dirty.clear();
        self.outbox.dirty.clear();
        self.intents.dirty.clear();
        self.evidence.dirty.clear();
        self.joins.dirty.clear();
        self.join_requests.dirty.clear();
        self.transfers.dirty.clear();
        self.packages.dirty.clear();
    }

    pub(crate) fn meta_mut(&mut self) -> &mut MetaRow {
        self.meta_dirty = true;
        &mut self.meta
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        let meta = self.meta_mut();
        meta.next_id = meta.next_id.saturating_add(1);
        meta.next_id
    }

    pub(crate) fn count_skipped(&mut self, class: &str) {
        let count = self.meta_mut().skipped.entry(class.into()).or_default();
        *count = count.saturating_add(1);
    }
}
