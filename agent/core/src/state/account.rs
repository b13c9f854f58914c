//! Other accounts, as they are known here.

use cipher_api::command::account::BotOwnership;
use cipher_api::view::{ContactState, Trust};
use cipher_api::{Error, ErrorKind, Hint, Result, Who};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::Kind;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::wire::registry::PublicProfile;
use serde::{Deserialize, Serialize};

use crate::state::roster::Leaf;
use crate::state::{MessageRow, State};

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
    pub profile: PublicProfile,
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
            profile: PublicProfile::silent(account),
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

impl State {
    /// Whether the account has other devices.
    pub(crate) fn has_siblings(&self) -> bool {
        self.log_of(&self.own_id()).is_some_and(|log| log.active().count() > 1)
    }

    /// Whether a leaf is another device of the own account, and was not revoked.
    pub(crate) fn is_sibling(&self, leaf: &Leaf) -> bool {
        leaf.account == self.own_id() && !self.is_own_revoked(&leaf.device)
    }

    /// Whether this device was revoked.
    pub(crate) fn is_revoked(&self) -> bool {
        self.identity.as_ref().is_some_and(|own| own.revoked)
    }

    /// Whether the own account revoked a device.
    pub(crate) fn is_own_revoked(&self, device: &DeviceId) -> bool {
        self.log_of(&self.own_id()).is_some_and(|log| log.is_revoked(device))
    }

    /// R-PIN-06: nothing is sent to an account whose handle moved to another one, and it is added to nothing.
    pub(crate) fn must_be_unchanged(&self, account: &AccountId) -> Result<()> {
        match self.accounts.get(account) {
            Some(row) if row.trust == Trust::Changed => {
                Err(changed(&row.handle, row.trust_before == Some(Trust::Verified)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The account pinned for a handle; the own one for the own handle.
    pub(crate) fn account_of(&self, handle: &Handle) -> Option<AccountId> {
        if let Some(own) = &self.identity
            && own.handle.as_ref() == Some(handle)
        {
            return Some(own.account);
        }
        let holds = |row: &AccountRow| row.handle == *handle && !row.retired && !row.claimant;
        self.accounts.iter().find(|(_, row)| holds(row)).map(|(account, _)| *account)
    }

    /// The handle of an account, or its id when it is not known here, or claims the handle of somebody pinned.
    /// Whoever had a handle before somebody else is told apart.
    pub(crate) fn handle_of(&self, account: &AccountId) -> String {
        if let Some(own) = &self.identity
            && own.account == *account
            && let Some(handle) = &own.handle
        {
            return handle.to_string();
        }
        match self.accounts.get(account) {
            Some(row) if row.retired => format!("{} (earlier)", row.handle),
            Some(row) if !row.claimant => row.handle.to_string(),
            Some(_) | None => account.to_string(),
        }
    }

    /// An account as people name it: `@handle`, or its id while no handle is known.
    pub(crate) fn named(&self, account: &AccountId) -> String {
        let handle = self.handle_of(account);
        if handle.parse::<Handle>().is_ok() { format!("@{handle}") } else { handle }
    }

    pub(crate) fn contact_state(&self, account: &AccountId) -> Option<ContactState> {
        self.accounts.get(account).and_then(|row| row.contact)
    }

    /// Whether this account wants nothing of that one.
    pub(crate) fn blocks(&self, account: &AccountId) -> bool {
        self.contact_state(account) == Some(ContactState::Blocked)
    }

    /// R-CONTACT-02: what a blocked account says is kept and not shown, in groups too. What happened to a group is
    /// shown whoever did it.
    pub(crate) fn hides(&self, row: &MessageRow) -> bool {
        // R-GRANT-07: nor what another member says that a blocked account said.
        let blocked = row.granted().is_some_and(|of| self.blocks(&of.account));
        row.is_said() && (blocked || self.blocks(&row.account))
    }

    /// R-CONTACT-03: nothing goes to a blocked account directly.
    pub(crate) fn must_not_be_blocked(&self, account: &AccountId) -> Result<()> {
        if self.blocks(account) { Err(self.is_blocked(account)) } else { Ok(()) }
    }

    /// The account on the other side of a direct conversation, however that is named, may be spoken to.
    pub(crate) fn must_reach_peer(&self, group: &GroupId) -> Result<()> {
        let Some(peer) = self.groups.get(group).filter(|row| row.direct).and_then(|row| row.peer) else {
            return Ok(());
        };
        self.must_not_be_blocked(&peer)?;
        self.must_be_unchanged(&peer)
    }

    pub(crate) fn is_blocked(&self, account: &AccountId) -> Error {
        let handle = self.handle_of(account);
        ErrorKind::Refused
            .because(format!("you blocked @{handle}"))
            .hint(Hint::ContactUnblock { who: handle })
    }

    /// The log of an account as far as it was seen here, the own one too.
    pub(crate) fn log_of(&self, account: &AccountId) -> Option<&AccountLog> {
        match &self.identity {
            Some(own) if own.account == *account => own.log.as_ref(),
            _ => self.accounts.get(account)?.log.as_ref(),
        }
    }

    /// Where the latest known statement of an account lies in the account log, if that is known.
    pub(crate) fn tip_of(&self, account: &AccountId) -> Option<u64> {
        let (length, index) = self.known_place(account).tip?;
        self.log_of(account).filter(|log| log.len() == length).map(|_| index)
    }

    pub(crate) fn known_place(&self, account: &AccountId) -> LogPlace {
        if *account == self.own_id() {
            return self.meta.own_place;
        }
        self.accounts.get(account).map_or_else(LogPlace::default, |row| row.place)
    }
}

/// Why nothing is sent to a handle.
pub(crate) fn changed(handle: &Handle, verified: bool) -> Error {
    let who = if verified { ", whom you verified," } else { "" };
    ErrorKind::Trust
        .because(format!("@{handle}{who} is another account now than when it was first seen"))
        .hint(Hint::ContactTrust { handle: handle.clone() })
}

impl State {
    /// A bot knows its owner from the day it was made, without asking anybody.
    pub(crate) fn pin_owner(&mut self, bot: &BotOwnership) {
        let account = bot.owner.account;
        let row = AccountRow {
            contact: Some(ContactState::Accepted),
            trust: Trust::Verified,
            ..AccountRow::unseen(account, bot.handle.clone(), Kind::Person, None)
        };
        self.accounts.insert(account, row);
    }

    pub(crate) fn set_contact(&mut self, account: &AccountId, state: ContactState) {
        if let Some(row) = self.accounts.get_mut(account) {
            row.contact = Some(state);
        }
    }

    /// The account that a person names, by what is known here.
    pub(crate) fn account_by(&self, who: &Who) -> Option<AccountId> {
        match who {
            Who::Handle(handle) => self.account_of(handle),
            Who::Account(account) => Some(*account),
        }
    }
}
