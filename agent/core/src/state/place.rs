//! The place of this device in a group: why it was lost, what may be missing, copies of this store.

use std::collections::BTreeSet;
use std::time::Duration;

use cipher_api::view::RecoveringWhy;
use cipher_api::{Error, ErrorKind, Hint};
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Bytes of ours that this store does not know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DoubledRow {
    /// The epoch they are of.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// Where the first of them lies.
    #[serde(rename = "p")]
    pub position: u64,
}

/// The last word of this store about its place in a group that lies in the log.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct WordRow {
    #[serde(rename = "p")]
    pub position: u64,
    /// When it was signed or, for new keys, found in the log, by its own clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// A log that went back and is not put right yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BackRow {
    /// A commit that is not known here lies where one of ours was.
    #[serde(rename = "r", default)]
    pub rival: bool,
}

/// What is known to be later than a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fresh {
    /// The first such epoch.
    #[serde(rename = "e")]
    pub epoch: u64,
    /// When it began, by the own clock.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Devices that spoke there or later.
    #[serde(rename = "h", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub heard: BTreeSet<DeviceId>,
}

/// Why a device cannot follow a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Why {
    /// The log went on and what brings there is gone from it.
    #[serde(rename = "g")]
    Gap,
    /// A commit could not be applied here, and others went on.
    #[serde(rename = "u")]
    Unusable,
    /// A commit lies in the log that names this device, and this store does not know it: everybody else may have gone on
    /// behind it.
    #[serde(rename = "o")]
    OwnCommit,
    /// A message lies in the log that was sealed with the keys of this device, and this store does not know it: a copy
    /// of this profile is or was in use.
    #[serde(rename = "d")]
    Doubled,
    /// The log is not the one that was read before, and lacks what the group did since.
    #[serde(rename = "b")]
    LogWentBack,
    /// Somebody served a request of this device that was served before.
    #[serde(rename = "r")]
    Replaced,
    /// What this store has of the group cannot be read.
    #[serde(rename = "x")]
    Damaged,
}

impl Why {
    /// Whether new keys are needed, whatever epoch the others are in.
    pub(crate) const fn needs_new_keys(self) -> bool {
        matches!(self, Self::Doubled | Self::Replaced | Self::LogWentBack | Self::Damaged)
    }

    /// As shown.
    pub(crate) const fn view(self) -> RecoveringWhy {
        match self {
            Self::Gap => RecoveringWhy::Gap,
            Self::Unusable => RecoveringWhy::UnusableCommit,
            Self::OwnCommit => RecoveringWhy::OwnCommit,
            Self::Doubled => RecoveringWhy::Doubled,
            Self::LogWentBack => RecoveringWhy::LogWentBack,
            Self::Replaced => RecoveringWhy::Replaced,
            Self::Damaged => RecoveringWhy::Damaged,
        }
    }
}

/// That and why a device lost its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    #[serde(rename = "w")]
    pub why: Why,
    /// When it was noticed, by the own clock.
    #[serde(rename = "t")]
    pub since: Timestamp,
    /// When it last asked to come back.
    #[serde(rename = "a")]
    pub asked: Timestamp,
    /// How often it asked.
    #[serde(rename = "n")]
    pub times: u32,
    /// A member's word that this device is not in the group any more.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denied>,
    /// The person did not take the last offer.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// Whose offers the person was told of.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub offered_by: BTreeSet<AccountId>,
}

impl Lost {
    /// One that was just noticed, or is noticed again for another reason.
    pub(crate) fn noticed(why: Why, since: Timestamp) -> Self {
        Self {
            why,
            since,
            asked: Timestamp::default(),
            times: 0,
            denied: None,
            declined: false,
            offered_by: BTreeSet::new(),
        }
    }

    /// Whether those who took another way than this device may still come by and bring it back.
    pub(crate) fn is_recent(&self, now: Timestamp) -> bool {
        now.since(self.since) < GONE_FOR_GOOD
    }

    /// R-REJOIN-03: a commit gave the place of this device to its new leaf, so everybody else has left the epoch that it
    /// stands in. What is sealed for that epoch behind the commit counts nowhere, and its author says it again. After
    /// days without a Welcome nobody may have followed that commit, and members that are here are listened to again.
    pub(crate) fn is_passed_by(&self, now: Timestamp) -> bool {
        self.why == Why::Replaced && self.is_recent(now)
    }
}

/// A member's word that this device is in the group no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Denied {
    /// Whose word it was last.
    #[serde(rename = "b")]
    pub by: AccountId,
    /// When somebody said so first, by the own clock.
    #[serde(rename = "f")]
    pub first: Timestamp,
    /// When it was said last.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// This device asks no more by itself.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

/// How long those are waited for who took another way than this device.
pub(crate) const GONE_FOR_GOOD: Duration = Duration::from_secs(3 * 24 * 3600);

/// What a device says that its account revoked.
pub(crate) fn revoked() -> Error {
    ErrorKind::Refused
        .because("this device was revoked: it does not belong to the account any more")
        .hint(Hint::DeviceLinkAnew)
}

/// What a copy says that has stopped.
#[must_use]
pub fn stopped() -> Error {
    ErrorKind::Stopped
        .because("another copy of this profile is in use and goes on; this one has stopped")
        .hint(Hint::DeviceResume)
}
