//! Other accounts: pinned at first use.

use cipher_broker::certificate::Kind;
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::AccountId;
use cipher_broker::sign::Purpose;
use cipher_broker::wire::registry::{AccountRecord, Operation, Presence, Profile};
use cipher_broker::wire::statement::{Claim, Statement};

use crate::command::BotOwnership;
use crate::core::Core;
use crate::errand::Goal;
use crate::error::{CoreError, ErrorKind, Result};
use crate::input::Ticket;
use crate::question::Purpose as Why;
use crate::reply::Reply;
use crate::state::AccountRow;
use crate::view::{AccountView, ContactState, Trust};

impl Core {
    /// Checks a record the registry gave and pins it: R-PIN-01 (everything verifies under the account key),
    /// R-PIN-02 (the account itself claimed the handle), R-PIN-03 (a handle keeps its account).
    pub(crate) fn pin(&mut self, record: &AccountRecord) -> Result<AccountId> {
        let bad = |what: &str| -> CoreError {
            ErrorKind::Trust
                .because(format!(
                    "the registry gave a record of @{} that cannot be right: {what}",
                    record.handle
                ))
                .hint("nothing was changed; compare with the person over another channel")
        };
        // R-PIN-01
        let mut bodies = Vec::new();
        for certificate in &record.certificates {
            let body = certificate.verify().map_err(|error| bad(&error.to_string()))?;
            if body.account != record.account {
                return Err(bad("a device certificate is of another account"));
            }
            bodies.push(body);
        }
        let first = bodies.first().ok_or_else(|| bad("it has no device"))?;
        // R-PIN-02
        let statement = record.statements.first().ok_or_else(|| bad("it has no statement"))?;
        let statement = statement
            .verified(&first.account_key, Purpose::AccountStatement)
            .map_err(|_| bad("its first statement is not signed by the account"))?;
        let statement: Statement =
            codec::decode(statement).map_err(|_| bad("its first statement is malformed"))?;
        let Claim::Create { handle, .. } = &statement.claim else {
            return Err(bad("its first statement does not create the account"));
        };
        if statement.account != record.account || *handle != record.handle {
            return Err(bad("the account did not claim this handle itself"));
        }
        let signer = bodies.iter().find(|body| body.device == record.profile.device);
        let signer = signer.ok_or_else(|| bad("its profile is signed by an unknown device"))?;
        let profile = if record.profile.is_unknown() {
            // A registry that was rebuilt from the account log has no profiles: nothing is said, nothing forged.
            self.state.accounts.get(&record.account).map_or_else(
                || Profile {
                    account: record.account,
                    name: String::new(),
                    status: String::new(),
                    presence: Presence::Available,
                    version: 0,
                },
                |row| row.profile.clone(),
            )
        } else {
            let profile = record.profile.profile.verified(&signer.device_key, Purpose::Profile);
            profile
                .ok()
                .and_then(|bytes| codec::decode(bytes).ok())
                .filter(|profile: &Profile| profile.account == record.account)
                .ok_or_else(|| bad("its profile is not signed by its device"))?
        };
        // R-PIN-03
        if let Some(pinned) = self.account_of(&record.handle)
            && pinned != record.account
        {
            if let Some(row) = self.state.accounts.get_mut(&pinned) {
                row.trust = Trust::Changed;
            }
            return Err(ErrorKind::Trust
                .because(format!("@{} is another account now than when it was first seen", record.handle))
                .hint("nothing is sent to it; ask the person over another channel what happened"));
        }
        let known = self.state.accounts.get(&record.account);
        let row = AccountRow {
            handle: record.handle.clone(),
            kind: first.kind,
            owner: first.owner.as_ref().map(|owner| owner.account),
            devices: bodies.iter().map(|body| body.device).collect(),
            contact: known.and_then(|row| row.contact),
            trust: known.map_or(Trust::Unverified, |row| row.trust),
            profile,
            log: None,
            rival: None,
            retired: false,
        };
        if record.account != self.own_id() {
            self.state.accounts.insert(record.account, row);
        }
        Ok(record.account)
    }

    /// A bot knows its owner from the day it was made, without asking anybody.
    pub(crate) fn pin_owner(&mut self, bot: &BotOwnership) {
        let account = bot.owner.account;
        let row = AccountRow {
            handle: bot.handle.clone(),
            kind: Kind::Person,
            owner: None,
            devices: Vec::new(),
            profile: Profile {
                account,
                name: String::new(),
                status: String::new(),
                presence: Presence::Available,
                version: 0,
            },
            contact: Some(ContactState::Accepted),
            trust: Trust::Verified,
            log: None,
            rival: None,
            retired: false,
        };
        self.state.accounts.insert(account, row);
    }

    /// The account pinned for a handle; the own one for the own handle.
    pub(crate) fn account_of(&self, handle: &Handle) -> Option<AccountId> {
        if let Some(own) = &self.state.identity
            && own.handle.as_ref() == Some(handle)
        {
            return Some(own.account);
        }
        self.state.accounts.iter().find(|(_, row)| row.handle == *handle).map(|(account, _)| *account)
    }

    /// The handle of an account, or its id when it is not known here.
    pub(crate) fn handle_of(&self, account: &AccountId) -> String {
        if let Some(own) = &self.state.identity
            && own.account == *account
            && let Some(handle) = &own.handle
        {
            return handle.to_string();
        }
        self.state.accounts.get(account).map_or_else(|| account.to_string(), |row| row.handle.to_string())
    }

    /// Asks for fellow members whose handle is not known.
    pub(crate) fn learn(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        for account in accounts {
            if account != self.own_id()
                && self.state.accounts.get(&account).is_none()
                && !self.is_asked(&account)
            {
                self.ask(Operation::FetchAccount { account }, Why::Fetch { account }, None);
            }
        }
    }

    /// After a reconnect: asks again for whoever is still unknown.
    pub(crate) fn refresh_unknown_accounts(&mut self) {
        let invited: Vec<AccountId> = self
            .state
            .invites
            .iter()
            .filter_map(|(_, invite)| invite.known.as_ref())
            .flat_map(|known| known.members.iter().map(|member| member.0))
            .chain(self.state.groups.iter().filter_map(|(_, row)| row.peer))
            .collect();
        self.learn(invited);
        let loaded = self.groups.loaded_accounts();
        self.learn(loaded);
    }

    pub(crate) fn show_profile(&mut self, ticket: Ticket, handle: Handle) -> Result<Option<Reply>> {
        if self.identity()?.handle.as_ref() == Some(&handle) {
            return Ok(Some(Reply::Account(Box::new(self.own_account()?))));
        }
        self.begin_errand(Some(ticket), Goal::ShowProfile, vec![handle])?;
        Ok(None)
    }

    /// What is shown of another account: to contacts and fellow members its name, status and presence too. The registry
    /// gives them to anybody who asks; this only keeps strangers' words off the screen.
    pub(crate) fn profile_view(&mut self, account: &AccountId) -> Result<AccountView> {
        let mut view = self.account_view(account)?;
        let contact = matches!(self.contact_state(account), Some(state) if state != ContactState::Blocked);
        if !contact && !self.is_fellow(account)? {
            view.name.clear();
            view.status.clear();
            view.presence = Presence::Offline;
        }
        Ok(view)
    }

    /// Whether an account is in one of our groups.
    fn is_fellow(&mut self, account: &AccountId) -> Result<bool> {
        if self.groups.loaded_accounts().contains(account) {
            return Ok(true);
        }
        for group in self.state.groups.keys() {
            if self.is_member(&group) && self.has_member(group, account)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is known of another account.
    pub(crate) fn account_view(&self, account: &AccountId) -> Result<AccountView> {
        let row = self.state.accounts.get(account);
        let row = row.ok_or_else(|| ErrorKind::Bug.because("an account that was just pinned is gone"))?;
        Ok(AccountView {
            handle: row.handle.clone(),
            account_id: *account,
            device_id: None,
            kind: row.kind,
            owner: row.owner.as_ref().map(|owner| self.handle_of(owner)),
            name: row.profile.name.clone(),
            status: row.profile.status.clone(),
            presence: self.presence_of(account, row.profile.presence),
            trust: Some(row.trust),
            warning: self.name_warning(account),
        })
    }
}

#[cfg(test)]
#[path = "account_test.rs"]
mod tests;
