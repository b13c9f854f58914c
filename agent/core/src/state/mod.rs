//! The rows of a profile in memory, and which of them changed since the last commit.

mod account;
mod group;
mod invite;
mod outbox;
pub(crate) mod position;
mod profile;
mod rows;

use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::time::Timestamp;
use redb::{ReadableDatabase, WriteTransaction};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub(crate) use self::account::{AccountRow, LogPlace};
pub(crate) use self::group::{GroupRow, IntentRow, Joiner, PendingWelcome, PostedRow, Slot, Wish};
pub(crate) use self::invite::{InviteFacts, InviteRow};
pub(crate) use self::outbox::{OutboxKind, OutboxRow, Post, Seal};
pub(crate) use self::profile::{IdentityRow, MetaRow};
pub(crate) use self::rows::Rows;
use crate::error::{ErrorKind, Result};
use crate::group::{JoinRequestRow, JoinRow, MissingRow, RejoinRow};
use crate::own::history_transfer::TransferRow;
use crate::store::{Store, storage, table};
use crate::watch::evidence::EvidenceRow;

/// A one-time key package that was used here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackageRow {
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// How far a bot is in one conversation, and what it remembers of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BotRow {
    #[serde(rename = "c")]
    pub cursor: u64,
    #[serde(rename = "m")]
    pub memory: Option<ByteBuf>,
}

/// So many messages of no use are read again, at most, after the process was killed.
const MOST_PUT_OFF: usize = 512;

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub identity: Option<IdentityRow>,
    pub identity_dirty: bool,
    pub meta: MetaRow,
    pub meta_dirty: bool,
    /// Messages of no use since the last transaction: so many cursors and counters wait for the next one.
    put_off: usize,
    pub groups: Rows<GroupId, GroupRow>,
    pub invites: Rows<GroupId, InviteRow>,
    pub accounts: Rows<AccountId, AccountRow>,
    pub outbox: Rows<u64, OutboxRow>,
    pub intents: Rows<u64, IntentRow>,
    pub evidence: Rows<u64, EvidenceRow>,
    pub joins: Rows<GroupId, JoinRow>,
    pub join_requests: Rows<u64, JoinRequestRow>,
    pub rejoins: Rows<u64, RejoinRow>,
    pub transfers: Rows<DeviceId, TransferRow>,
    pub packages: Rows<u64, PackageRow>,
    pub posted: Rows<u64, PostedRow>,
    /// Fellow members whose handle is still to be asked for: neither a process that ends nor a registry that is away
    /// makes this forgotten.
    pub unnamed: Rows<AccountId, ()>,
    pub missing: Rows<GroupId, MissingRow>,
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
                .hint(crate::store::DAMAGED)
        };
        Ok(Self {
            identity: identity.map_err(broken)?,
            identity_dirty: false,
            meta: meta.map_err(broken)?.unwrap_or_default(),
            meta_dirty: false,
            put_off: 0,
            groups: Rows::load(store, table::GROUPS)?,
            invites: Rows::load(store, table::INVITES)?,
            accounts: Rows::load(store, table::ACCOUNTS)?,
            outbox: Rows::load(store, table::OUTBOX)?,
            intents: Rows::load(store, table::INTENTS)?,
            evidence: Rows::load(store, table::EVIDENCE)?,
            joins: Rows::load(store, table::JOINS)?,
            join_requests: Rows::load(store, table::JOIN_REQUESTS)?,
            rejoins: Rows::load(store, table::REJOINS)?,
            transfers: Rows::load(store, table::TRANSFERS)?,
            packages: Rows::load(store, table::PACKAGES)?,
            posted: Rows::load(store, table::POSTED)?,
            unnamed: Rows::load(store, table::UNNAMED)?,
            missing: Rows::load(store, table::MISSING)?,
        })
    }

    pub(crate) fn is_clean(&self) -> bool {
        !self.identity_dirty
            && !self.meta_dirty
            && self.put_off < MOST_PUT_OFF
            && self.groups.is_clean()
            && self.invites.is_clean()
            && self.accounts.is_clean()
            && self.outbox.is_clean()
            && self.intents.is_clean()
            && self.evidence.is_clean()
            && self.joins.is_clean()
            && self.join_requests.is_clean()
            && self.rejoins.is_clean()
            && self.transfers.is_clean()
            && self.packages.is_clean()
            && self.posted.is_clean()
            && self.unnamed.is_clean()
            && self.missing.is_clean()
    }

    pub(crate) fn flush(&self, txn: &WriteTransaction) -> Result<()> {
        if self.identity_dirty || self.meta_dirty || self.put_off > 0 {
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
        self.rejoins.flush(txn, table::REJOINS)?;
        self.transfers.flush(txn, table::TRANSFERS)?;
        self.packages.flush(txn, table::PACKAGES)?;
        self.posted.flush(txn, table::POSTED)?;
        self.unnamed.flush(txn, table::UNNAMED)?;
        self.missing.flush(txn, table::MISSING)
    }

    pub(crate) fn flushed(&mut self) {
        self.identity_dirty = false;
        self.meta_dirty = false;
        self.put_off = 0;
        self.groups.flushed();
        self.invites.flushed();
        self.accounts.flushed();
        self.outbox.flushed();
        self.intents.flushed();
        self.evidence.flushed();
        self.joins.flushed();
        self.join_requests.flushed();
        self.rejoins.flushed();
        self.transfers.flushed();
        self.packages.flushed();
        self.posted.flushed();
        self.unnamed.flushed();
        self.missing.flushed();
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

    /// Counts what was of no use. That is no reason for a transaction: whoever floods a log with junk must not make
    /// us write to disk for each piece. A process that is killed counts some of them again.
    pub(crate) fn count_skipped(&mut self, class: &str) {
        self.put_off = self.put_off.saturating_add(1);
        match self.meta.skipped.get_mut(class) {
            Some(count) => *count = count.saturating_add(1),
            None => _ = self.meta.skipped.insert(class.into(), 1),
        }
    }

    /// Whether something waits for the next transaction.
    pub(crate) const fn has_put_off(&self) -> bool {
        self.put_off > 0
    }
}
