//! The own account and device: making, registering, showing, and owning bots.

use std::time::Duration;

use bip39::Mnemonic;
use cipher_api::command::account::{BotOwnership, Registered};
use cipher_api::view::RequestPolicy;
use cipher_api::{Advice, Error, ErrorKind, Hint, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind, Owner};
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{
    AdmissionProof, CreateAccount, Operation, Presence, PublicProfile, SignedProfile,
};
use cipher_broker::wire::statement::{Statement, StatementKind};
use cipher_broker::wire::sync::SyncNote;
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;

use crate::input::Ticket;
use crate::machine::Core;
use crate::own::sync::policy_name;
use crate::registry::question::QuestionReason;
use crate::state::IdentityRow;
use crate::state::name::check_text;

/// How long a device certificate lasts. Long, because its end only warns; revocation is what ends a device.
pub(super) const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(5 * 365 * 86_400);

impl Core {
    /// Makes keys, once: a second call gives the same, so that a lost reply of the registry costs nothing.
    pub(crate) fn make_identity(&mut self, kind: Kind, owner: Option<Owner>) -> IdentityRow {
        if let Some(known) = &self.state.identity
            && known.kind == kind
            && known.owner == owner
            && !known.recovering
        {
            return known.clone();
        }
        let account_seed: [u8; 32] = self.provider.bytes();
        let identity = self.fresh_identity(account_seed, kind, owner);
        self.state.set_identity(identity.clone());
        identity
    }

    /// A new device for an account key; nobody knows of it yet.
    pub(super) fn fresh_identity(
        &self,
        account_seed: [u8; 32],
        kind: Kind,
        owner: Option<Owner>,
    ) -> IdentityRow {
        let device_seed: [u8; 32] = self.provider.bytes();
        let account_key = SigningKey::from_bytes(&account_seed);
        let account = AccountId::of_key(&account_key.verifying_key().to_bytes());
        let body = CertificateBody {
            account,
            account_key: account_key.verifying_key().to_bytes(),
            device: DeviceId::from_bytes(self.provider.bytes()),
            device_key: SigningKey::from_bytes(&device_seed).verifying_key().to_bytes(),
            kind,
            owner: owner.clone(),
            not_before: self.run.now.minus(limit::CLOCK_SKEW),
            not_after: self.run.now.plus(CERTIFICATE_LIFETIME),
            serial: 1,
        };
        IdentityRow {
            handle: None,
            account_seed,
            device_seed,
            account,
            device: body.device,
            kind,
            owner,
            certificate: DeviceCertificate::sign(&body, &account_key).to_bytes(),
            created_at: self.run.now,
            registered: false,
            profile: PublicProfile {
                account,
                name: String::new(),
                status: String::new(),
                presence: Presence::Available,
                version: 1,
            },
            log: None,
            certificates: Vec::new(),
            names: std::collections::BTreeMap::new(),
            revoked: false,
            recovering: false,
            phrase_due: false,
        }
    }

    pub(super) fn register(
        &mut self,
        ticket: Ticket,
        handle: Handle,
        name: String,
        bot: Option<BotOwnership>,
        invite_code: Option<String>,
    ) -> Result<Option<Reply>> {
        if self.state.registered() {
            let account = self.state.own_account()?;
            if account.handle == handle && self.state.phrase_due() {
                let phrase = self.phrase()?;
                return Ok(Some(Registered { account, phrase }.into()));
            }
            let own = account.handle;
            return Err(ErrorKind::Conflict
                .because(format!("this profile already has the account @{own}"))
                .hint(Hint::AccountOtherProfile));
        }
        self.must_not_be_restored()?;
        if self.is_linking() {
            return Err(ErrorKind::Conflict
                .because("this profile is being linked to an account")
                .hint(Hint::DeviceLinkGoOn));
        }
        // The registry may have it, and keeps the statement that it got first: another handle needs other keys.
        let begun =
            self.state.identity.as_ref().filter(|own| own.log.is_some()).and_then(|own| own.handle.as_ref());
        if let Some(begun) = begun.filter(|begun| **begun != handle) {
            return Err(ErrorKind::Conflict
                .because(format!(
                    "this profile may be registered as @{begun} already: the registry did not answer"
                ))
                .hint(Hint::AccountRegisterAgain { handle: begun.clone() }));
        }
        check_text("a display name", &name, limit::DISPLAY_NAME_CHARS)?;
        let kind = if bot.is_some() { Kind::Bot } else { Kind::Person };
        let mut identity = self.make_identity(kind, bot.as_ref().map(|bot| bot.owner.clone()));
        let mut certificate: DeviceCertificate = decode_own(&identity.certificate)?;
        if let Some(bot) = &bot {
            let signature = bot.signature.as_slice().try_into();
            let signature = signature
                .map_err(|_| ErrorKind::Trust.because("the owner's signature is not 64 bytes long"))?;
            certificate = certificate.countersigned(signature);
            self.state.pin_owner(bot);
        }
        if certificate.verify().is_err() {
            return Err(ErrorKind::Trust
                .because("the owner's signature is not for this bot")
                .hint(Advice::SignAgain));
        }
        identity.certificate = certificate.to_bytes();
        identity.handle = Some(handle);
        identity.profile.name = name;
        self.state.set_identity(identity);
        self.ask_to_register(invite_code.map(AdmissionProof::Code), Some(ticket))?;
        Ok(None)
    }

    /// Asks the registry for the account that this profile has made, with what admits a newcomer if that is known.
    pub(crate) fn ask_to_register(
        &mut self,
        admitted: Option<AdmissionProof>,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        let identity = self.state.identity.clone();
        let Some((mut identity, handle)) =
            identity.and_then(|own| own.handle.clone().map(|handle| (own, handle)))
        else {
            return Err(ErrorKind::Bug.because("there is no account to register"));
        };
        let certificate = decode_own(&identity.certificate)?;
        let account_key = SigningKey::from_bytes(&identity.account_seed);
        let statement = Statement {
            account: identity.account,
            sequence: 0,
            previous: [0; 32],
            at: self.run.now,
            claim: StatementKind::Create {
                handle: handle.clone(),
                certificate: wire_hash(&identity.certificate),
            },
        };
        let statement = Signed::new(&account_key, Purpose::AccountStatement, codec::encode(&statement));
        // Asked again after a lost reply: the same statement, because the registry keeps the one it got first.
        let same = identity.log.take().filter(|log| {
            *log.handle() == handle && identity.certificates == std::slice::from_ref(&certificate)
        });
        let log = match same {
            Some(log) => log,
            None => AccountLog::begin(&statement, &certificate)
                .map_err(|error| ErrorKind::Bug.because_of("an own log does not begin", error))?,
        };
        let first = log.statements().first().cloned().unwrap_or(statement);
        identity.log = Some(log);
        identity.certificates = vec![certificate.clone()];
        identity.names.insert(identity.device, "first device".into());
        let profile = signed_profile(&identity.device_seed, identity.device, &identity.profile);
        self.state.set_identity(identity);
        let request = CreateAccount { statement: first, certificate, profile, ticket: admitted };
        let why = QuestionReason::Register { bare: request.ticket.is_none() };
        self.ask(Operation::CreateAccount(Box::new(request)), why, ticket);
        Ok(())
    }

    /// The registry said no: nobody has the account, and its handle may be another one. Without its word it may be
    /// registered, and only the same statement again tells.
    pub(super) fn registration_failed(&mut self, purpose: &QuestionReason, error: &Error) {
        let unknown = matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Trust);
        if let QuestionReason::Register { .. } = purpose
            && !unknown
            && let Some(mut identity) = self.state.identity.clone().filter(|own| !own.registered)
        {
            identity.log = None;
            self.state.set_identity(identity);
        }
    }

    /// The registry has the account now.
    pub(super) fn registration_done(&mut self, ticket: Option<Ticket>) -> Result<()> {
        let Some(mut identity) = self.state.identity.clone() else { return Ok(()) };
        identity.registered = true;
        // In the same transaction: whatever ends this process, the account is never here without a phrase that was shown
        // or can be.
        identity.phrase_due = identity.kind == Kind::Person;
        self.state.set_identity(identity);
        let phrase = self.phrase()?;
        self.account_ready(limit::KEY_PACKAGE_STOCK)?;
        if let Some(ticket) = ticket {
            let account = self.state.own_account()?;
            self.run.reply(ticket, Ok(Registered { account, phrase }.into()));
        }
        Ok(())
    }

    /// The words of the account key; `None` for bots, which come back by their owner.
    fn phrase(&self) -> Result<Option<String>> {
        let identity = self.state.identity()?;
        if identity.kind == Kind::Bot {
            return Ok(None);
        }
        let phrase = Mnemonic::from_entropy(&identity.account_seed)
            .map_err(|_| ErrorKind::Bug.because("a recovery phrase could not be made"))?;
        Ok(Some(phrase.to_string()))
    }

    /// A person was shown the recovery phrase: it is not given out any more.
    pub(super) fn phrase_shown(&mut self) -> Result<Reply> {
        if self.state.phrase_due() {
            let identity = IdentityRow { phrase_due: false, ..self.state.identity()?.clone() };
            self.state.set_identity(identity);
        }
        Ok(Reply::Done)
    }

    /// This device belongs to an account from now on: others can add it, and it listens.
    pub(super) fn account_ready(&mut self, key_packages: usize) -> Result<()> {
        self.publish_key_packages(key_packages, true)?;
        let inbox = self.state.inbox();
        self.follow(inbox);
        self.follow(Source::Log);
        Ok(())
    }

    pub(super) fn set_profile(
        &mut self,
        ticket: Ticket,
        name: Option<String>,
        status: Option<String>,
        presence: Option<Presence>,
    ) -> Result<Option<Reply>> {
        let mut identity = self.state.identity()?.clone();
        let profile = &mut identity.profile;
        profile.name = name.unwrap_or_else(|| profile.name.clone());
        profile.status = status.unwrap_or_else(|| profile.status.clone());
        profile.presence = presence.unwrap_or(profile.presence);
        profile.version = profile.version.saturating_add(1);
        check_text("a display name", &profile.name, limit::DISPLAY_NAME_CHARS)?;
        check_text("a status text", &profile.status, limit::STATUS_CHARS)?;
        let signed = signed_profile(&identity.device_seed, identity.device, &identity.profile);
        let profile = identity.profile;
        self.ask(Operation::SetProfile(signed), QuestionReason::SetProfile(profile), Some(ticket));
        Ok(None)
    }

    /// The registry has the new profile now.
    pub(super) fn profile_done(&mut self, profile: PublicProfile, ticket: Option<Ticket>) -> Result<()> {
        let mut identity = self.state.identity()?.clone();
        identity.profile = profile;
        self.state.set_identity(identity);
        if let Some(ticket) = ticket {
            let account = Box::new(self.state.own_account()?);
            self.run.reply(ticket, Ok(Reply::Account(account)));
        }
        Ok(())
    }

    pub(super) fn set_request_policy(&mut self, policy: RequestPolicy) -> Result<Reply> {
        self.state.identity()?;
        if self.state.meta.request_policy != policy {
            self.state.meta_mut().request_policy = policy;
            self.show_invitations()?;
            self.tell_devices(&SyncNote::RequestPolicy(policy_name(policy).into()))?;
        }
        Ok(Reply::Done)
    }

    /// The person wants receipts, or does not.
    pub(super) fn set_receipts(&mut self, on: bool) -> Result<Reply> {
        self.state.identity()?;
        if self.state.meta.receipts != Some(on) {
            self.receipts_chosen(on, self.run.now.max(self.run.group.entry_at(self.run.now)));
            self.tell_devices(&SyncNote::Receipts(on))?;
        }
        Ok(Reply::Done)
    }

    /// The same, here or on another own device, at this time.
    pub(super) fn receipts_chosen(&mut self, on: bool, at: Timestamp) {
        if self.state.meta.receipts != Some(on) {
            let again = on && !self.state.receipts_on();
            self.state.meta_mut().receipts = Some(on);
            if again {
                self.state.meta_mut().receipts_since = Some(at);
            }
            if !on {
                self.state.forget_receipts();
            }
        }
    }
}

fn decode_own(bytes: &[u8]) -> Result<DeviceCertificate> {
    codec::decode(bytes).map_err(|_| ErrorKind::Storage.because("the own certificate on disk is damaged"))
}

pub(super) fn signed_profile(
    device_seed: &[u8; 32],
    device: DeviceId,
    profile: &PublicProfile,
) -> SignedProfile {
    let key = SigningKey::from_bytes(device_seed);
    SignedProfile { device, profile: Signed::new(&key, Purpose::Profile, codec::encode(profile)) }
}
