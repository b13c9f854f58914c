//! The group of the own devices, and what they tell each other in it.
//!
//! Everybody applies what is told at its place in that group's log, the teller too: so two devices that were told
//! different things at the same time end up with the same. What a device did after what it is told now waits in
//! its own outbox and will come later in the log; until then it stands.

use std::collections::BTreeSet;

use cipher_api::view::{ContactState, HistoryPolicy, RequestPolicy, Trust};
use cipher_api::{ErrorKind, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId, GroupId};
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::registry::PublicProfile;
use cipher_broker::wire::sync::{SyncAccount, SyncNote};
use cipher_broker::{codec, limit};
use serde_bytes::ByteBuf;

use crate::machine::Core;
use crate::state::name::is_plain;
use crate::state::{AccountRow, GroupRow, OutboxKind, Skip, TransferRow, Words};

/// Bytes of accounts in one message, about.
const ACCOUNTS_BYTES: usize = 100 * 1024;
/// Answers to invitations that have not come here, kept at a time.
const ANSWERS: usize = 256;
/// Says nothing about the contact: only trust is told.
const SAME: &str = "same";

impl Core {
    /// The registry has a device that this one admitted: makes the group of the own devices if there is none, and
    /// notes what history the new one gets.
    pub(super) fn device_admitted(&mut self, device: DeviceId, history: HistoryPolicy) -> Result<()> {
        if self.state.personal_group().is_none() {
            self.make_personal()?;
        }
        self.state.transfers.insert(device, TransferRow::new(history, self.run.now));
        self.run.group.account_changed(self.state.own_id());
        self.run.touched.extend(self.state.personal_group());
        Ok(())
    }

    /// A profile that was restored from before its first further device knows of no group of own devices, and the others may
    /// never have come into one: this one makes it. A new device is brought into the one of who lets it in.
    pub(super) fn meets_siblings(&mut self) -> Result<()> {
        let person = self.state.identity.as_ref().is_some_and(|own| own.kind == Kind::Person && !own.revoked);
        let settled = person && !self.state.meta.stopped && !self.state.arriving();
        if settled && self.state.has_siblings() && self.state.personal_group().is_none() {
            self.make_personal()?;
        }
        Ok(())
    }

    /// This device asked often enough to come back into the group of own devices: a profile that was restored may be the
    /// only one that ever was in it. The others are brought into a new group, and what waits for them is told there. Should
    /// the old one go on, all are in both.
    pub(crate) fn asked_siblings_in_vain(&mut self, lost: GroupId) -> Result<()> {
        let vain = |row: &GroupRow| row.personal && row.asked_in_vain();
        if !self.state.groups.get(&lost).is_some_and(vain) || !self.state.has_siblings() {
            return Ok(());
        }
        let group = match self.state.personal_group() {
            Some(group) => group,
            None => self.make_personal()?,
        };
        for id in self.run.delivery.rows_of(lost).collect::<Vec<_>>() {
            let Some(OutboxKind::Message { content, .. }) = self.state.outbox.get(&id).map(|row| &row.kind)
            else {
                continue;
            };
            let content = codec::decode::<Content>(content).ok();
            self.dequeue(id);
            if let Some(content) = content {
                self.say(group, Words::of(content.body), None)?;
            }
        }
        self.run.touched.insert(group);
        Ok(())
    }

    fn make_personal(&mut self) -> Result<GroupId> {
        let group = self.make_personal_group()?;
        self.note_personal();
        Ok(group)
    }

    fn note_personal(&mut self) {
        let group = self.state.personal_group();
        if self.state.meta.personal != group {
            self.state.meta_mut().personal = group;
        }
    }

    /// Another own device made this one a member of the group of own devices.
    pub(crate) fn join_personal(&mut self, group: GroupId) -> Result<()> {
        self.join(group)?;
        self.note_personal();
        self.run.group.account_changed(self.state.own_id());
        Ok(())
    }

    /// Tells the other own devices, if there are any. A new one is told everything once it is there.
    pub(crate) fn tell_devices(&mut self, sync: &SyncNote) -> Result<()> {
        let Some(group) = self.state.personal_group() else { return Ok(()) };
        if self.with_live(group, |_, live| Ok(live.roster.len() == 1))? {
            return Ok(());
        }
        match self.enqueue_sync(group, sync) {
            // What the person asked for is done; the other devices learn it later or not.
            Err(error) if error.kind == ErrorKind::Limit => {
                self.skip(Skip::Limit);
                Ok(())
            }
            other => other,
        }
    }

    /// Puts something for own devices into the outbox.
    pub(super) fn enqueue_sync(&mut self, group: GroupId, sync: &SyncNote) -> Result<()> {
        let data = codec::encode(sync);
        if data.len() > limit::SYNC_BYTES {
            return Err(ErrorKind::Limit.because("this is too much to tell other devices at once"));
        }
        self.say(group, Words::of(Body::Sync(data)), None).map(|_| ())
    }

    /// Tells own devices how this account sees others; with `contacts`, whether they are contacts of it too.
    pub(crate) fn tell_accounts(
        &mut self,
        accounts: impl IntoIterator<Item = AccountId>,
        contacts: bool,
    ) -> Result<()> {
        let told = accounts.into_iter().filter_map(|account| self.sync_account(&account));
        let same = |account| SyncAccount { contact: Some(SAME.into()), ..account };
        let told = told.map(|account| if contacts { account } else { same(account) }).collect();
        self.tell_these(told)
    }

    fn tell_these(&mut self, told: Vec<SyncAccount>) -> Result<()> {
        let (mut part, mut bytes) = (Vec::new(), 0usize);
        for account in told {
            let size = codec::encode(&account).len();
            if !part.is_empty() && bytes.saturating_add(size) > ACCOUNTS_BYTES {
                self.tell_devices(&SyncNote::Accounts(std::mem::take(&mut part)))?;
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            part.push(account);
        }
        if part.is_empty() { Ok(()) } else { self.tell_devices(&SyncNote::Accounts(part)) }
    }

    /// What a new device needs to know besides history.
    pub(super) fn tell_everything(&mut self) -> Result<()> {
        self.tell_accounts(self.state.accounts.keys(), true)?;
        self.tell_devices(&SyncNote::RequestPolicy(policy_name(self.state.meta.request_policy).into()))?;
        if let Some(on) = self.state.meta.receipts {
            self.tell_devices(&SyncNote::Receipts(on))?;
        }
        let names = self.state.identity.as_ref().map(|own| own.names.clone()).unwrap_or_default();
        for (device, name) in names {
            self.tell_devices(&SyncNote::DeviceName { device, name })?;
        }
        let told = self.state.groups.iter().map(|(group, row)| (*group, row.muted, row.alias.clone()));
        let told: Vec<_> = told.filter(|(_, muted, alias)| muted.is_some() || alias.is_some()).collect();
        for (group, muted, alias) in told {
            if muted.is_some() {
                self.tell_devices(&SyncNote::Muted { group, muted })?;
            }
            if let Some(name) = alias {
                self.tell_devices(&SyncNote::Called { group, name })?;
            }
        }
        Ok(())
    }

    fn sync_account(&self, account: &AccountId) -> Option<SyncAccount> {
        // Who claims somebody's handle is every device's own finding until a person decided.
        let row = self.state.accounts.get(account).filter(|row| !row.claimant)?;
        Some(SyncAccount {
            account: *account,
            handle: row.handle.clone(),
            kind: row.kind,
            owner: row.owner,
            log: row.log.as_ref().map(|log| ByteBuf::from(codec::encode(log))),
            contact: row.contact.map(|state| contact_name(state).into()),
            trust: trust_name(row.trust).into(),
            profile: Some(row.profile.clone()),
            retired: row.retired,
        })
    }

    /// What we told ourselves is in the log now.
    pub(crate) fn told_by_us(&mut self, data: &[u8]) -> Result<()> {
        match codec::decode(data) {
            Ok(SyncNote::History { done, total, .. }) => {
                self.history_sent(done, total);
                Ok(())
            }
            Ok(
                sync @ (SyncNote::Accounts(_)
                | SyncNote::RequestPolicy(_)
                | SyncNote::Receipts(_)
                | SyncNote::DeviceName { .. }
                | SyncNote::Muted { .. }
                | SyncNote::Called { .. }),
            ) => self.learn_from_devices(sync),
            Ok(_) => Ok(()),
            Err(_) => {
                self.skip(Skip::Content);
                Ok(())
            }
        }
    }

    /// Another own device told something.
    pub(crate) fn told(&mut self, from: DeviceId, data: &[u8]) -> Result<()> {
        tracing::debug!(from = from.short(), bytes = data.len(), "told by an own device");
        let Ok(sync) = codec::decode::<SyncNote>(data) else {
            self.skip(Skip::Content);
            return Ok(());
        };
        match sync {
            SyncNote::Accounts(_)
            | SyncNote::RequestPolicy(_)
            | SyncNote::Receipts(_)
            | SyncNote::DeviceName { .. }
            | SyncNote::Muted { .. }
            | SyncNote::Called { .. } => self.learn_from_devices(sync),
            note @ (SyncNote::Read { .. } | SyncNote::Expires { .. }) => self.read_elsewhere(note),
            SyncNote::Invitation { group, accepted, epoch } => {
                self.invitation_answered(group, accepted, epoch)
            }
            SyncNote::Left { group } => {
                let personal = self.state.groups.get(&group).is_none_or(|row| row.personal);
                if personal { Ok(()) } else { self.leave_too(group) }
            }
            SyncNote::History { device, messages, done, total } => {
                let own = self.state.identity.as_ref().map(|own| own.device);
                if own == Some(device) { self.history_received(messages, done, total) } else { Ok(()) }
            }
            _ => {
                self.skip(Skip::Content);
                Ok(())
            }
        }
    }

    /// R-SYNC-03: of what can be told in different ways, the latest in the group's order counts: what waits in the
    /// own outbox comes later than what is told now.
    fn learn_from_devices(&mut self, sync: SyncNote) -> Result<()> {
        let later = self.queued_syncs();
        match sync {
            SyncNote::Accounts(accounts) => {
                let mut newer = BTreeSet::new();
                for sync in &later {
                    if let SyncNote::Accounts(accounts) = sync {
                        let states = accounts.iter().filter(|told| states_contact(told));
                        newer.extend(states.map(|told| told.account));
                    }
                }
                for told in accounts {
                    let contact_stands = newer.contains(&told.account);
                    self.merge_account(told, contact_stands)?;
                }
                self.show_invitations()
            }
            SyncNote::RequestPolicy(name) => {
                let newer = later.iter().any(|sync| matches!(sync, SyncNote::RequestPolicy(_)));
                if let Some(policy) = policy_of(&name)
                    && !newer
                    && self.state.meta.request_policy != policy
                {
                    self.state.meta_mut().request_policy = policy;
                    return self.show_invitations();
                }
                Ok(())
            }
            SyncNote::Receipts(on) => {
                if !later.iter().any(|sync| matches!(sync, SyncNote::Receipts(_))) {
                    self.receipts_chosen(on, self.run.group.entry_at(self.run.now));
                }
                Ok(())
            }
            SyncNote::Muted { group, muted } => {
                let same = |sync: &SyncNote| matches!(sync, SyncNote::Muted { group: g, .. } if *g == group);
                if !later.iter().any(same) && self.state.told_muted(group, muted) {
                    self.run.changed.insert(group);
                }
                Ok(())
            }
            SyncNote::Called { group, name } => {
                let same = |sync: &SyncNote| matches!(sync, SyncNote::Called { group: g, .. } if *g == group);
                let sound = name.chars().count() <= limit::GROUP_NAME_CHARS && is_plain(&name);
                if !sound || later.iter().any(same) {
                    return Ok(());
                }
                // R-NAME-02: of two groups that got one name at the same time, the one that the log says first has it.
                let behind = |sync: &SyncNote| match sync {
                    SyncNote::Called { group: g, name: n } if *g != group && *n == name => Some(*g),
                    _ => None,
                };
                if let Some(loser) = later.iter().find_map(behind).filter(|_| !name.is_empty())
                    && self.state.loses_alias(&loser, &name)
                {
                    self.run.changed.insert(loser);
                }
                let alias = (!name.is_empty()).then_some(name);
                if self.state.told_alias(group, alias) {
                    self.run.changed.insert(group);
                }
                Ok(())
            }
            SyncNote::DeviceName { device, name } => {
                let same =
                    |sync: &SyncNote| matches!(sync, SyncNote::DeviceName { device: d, .. } if *d == device);
                let ours = self
                    .state
                    .log_of(&self.state.own_id())
                    .is_some_and(|log| log.devices().any(|d| *d.0 == device));
                let sound = name.chars().count() <= limit::DISPLAY_NAME_CHARS && is_plain(&name);
                if ours
                    && sound
                    && !later.iter().any(same)
                    && let Some(own) = &mut self.state.identity
                    && own.names.get(&device) != Some(&name)
                {
                    own.names.insert(device, name);
                    self.state.identity_dirty = true;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What waits to be told, besides history.
    fn queued_syncs(&self) -> Vec<SyncNote> {
        let personal = self.state.personal_group();
        let rows = personal.into_iter().flat_map(|group| self.run.delivery.rows_of(group));
        rows.filter_map(|id| match &self.state.outbox.get(&id)?.kind {
            OutboxKind::Message { content, .. } => match codec::decode::<Content>(content).ok()?.body {
                Body::Sync(data) => codec::decode(&data).ok(),
                _ => None,
            },
            _ => None,
        })
        .filter(|sync| !matches!(sync, SyncNote::History { .. }))
        .collect()
    }

    /// R-SYNC-04, R-SYNC-05: another account as an own device sees it. Its log only ever continues the one that is
    /// known; `verified` is taken, `changed` stays until a person decided.
    fn merge_account(&mut self, told: SyncAccount, contact_stands: bool) -> Result<()> {
        if told.account == self.state.own_id() {
            return Ok(());
        }
        let log = told.log.as_ref().and_then(|log| codec::decode::<AccountLog>(log).ok());
        let log = log.filter(|log| {
            log.account() == told.account && *log.handle() == told.handle && log.check().is_ok()
        });
        if told.log.is_some() && log.is_none() {
            self.skip(Skip::Content);
            return Ok(());
        }
        // R-PIN-03 holds between own devices too: a handle moves to another account only by a person's decision,
        // which retires the first.
        let other = self.state.accounts.iter().find(|(account, row)| {
            row.handle == told.handle && !row.retired && !row.claimant && **account != told.account
        });
        if let Some(other) = other.map(|(account, _)| *account)
            && !told.retired
        {
            if let Some(row) = self.state.accounts.get_mut(&other)
                && row.trust != Trust::Changed
            {
                row.trust_before = Some(row.trust);
                (row.trust, row.rival) = (Trust::Changed, Some(told.account));
            }
            return Ok(());
        }
        if self.state.accounts.get(&told.account).is_none() {
            let row = AccountRow::unseen(told.account, told.handle.clone(), told.kind, told.owner);
            self.state.accounts.insert(told.account, row);
        }
        let mut grew = false;
        if let Some(row) = self.state.accounts.get_mut(&told.account) {
            row.claimant = false;
            if let Some(log) = log
                && row.log.as_ref().is_none_or(|known| log.len() > known.len() && log.continues(known))
            {
                row.devices = log.active().map(|(device, _)| *device).collect();
                row.log = Some(log);
                grew = true;
            }
            row.trust = match (row.trust, trust_of(&told.trust)) {
                (Trust::Changed, _) | (_, Some(Trust::Changed)) => Trust::Changed,
                (Trust::Verified, _) | (_, Some(Trust::Verified)) => Trust::Verified,
                (Trust::Unverified | Trust::Unknown, _) => Trust::Unverified,
            };
            if told.retired {
                (row.retired, row.rival) = (true, None);
            }
            if let Some(profile) = told.profile.as_ref().filter(|profile| is_sound(profile, &told.account))
                && profile.version > row.profile.version
            {
                row.profile.clone_from(profile);
            }
        }
        if states_contact(&told) && !contact_stands {
            let state = told.contact.as_deref().and_then(contact_of);
            // A yes of the other side may have overtaken the news that it was asked.
            let overtaken = state == Some(ContactState::Pending)
                && self.state.contact_state(&told.account) == Some(ContactState::Accepted);
            if !overtaken {
                self.change_contact(&told.account, state)?;
            }
        }
        if grew {
            self.run.group.account_changed(told.account);
        }
        Ok(())
    }

    /// Another own device answered an invitation. Yes wins over no.
    fn invitation_answered(&mut self, group: GroupId, accepted: bool, epoch: u64) -> Result<()> {
        if self.state.is_member(&group) {
            return Ok(());
        }
        let Some(invite) = self.state.invites.get(&group).filter(|invite| invite.known.is_some()) else {
            // It has not come here yet.
            let answers = &mut self.state.meta_mut().answers;
            if answers.len() >= ANSWERS {
                answers.pop_first();
            }
            let known = answers.get(&group).is_some_and(|(yes, at)| *at > epoch || (*yes && *at == epoch));
            if !known {
                answers.insert(group, (accepted, epoch));
            }
            return Ok(());
        };
        if invite.epoch > epoch {
            return Ok(());
        }
        if !accepted {
            return self.invitation_declined(group);
        }
        match self.join(group) {
            Err(error) if crate::machine::fatal(&error) => Err(error),
            // The other device is in; this one is brought in by it.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Whether it says anything about the contact. A request waits on each device by itself.
fn states_contact(told: &SyncAccount) -> bool {
    !matches!(told.contact.as_deref(), Some(SAME | "requested"))
        && told.contact.as_deref().is_none_or(|c| contact_of(c).is_some())
}

fn is_sound(profile: &PublicProfile, account: &AccountId) -> bool {
    profile.account == *account
        && profile.name.chars().count() <= limit::DISPLAY_NAME_CHARS
        && profile.status.chars().count() <= limit::STATUS_CHARS
}

const fn contact_name(state: ContactState) -> &'static str {
    match state {
        ContactState::Pending => "pending",
        ContactState::Requested => "requested",
        ContactState::Accepted => "accepted",
        ContactState::Blocked => "blocked",
        ContactState::Unknown => "unknown",
    }
}

fn contact_of(name: &str) -> Option<ContactState> {
    use ContactState::{Accepted, Blocked, Pending, Requested};
    [Pending, Requested, Accepted, Blocked].into_iter().find(|state| contact_name(*state) == name)
}

const fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::Unverified => "unverified",
        Trust::Verified => "verified",
        Trust::Changed => "changed",
        Trust::Unknown => "unknown",
    }
}

fn trust_of(name: &str) -> Option<Trust> {
    use Trust::{Changed, Unverified, Verified};
    [Unverified, Verified, Changed].into_iter().find(|trust| trust_name(*trust) == name)
}

fn policy_of(name: &str) -> Option<RequestPolicy> {
    use RequestPolicy::{Anyone, Contacts, Deployment};
    [Contacts, Deployment, Anyone].into_iter().find(|policy| policy_name(*policy) == name)
}

/// How a policy is written between own devices.
pub(super) const fn policy_name(policy: RequestPolicy) -> &'static str {
    match policy {
        RequestPolicy::Contacts => "contacts",
        RequestPolicy::Deployment => "deployment",
        RequestPolicy::Anyone => "anyone",
    }
}

#[cfg(test)]
#[path = "sync_test.rs"]
mod tests;
