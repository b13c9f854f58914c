//! What accounts state, as the account log brings it: devices come and go here within a moment, without asking.
//!
//! Only accounts that are known here matter. Entries are read one by one from a cursor; after a long pause the agent
//! asks for the accounts it knows instead.

use cipher_api::{Notice, Result};
use cipher_broker::account_log::{self, AccountLog, LogError};
use cipher_broker::certificate::DeviceCertificate;
use cipher_broker::id::AccountId;
use cipher_broker::sign::Signed;
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{AccountRecord, Operation, PublicProfile};
use cipher_broker::wire::statement::{LogEntry, Statement, StatementKind};
use cipher_broker::{codec, limit};

use crate::input::Interest;
use crate::machine::Core;
use crate::own::device::active_only;
use crate::people::account::bad_record;
use crate::registry::question::{Question, QuestionReason};
use crate::state::{LogPlace, Skip};

/// Known accounts that are asked for at the same time.
const REFETCHES: usize = 4;
/// How often a device that stays connected asks for its own account.
const OWN_ACCOUNT_EVERY: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

impl Core {
    /// One entry of the account log. R-KT-05: what does not verify costs nothing but itself.
    pub(crate) fn statement_delivered(&mut self, sequence: u64, bytes: &[u8]) -> Result<()> {
        let cursor = self.state.meta.log_cursor.unwrap_or(0);
        if sequence <= cursor {
            return Ok(());
        }
        if sequence > cursor.saturating_add(1) {
            // Entries are missing: whatever they said is asked for.
            self.skip(Skip::LogGap);
            self.ask_known_accounts(sequence.saturating_sub(1));
        }
        self.state.meta_mut().log_cursor = Some(sequence);
        let index = sequence.saturating_sub(1);
        let entry = (bytes.len() <= limit::REGISTRY_BYTES).then(|| codec::decode::<LogEntry>(bytes).ok());
        let Some(LogEntry { statement, certificate }) = entry.flatten() else {
            self.skip(Skip::Log);
            return Ok(());
        };
        // Whose it is decides only whether we look at it; the signature is checked by the log it is appended to.
        let Ok(stated) = codec::decode::<Statement>(&statement.body) else {
            self.skip(Skip::Log);
            return Ok(());
        };
        self.feed_stated(index, &stated, &statement, certificate.as_ref())
    }

    fn feed_stated(
        &mut self,
        index: u64,
        stated: &Statement,
        statement: &Signed,
        certificate: Option<&DeviceCertificate>,
    ) -> Result<()> {
        let account = stated.account;
        let Some(known) = self.state.log_of(&account) else { return Ok(()) };
        let at = usize::try_from(stated.sequence).unwrap_or(usize::MAX);
        match known.statements().get(at) {
            Some(same) if same == statement => {
                // Known already; now its place is known too.
                if stated.sequence.saturating_add(1) == known.len() {
                    let length = known.len();
                    self.set_place(&account, |place| place.tip = Some((length, index)));
                }
                return Ok(());
            }
            Some(_) => {
                // Another statement in the place of one that is known. Only the account key makes that possible.
                if account_log::read(statement, known.key()).is_ok() {
                    self.refetch([account]);
                }
                self.skip(Skip::Log);
                return Ok(());
            }
            None => {}
        }
        let mut log = known.clone();
        match log.append(statement, certificate) {
            Ok(()) => self.log_grew(account, log, index, certificate),
            Err(LogError::Order) if stated.sequence > log.len() => {
                // One before it did not come: ask.
                self.refetch([account]);
                Ok(())
            }
            Err(_) => {
                self.skip(Skip::Log);
                Ok(())
            }
        }
    }

    /// Takes over a longer log of a known account from the stream.
    fn log_grew(
        &mut self,
        account: AccountId,
        log: AccountLog,
        index: u64,
        certificate: Option<&DeviceCertificate>,
    ) -> Result<()> {
        let length = log.len();
        self.set_place(&account, |place| place.tip = Some((length, index)));
        if account == self.state.own_id() {
            return self.own_log_grew(log, certificate);
        }
        if let Some(row) = self.state.accounts.get_mut(&account) {
            row.devices = log.active().map(|(device, _)| *device).collect();
            row.log = Some(log);
            self.run.group.account_changed(account);
        }
        Ok(())
    }

    fn own_log_grew(&mut self, log: AccountLog, certificate: Option<&DeviceCertificate>) -> Result<()> {
        let Some(mut identity) = self.state.identity.clone() else { return Ok(()) };
        let from = identity.log.as_ref().map_or(0, AccountLog::len);
        for statement in log.statements().iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            self.tell_own_statement(statement, &log);
        }
        identity.certificates.extend(certificate.cloned());
        identity.certificates = active_only(&log, identity.certificates);
        identity.log = Some(log);
        self.state.set_identity(identity);
        self.run.group.account_changed(self.state.own_id());
        Ok(())
    }

    /// G02: what this device did not state itself, every own device says aloud.
    fn tell_own_statement(&mut self, statement: &Signed, log: &AccountLog) {
        let Ok(Statement { claim, .. }) = account_log::read(statement, log.key()) else { return };
        if self.run.watch.own_statements.contains(&account_log::leaf(statement)) {
            return;
        }
        let this = self.state.identity.as_ref().map(|identity| identity.device);
        let news = match claim {
            StatementKind::AddDevice { device, .. } if Some(device) != this => Notice::DeviceAdded { device },
            StatementKind::Recover { device, .. } if Some(device) != this => Notice::AccountRecovered,
            StatementKind::RevokeDevice { device } if Some(device) != this => {
                Notice::DeviceRevoked { device }
            }
            _ => return,
        };
        self.warn(news);
    }

    /// The registry shows the own account, and it continues what is known.
    pub(crate) fn own_account_shown(
        &mut self,
        record: &AccountRecord,
        log: AccountLog,
        profile: Option<PublicProfile>,
        place: LogPlace,
    ) -> Result<()> {
        let Some(identity) = self.state.identity.clone() else { return Ok(()) };
        let own_key =
            ed25519_dalek::SigningKey::from_bytes(&identity.account_seed).verifying_key().to_bytes();
        if *log.key() != own_key {
            return Err(bad_record(record, "it is not of your account key"));
        }
        if self.state.meta.own_place != place {
            self.state.meta_mut().own_place = place;
        }
        let mut identity = identity;
        let newer = profile.filter(|profile| profile.version > identity.profile.version);
        // A reply that was on its way while this device stated something shows what was before.
        let current = identity.log.as_ref().is_none_or(|known| log.len() >= known.len());
        let certificates = current && identity.certificates != record.certificates;
        if newer.is_some() || certificates || identity.log.is_none() {
            if certificates {
                identity.certificates.clone_from(&record.certificates);
            }
            identity.log.get_or_insert_with(|| log.clone());
            identity.profile = newer.unwrap_or(identity.profile);
            self.state.set_identity(identity);
        }
        let known = self.state.log_of(&record.account).map_or(0, AccountLog::len);
        if log.len() > known { self.own_log_grew(log, None) } else { Ok(()) }
    }

    /// Asks for the own account, at connect and now and then: whoever adds a device to it is noticed here first.
    pub(super) fn watch_own_account(&mut self) {
        if self.own_account_due().is_some_and(|due| self.run.now >= due) {
            self.run.watch.own_asked_at = Some(self.run.now);
            let account = self.state.own_id();
            if !self.run.registry.asks_for(&account) {
                self.ask(Operation::FetchAccount { account }, QuestionReason::Fetch { account }, None);
            }
        }
    }

    /// When to ask for the own account.
    pub(super) fn own_account_due(&self) -> Option<Timestamp> {
        let watches =
            self.run.connected && self.run.interest == Some(Interest::Everything) && self.state.registered();
        watches.then(|| self.run.watch.own_asked_at.map_or(self.run.now, |at| at.plus(OWN_ACCOUNT_EVERY)))
    }

    /// Too much was missed to read it entry by entry: goes on at `size` and asks for the known accounts.
    pub(super) fn skip_log(&mut self, size: u64) {
        self.state.meta_mut().log_cursor = Some(size);
        self.ask_known_accounts(size);
        if self.run.delivery.follows(&Source::Log) {
            self.begin_reading(Source::Log, size, None);
        }
    }

    /// Asks for every account that is known here, because entries before `from` were not read.
    fn ask_known_accounts(&mut self, from: u64) {
        self.state.meta_mut().log_gap = from;
        let known: Vec<AccountId> = self
            .state
            .accounts
            .iter()
            .filter(|(_, row)| !row.claimant)
            .map(|(account, _)| *account)
            .collect();
        let own = self.state.own_id();
        self.refetch(known.into_iter().chain([own]));
    }

    /// Asks for known accounts again, a few at a time.
    pub(crate) fn refetch(&mut self, accounts: impl IntoIterator<Item = AccountId>) {
        self.run.watch.refetch.extend(accounts);
        self.refetch_some();
    }

    /// Answers came, or accounts were added: as many are asked for as may be at once.
    pub(super) fn refetch_some(&mut self) {
        if !self.run.connected || self.run.watch.refetch.is_empty() {
            return;
        }
        while self.asked_accounts() < REFETCHES
            && let Some(account) = self.run.watch.refetch.pop_first()
        {
            if !self.run.registry.asks_for(&account) {
                self.ask(Operation::FetchAccount { account }, QuestionReason::Fetch { account }, None);
            }
        }
    }

    fn set_place(&mut self, account: &AccountId, change: impl FnOnce(&mut LogPlace)) {
        let mut place = self.state.known_place(account);
        let before = place;
        change(&mut place);
        if place == before {
            return;
        }
        if *account == self.state.own_id() {
            self.state.meta_mut().own_place = place;
        } else if let Some(row) = self.state.accounts.get_mut(account) {
            row.place = place;
        }
    }

    /// Accounts that are being asked for.
    pub(super) fn asked_accounts(&self) -> usize {
        let fetches = |question: &&Question| matches!(question.purpose, QuestionReason::Fetch { .. });
        self.run.registry.questions().filter(fetches).count()
    }
}
