//! Loaded groups: a bounded cache in front of the store.

use std::collections::{BTreeSet, HashMap};

use cipher_api::view::GroupState;
use cipher_api::{Advice, Error, ErrorKind, Result};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, GroupId};
use cipher_broker::wire::group::{GROUP_DATA_EXTENSION, GroupData};
use openmls::group::GroupContext;
use openmls::prelude::{Extensions, MlsGroup};
use openmls_traits::OpenMlsProvider;

use crate::state::roster::{self, Roster};
use crate::store::mls::Overlay;
use crate::store::provider::Provider;

/// A group in memory.
#[derive(Debug)]
pub(crate) struct Live {
    pub mls: MlsGroup,
    pub roster: Roster,
    pub data: GroupData,
}

impl Live {
    /// Derives what is derived, for a group that was just made, joined, loaded or moved to a new epoch.
    pub(crate) fn of(mls: MlsGroup) -> Result<Self> {
        let broken =
            || ErrorKind::Storage.because("a group on disk is damaged: its members or data cannot be read");
        let roster = roster::of_group(&mls).map_err(|_| broken())?;
        let data = group_data(mls.extensions()).ok_or_else(broken)?;
        Ok(Self { mls, roster, data })
    }

    pub(crate) fn refresh(&mut self) -> Result<()> {
        let broken = || ErrorKind::Bug.because("a merged group cannot be read");
        self.roster = roster::of_group(&self.mls).map_err(|_| broken())?;
        self.data = group_data(self.mls.extensions()).ok_or_else(broken)?;
        Ok(())
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }
}

/// The group data in a GroupContext; `None` when missing or malformed.
pub(crate) fn group_data(extensions: &Extensions<GroupContext>) -> Option<GroupData> {
    codec::decode(&extensions.unknown(GROUP_DATA_EXTENSION)?.0).ok()
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Groups {
    loaded: HashMap<GroupId, (u64, Live)>,
    /// Groups that are worked on just now.
    lent: BTreeSet<GroupId>,
    clock: u64,
    bound: usize,
}

impl Groups {
    pub(crate) fn new(bound: usize) -> Self {
        Self { loaded: HashMap::new(), lent: BTreeSet::new(), clock: 0, bound: bound.max(1) }
    }

    pub(crate) fn clear(&mut self) {
        self.loaded.clear();
        self.lent.clear();
    }

    /// Notes that a group is worked on; `false` when it is already.
    pub(crate) fn lend(&mut self, group: GroupId) -> bool {
        self.lent.insert(group)
    }

    /// Notes that nobody works on a group any more.
    pub(crate) fn comes_back(&mut self, group: &GroupId) {
        self.lent.remove(group);
    }

    /// Drops the groups used longest ago. Only right after a commit: what is dropped must be on disk.
    pub(crate) fn shrink(&mut self) {
        while self.loaded.len() > self.bound {
            let oldest = self.loaded.iter().min_by_key(|(_, (used, _))| *used).map(|(group, _)| *group);
            let Some(oldest) = oldest else { return };
            self.loaded.remove(&oldest);
        }
    }

    /// Writes the message secrets whose serialisation was put off during the batch.
    pub(crate) fn write_secrets(&mut self, provider: &Provider) -> Result<()> {
        let mut dirty = provider.storage().take_dirty();
        if dirty.is_empty() {
            return Ok(());
        }
        for (_, live) in self.loaded.values_mut() {
            if dirty.remove(&Overlay::dirty_key(live.mls.group_id())) {
                // The one public call that writes the message secrets and nothing else of weight.
                let policy = live.mls.past_epoch_deletion_policy().clone();
                live.mls.set_past_epoch_deletion_policy(provider, policy).map_err(store_failed)?;
            }
        }
        if dirty.is_empty() {
            Ok(())
        } else {
            Err(ErrorKind::Bug.because("a group changed and is not in memory"))
        }
    }

    pub(crate) fn has(&self, group: &GroupId) -> bool {
        self.loaded.contains_key(group)
    }

    /// Accounts of all loaded groups.
    pub(crate) fn loaded_accounts(&self) -> BTreeSet<AccountId> {
        self.loaded.values().flat_map(|(_, live)| live.roster.values().map(|leaf| leaf.account)).collect()
    }

    pub(crate) fn put(&mut self, group: GroupId, live: Live) {
        self.clock = self.clock.saturating_add(1);
        self.loaded.insert(group, (self.clock, live));
    }

    pub(crate) fn remove(&mut self, group: &GroupId) -> Option<Live> {
        self.loaded.remove(group).map(|(_, live)| live)
    }
}

/// What an entry of the log leaves to be done when the group it was lent from is back in its place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LeftToDo {
    /// The group is over for this device, and how.
    pub(crate) ended: Option<GroupState>,
    /// The intent whose commit won: its command is answered.
    pub(crate) won: Option<u64>,
}

/// A failure inside OpenMLS that is not the peer's fault.
pub(crate) fn store_failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    ErrorKind::Storage.because_of("the state of a group cannot be written", error).hint(Advice::CheckDisk)
}

/// The MLS form of a group id.
pub(crate) fn mls_id(group: &GroupId) -> openmls::group::GroupId {
    openmls::group::GroupId::from_slice(group.as_bytes())
}
