//! The rows of a profile in memory, and which of them changed since the last commit.

mod account;
mod backup;
pub(crate) mod book;
mod bot;
mod change;
pub(crate) mod evidence;
mod failure;
mod fitting;
mod grant;
mod group;
mod head;
pub(crate) mod history;
pub(crate) mod index;
mod invite;
mod join;
mod journal;
pub(crate) mod ledger;
mod link;
pub(crate) mod live;
mod mark;
pub(crate) mod mention;
mod message;
mod missing;
pub(crate) mod name;
mod outbox;
mod pin;
pub(crate) mod place;
mod poll;
pub(crate) mod position;
mod profile;
mod reaction;
mod receipt;
pub(crate) mod roster;
mod rows;
mod sealed;
mod setting;
pub(crate) mod signer;
mod skip;
pub(crate) mod suite;
mod told;
mod transfer;
mod unsaid;
mod upload;
mod words;

use cipher_api::{Advice, ErrorKind, Result};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::account::{AccountRow, LogPlace, changed};
pub use self::backup::BackupOf;
pub(crate) use self::backup::{
    BackupAccount, BackupBot, BackupGroup, BackupMessage, BackupPart, RestoredRow,
};
pub(crate) use self::bot::{BotRow, DueRow};
pub(crate) use self::change::{ChangesRow, Powers, WaitingChange};
pub(crate) use self::evidence::EvidenceRow;
pub(crate) use self::failure::Failure;
pub(crate) use self::grant::{Begun, GrantLine, GrantsRow};
pub(crate) use self::group::{GroupRow, IntentRow, Joiner, PendingWelcome, PostedRow, Slot, Wish};
pub(crate) use self::head::{HeadRow, head_of};
pub(crate) use self::invite::{InviteFacts, InviteRow, Reception};
pub(crate) use self::join::{JoinRequestRow, JoinRow, RejoinRow, RequestState};
pub(crate) use self::journal::{Fact, FactsRow, SubscriberRow};
pub(crate) use self::link::{LinkingRow, NewSide, OldSide, Side};
pub(crate) use self::mark::IncidentRow;
pub use self::mark::Mark;
pub(crate) use self::message::{Author, Change, MessageRow, ParkedRow, Place, RowBody, Version};
pub(crate) use self::missing::{MOST, MissingRow};
pub(crate) use self::outbox::{OutboxKind, OutboxRow, Post, Seal};
pub(crate) use self::pin::{PinRow, PinsRow};
pub use self::place::stopped;
pub(crate) use self::place::{BackRow, Denied, DoubledRow, Fresh, Lost, Why, WordRow, revoked};
pub(crate) use self::poll::{PollRow, Vote};
pub(crate) use self::profile::{IdentityRow, MetaRow};
pub(crate) use self::reaction::{Reaction, Reactions};
pub(crate) use self::receipt::{Reached, ReceiptsRow, Stretch};
pub(crate) use self::rows::Rows;
pub(crate) use self::sealed::{KeptRow, Print, SealKey, SealedAs, SentRow, key, print_of, print_of_stored};
pub(crate) use self::setting::SettingsChange;
pub(crate) use self::skip::Skip;
pub(crate) use self::told::{Taken, ToldRow, muted_view};
pub(crate) use self::transfer::TransferRow;
pub(crate) use self::unsaid::UnsaidRow;
pub(crate) use self::upload::UploadRow;
pub(crate) use self::words::Words;
use crate::store::sealed::Writing;
use crate::store::{Store, table};

/// A one-time key package that was used here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackageRow {
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// So many messages of no use are read again, at most, after the process was killed.
const MOST_PUT_OFF: usize = 512;

macro_rules! state {
    ($($(#[$doc:meta])* $table:ident $field:ident $name:literal $key:ty => $row:ty;)*) => {
        /// The rows of a profile, and what of them changed.
        #[derive(Debug, Default)]
        pub(crate) struct State {
            pub identity: Option<IdentityRow>,
            pub identity_dirty: bool,
            pub meta: MetaRow,
            pub meta_dirty: bool,
            /// Messages of no use since the last transaction: that many cursors and counters wait for the next one.
            put_off: usize,
            /// Whether receipts are said where the person did not choose.
            pub receipts_by_default: bool,
            $($(#[$doc])* pub $field: Rows<$key, $row>,)*
        }

        impl State {
            pub(crate) fn load(store: &Store, receipts_by_default: bool) -> Result<Self> {
                let (identity, meta) = single_rows(store)?;
                Ok(Self {
                    identity,
                    meta,
                    receipts_by_default,
                    $($field: Rows::load(store, table::$table)?,)*
                    ..Self::default()
                })
            }

            pub(crate) fn is_clean(&self) -> bool {
                !self.identity_dirty
                    && !self.meta_dirty
                    && self.put_off < MOST_PUT_OFF
                    $(&& self.$field.is_clean())*
            }

            pub(crate) fn flush(&self, writing: &Writing<'_>) -> Result<()> {
                self.flush_single_rows(writing)?;
                $(self.$field.flush(writing, table::$table)?;)*
                Ok(())
            }

            pub(crate) fn flushed(&mut self) {
                self.identity_dirty = false;
                self.meta_dirty = false;
                self.put_off = 0;
                $(self.$field.flushed();)*
            }
        }
    };
}
table::row_tables!(state);

/// Identity and counters, which are single values and not tables.
fn single_rows(store: &Store) -> Result<(Option<IdentityRow>, MetaRow)> {
    let single = store.table(table::META)?;
    let broken = |_| {
        ErrorKind::Storage
            .because("the store of this profile is damaged: its identity cannot be read")
            .hint(Advice::StoreDamaged)
    };
    let identity = single.get(b"identity")?.map(|b| codec::decode(&b)).transpose().map_err(broken)?;
    let meta = single.get(b"counters")?.map(|b| codec::decode(&b)).transpose().map_err(broken)?;
    Ok((identity, meta.unwrap_or_default()))
}

impl State {
    fn flush_single_rows(&self, writing: &Writing<'_>) -> Result<()> {
        if !self.identity_dirty && !self.meta_dirty && self.put_off == 0 {
            return Ok(());
        }
        let mut single = writing.table(table::META)?;
        if let Some(identity) = self.identity.as_ref().filter(|_| self.identity_dirty) {
            single.put_row(b"identity", identity)?;
        }
        single.put_row(b"counters", &self.meta)
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
