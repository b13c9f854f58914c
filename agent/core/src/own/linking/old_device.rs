//! The device that lets another one in: finds it under its code, shows what to compare, and admits it.

use std::time::Duration;

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use cipher_api::view::{HistoryPolicy, LinkCompareView};
use cipher_api::{Advice, Error, ErrorKind, Hint, Reply, Result};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::id::AccountId;
use cipher_broker::sign::{Purpose as Signing, Signed, wire_hash};
use cipher_broker::wire::link::{LinkingGrant, LinkingStep, rendezvous};
use cipher_broker::wire::registry::{AppendStatement, Operation};
use cipher_broker::wire::statement::StatementKind;
use cipher_broker::wire::sync::SyncNote;
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::input::Ticket;
use crate::machine::Core;
use crate::own::identity::CERTIFICATE_LIFETIME;
use crate::own::linking::code::read_code;
use crate::own::linking::{
    NONCE, Transcript, ended, no_such_link, out_of_time, public, shared, stale, unreachable,
};
use crate::registry::question::{QuestionReason, Stating};
use crate::state::name::{check_text, is_plain};
use crate::state::{LinkingRow, OldSide, Side, Skip, revoked};

/// How long it looks for the other one before it says that nobody is there.
const FIND: Duration = Duration::from_secs(15);
/// How long it waits for the next step of one that is there.
const ANSWER: Duration = Duration::from_secs(30);

impl OldSide {
    fn transcript(&self, account: AccountId) -> Option<Transcript> {
        let reveal = self.reveal.as_ref()?;
        Some(Transcript {
            account,
            offer: self.offer.as_ref()?.to_vec(),
            accept: self.accept.as_ref()?.to_vec(),
            reveal: codec::encode(&LinkingStep::Reveal(reveal.clone())),
            shared: shared(&self.secret, &reveal.key)?,
        })
    }
}

impl Core {
    pub(in crate::own) fn device_approve(
        &mut self,
        ticket: Ticket,
        code: &str,
        history: HistoryPolicy,
    ) -> Result<Option<Reply>> {
        if self.state.identity()?.kind == Kind::Bot {
            return Err(ErrorKind::Refused.because("a bot has one device"));
        }
        let code = read_code(code)?;
        self.link_tick();
        match &self.state.meta.link {
            Some(LinkingRow { code: known, side: Side::Ended { trust, why }, .. }) if *known == code => {
                return Err(ended(*trust, why));
            }
            Some(LinkingRow { code: known, side: Side::Admitted(device), .. }) if *known == code => {
                return Err(ErrorKind::Conflict
                    .because(format!("the device with this code was let in before: {device}"))
                    .hint(Hint::DeviceList));
            }
            Some(LinkingRow { code: known, side: Side::Old(old), .. }) if *known == code => {
                if let Some(view) = self.compare_view(&code, old) {
                    return Ok(Some(Reply::LinkCompare(view)));
                }
            }
            Some(LinkingRow { side: Side::Old(OldSide { confirmed: true, .. }), .. }) => {
                return Err(ErrorKind::Conflict
                    .because("another device is just being linked")
                    .hint(Advice::WaitForLink));
            }
            _ if !self.run.connected => return Err(unreachable()),
            before => {
                if let Some(LinkingRow { code, side: Side::Old(_), .. }) = before {
                    let (_, there) = rendezvous(code);
                    self.post_step(there, &codec::encode(&LinkingStep::Cancel));
                }
                self.end_link();
                let old = OldSide {
                    history,
                    secret: self.provider.bytes(),
                    offer: None,
                    accept: None,
                    reveal: None,
                    confirmed: false,
                };
                let expires = self.run.now.plus(limit::LINK_LIFETIME);
                let row = LinkingRow { code, expires, cursor: 0, side: Side::Old(old), last: None };
                self.state.meta_mut().link = Some(row);
            }
        }
        if !self.run.connected {
            return Err(unreachable());
        }
        self.follow_link();
        if let Some((earlier, _)) = self.run.waits.link.replace((ticket, self.run.now.plus(FIND))) {
            self.run.reply(earlier, Err(ErrorKind::Conflict.because("the same was asked for again")));
        }
        self.run.wake_at(self.run.now.plus(FIND));
        Ok(None)
    }

    fn compare_view(&self, code: &str, old: &OldSide) -> Option<LinkCompareView> {
        let transcript = old.transcript(self.state.own_id())?;
        let other = old.reveal.as_ref()?.name.clone();
        Some(LinkCompareView { code: code.into(), string: transcript.string(code), other })
    }

    /// A step arrived at the approving device.
    pub(super) fn step_for_old(
        &mut self,
        row: LinkingRow,
        mut old: OldSide,
        step: LinkingStep,
        bytes: Vec<u8>,
    ) -> Result<()> {
        match step {
            LinkingStep::Offer { at, .. } => {
                if let Some(known) = &old.offer {
                    if known.as_slice() != bytes.as_slice() {
                        self.link_broken(true, "two machines offered themselves under this code");
                    }
                    return Ok(());
                }
                if stale(at, self.run.now) {
                    let why = out_of_time(at, self.run.now).message;
                    self.link_broken(false, &why);
                    return Ok(());
                }
                let handle = self.state.own_account()?.handle;
                let accept = LinkingStep::Accept {
                    key: public(&old.secret),
                    nonce: self.provider.bytes(),
                    account: Some((self.state.own_id(), handle)),
                    at: self.run.now,
                };
                let accept = codec::encode(&accept);
                let (_, there) = rendezvous(&row.code);
                self.post_step(there, &accept);
                (old.offer, old.accept) = (Some(ByteBuf::from(bytes)), Some(ByteBuf::from(accept)));
                self.state.meta_mut().link = Some(LinkingRow { side: Side::Old(old), ..row });
                if let Some((_, until)) = &mut self.run.waits.link {
                    *until = self.run.now.plus(ANSWER);
                    let until = *until;
                    self.run.wake_at(until);
                }
            }
            LinkingStep::Reveal(reveal) => {
                let Some(Ok(LinkingStep::Offer { commitment, .. })) =
                    old.offer.as_ref().map(|offer| codec::decode::<LinkingStep>(offer))
                else {
                    self.skip(Skip::LinkStep);
                    return Ok(());
                };
                if let Some(known) = &old.reveal {
                    if *known != reveal {
                        self.link_broken(true, "the new machine showed two different keys");
                    }
                    return Ok(());
                }
                // R-DEV-01: the new device is held to what it was committed to before it saw our key.
                if wire_hash(&codec::encode(&reveal)) != commitment {
                    self.link_broken(true, "the new machine shows another key than it was committed to");
                    return Ok(());
                }
                let known = self
                    .state
                    .log_of(&self.state.own_id())
                    .is_some_and(|log| log.devices().any(|(device, _)| *device == reveal.device));
                let named =
                    check_text("", &reveal.name, limit::DISPLAY_NAME_CHARS).is_ok() && is_plain(&reveal.name);
                if known || !named || shared(&old.secret, &reveal.key).is_none() {
                    self.link_broken(true, "the new machine shows keys that cannot be right");
                    return Ok(());
                }
                old.reveal = Some(reveal);
                let view = self.compare_view(&row.code, &old);
                self.state.meta_mut().link = Some(LinkingRow { side: Side::Old(old), ..row });
                if let (Some(view), Some((ticket, _))) = (view, self.run.waits.link.take()) {
                    self.run.reply(ticket, Ok(Reply::LinkCompare(view)));
                }
            }
            LinkingStep::Cancel if !old.confirmed => {
                self.link_broken(false, "the new machine gave up");
            }
            LinkingStep::Cancel | LinkingStep::Accept { .. } | LinkingStep::Admit(_) | _ => {
                self.skip(Skip::LinkStep);
            }
        }
        Ok(())
    }

    /// The approving side gives up: the new device is told, and whoever waits or confirms.
    pub(super) fn link_broken(&mut self, trust: bool, why: &str) {
        let Some(row) = self.state.meta.link.clone() else { return };
        let (_, there) = rendezvous(&row.code);
        let cancel = codec::encode(&LinkingStep::Cancel);
        self.drop_steps(there);
        self.post_step(there, &cancel);
        if let Some((ticket, _)) = self.run.waits.link.take() {
            self.run.reply(ticket, Err(ended(trust, why)));
        }
        self.end_link();
        let side = Side::Ended { trust, why: why.into() };
        self.state.meta_mut().link = Some(LinkingRow { side, last: Some(ByteBuf::from(cancel)), ..row });
    }

    pub(in crate::own) fn device_confirm(
        &mut self,
        ticket: Ticket,
        code: &str,
        equal: bool,
    ) -> Result<Option<Reply>> {
        self.state.identity()?;
        let code = read_code(code)?;
        self.link_tick();
        let Some(row) = self.state.meta.link.clone().filter(|row| row.code == code) else {
            return Err(no_such_link());
        };
        let old = match row.side.clone() {
            Side::Old(old) => old,
            Side::Ended { trust, why } => return Err(ended(trust, &why)),
            Side::Admitted(device) if equal => {
                let view = self.device_view(&device)?;
                return Ok(Some(Reply::Device(Box::new(view))));
            }
            Side::Admitted(_) => return Err(confirmed_before()),
            Side::New(_) => return Err(no_such_link()),
        };
        if old.reveal.is_none() {
            return Err(no_such_link());
        }
        if !equal && !old.confirmed {
            let (_, there) = rendezvous(&code);
            self.drop_steps(there);
            self.post_step(there, &codec::encode(&LinkingStep::Cancel));
            self.end_link();
            return Ok(Some(Reply::Done));
        }
        if !equal {
            return Err(confirmed_before());
        }
        if !self.run.connected {
            return Err(unreachable());
        }
        let side = Side::Old(OldSide { confirmed: true, ..old });
        self.state.meta_mut().link = Some(LinkingRow { side, ..row });
        self.begin_statement(Stating::Link, Some(ticket), 0);
        Ok(None)
    }

    /// Certifies the new device and asks the registry to have it. The own log is as fresh as it can be.
    pub(in crate::own) fn state_link(&mut self, ticket: Option<Ticket>, tries: u32) -> Result<()> {
        let identity = self.state.identity()?.clone();
        let Some(LinkingRow { side: Side::Old(old @ OldSide { confirmed: true, .. }), .. }) =
            self.state.meta.link.clone()
        else {
            return self.link_over(ticket);
        };
        let (Some(reveal), Some(log)) = (old.reveal, identity.log.as_ref()) else {
            return self.link_over(ticket);
        };
        if log.is_active(&reveal.device) {
            // An earlier request was done, and its reply got lost.
            return self.link_done(ticket);
        }
        let at = log.stamp(self.run.now);
        let account_key = SigningKey::from_bytes(&identity.account_seed);
        let body = CertificateBody {
            account: identity.account,
            account_key: account_key.verifying_key().to_bytes(),
            device: reveal.device,
            device_key: reveal.device_key,
            kind: identity.kind,
            owner: None,
            not_before: at.minus(limit::CLOCK_SKEW),
            not_after: at.plus(CERTIFICATE_LIFETIME),
            serial: 1,
        };
        let certificate = DeviceCertificate::sign(&body, &account_key);
        let claim = StatementKind::AddDevice {
            device: reveal.device,
            certificate: wire_hash(&certificate.to_bytes()),
        };
        let statement = codec::encode(&log.next(at, claim));
        let append = AppendStatement {
            statement: Signed::new(&account_key, Signing::AccountStatement, statement),
            certificate: Some(certificate),
            profile: None,
        };
        self.ask(
            Operation::AppendStatement(Box::new(append.clone())),
            QuestionReason::State { what: Stating::Link, append: Box::new(append), tries },
            ticket,
        );
        Ok(())
    }

    /// The registry has the new device: it may know everything now.
    pub(in crate::own) fn link_done(&mut self, ticket: Option<Ticket>) -> Result<()> {
        let mut identity = self.state.identity()?.clone();
        let Some(LinkingRow { code, side: Side::Old(old), expires, cursor, .. }) =
            self.state.meta.link.clone()
        else {
            return self.link_over(ticket);
        };
        let (Some(transcript), Some(reveal), Some(log)) =
            (old.transcript(identity.account), old.reveal.clone(), identity.log.clone())
        else {
            return self.link_over(ticket);
        };
        let of = |certificate: &DeviceCertificate| certificate.verify().ok().map(|body| body.device);
        let own = identity.certificates.iter().find(|known| of(known) == Some(reveal.device)).cloned();
        let certificate =
            own.ok_or_else(|| ErrorKind::Bug.because("the certificate of an own device is missing"))?;
        let name = self.free_name(&reveal.device, &reveal.name);
        identity.names.insert(reveal.device, name.clone());
        let admission = LinkingGrant {
            handle: log.handle().clone(),
            account_seed: identity.account_seed,
            certificate,
            statements: log.statements().to_vec(),
            certificates: identity.certificates.clone(),
            registry_key: self.state.meta.registry_key.clone().unwrap_or_default(),
            profile: identity.profile.clone(),
            names: identity.names.iter().map(|(device, name)| (*device, name.clone())).collect(),
            log_size: self.state.meta.log_cursor.unwrap_or(0),
            at: self.run.now,
            by: Some(identity.device),
        };
        self.state.set_identity(identity);
        let nonce: [u8; NONCE] = self.provider.bytes();
        let plain = codec::encode(&admission);
        let sealed = transcript
            .cipher(&code)
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: &plain, aad: b"link-admission" })
            .map_err(|_| ErrorKind::Bug.because("sealing failed"))?;
        let step = codec::encode(&LinkingStep::Admit([nonce.as_slice(), &sealed].concat()));
        let (_, there) = rendezvous(&code);
        self.post_step(there, &step);
        self.end_link();
        let side = Side::Admitted(reveal.device);
        let last = Some(ByteBuf::from(step));
        self.state.meta_mut().link = Some(LinkingRow { code, expires, cursor, side, last });
        self.device_admitted(reveal.device, old.history)?;
        self.tell_devices(&SyncNote::DeviceName { device: reveal.device, name })?;
        self.run.group.account_changed(self.state.own_id());
        if let Some(ticket) = ticket {
            let view = self.device_view(&reveal.device)?;
            self.run.reply(ticket, Ok(Reply::Device(Box::new(view))));
        }
        Ok(())
    }

    /// What was confirmed is not there any more: meanwhile somebody else confirmed it too, it was stopped, or this device
    /// was revoked.
    fn link_over(&mut self, ticket: Option<Ticket>) -> Result<()> {
        let Some(ticket) = ticket else { return Ok(()) };
        let reply = match self.state.meta.link.as_ref().map(|row| row.side.clone()) {
            _ if self.state.identity()?.revoked => Err(revoked()),
            Some(Side::Admitted(device)) => {
                self.device_view(&device).map(|view| Reply::Device(Box::new(view)))
            }
            Some(Side::Ended { trust, why }) => Err(ended(trust, &why)),
            _ => Err(no_such_link()),
        };
        self.run.reply(ticket, reply);
        Ok(())
    }

    /// The registry did not take the new device. Without an answer, everything stays as it is for another try.
    pub(in crate::own) fn link_refused(&mut self, ticket: Option<Ticket>, error: Error) {
        if error.kind != ErrorKind::Unreachable {
            self.link_broken(error.kind == ErrorKind::Trust, &error.message);
        }
        if let Some(ticket) = ticket {
            self.run.reply(ticket, Err(error));
        }
    }
}

fn confirmed_before() -> Error {
    ErrorKind::Conflict.because("this link was confirmed before").hint(Hint::DeviceRevoke)
}
