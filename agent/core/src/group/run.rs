//! What is known of groups while the process runs, and learned again by the next one.

use std::collections::{BTreeMap, BTreeSet};

use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::time::Timestamp;

use crate::group::copies::CopysWords;
use crate::group::device_repair::ClaimAttempts;

/// What this room remembers. Nothing of it is needed to be correct after a restart.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The first entry of each group's log that this process put there: what lies behind it came while it was awake.
    pub(super) awake: BTreeMap<GroupId, u64>,
    /// What copies of this store with smaller numbers said in each group's log.
    pub(super) copies: BTreeMap<GroupId, CopysWords>,
    /// Logs that are put right, and since when.
    pub(super) mending: BTreeMap<GroupId, Timestamp>,
    /// The latest epoch that a message of a group claims, beyond ours: a claim and no more.
    pub(super) ahead: BTreeMap<GroupId, u64>,
    /// When a group was last given a fresh commit, this minute.
    pub(super) refreshed: Vec<Timestamp>,
    /// Not before this time it is looked for groups that need one.
    pub(super) refresh_at: Timestamp,
    /// The broker's time of what is being read.
    pub(super) at: Timestamp,
    /// Groups with requests to join that are not done.
    pub(super) asked: BTreeSet<GroupId>,
    /// Groups that were joined and whose commit the log did not show yet, and since when.
    pub(super) unconfirmed: BTreeMap<GroupId, Timestamp>,
    /// The broker's time of what was delivered last.
    pub(super) delivered_at: Timestamp,
    /// Accounts that asked to be let in and were looked up, and when.
    pub(super) sought: BTreeMap<AccountId, Timestamp>,
    /// When a wish to leave was first seen, per group: whose turn it is to commit it depends on the time since.
    pub(super) leave_seen: BTreeMap<GroupId, Timestamp>,
    /// The same for devices that have to go or come.
    pub(super) devices_seen: BTreeMap<GroupId, Timestamp>,
    /// Devices that have to come into a group, by the last plan that was made.
    pub(super) coming: BTreeMap<GroupId, BTreeSet<DeviceId>>,
    /// Accounts whose log grew in this batch.
    pub(super) accounts_changed: BTreeSet<AccountId>,
    /// How asking for key packages of devices that have to come goes.
    pub(super) claims: BTreeMap<DeviceId, ClaimAttempts>,
}

impl Run {
    /// An account's log grew: every group it is in is looked at before the batch ends.
    pub(crate) fn account_changed(&mut self, account: AccountId) {
        self.accounts_changed.insert(account);
    }

    /// Whether a device may still have to come into a group: known only where a plan was made since the start.
    pub(crate) fn may_be_coming(&self, group: &GroupId, device: &DeviceId) -> bool {
        self.coming.get(group).is_none_or(|coming| coming.contains(device))
    }

    /// When the broker stored the log entry that is being handled. It is `now`, as far as that is known, for one that was
    /// kept by an earlier version, which did not write it down.
    pub(crate) fn entry_at(&self, now: Timestamp) -> Timestamp {
        if self.delivered_at == Timestamp::default() { now } else { self.delivered_at }
    }

    /// The log of a group went back: what is known of it does not hold any more.
    pub(crate) fn went_back(&mut self, group: &GroupId) {
        self.mending.remove(group);
        self.awake.remove(group);
        self.copies.remove(group);
    }

    /// When the broker stored what was delivered last.
    pub(crate) const fn delivered_at(&self) -> Timestamp {
        self.delivered_at
    }

    /// Whether another copy of this store said anything.
    pub(crate) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }
}
