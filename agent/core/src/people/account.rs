//! Other accounts: pinned at first use.

use std::time::Duration;

use cipher_api::view::{AccountView, ContactState, EvidenceKind, Trust};
use cipher_api::{Advice, Error, ErrorKind, Notice, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, Kind};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::{Purpose, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{AccountRecord, Operation, Presence, PublicProfile};
use cipher_broker::{codec, limit};

use crate::input::{Interest, Ticket};
use crate::machine::{Core, fatal};
use crate::registry::lookup::Goal;
use crate::registry::question::{QuestionReason, Stating};
use crate::state::evidence::exhibit;
use crate::state::{AccountRow, InviteFacts, LogPlace, Skip, changed, head_of};

/// How long an account that the registry does not know is not asked for again.
const NOT_FOUND_FOR: Duration = Duration::from_secs(3600);

/// How often a registry that did not answer for a fellow member is asked again.
const UNNAMED_EVERY: Duration = Duration::from_secs(60);
/// For how many of them: it may be that it has had enough of us.
const UNNAMED_AT_ONCE: usize = 64;

/// How what the registry shows of an account's log relates to what is known of it here.
enum LogRelation {
    /// Nothing was known.
    First,
    /// The same.
    Same,
    /// The known one, continued.
    Grown,
    /// A beginning of the known one.
    Shorter,
    /// Another one.
    Other,
}

impl Core {
    /// Checks a record the registry gave and pins it: R-PIN-01 (everything verifies under the account key),
    /// R-PIN-02 (the account itself claimed the handle), R-PIN-03 (a handle keeps its account), R-PIN-04 (the shown
    /// devices are those the account stated), R-PIN-05 (its log never goes back or sideways), R-KT-03 (the account
    /// log holds it). On error nothing that was pinned changes.
    pub(super) fn pin(&mut self, record: &AccountRecord) -> Result<AccountId> {
        let own = record.account == self.state.own_id();
        // R-PIN-01, R-PIN-04
        let (mut log, bodies) =
            AccountLog::replay(&record.statements, &record.certificates).map_err(|error| {
                self.ghosts(record, own);
                bad_record(record, &error.to_string())
            })?;
        // R-PIN-02
        if log.account() != record.account || *log.handle() != record.handle {
            return Err(bad_record(record, "the account did not claim this handle itself"));
        }
        let profile = shown_profile(record, &bodies)?;
        self.included(record, &log)?;
        if let Some(known) = self.state.log_of(&record.account) {
            log.recall(known);
        }
        // R-PIN-05
        let shown = match self.state.log_of(&record.account) {
            None => LogRelation::First,
            Some(known) if log.continues(known) && known.continues(&log) => LogRelation::Same,
            Some(known) if log.continues(known) => LogRelation::Grown,
            Some(known) if known.continues(&log) => LogRelation::Shorter,
            Some(_) => LogRelation::Other,
        };
        match shown {
            LogRelation::First | LogRelation::Same | LogRelation::Grown => {}
            LogRelation::Shorter => return self.shown_less(record).map(|()| record.account),
            LogRelation::Other => return Err(self.shown_other(record)),
        }
        let place = self.place_of(record, log.len(), matches!(shown, LogRelation::Grown));
        if own {
            self.own_account_shown(record, log, profile, place)?;
            return Ok(record.account);
        }
        // R-PIN-03
        let known = self.state.accounts.get(&record.account);
        let retired = known.is_some_and(|row| row.retired);
        let holder =
            self.state.account_of(&record.handle).filter(|pinned| *pinned != record.account && !retired);
        let kind = bodies.first().map_or(Kind::Person, |body| body.kind);
        let owner = bodies.first().and_then(|body| body.owner.as_ref()).map(|owner| owner.account);
        let row = AccountRow {
            handle: record.handle.clone(),
            kind,
            owner,
            devices: log.active().map(|(device, _)| *device).collect(),
            profile: profile
                .into_iter()
                .chain(known.map(|row| row.profile.clone()))
                .max_by_key(|profile| profile.version)
                .unwrap_or_else(|| PublicProfile::silent(record.account)),
            contact: known.and_then(|row| row.contact),
            trust: known.map_or(Trust::Unverified, |row| row.trust),
            log: Some(log),
            rival: known.and_then(|row| row.rival),
            retired,
            claimant: holder.is_some(),
            trust_before: known.and_then(|row| row.trust_before),
            place,
        };
        self.state.accounts.insert(record.account, row);
        self.state.unnamed.remove(&record.account);
        self.name_is_known(&record.account);
        if matches!(shown, LogRelation::First | LogRelation::Grown) {
            self.run.group.account_changed(record.account);
        }
        if let Some(holder) = holder {
            return Err(self.handle_moved(&holder, record));
        }
        Ok(record.account)
    }

    /// R-PIN-04: devices that the registry shows as an account's, and that its log does not have. For the own
    /// account it is an alarm: somebody wants to be one of its devices.
    fn ghosts(&mut self, record: &AccountRecord, own: bool) {
        let shown = record.certificates.iter().filter_map(|certificate| {
            let body: CertificateBody = codec::decode(certificate.body_bytes()).ok()?;
            (body.account == record.account || own).then_some(body.device)
        });
        let this = self.state.identity.as_ref().map(|identity| identity.device);
        let known = self.state.log_of(&record.account);
        let is_ghost =
            |device: &DeviceId| known.map_or(own && Some(*device) != this, |log| !log.is_active(device));
        let ghosts: Vec<DeviceId> = shown.filter(is_ghost).collect();
        for device in ghosts {
            let what = if own {
                format!(
                    "GHOST DEVICE: the registry shows device {device} as one of yours, and your account never said so"
                )
            } else {
                format!(
                    "the registry shows device {device} as one of @{}, and the account never said so, or revoked it",
                    record.handle
                )
            };
            let about: [&[u8]; 2] = [record.account.as_bytes(), device.as_bytes()];
            let exhibits = vec![exhibit("account record", record)];
            if self.found(EvidenceKind::GhostDevice, &about, what, exhibits) && own {
                self.warn(Notice::GhostDevice { device });
            }
        }
    }

    /// R-PIN-05: the registry shows a beginning of what is known here. An answer that was on its way may; one whose
    /// own proof is of a log that holds more may not (G04, G05).
    fn shown_less(&mut self, record: &AccountRecord) -> Result<()> {
        let size = record.inclusion.as_ref().and_then(|inclusion| head_of(&inclusion.head)).map(|h| h.size);
        let (Some(tip), Some(size)) = (self.state.tip_of(&record.account), size) else { return Ok(()) };
        if size <= tip {
            return Ok(());
        }
        let known = self.state.log_of(&record.account).and_then(|log| log.statements().last()).cloned();
        let what = format!(
            "the registry hides what @{} stated last, though its own log of {size} entries holds it",
            record.handle
        );
        let about: [&[u8]; 2] = [record.account.as_bytes(), &tip.to_be_bytes()];
        let exhibits = vec![exhibit("account record", record), exhibit("latest known statement", &known)];
        self.found(EvidenceKind::Rollback, &about, what, exhibits);
        Err(bad_record(record, "it hides a statement that the account made later"))
    }

    /// R-PIN-05: two logs of one account, both signed by its key.
    fn shown_other(&mut self, record: &AccountRecord) -> Error {
        let known: Vec<_> =
            self.state.log_of(&record.account).map_or_else(Vec::new, |log| log.statements().to_vec());
        let what =
            format!("there are two histories of the account @{}: one was kept from here", record.handle);
        let about: [&[u8]; 2] = [record.account.as_bytes(), &wire_hash(&codec::encode(&record.statements))];
        let exhibits = vec![exhibit("account record", record), exhibit("known statements", &known)];
        self.found(EvidenceKind::SplitView, &about, what, exhibits);
        bad_record(record, "its history is not the one that was seen before")
    }

    /// R-PIN-03: a handle maps to another account than the pinned one. Sending stops until the person decides.
    fn handle_moved(&mut self, holder: &AccountId, record: &AccountRecord) -> Error {
        if *holder == self.state.own_id() {
            let what = format!("the registry gives your handle @{} to another account", record.handle);
            let about: [&[u8]; 2] = [holder.as_bytes(), record.account.as_bytes()];
            if self.found(EvidenceKind::ChangedAccount, &about, what, vec![exhibit("account record", record)])
            {
                self.warn(Notice::HandleTaken { handle: record.handle.clone() });
            }
            return bad_record(record, "the handle is yours");
        }
        let Some(row) = self.state.accounts.get_mut(holder) else {
            return ErrorKind::Bug.because("a pinned account is gone");
        };
        let before = *row.trust_before.get_or_insert(row.trust);
        row.trust = Trust::Changed;
        let news = row.rival.replace(record.account) != Some(record.account);
        if let Err(error) = self.tell_accounts([*holder], false)
            && fatal(&error)
        {
            return error;
        }
        let verified = before == Trust::Verified;
        let error = changed(&record.handle, verified);
        if news {
            let about: [&[u8]; 2] = [holder.as_bytes(), record.account.as_bytes()];
            let exhibits = vec![exhibit("account record", record)];
            self.found(EvidenceKind::ChangedAccount, &about, error.message.clone(), exhibits);
            self.warn(Notice::AccountChanged { handle: record.handle.clone(), verified });
        }
        error
    }

    /// The registry maps a handle to the account that it was pinned for. After a change that is worth a word.
    pub(super) fn handle_holds(&mut self, account: &AccountId) {
        let Some(row) = self.state.accounts.get(account).filter(|row| row.trust == Trust::Changed) else {
            return;
        };
        let handle = row.handle.clone();
        if let Some(row) = self.state.accounts.get_mut(account) {
            row.trust = row.trust_before.take().unwrap_or(Trust::Unverified);
            row.rival = None;
        }
        self.warn(Notice::AccountAgain { handle });
    }

    /// Asks for fellow members whose handle is not known, until the registry has answered for each.
    pub(crate) fn learn_members(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        let own = self.state.own_id();
        let unknown = |core: &Self, account: &AccountId| {
            *account != own && core.state.accounts.get(account).is_none() && !core.was_not_found(account)
        };
        let unknown: Vec<AccountId> = accounts.into_iter().filter(|account| unknown(self, account)).collect();
        if unknown.is_empty() {
            return;
        }
        for account in &unknown {
            self.state.unnamed.insert(*account, ());
        }
        self.run.people.unnamed_asked_at = Some(self.run.now);
        self.learn(unknown);
    }

    /// Asks for accounts that are not known.
    pub(crate) fn learn(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        for account in accounts {
            if account != self.state.own_id()
                && self.state.accounts.get(&account).is_none()
                && !self.run.registry.asks_for(&account)
                && !self.was_not_found(&account)
            {
                self.ask(Operation::FetchAccount { account }, QuestionReason::Fetch { account }, None);
            }
        }
    }

    /// The registry showed the account that a handle belongs to.
    pub(crate) fn handle_shown(&mut self, handle: &Handle, record: &AccountRecord) -> Result<AccountId> {
        let account = self.pin(record)?;
        if record.handle != *handle {
            return Err(ErrorKind::Trust.because("the registry answered with another handle than asked"));
        }
        self.handle_holds(&account);
        Ok(account)
    }

    /// The registry showed an account that was asked for.
    pub(crate) fn account_shown(&mut self, account: AccountId, record: &AccountRecord) -> Result<()> {
        if record.account != account {
            return Err(ErrorKind::Trust.because("the registry answered with another account than asked"));
        }
        self.pin(record)?;
        self.run.people.not_found.remove(&account);
        self.asker_looked_up(&account);
        self.show_invitations()
    }

    /// The registry did not show an account that was asked for.
    pub(crate) fn account_not_shown(&mut self, account: AccountId, error: &Error) {
        if error.kind == ErrorKind::NotFound {
            let now = self.run.now;
            self.run.people.not_found.retain(|_, at| now.since(*at) < NOT_FOUND_FOR);
            while self.run.people.not_found.len() >= limit::MEMBERS {
                self.run.people.not_found.pop_first();
            }
            self.run.people.not_found.insert(account, now);
            self.state.unnamed.remove(&account);
            self.name_is_known(&account);
        }
        // A registry that is not there, or has had enough of us, has said nothing of the account.
        if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Trust) {
            self.asker_looked_up(&account);
        }
    }

    fn was_not_found(&self, account: &AccountId) -> bool {
        self.run.people.not_found.get(account).is_some_and(|at| self.run.now.since(*at) < NOT_FOUND_FOR)
    }

    /// Asks again for fellow members whose handle is not known, a few at a time.
    pub(super) fn ask_unnamed(&mut self) {
        if self.people_due().is_some_and(|due| self.run.now >= due) {
            self.run.people.unnamed_asked_at = Some(self.run.now);
            let some = self.state.unnamed.keys().into_iter().take(UNNAMED_AT_ONCE);
            self.refetch(some);
        }
    }

    /// When to ask for them again.
    pub(super) fn people_due(&self) -> Option<Timestamp> {
        let asks = self.run.connected
            && self.run.interest == Some(Interest::Everything)
            && self.state.unnamed.len() > 0;
        asks.then(|| self.run.people.unnamed_asked_at.map_or(self.run.now, |at| at.plus(UNNAMED_EVERY)))
    }

    /// After a reconnect: asks again for whoever is still unknown. Of an invitation that nobody accepted, for no more
    /// than when it came (F4): who wrote the tree made up the members.
    pub(super) fn refresh_unknown_accounts(&mut self) {
        let invited: Vec<AccountId> = self
            .state
            .invites
            .iter()
            .filter_map(|(_, invite)| invite.known.as_ref())
            .flat_map(InviteFacts::to_look_up)
            .chain(self.state.groups.iter().filter_map(|(_, row)| row.peer))
            .collect();
        self.learn(invited);
        let loaded = self.groups.loaded_accounts();
        self.learn(loaded);
        // Pinned by a version that kept no logs, or as a bot's owner: what they stated is known from now on.
        let bare = self.state.accounts.iter().filter(|(_, row)| row.log.is_none() && !row.retired);
        let bare: Vec<AccountId> = bare.map(|(account, _)| *account).collect();
        self.refetch(bare);
    }

    /// Shows what an account says of itself, as the registry has it now.
    pub(crate) fn show_profile(&mut self, ticket: Ticket, handle: Handle) -> Result<Option<Reply>> {
        if self.state.identity()?.handle.as_ref() == Some(&handle) {
            if !self.run.connected {
                return Ok(Some(Reply::Account(Box::new(self.state.own_account()?))));
            }
            // As the registry has it: that it answers, and knows this account, is what the asker wants to hear.
            let purpose = QuestionReason::OwnAccount { what: Stating::Nothing, tries: 0 };
            self.ask(Operation::Resolve { handle }, purpose, Some(ticket));
            return Ok(None);
        }
        self.begin_errand(Some(ticket), Goal::ShowProfile, vec![handle])?;
        Ok(None)
    }

    /// What is shown of another account: to contacts and fellow members its name, status and presence too. The registry
    /// gives them to anybody who asks; this only keeps strangers' words off the screen.
    pub(crate) fn profile_view(&mut self, account: &AccountId) -> Result<AccountView> {
        let mut view = self.account_view(account)?;
        let contact =
            matches!(self.state.contact_state(account), Some(state) if state != ContactState::Blocked);
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
            if self.state.is_member(&group) && self.has_member(group, account)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is known of another account.
    pub(super) fn account_view(&self, account: &AccountId) -> Result<AccountView> {
        let row = self.state.accounts.get(account);
        let row = row.ok_or_else(|| ErrorKind::Bug.because("an account that was just pinned is gone"))?;
        Ok(AccountView {
            handle: row.handle.clone(),
            account_id: *account,
            device_id: None,
            kind: row.kind,
            owner: row.owner.as_ref().map(|owner| self.state.handle_of(owner)),
            name: row.profile.name.clone(),
            status: row.profile.status.clone(),
            presence: self.presence_of(account, row.profile.presence),
            trust: Some(row.trust),
            warning: self.name_warning(account),
        })
    }

    /// Where a shown record's latest statement lies. R-KT-06: a stream that passed it without bringing it hides
    /// statements.
    pub(super) fn place_of(&mut self, record: &AccountRecord, length: u64, grown: bool) -> LogPlace {
        let known = self.state.known_place(&record.account);
        let first = self.state.log_of(&record.account).is_none();
        let cursor = self.state.meta.log_cursor.unwrap_or(0);
        let Some(inclusion) = &record.inclusion else { return known };
        let size = head_of(&inclusion.head).map_or(0, |head| head.size);
        let passed =
            inclusion.index < cursor && inclusion.index >= known.followed.max(self.state.meta.log_gap);
        if grown && passed {
            self.skip(Skip::LogHidden);
            self.warn(Notice::StatementHidden { handle: record.handle.clone() });
        }
        LogPlace {
            tip: Some((length, inclusion.index)),
            followed: if first { cursor.max(size) } else { known.followed },
        }
    }
}

/// The profile of a record, if the registry has it: signed by an active device (R-PIN-01).
fn shown_profile(record: &AccountRecord, bodies: &[CertificateBody]) -> Result<Option<PublicProfile>> {
    let signer = bodies.iter().find(|body| body.device == record.profile.device);
    let signer = signer.ok_or_else(|| bad_record(record, "its profile is signed by an unknown device"))?;
    if record.profile.is_unknown() {
        // A registry that was rebuilt from the account log has no profiles: nothing is said, nothing forged.
        return Ok(None);
    }
    let profile = record.profile.profile.verified(&signer.device_key, Purpose::Profile).ok();
    profile
        .and_then(|bytes| codec::decode(bytes).ok())
        .filter(|profile: &PublicProfile| profile.account == record.account)
        .map(Some)
        .ok_or_else(|| bad_record(record, "its profile is not signed by its device"))
}

/// The registry gave a record that cannot be right.
pub(crate) fn bad_record(record: &AccountRecord, what: &str) -> Error {
    ErrorKind::Trust
        .because(format!("the registry gave a record of @{} that cannot be right: {what}", record.handle))
        .hint(Advice::CompareElsewhere)
}

#[cfg(test)]
#[path = "account_test.rs"]
mod tests;
