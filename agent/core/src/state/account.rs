//! Other accounts, as they are known here.

use cipher_api::view::{ContactState, Trust};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::wire::registry::Profile;
use serde::{Deserialize, Serialize};

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

impl AccountRow {
    /// An account of which only what it is called is known, and what it is.
    pub(crate) fn unseen(account: AccountId, handle: Handle, kind: Kind, owner: Option<AccountId>) -> Self {
        Self {
            handle,
            kind,
            owner,
            devices: Vec::new(),
            profile: Profile::silent(account),
            contact: None,
            trust: Trust::Unverified,
            log: None,
            rival: None,
            retired: false,
            claimant: false,
            trust_before: None,
            place: LogPlace::default(),
        }
    }
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
