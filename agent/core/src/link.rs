//! Linking a device: both sides of the rendezvous, see [`cipher_broker::wire::link`] for the protocol.
//!
//! A row in the store is the state of either side; every step that leaves is an outbox row. So whoever is killed at
//! any point goes on where it stopped, with the same bytes. The row, with its secrets, goes when the link is over.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, PublishId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose as Signing, Signed, wire_hash};
use cipher_broker::subject::Source;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::link::{
    LinkAdmission, LinkReveal, LinkStep, admission_key, authentication_string, rendezvous,
};
use cipher_broker::wire::registry::{AppendStatement, Operation};
use cipher_broker::wire::statement::Claim;
use cipher_broker::wire::sync::Sync;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::time::Duration;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::core::Core;
use crate::device::Stating;
use crate::error::{CoreError, ErrorKind, Result};
use crate::event::{Event, LinkEvent};
use crate::identity::{CERTIFICATE_LIFETIME, check_text};
use crate::input::{Delivered, Ticket};
use crate::question::Purpose;
use crate::reply::Reply;
use crate::state::{IdentityRow, OutboxKind, OutboxRow, Post, Seal};
use crate::view::{HistoryPolicy, LinkCodeView, LinkCompareView};

/// Letters of a code: base32 as by Crockford, which leaves out what looks like something else.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SCHEME: &str = "cipher-chat:link/";
/// How long an approving device looks for the other one before it says that nobody is there.
const FIND: Duration = Duration::from_secs(15);
/// How long it waits for the next step of one that is there.
const ANSWER: Duration = Duration::from_secs(30);
const NONCE: usize = 24;

/// A link under way, or how the last one ended.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LinkRow {
    /// Its code.
    #[serde(rename = "c")]
    code: String,
    /// When it ends, by the own clock.
    #[serde(rename = "x")]
    expires: Timestamp,
    /// Position in the inbox of the code that this side reads.
    #[serde(rename = "p")]
    cursor: u64,
    #[serde(rename = "s")]
    side: Side,
}

impl std::fmt::Debug for LinkRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkRow").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[derive(Clone, Serialize, Deserialize)]
enum Side {
    /// This device wants to belong to an account.
    #[serde(rename = "n")]
    New(NewSide),
    /// This device lets another one in.
    #[serde(rename = "o")]
    Old(OldSide),
    /// It failed on the approving side: what to say to whoever confirms it all the same.
    #[serde(rename = "e")]
    Ended {
        #[serde(rename = "t")]
        trust: bool,
        #[serde(rename = "w")]
        why: String,
    },
}

#[derive(Clone, Serialize, Deserialize)]
struct NewSide {
    #[serde(rename = "k", with = "serde_bytes")]
    secret: [u8; 32],
    #[serde(rename = "d", with = "serde_bytes")]
    device_seed: [u8; 32],
    #[serde(rename = "r")]
    reveal: LinkReveal,
    /// The steps as they went, encoded.
    #[serde(rename = "o", with = "serde_bytes")]
    offer: Vec<u8>,
    #[serde(rename = "a")]
    accept: Option<ByteBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
struct OldSide {
    #[serde(rename = "h")]
    history: HistoryPolicy,
    #[serde(rename = "k", with = "serde_bytes")]
    secret: [u8; 32],
    #[serde(rename = "o")]
    offer: Option<ByteBuf>,
    #[serde(rename = "a")]
    accept: Option<ByteBuf>,
    #[serde(rename = "r")]
    reveal: Option<LinkReveal>,
    /// The person said that the strings are equal.
    #[serde(rename = "y")]
    confirmed: bool,
}

/// What both sides saw, which is what both strings and the admission's key come from.
struct Transcript {
    account: AccountId,
    offer: Vec<u8>,
    accept: Vec<u8>,
    reveal: Vec<u8>,
    shared: [u8; 32],
}

impl Transcript {
    fn string(&self, code: &str) -> String {
        authentication_string(code, &self.account, &self.offer, &self.accept, &self.reveal)
    }

    fn cipher(&self, code: &str) -> XChaCha20Poly1305 {
        let key = admission_key(&self.shared, code, &self.account, &self.offer, &self.accept, &self.reveal);
        XChaCha20Poly1305::new(&key.into())
    }
}

/// The key that two X25519 keys make together (RFC 7748 §6.1); `None` for a key that makes none.
fn shared(secret: &[u8; 32], theirs: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*theirs));
    shared.was_contributory().then(|| shared.to_bytes())
}

fn public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

impl NewSide {
    fn reveal_step(&self) -> Vec<u8> {
        codec::encode(&LinkStep::Reveal(self.reveal.clone()))
    }

    /// What was agreed on, once the other side answered; with the handle it named.
    fn transcript(&self) -> Option<(Transcript, String)> {
        let accept = self.accept.as_ref()?;
        let Ok(LinkStep::Accept { key, account: Some((account, handle)), .. }) = codec::decode(accept) else {
            return None;
        };
        let transcript = Transcript {
            account,
            offer: self.offer.clone(),
            accept: accept.to_vec(),
            reveal: self.reveal_step(),
            shared: shared(&self.secret, &key)?,
        };
        Some((transcript, handle.to_string()))
    }
}

impl OldSide {
    fn transcript(&self, account: AccountId) -> Option<Transcript> {
        let reveal = self.reveal.as_ref()?;
        Some(Transcript {
            account,
            offer: self.offer.as_ref()?.to_vec(),
            accept: self.accept.as_ref()?.to_vec(),
            reveal: codec::encode(&LinkStep::Reveal(reveal.clone())),
            shared: shared(&self.secret, &reveal.key)?,
        })
    }
}

/// Reads a code as a person types or scans it.
fn read_code(text: &str) -> Result<String> {
    let text = text.trim();
    let text = text.strip_prefix(SCHEME).unwrap_or(text);
    let letters: Option<Vec<char>> = text
        .chars()
        .filter(|letter| !matches!(letter, '-' | ' '))
        .map(|letter| match letter.to_ascii_lowercase() {
            'o' => Some('0'),
            'i' | 'l' => Some('1'),
            letter => u8::try_from(letter).ok().filter(|byte| LETTERS.contains(byte)).map(char::from),
        })
        .collect();
    match letters.as_deref() {
        Some(letters @ [_, _, _, _, _, _, _, _]) => {
            let (first, last) = letters.split_at(4);
            Ok(format!("{}-{}", first.iter().collect::<String>(), last.iter().collect::<String>()))
        }
        _ => Err(ErrorKind::Misuse
            .because("this is not a code for linking a device: it has eight letters and digits")
            .hint("type it as the new machine shows it, for example 4k7x-m2pq")),
    }
}

fn code_view(row: &LinkRow) -> LinkCodeView {
    LinkCodeView { code: row.code.clone(), uri: format!("{SCHEME}{}", row.code), expires: row.expires }
}

fn stale(theirs: Timestamp, ours: Timestamp) -> bool {
    ours.since(theirs) > limit::LINK_LIFETIME || theirs.since(ours) > limit::LINK_LIFETIME
}

/// Why a step is too old or from the future, in both clocks.
fn out_of_time(theirs: Timestamp, ours: Timestamp) -> CoreError {
    ErrorKind::Refused
        .because(format!(
            "this code has expired: the other machine's clock said {theirs}, this one's says {ours}, and a code \
             is good for 15 minutes"
        ))
        .hint("begin again with: cipher-chat device link; if the times are wrong, set the clocks")
}

fn no_such_link() -> CoreError {
    ErrorKind::NotFound
        .because("no link with this code is under way here")
        .hint("begin with: cipher-chat device approve CODE")
}

fn unreachable() -> CoreError {
    ErrorKind::Unreachable.because("the broker cannot be reached; nothing was changed")
}

impl Core {
    // The new device.

    pub(crate) fn device_link(&mut self, name: String) -> Result<Reply> {
        if let Some(own) = self.state.identity.as_ref().filter(|own| own.registered) {
            let handle = own.handle.as_ref().map_or_else(String::new, ToString::to_string);
            return Err(ErrorKind::Misuse
                .because(format!("this profile already has the account @{handle}"))
                .hint("link in a fresh profile: --profile NAME"));
        }
        check_text("the name of a device", &name, limit::DISPLAY_NAME_CHARS)?;
        self.link_tick();
        if let Some(row @ LinkRow { side: Side::New(_), .. }) = &self.state.meta.link {
            return Ok(Reply::LinkCode(code_view(row)));
        }
        if !self.run.connected {
            return Err(unreachable());
        }
        let bits = u64::from_be_bytes(self.provider.bytes());
        let letter = |place: u32| {
            let index = usize::try_from((bits >> (place.saturating_mul(5))) & 31).unwrap_or(0);
            LETTERS.get(index).copied().map_or('0', char::from)
        };
        let code: String = (0..4).map(letter).chain(['-']).chain((4..8).map(letter)).collect();
        let (secret, device_seed): ([u8; 32], [u8; 32]) = (self.provider.bytes(), self.provider.bytes());
        let reveal = LinkReveal {
            key: public(&secret),
            nonce: self.provider.bytes(),
            device: DeviceId::from_bytes(self.provider.bytes()),
            device_key: SigningKey::from_bytes(&device_seed).verifying_key().to_bytes(),
            name,
        };
        let offer = LinkStep::Offer { commitment: wire_hash(&codec::encode(&reveal)), at: self.run.now };
        let offer = codec::encode(&offer);
        let (there, _) = rendezvous(&code);
        self.post_step(there, &offer);
        let row = LinkRow {
            code,
            expires: self.run.now.plus(limit::LINK_LIFETIME),
            cursor: 0,
            side: Side::New(NewSide { secret, device_seed, reveal, offer, accept: None }),
        };
        let reply = Reply::LinkCode(code_view(&row));
        self.state.meta_mut().link = Some(row);
        self.follow_link();
        Ok(reply)
    }

    /// A step arrived at the new device.
    fn step_for_new(&mut self, row: LinkRow, new: NewSide, step: LinkStep, bytes: Vec<u8>) -> Result<()> {
        match step {
            LinkStep::Accept { key, account, at, .. } => {
                if let Some(known) = &new.accept {
                    if known.as_slice() != bytes.as_slice() {
                        let why = "two devices answered this code, and only one of them can be yours";
                        self.link_failed(ended(true, why));
                    }
                    return Ok(());
                }
                if stale(at, self.run.now) {
                    self.link_failed(out_of_time(at, self.run.now));
                    return Ok(());
                }
                if account.is_none() || shared(&new.secret, &key).is_none() {
                    self.skip("link-step");
                    return Ok(());
                }
                let (there, _) = rendezvous(&row.code);
                self.post_step(there, &new.reveal_step());
                let new = NewSide { accept: Some(ByteBuf::from(bytes)), ..new };
                self.state.meta_mut().link = Some(LinkRow { side: Side::New(new), ..row });
                self.tell_compare();
                Ok(())
            }
            LinkStep::Admit(sealed) => self.admitted(&row, &new, &sealed),
            LinkStep::Cancel => {
                self.end_link();
                let why = "the strings differed on the other device, or its person gave up";
                self.notify(Event::Link(LinkEvent::Failed(ended(false, why))));
                Ok(())
            }
            LinkStep::Offer { .. } | LinkStep::Reveal(_) | _ => {
                self.skip("link-step");
                Ok(())
            }
        }
    }

    /// Shows, on the new device, what there is to compare.
    fn tell_compare(&mut self) {
        let Some(LinkRow { code, side: Side::New(new), .. }) = &self.state.meta.link else { return };
        let Some((transcript, other)) = new.transcript() else { return };
        let view = LinkCompareView { code: code.clone(), string: transcript.string(code), other };
        self.notify(Event::Link(LinkEvent::Compare(view)));
    }

    /// The new device's own failure: everybody is told, nothing is left.
    fn link_failed(&mut self, error: CoreError) {
        if let Some(LinkRow { code, side: Side::New(_), .. }) = &self.state.meta.link {
            let (there, _) = rendezvous(code);
            self.end_link();
            self.drop_steps(there);
            self.post_step(there, &codec::encode(&LinkStep::Cancel));
            self.notify(Event::Link(LinkEvent::Failed(error)));
        }
    }

    /// R-DEV-02: a new device believes an admission only if all of it fits: sealed for this one conversation, the
    /// account that was announced and compared, its key, its log, and the certificate of this device in it.
    fn admitted(&mut self, row: &LinkRow, new: &NewSide, sealed: &[u8]) -> Result<()> {
        let opened = new.transcript().and_then(|(transcript, _)| {
            let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
            let payload = Payload { msg: sealed, aad: b"link-admission" };
            let plain = transcript.cipher(&row.code).decrypt(XNonce::from_slice(nonce), payload).ok()?;
            Some((transcript.account, plain))
        });
        // Somebody else's noise: who agreed on a key with us can always say it properly.
        let Some((account, plain)) = opened else {
            self.skip("link-step");
            return Ok(());
        };
        let Some((identity, registry_key, log_size)) = self.judge_admission(new, &account, &plain) else {
            self.link_failed(ended(true, "what the other device sent does not fit together"));
            return Ok(());
        };
        let handle = identity.handle.as_ref().map_or_else(String::new, ToString::to_string);
        self.end_link();
        self.set_identity(identity);
        let meta = self.state.meta_mut();
        meta.registry_key = Some(registry_key);
        meta.log_cursor = (log_size > 0).then_some(log_size);
        meta.arriving = true;
        self.account_ready(limit::KEY_PACKAGE_STOCK.saturating_mul(2))?;
        self.notify(Event::Link(LinkEvent::Linked { handle }));
        Ok(())
    }

    fn judge_admission(
        &self,
        new: &NewSide,
        account: &AccountId,
        plain: &[u8],
    ) -> Option<(IdentityRow, ByteBuf, u64)> {
        let admission: LinkAdmission = codec::decode(plain).ok()?;
        let body = admission.certificate.verify().ok()?;
        let account_key = SigningKey::from_bytes(&admission.account_seed).verifying_key().to_bytes();
        let (log, _) = AccountLog::replay(&admission.statements, &admission.certificates).ok()?;
        let ours = body.device == new.reveal.device
            && body.device_key == new.reveal.device_key
            && body.kind == Kind::Person
            && body.account == *account
            && body.account_key == account_key;
        let its = log.account() == *account
            && *log.handle() == admission.handle
            && log.is_active(&body.device)
            && admission.certificates.contains(&admission.certificate)
            && admission.profile.account == *account;
        let pinned = self.state.meta.registry_key.as_ref();
        let registry = pinned.is_none_or(|known| *known == admission.registry_key);
        if !ours || !its || !registry || stale(admission.at, self.run.now) {
            return None;
        }
        let mut names: BTreeMap<DeviceId, String> = admission.names.into_iter().collect();
        names.insert(body.device, new.reveal.name.clone());
        let identity = IdentityRow {
            handle: Some(admission.handle),
            account_seed: admission.account_seed,
            device_seed: new.device_seed,
            account: *account,
            device: body.device,
            kind: body.kind,
            owner: None,
            certificate: admission.certificate.to_bytes(),
            created_at: self.run.now,
            registered: true,
            profile: admission.profile,
            log: Some(log),
            certificates: admission.certificates,
            names,
            revoked: false,
            recovering: false,
        };
        Some((identity, admission.registry_key, admission.log_size))
    }

    // The approving device.

    pub(crate) fn device_approve(
        &mut self,
        ticket: Ticket,
        code: &str,
        history: HistoryPolicy,
    ) -> Result<Option<Reply>> {
        if self.identity()?.kind == Kind::Bot {
            return Err(ErrorKind::Refused.because("a bot has one device"));
        }
        let code = read_code(code)?;
        self.link_tick();
        match &self.state.meta.link {
            Some(LinkRow { code: known, side: Side::Ended { trust, why }, .. }) if *known == code => {
                return Err(ended(*trust, why));
            }
            Some(LinkRow { code: known, side: Side::Old(old), .. }) if *known == code => {
                if let Some(view) = self.compare_view(&code, old) {
                    return Ok(Some(Reply::LinkCompare(view)));
                }
            }
            Some(LinkRow { side: Side::Old(OldSide { confirmed: true, .. }), .. }) => {
                return Err(ErrorKind::Conflict
                    .because("another device is just being linked")
                    .hint("wait until it is done, then try again"));
            }
            _ if !self.run.connected => return Err(unreachable()),
            before => {
                if let Some(LinkRow { code, side: Side::Old(_), .. }) = before {
                    let (_, there) = rendezvous(code);
                    self.post_step(there, &codec::encode(&LinkStep::Cancel));
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
                self.state.meta_mut().link = Some(LinkRow { code, expires, cursor: 0, side: Side::Old(old) });
            }
        }
        if !self.run.connected {
            return Err(unreachable());
        }
        self.follow_link();
        if let Some((earlier, _)) = self.run.link_wait.replace((ticket, self.run.now.plus(FIND))) {
            self.reply(earlier, Err(ErrorKind::Conflict.because("the same was asked for again")));
        }
        self.wake_at(self.run.now.plus(FIND));
        Ok(None)
    }

    fn compare_view(&self, code: &str, old: &OldSide) -> Option<LinkCompareView> {
        let transcript = old.transcript(self.own_id())?;
        let other = old.reveal.as_ref()?.name.clone();
        Some(LinkCompareView { code: code.into(), string: transcript.string(code), other })
    }

    /// A step arrived at the approving device.
    fn step_for_old(&mut self, row: LinkRow, mut old: OldSide, step: LinkStep, bytes: Vec<u8>) -> Result<()> {
        match step {
            LinkStep::Offer { at, .. } => {
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
                let handle = self.own_account()?.handle;
                let accept = LinkStep::Accept {
                    key: public(&old.secret),
                    nonce: self.provider.bytes(),
                    account: Some((self.own_id(), handle)),
                    at: self.run.now,
                };
                let accept = codec::encode(&accept);
                let (_, there) = rendezvous(&row.code);
                self.post_step(there, &accept);
                (old.offer, old.accept) = (Some(ByteBuf::from(bytes)), Some(ByteBuf::from(accept)));
                self.state.meta_mut().link = Some(LinkRow { side: Side::Old(old), ..row });
                if let Some((_, until)) = &mut self.run.link_wait {
                    *until = self.run.now.plus(ANSWER);
                    let until = *until;
                    self.wake_at(until);
                }
            }
            LinkStep::Reveal(reveal) => {
                let Some(Ok(LinkStep::Offer { commitment, .. })) =
                    old.offer.as_ref().map(|offer| codec::decode::<LinkStep>(offer))
                else {
                    self.skip("link-step");
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
                    .log_of(&self.own_id())
                    .is_some_and(|log| log.devices().any(|(device, _)| *device == reveal.device));
                let named = check_text("", &reveal.name, limit::DISPLAY_NAME_CHARS).is_ok();
                if known || !named || shared(&old.secret, &reveal.key).is_none() {
                    self.link_broken(true, "the new machine shows keys that cannot be right");
                    return Ok(());
                }
                old.reveal = Some(reveal);
                let view = self.compare_view(&row.code, &old);
                self.state.meta_mut().link = Some(LinkRow { side: Side::Old(old), ..row });
                if let (Some(view), Some((ticket, _))) = (view, self.run.link_wait.take()) {
                    self.reply(ticket, Ok(Reply::LinkCompare(view)));
                }
            }
            LinkStep::Cancel if !old.confirmed => {
                self.link_broken(false, "the new machine gave up");
            }
            LinkStep::Cancel | LinkStep::Accept { .. } | LinkStep::Admit(_) | _ => self.skip("link-step"),
        }
        Ok(())
    }

    /// The approving side gives up: the new device is told, and whoever waits or confirms.
    fn link_broken(&mut self, trust: bool, why: &str) {
        let Some(row) = self.state.meta.link.clone() else { return };
        let (_, there) = rendezvous(&row.code);
        self.drop_steps(there);
        self.post_step(there, &codec::encode(&LinkStep::Cancel));
        if let Some((ticket, _)) = self.run.link_wait.take() {
            self.reply(ticket, Err(ended(trust, why)));
        }
        self.end_link();
        let side = Side::Ended { trust, why: why.into() };
        self.state.meta_mut().link = Some(LinkRow { side, ..row });
    }

    pub(crate) fn device_confirm(
        &mut self,
        ticket: Ticket,
        code: &str,
        equal: bool,
    ) -> Result<Option<Reply>> {
        self.identity()?;
        let code = read_code(code)?;
        self.link_tick();
        let Some(row) = self.state.meta.link.clone().filter(|row| row.code == code) else {
            return Err(no_such_link());
        };
        let old = match row.side.clone() {
            Side::Old(old) => old,
            Side::Ended { trust, why } => return Err(ended(trust, &why)),
            Side::New(_) => return Err(no_such_link()),
        };
        if old.reveal.is_none() {
            return Err(no_such_link());
        }
        if !equal && !old.confirmed {
            let (_, there) = rendezvous(&code);
            self.drop_steps(there);
            self.post_step(there, &codec::encode(&LinkStep::Cancel));
            self.end_link();
            return Ok(Some(Reply::Done));
        }
        if !equal {
            return Err(ErrorKind::Conflict
                .because("this link was confirmed before")
                .hint("end the device with: cipher-chat device revoke"));
        }
        if !self.run.connected {
            return Err(unreachable());
        }
        let side = Side::Old(OldSide { confirmed: true, ..old });
        self.state.meta_mut().link = Some(LinkRow { side, ..row });
        self.begin_statement(Stating::Link, Some(ticket), 0);
        Ok(None)
    }

    /// Certifies the new device and asks the registry to have it. The own log is as fresh as it can be.
    pub(crate) fn state_link(&mut self, ticket: Option<Ticket>, tries: u32) -> Result<()> {
        let identity = self.identity()?.clone();
        let Some(LinkRow { side: Side::Old(old @ OldSide { confirmed: true, .. }), .. }) =
            self.state.meta.link.clone()
        else {
            return Ok(());
        };
        let (Some(reveal), Some(log)) = (old.reveal, identity.log.as_ref()) else { return Ok(()) };
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
        let claim =
            Claim::AddDevice { device: reveal.device, certificate: wire_hash(&certificate.to_bytes()) };
        let statement = codec::encode(&log.next(at, claim));
        let append = AppendStatement {
            statement: Signed::new(&account_key, Signing::AccountStatement, statement),
            certificate: Some(certificate),
            profile: None,
        };
        self.ask(
            Operation::AppendStatement(Box::new(append.clone())),
            Purpose::State { what: Stating::Link, append: Box::new(append), tries },
            ticket,
        );
        Ok(())
    }

    /// The registry has the new device: it may know everything now.
    pub(crate) fn link_done(&mut self, ticket: Option<Ticket>) -> Result<()> {
        let mut identity = self.identity()?.clone();
        let Some(LinkRow { code, side: Side::Old(old), .. }) = self.state.meta.link.clone() else {
            return Ok(());
        };
        let (Some(transcript), Some(reveal), Some(log)) =
            (old.transcript(identity.account), old.reveal.clone(), identity.log.clone())
        else {
            return Ok(());
        };
        let of = |certificate: &DeviceCertificate| certificate.verify().ok().map(|body| body.device);
        let own = identity.certificates.iter().find(|known| of(known) == Some(reveal.device)).cloned();
        let certificate =
            own.ok_or_else(|| ErrorKind::Bug.because("the certificate of an own device is missing"))?;
        identity.names.insert(reveal.device, reveal.name.clone());
        let admission = LinkAdmission {
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
        };
        self.set_identity(identity);
        let nonce: [u8; NONCE] = self.provider.bytes();
        let plain = codec::encode(&admission);
        let sealed = transcript
            .cipher(&code)
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: &plain, aad: b"link-admission" })
            .map_err(|_| ErrorKind::Bug.because("sealing failed"))?;
        let step = codec::encode(&LinkStep::Admit([nonce.as_slice(), &sealed].concat()));
        let (_, there) = rendezvous(&code);
        self.post_step(there, &step);
        self.end_link();
        self.device_admitted(reveal.device, old.history)?;
        self.tell_devices(&Sync::DeviceName { device: reveal.device, name: reveal.name })?;
        self.account_changed(self.own_id());
        if let Some(ticket) = ticket {
            let view = self.device_view(&reveal.device)?;
            self.reply(ticket, Ok(Reply::Device(Box::new(view))));
        }
        Ok(())
    }

    /// The registry did not take the new device. Without an answer, everything stays as it is for another try.
    pub(crate) fn link_refused(&mut self, ticket: Option<Ticket>, error: CoreError) {
        if error.kind != ErrorKind::Unreachable {
            self.link_broken(error.kind == ErrorKind::Trust, &error.message);
        }
        if let Some(ticket) = ticket {
            self.reply(ticket, Err(error));
        }
    }

    // Both.

    /// Whether a log is that of the link under way.
    fn link_inbox(&self) -> Option<DeviceId> {
        let row = self.state.meta.link.as_ref()?;
        let (offers, answers) = rendezvous(&row.code);
        match &row.side {
            Side::New(_) => Some(answers),
            Side::Old(_) => Some(offers),
            Side::Ended { .. } => None,
        }
    }

    /// From where the log of the link is read; `None` when an inbox is another's.
    pub(crate) fn link_cursor(&self, inbox: &DeviceId) -> Option<u64> {
        let ours = self.link_inbox().filter(|ours| ours == inbox);
        ours.and(self.state.meta.link.as_ref()).map(|row| row.cursor)
    }

    fn follow_link(&mut self) {
        if let Some(inbox) = self.link_inbox() {
            self.follow(Source::Inbox(inbox));
        }
        if let Some(row) = &self.state.meta.link {
            let expires = row.expires;
            self.wake_at(expires);
        }
    }

    /// After a reconnect or restart: goes on where it stopped.
    pub(crate) fn resume_link(&mut self) {
        self.link_tick();
        self.follow_link();
        self.tell_compare();
        if let Some(LinkRow { side: Side::Old(OldSide { confirmed: true, .. }), .. }) = &self.state.meta.link
        {
            self.begin_statement(Stating::Link, None, 0);
        }
    }

    /// Time passed: what is too old ends, and who waits too long is told.
    pub(crate) fn link_tick(&mut self) {
        let now = self.run.now;
        let Some(row) = &self.state.meta.link else { return };
        let expired = now >= row.expires;
        match &row.side {
            Side::New(_) if expired => {
                self.link_failed(ended(
                    false,
                    "the code has expired, nobody approved this device within 15 minutes",
                ));
            }
            Side::Old(old) if expired && !old.confirmed => {
                self.link_broken(false, "the code has expired");
            }
            Side::Ended { .. } if expired => self.state.meta_mut().link = None,
            Side::Old(old) => {
                let found = old.offer.is_some();
                let Some((ticket, until)) = self.run.link_wait else { return };
                if now < until {
                    return self.wake_at(until);
                }
                self.run.link_wait = None;
                let error = if found {
                    ErrorKind::Unreachable
                        .because("the new machine does not answer")
                        .hint("keep 'cipher-chat device link' running there, then approve again")
                } else {
                    self.end_link();
                    ErrorKind::NotFound
                        .because("no machine offers itself under this code")
                        .hint("check the code; 'cipher-chat device link' must be running on the new machine")
                };
                self.reply(ticket, Err(error));
            }
            Side::New(_) | Side::Ended { .. } => {}
        }
    }

    /// A message in the inbox of a code. Anybody may have put it there.
    pub(crate) fn link_delivered(&mut self, delivered: &Delivered) -> Result<()> {
        let Some(mut row) = self.state.meta.link.clone() else { return Ok(()) };
        if delivered.sequence <= row.cursor {
            return Ok(());
        }
        row.cursor = delivered.sequence;
        self.state.meta_mut().link = Some(row.clone());
        self.link_tick();
        if self.link_inbox().is_none() {
            return Ok(());
        }
        let step = (delivered.bytes.len() <= limit::WELCOME_BYTES)
            .then(|| match codec::decode(&delivered.bytes) {
                Ok(Envelope::Link(bytes)) => codec::decode::<LinkStep>(&bytes).ok().map(|step| (step, bytes)),
                _ => None,
            })
            .flatten();
        let Some((step, bytes)) = step else {
            self.skip("link-step");
            return Ok(());
        };
        match row.side.clone() {
            Side::New(new) => self.step_for_new(row, new, step, bytes),
            Side::Old(old) => self.step_for_old(row, old, step, bytes),
            Side::Ended { .. } => Ok(()),
        }
    }

    /// A step goes to the other side, however often it has to be tried.
    fn post_step(&mut self, inbox: DeviceId, step: &[u8]) {
        let bytes = codec::encode(&Envelope::Link(step.to_vec()));
        let seal = Seal::new(0, bytes, PublishId::from_bytes(self.provider.bytes()));
        let kind = OutboxKind::Post(Post::Link { inbox });
        self.enqueue(OutboxRow::new(GroupId::from_bytes(*inbox.as_bytes()), kind, Some(seal)));
    }

    /// Steps that did not leave yet are not wanted any more.
    fn drop_steps(&mut self, inbox: DeviceId) {
        let place = GroupId::from_bytes(*inbox.as_bytes());
        for id in self.run.by_group.get(&place).cloned().unwrap_or_default() {
            if matches!(
                self.state.outbox.get(&id).map(|row| &row.kind),
                Some(OutboxKind::Post(Post::Link { .. }))
            ) {
                self.dequeue(id);
            }
        }
    }

    /// This device is nobody's any more: it lets nobody in either.
    pub(crate) fn give_up_link(&mut self) {
        if let Some((ticket, _)) = self.run.link_wait.take() {
            self.reply(ticket, Err(no_such_link()));
        }
        self.end_link();
    }

    /// Forgets the link and its secrets.
    fn end_link(&mut self) {
        if let Some(inbox) = self.link_inbox() {
            self.unfollow(Source::Inbox(inbox));
        }
        if self.state.meta.link.is_some() {
            self.state.meta_mut().link = None;
        }
    }
}

/// The error of a link that ended on the approving side.
fn ended(trust: bool, why: &str) -> CoreError {
    let kind = if trust { ErrorKind::Trust } else { ErrorKind::Refused };
    kind.because(format!("the link was stopped: {why}; nothing was changed"))
        .hint("begin again on the new machine with: cipher-chat device link")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in ["4k7x-m2pq", "4K7XM2PQ", " 4k7x m2pq ", "cipher-chat:link/4k7x-m2pq"] {
            assert_eq!(read_code(text).unwrap(), "4k7x-m2pq", "{text}");
        }
        assert_eq!(read_code("OIL0-1111").unwrap(), "0110-1111");
        for text in ["", "4k7x", "4k7x-m2pqq", "4k7x-m2pu", "4k7x-m2p\u{442}", "cipher-chat:join/4k7x-m2pq"] {
            assert_eq!(read_code(text).unwrap_err().kind, ErrorKind::Misuse, "{text}");
        }
    }

    #[test]
    fn two_keys_agree_and_a_key_of_small_order_makes_none() {
        let (one, two) = ([7; 32], [9; 32]);
        assert_eq!(shared(&one, &public(&two)), shared(&two, &public(&one)));
        assert!(shared(&one, &public(&two)).is_some());
        assert_eq!(shared(&one, &[0; 32]), None);
    }
}
