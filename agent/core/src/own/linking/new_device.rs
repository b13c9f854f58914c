//! The device that wants to belong to an account: offers itself, reveals its keys, and judges the admission.

use std::collections::BTreeMap;

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use cipher_api::view::LinkCompareView;
use cipher_api::{Error, ErrorKind, Event, Hint, LinkEvent, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::Kind;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::wire_hash;
use cipher_broker::wire::link::{LinkingGrant, LinkingReveal, LinkingStep, rendezvous};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use serde_bytes::ByteBuf;

use crate::machine::Core;
use crate::own::linking::code::{LETTERS, code_view};
use crate::own::linking::{NONCE, Transcript, ended, out_of_time, public, shared, stale, unreachable};
use crate::state::name::check_text;
use crate::state::{IdentityRow, LinkingRow, NewSide, Side, Skip};

impl NewSide {
    pub(super) fn reveal_step(&self) -> Vec<u8> {
        codec::encode(&LinkingStep::Reveal(self.reveal.clone()))
    }

    /// What was agreed on, once the other side answered; with the handle it named.
    fn transcript(&self) -> Option<(Transcript, String)> {
        let accept = self.accept.as_ref()?;
        let Ok(LinkingStep::Accept { key, account: Some((account, handle)), .. }) = codec::decode(accept)
        else {
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

/// What a new device takes from an admission that fits.
struct Judged {
    identity: IdentityRow,
    registry_key: ByteBuf,
    log_size: u64,
    by: Option<DeviceId>,
}

impl Core {
    pub(in crate::own) fn device_link(&mut self, name: String) -> Result<Reply> {
        if let Some(own) = self.state.identity.as_ref().filter(|own| own.registered) {
            let handle = own.handle.as_ref().map_or_else(String::new, ToString::to_string);
            return Err(ErrorKind::Conflict
                .because(format!("this profile already has the account @{handle}"))
                .hint(Hint::DeviceLinkElsewhere));
        }
        self.must_not_be_restored()?;
        check_text("the name of a device", &name, limit::DISPLAY_NAME_CHARS)?;
        self.link_tick();
        if let Some(row @ LinkingRow { side: Side::New(_), .. }) = &self.state.meta.link {
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
        let reveal = LinkingReveal {
            key: public(&secret),
            nonce: self.provider.bytes(),
            device: DeviceId::from_bytes(self.provider.bytes()),
            device_key: SigningKey::from_bytes(&device_seed).verifying_key().to_bytes(),
            name,
        };
        let offer = LinkingStep::Offer { commitment: wire_hash(&codec::encode(&reveal)), at: self.run.now };
        let offer = codec::encode(&offer);
        let (there, _) = rendezvous(&code);
        self.post_step(there, &offer);
        let row = LinkingRow {
            code,
            expires: self.run.now.plus(limit::LINK_LIFETIME),
            cursor: 0,
            side: Side::New(NewSide { secret, device_seed, reveal, offer, accept: None }),
            last: None,
        };
        let reply = Reply::LinkCode(code_view(&row));
        self.state.meta_mut().link = Some(row);
        self.follow_link();
        Ok(reply)
    }

    /// A step arrived at the new device.
    pub(super) fn step_for_new(
        &mut self,
        row: LinkingRow,
        new: NewSide,
        step: LinkingStep,
        bytes: Vec<u8>,
    ) -> Result<()> {
        match step {
            LinkingStep::Accept { key, account, at, .. } => {
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
                    self.skip(Skip::LinkStep);
                    return Ok(());
                }
                let (there, _) = rendezvous(&row.code);
                self.post_step(there, &new.reveal_step());
                let new = NewSide { accept: Some(ByteBuf::from(bytes)), ..new };
                self.state.meta_mut().link = Some(LinkingRow { side: Side::New(new), ..row });
                self.tell_compare();
                Ok(())
            }
            LinkingStep::Admit(sealed) => self.admitted(&row, &new, &sealed),
            LinkingStep::Cancel => {
                self.end_link();
                let why = "the strings differed on the other device, or its person gave up";
                let step = LinkEvent::Failed { error: ended(false, why) };
                self.notify(Event::Link { step });
                Ok(())
            }
            LinkingStep::Offer { .. } | LinkingStep::Reveal(_) | _ => {
                self.skip(Skip::LinkStep);
                Ok(())
            }
        }
    }

    /// Shows, on the new device, what there is to compare.
    pub(super) fn tell_compare(&mut self) {
        let Some(LinkingRow { code, side: Side::New(new), .. }) = &self.state.meta.link else { return };
        let Some((transcript, other)) = new.transcript() else { return };
        let view = LinkCompareView { code: code.clone(), string: transcript.string(code), other };
        self.notify(Event::Link { step: LinkEvent::Compare(view) });
    }

    /// The new device's own failure: everybody is told, nothing is left.
    pub(super) fn link_failed(&mut self, error: Error) {
        if let Some(LinkingRow { code, side: Side::New(_), .. }) = &self.state.meta.link {
            let (there, _) = rendezvous(code);
            self.end_link();
            self.drop_steps(there);
            self.post_step(there, &codec::encode(&LinkingStep::Cancel));
            self.notify(Event::Link { step: LinkEvent::Failed { error } });
        }
    }

    /// R-DEV-02: a new device believes an admission only if all of it fits: sealed for this one conversation, the
    /// account that was announced and compared, its key, its log, and the certificate of this device in it.
    fn admitted(&mut self, row: &LinkingRow, new: &NewSide, sealed: &[u8]) -> Result<()> {
        let opened = new.transcript().and_then(|(transcript, _)| {
            let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
            let payload = Payload { msg: sealed, aad: b"link-admission" };
            let plain = transcript.cipher(&row.code).decrypt(XNonce::from_slice(nonce), payload).ok()?;
            Some((transcript.account, plain))
        });
        // Somebody else's noise: who agreed on a key with us can always say it properly.
        let Some((account, plain)) = opened else {
            self.skip(Skip::LinkStep);
            return Ok(());
        };
        let Some(Judged { identity, registry_key, log_size, by }) =
            self.judge_admission(new, &account, &plain)
        else {
            self.link_failed(ended(true, "what the other device sent does not fit together"));
            return Ok(());
        };
        let handle = identity.handle.as_ref().map_or_else(String::new, ToString::to_string);
        let now = self.run.now;
        self.end_link();
        self.state.set_identity(identity);
        let meta = self.state.meta_mut();
        meta.registry_key = Some(registry_key);
        meta.log_cursor = (log_size > 0).then_some(log_size);
        (meta.arriving, meta.arriving_since) = (true, now);
        meta.history_from = by;
        self.account_ready(limit::KEY_PACKAGE_STOCK.saturating_mul(2))?;
        self.notify(Event::Link { step: LinkEvent::Linked { handle } });
        Ok(())
    }

    fn judge_admission(&self, new: &NewSide, account: &AccountId, plain: &[u8]) -> Option<Judged> {
        let admission: LinkingGrant = codec::decode(plain).ok()?;
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
        // The account may have a device of this name: then the other one chose what this one is called.
        names.entry(body.device).or_insert_with(|| new.reveal.name.clone());
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
            phrase_due: false,
        };
        let LinkingGrant { registry_key, log_size, by, .. } = admission;
        Some(Judged { identity, registry_key, log_size, by })
    }
}
