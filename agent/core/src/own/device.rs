//! The devices of the own account: naming, revoking, and what the account's log says of them.

use std::collections::BTreeSet;

use cipher_api::command::{
    AccountCommand, ContactCommand, DeviceCommand, GroupCommand, MessageCommand, StatusCommand,
};
use cipher_api::view::DeviceView;
use cipher_api::{Advice, Command, Error, ErrorKind, Hint, Notice, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::DeviceId;
use cipher_broker::sign::{Purpose as Signing, Signed};
use cipher_broker::wire::registry::{AccountRecord, AppendStatement, Operation, PublicProfile};
use cipher_broker::wire::statement::StatementKind;
use cipher_broker::wire::sync::SyncNote;
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;

use crate::delivery::outbox::OutboxEnd;
use crate::input::Ticket;
use crate::machine::Core;
use crate::own::identity::signed_profile;
use crate::registry::question::{QuestionReason, Stating};
use crate::state::name::check_text;
use crate::state::{revoked, stopped};

/// How often a statement is signed anew because another device was first.
const TRIES: u32 = 8;

impl Core {
    pub(super) fn device_rename(&mut self, device: &str, name: String) -> Result<Reply> {
        let device = self.device_named(device)?;
        check_text("the name of a device", &name, limit::DISPLAY_NAME_CHARS)?;
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(ErrorKind::Usage.because("a device needs a name without control characters"));
        }
        if self.free_name(&device, &name) != name {
            return Err(ErrorKind::Conflict
                .because(format!("another of your devices is named '{name}'"))
                .hint(Hint::DeviceListNames));
        }
        let mut identity = self.state.identity()?.clone();
        identity.names.insert(device, name.clone());
        self.state.set_identity(identity);
        self.tell_devices(&SyncNote::DeviceName { device, name })?;
        Ok(Reply::Device(Box::new(self.device_view(&device)?)))
    }

    pub(super) fn device_revoke(&mut self, ticket: Ticket, device: &str) -> Result<Option<Reply>> {
        let identity = self.state.identity()?;
        if identity.kind == Kind::Bot {
            return Err(ErrorKind::Refused.because("a bot has one device").hint(Advice::RemoveBot));
        }
        let device = self.device_named(device)?;
        if !self.run.connected {
            return Err(ErrorKind::Unreachable.because("the broker cannot be reached; nothing was changed"));
        }
        self.begin_statement(Stating::Revoke(device), Some(ticket), 0);
        Ok(None)
    }

    pub(super) fn devices(&self) -> Result<Reply> {
        let identity = self.state.identity()?;
        let Some(log) = &identity.log else {
            return Ok(Reply::Devices(vec![self.device_view(&identity.device)?]));
        };
        let mut devices: Vec<DeviceView> =
            log.devices().map(|(device, _)| self.device_view(device)).collect::<Result<_>>()?;
        devices.sort_by_key(|view| (view.created_at, view.device_id));
        Ok(Reply::Devices(devices))
    }

    /// One own device as people see it.
    pub(super) fn device_view(&self, device: &DeviceId) -> Result<DeviceView> {
        let identity = self.state.identity()?;
        let state = identity.log.as_ref().and_then(|log| log.devices().find(|(known, _)| *known == device));
        let name = identity.names.get(device).cloned();
        Ok(DeviceView {
            device_id: *device,
            name: name.unwrap_or_else(|| format!("device {}", device.short())),
            kind: identity.kind,
            current: identity.device == *device,
            created_at: state.map_or(identity.created_at, |(_, state)| state.since),
            revoked: state.is_some_and(|(_, state)| !state.is_active()),
        })
    }

    /// A name for a device that no other active one of the account has: what it is called, else `laptop-2` and so on.
    pub(super) fn free_name(&self, device: &DeviceId, name: &str) -> String {
        let Some(identity) = &self.state.identity else { return name.into() };
        let active = |device: &DeviceId| identity.log.as_ref().is_none_or(|log| log.is_active(device));
        let taken: BTreeSet<&str> = identity
            .names
            .iter()
            .filter(|(other, _)| *other != device && active(other))
            .map(|(_, name)| name.as_str())
            .collect();
        let numbered = (2_u32..).map(|number| {
            let end = format!("-{number}");
            let room = limit::DISPLAY_NAME_CHARS.saturating_sub(end.len());
            name.chars().take(room).chain(end.chars()).collect::<String>()
        });
        let free = |name: &String| !taken.contains(name.as_str());
        std::iter::once(name.to_owned()).chain(numbered).find(free).unwrap_or_else(|| name.into())
    }

    /// Finds an own device by its id, the beginning of it, or its name.
    fn device_named(&self, text: &str) -> Result<DeviceId> {
        let Reply::Devices(devices) = self.devices()? else {
            return Err(ErrorKind::Bug.because("devices are devices"));
        };
        let text = text.trim();
        let named: Vec<&DeviceView> = devices.iter().filter(|view| view.name == text).collect();
        // One that was revoked does not get between a person and the device that has its name now.
        let some_active = named.iter().any(|view| !view.revoked);
        let meant = named.iter().filter(|view| !(some_active && view.revoked));
        let by_name: Vec<DeviceId> = meant.map(|view| view.device_id).collect();
        let begins = |view: &&DeviceView| !text.is_empty() && view.device_id.to_string().starts_with(text);
        let by_id: Vec<DeviceId> = devices.iter().filter(begins).map(|view| view.device_id).collect();
        match (by_name.as_slice(), by_id.as_slice()) {
            ([device], _) | ([], [device]) => Ok(*device),
            ([], []) => Err(ErrorKind::NotFound
                .because(format!("you have no device '{text}'"))
                .hint(Hint::DeviceListNamed)),
            _ => Err(ErrorKind::Usage
                .because(format!("'{text}' fits several of your devices"))
                .hint(Hint::DeviceListId)),
        }
    }

    // Statements: the log as the registry has it, then the statement that continues it, and again when another
    // device was first.

    pub(super) fn begin_statement(&mut self, what: Stating, ticket: Option<Ticket>, tries: u32) {
        let account = self.state.own_id();
        self.ask(Operation::FetchAccount { account }, QuestionReason::OwnAccount { what, tries }, ticket);
    }

    /// The registry showed the own account: the statement is made.
    pub(super) fn own_account_fetched(
        &mut self,
        what: Stating,
        tries: u32,
        record: &AccountRecord,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        self.own_record(record)?;
        match what {
            Stating::Revoke(device) => self.state_revocation(device, tries, record, ticket),
            Stating::Link => self.state_link(ticket, tries),
            Stating::Nothing => self.own_shown(ticket),
        }
    }

    fn state_revocation(
        &mut self,
        device: DeviceId,
        tries: u32,
        record: &AccountRecord,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        let identity = self.state.identity()?.clone();
        let Some(log) = &identity.log else { return Err(no_log()) };
        if !log.is_active(&device) {
            // It was revoked before: by a request whose reply got lost, or by another device.
            return self.revoked_view(device, ticket);
        }
        if log.active().count() <= 1 {
            return Err(ErrorKind::Refused
                .because("this is the last device of the account: it cannot be revoked")
                .hint(Hint::DeviceLinkFirst));
        }
        let signed_by_it = record.profile.device == device;
        if signed_by_it && device == identity.device {
            return Err(ErrorKind::Refused
                .because("your profile is signed by this device, so it cannot go by itself")
                .hint(Advice::RevokeElsewhere));
        }
        let profile = signed_by_it.then(|| {
            let version = identity.profile.version.saturating_add(1);
            let renewed = PublicProfile { version, ..identity.profile.clone() };
            signed_profile(&identity.device_seed, identity.device, &renewed)
        });
        let claim = codec::encode(&log.next(log.stamp(self.run.now), StatementKind::RevokeDevice { device }));
        let account_key = SigningKey::from_bytes(&identity.account_seed);
        let append = AppendStatement {
            statement: Signed::new(&account_key, Signing::AccountStatement, claim),
            certificate: None,
            profile,
        };
        self.ask(
            Operation::AppendStatement(Box::new(append.clone())),
            QuestionReason::State { what: Stating::Revoke(device), append: Box::new(append), tries },
            ticket,
        );
        Ok(())
    }

    /// The registry has the statement.
    pub(super) fn stated(
        &mut self,
        what: Stating,
        append: &AppendStatement,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        let mut identity = self.state.identity()?.clone();
        if let Some(profile) = &append.profile
            && let Ok(profile) = codec::decode(&profile.profile.body)
        {
            identity.profile = profile;
        }
        let Some(mut log) = identity.log.clone() else { return Err(no_log()) };
        // The stream may have brought it before the reply did.
        let news = log.append(&append.statement, append.certificate.as_ref()).is_ok();
        identity.certificates.extend(append.certificate.clone());
        identity.certificates = active_only(&log, identity.certificates);
        identity.log = Some(log);
        self.state.set_identity(identity);
        if news {
            self.run.group.account_changed(self.state.own_id());
        }
        match what {
            Stating::Revoke(device) => self.revoked_view(device, ticket),
            Stating::Link => self.link_done(ticket),
            Stating::Nothing => self.own_shown(ticket),
        }
    }

    /// The registry knows the own account.
    fn own_shown(&mut self, ticket: Option<Ticket>) -> Result<()> {
        if let Some(ticket) = ticket {
            let account = Box::new(self.state.own_account()?);
            self.run.reply(ticket, Ok(Reply::Account(account)));
        }
        Ok(())
    }

    fn revoked_view(&mut self, device: DeviceId, ticket: Option<Ticket>) -> Result<()> {
        let view = self.device_view(&device)?;
        if let Some(ticket) = ticket {
            self.run.reply(ticket, Ok(Reply::Device(Box::new(view))));
        }
        Ok(())
    }

    /// A statement did not get through. Whether that is dealt with here.
    pub(super) fn statement_failed(
        &mut self,
        purpose: &QuestionReason,
        ticket: Option<Ticket>,
        error: &Error,
    ) -> bool {
        match purpose {
            // Another device stated something first: look, and say it again behind that.
            QuestionReason::State { what, tries, .. }
                if error.kind == ErrorKind::Conflict && *tries < TRIES =>
            {
                self.begin_statement(*what, ticket, tries.saturating_add(1));
                true
            }
            QuestionReason::State { what: Stating::Link, .. }
            | QuestionReason::OwnAccount { what: Stating::Link, .. } => {
                self.link_refused(ticket, error.clone());
                true
            }
            _ => false,
        }
    }

    /// Takes over what the registry shows of the own account, as far as it continues what is known here.
    pub(super) fn own_record(&mut self, record: &AccountRecord) -> Result<()> {
        let mut identity = self.state.identity()?.clone();
        let own_key = SigningKey::from_bytes(&identity.account_seed).verifying_key().to_bytes();
        let bad = |why: &str| {
            ErrorKind::Trust
                .because(format!("the registry shows your account as it cannot be: {why}"))
                .hint(Hint::DeviceListCompare)
        };
        let (mut log, bodies) = AccountLog::replay(&record.statements, &record.certificates)
            .map_err(|error| bad(&error.to_string()))?;
        if *log.key() != own_key {
            return Err(bad("it is not of your account key"));
        }
        if let Some(known) = &identity.log {
            log.recall(known);
        }
        let grown = match &identity.log {
            None => true,
            Some(known) if known.continues(&log) => false,
            Some(known) if log.continues(known) => true,
            Some(_) => return Err(bad("its log is not the one that was seen before")),
        };
        if let Some(profile) = shown_profile(record, &bodies)
            && profile.version > identity.profile.version
        {
            identity.profile = profile;
        }
        if grown {
            identity.certificates.clone_from(&record.certificates);
            identity.log = Some(log);
        }
        self.state.set_identity(identity);
        if grown {
            self.run.group.account_changed(self.state.own_id());
        }
        Ok(())
    }

    // Revoked.

    /// Commands of a device that its account revoked: it may look at what it has, and nothing else.
    pub(crate) fn may_still(&self, command: &Command) -> Result<()> {
        let gone = self.state.identity.as_ref().is_some_and(|own| own.revoked);
        if !gone && !self.state.meta.stopped {
            return Ok(());
        }
        match command {
            Command::Account(AccountCommand::Show(_))
            | Command::Device(DeviceCommand::List(_) | DeviceCommand::Backup(_))
            | Command::Contact(ContactCommand::List(_))
            | Command::Group(GroupCommand::List(_) | GroupCommand::Show(_))
            | Command::Message(
                MessageCommand::Read(_)
                | MessageCommand::Shown(_)
                | MessageCommand::Files(_)
                | MessageCommand::OpenFile(_)
                | MessageCommand::Show(_)
                | MessageCommand::Edits(_)
                | MessageCommand::Thread(_)
                | MessageCommand::Pins(_),
            )
            | Command::Event(_)
            | Command::Evidence(_)
            | Command::Status(StatusCommand::Status(_)) => Ok(()),
            Command::Device(DeviceCommand::Resume(_)) if !gone => Ok(()),
            _ if gone => Err(revoked()),
            _ => Err(stopped()),
        }
    }

    /// R-DEV-03: the account revoked this device: it says nothing more, asks nothing more, and tells its person.
    pub(crate) fn this_device_is_revoked(&mut self) {
        let Some(mut identity) = self.state.identity.clone().filter(|own| !own.revoked) else { return };
        identity.revoked = true;
        self.state.set_identity(identity);
        self.give_up_link();
        self.state.give_up_transfers();
        for group in self.state.groups.keys() {
            self.drop_intents(group, &revoked());
        }
        self.nothing_leaves(OutboxEnd::Revoked);
        self.warn(Notice::ThisDeviceRevoked);
    }

    /// What follows when the own log grew.
    pub(crate) fn own_log_changed(&mut self) -> Result<()> {
        let gone = self.state.identity.as_ref().is_some_and(|own| {
            own.registered && own.log.as_ref().is_some_and(|log| log.is_revoked(&own.device))
        });
        if gone {
            self.this_device_is_revoked();
        }
        self.history_source_gone();
        self.meets_siblings()
    }
}

fn no_log() -> Error {
    ErrorKind::Unreachable.because("the own account is not known yet; the registry must be asked first")
}

/// The certificates of active devices, each once.
pub(crate) fn active_only(log: &AccountLog, certificates: Vec<DeviceCertificate>) -> Vec<DeviceCertificate> {
    let mut kept: Vec<DeviceCertificate> = Vec::new();
    for certificate in certificates {
        let active = certificate.verify().is_ok_and(|body| log.is_active(&body.device));
        if active && !kept.contains(&certificate) {
            kept.push(certificate);
        }
    }
    kept
}

/// The profile in a record, if one of these devices signed it.
pub(super) fn shown_profile(record: &AccountRecord, bodies: &[CertificateBody]) -> Option<PublicProfile> {
    let signer = bodies.iter().find(|body| body.device == record.profile.device)?;
    let bytes = record.profile.profile.verified(&signer.device_key, Signing::Profile).ok()?;
    codec::decode(bytes).ok().filter(|profile: &PublicProfile| profile.account == record.account)
}
