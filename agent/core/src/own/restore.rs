//! Taking a backup in, and becoming a new device of its account.
//!
//! ```text
//! fresh profile ──Account…End──► restored, not known to anybody ──registry──► a device of the account ──members──► groups
//! ```
//!
//! The device has keys of its own from the first part on, and keeps them however often the rest is tried. Whether the
//! account's other devices stay decides how it comes in: beside them it is added, as one that was linked, and one of them
//! lets it into the groups. Without them the account is recovered: they are revoked, and members of the groups let it in.

use cipher_api::command::device::Returned;
use cipher_api::{Error, ErrorKind, Hint, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;

use crate::input::Ticket;
use crate::machine::Core;
use crate::own::identity::CERTIFICATE_LIFETIME;
use crate::state::name::check_text;
use crate::state::{BackupAccount, BackupMessage, BackupPart, IdentityRow, RestoredRow};

impl Core {
    /// Takes the next part in.
    pub(super) fn device_restore(&mut self, part: &[u8]) -> Result<Reply> {
        let part = codec::decode(part).map_err(|_| {
            ErrorKind::Misuse
                .because("this part of a backup cannot be read: a newer version may have made it")
        })?;
        if let BackupPart::Account(account) = part {
            self.restore_account(*account)?;
            return Ok(Reply::Done);
        }
        let Some(restored) = self.state.restored().filter(|restored| !restored.whole) else {
            return Err(out_of_order());
        };
        let messages = restored.messages;
        match part {
            BackupPart::Account(_) => return Err(out_of_order()),
            BackupPart::Accounts(rows) => {
                rows.into_iter().for_each(|(account, row)| self.state.accounts.insert(account, row));
            }
            BackupPart::Groups(groups) => {
                groups.into_iter().for_each(|group| self.state.groups.insert(group.id, group.into_row()));
            }
            BackupPart::Changes(rows) => {
                rows.into_iter().for_each(|(group, id, row)| self.state.changes.insert((group, id), row));
            }
            BackupPart::Evidence(rows) => {
                rows.into_iter().for_each(|(number, row)| self.state.evidence.insert(number, row));
            }
            BackupPart::Messages(rows) => self.restore_messages(rows),
            BackupPart::Bots(bots) => {
                for bot in bots {
                    let memory = bot.row.memory.clone().map(serde_bytes::ByteBuf::into_vec);
                    self.history.set_bot(&bot.bot, bot.group, bot.row.handled(), memory);
                    self.state.meta_mut().bots.get_or_insert_default().insert(bot.bot);
                }
            }
            BackupPart::End { messages: all } if all == messages => {
                if let Some(restored) = &mut self.state.meta_mut().restored {
                    restored.whole = true;
                }
            }
            BackupPart::End { .. } => return Err(out_of_order()),
        }
        Ok(Reply::Done)
    }

    /// The account of a backup, with keys for a new device. Of the backup that lies here already it is no news.
    fn restore_account(&mut self, kept: BackupAccount) -> Result<()> {
        if let Some(waiting) = self.state.restored().filter(|waiting| waiting.whole) {
            let seed = self.state.identity.as_ref().map(|own| own.account_seed);
            let same = seed == Some(kept.seed)
                && waiting.device == kept.device
                && waiting.at.is_none_or(|at| at == kept.at);
            return if same { Ok(()) } else { Err(another_waits()) };
        }
        if self.state.identity.is_some() || self.state.meta.link.is_some() {
            return Err(ErrorKind::Conflict
                .because("a backup is restored into a fresh profile, and this one is in use")
                .hint(Hint::AccountOtherProfile));
        }
        let fresh = self.fresh_identity(kept.seed, kept.kind, kept.owner);
        self.state.set_identity(IdentityRow {
            handle: Some(kept.handle),
            profile: kept.profile,
            log: kept.log,
            names: kept.names,
            phrase_due: kept.phrase_due,
            recovering: true,
            ..fresh
        });
        let meta = self.state.meta_mut();
        meta.restored = Some(RestoredRow {
            device: kept.device,
            messages: 0,
            whole: false,
            keeps: None,
            at: Some(kept.at),
        });
        meta.registry_key = kept.registry_key;
        (meta.head, meta.heads, meta.doubt) = (kept.head, kept.heads, kept.doubt);
        (meta.log_cursor, meta.log_gap, meta.own_place) = (kept.log_cursor, kept.log_gap, kept.own_place);
        (meta.request_policy, meta.receipts) = (kept.request_policy, kept.receipts);
        (meta.blocked_contacts, meta.answers) = (kept.blocked_contacts, kept.answers);
        Ok(())
    }

    fn restore_messages(&mut self, rows: Vec<BackupMessage>) {
        let count = rows.len() as u64;
        let made_at = self.state.meta.restored.as_ref().and_then(|restored| restored.at);
        let (made_at, now) = (made_at.unwrap_or(self.run.now), self.run.now);
        for BackupMessage { group, place, row } in rows {
            let row = row.restored(made_at, now);
            if row.is_said() {
                self.history.mark_seen(group, row.id, place.0);
            }
            self.history.insert(group, place, row);
        }
        if let Some(restored) = &mut self.state.meta_mut().restored {
            restored.messages = restored.messages.saturating_add(count);
        }
    }

    /// R-BACKUP-02: becomes a new device of the account, never the one that made the backup.
    pub(super) fn device_return(
        &mut self,
        ticket: Ticket,
        name: String,
        keep_devices: Option<bool>,
        signature: Option<Vec<u8>>,
    ) -> Result<Option<Reply>> {
        check_text("the name of a device", &name, limit::DISPLAY_NAME_CHARS)?;
        let whole = self.state.restored().is_some_and(|restored| restored.whole);
        let Some(kind) = self.state.identity.as_ref().filter(|_| whole).map(|own| own.kind) else {
            return Err(ErrorKind::Conflict
                .because("this profile holds no backup that waits to be an account again")
                .hint(Hint::AccountOtherProfile));
        };
        match (kind, signature) {
            (Kind::Bot, None) => {
                let certificate = self.certificate_to_sign()?;
                return Ok(Some(Returned { account: None, certificate: Some(certificate) }.into()));
            }
            (Kind::Bot, Some(signature)) => self.owner_signed(&signature)?,
            (Kind::Person, _) => {}
        }
        if keep_devices.is_some()
            && let Some(restored) = &mut self.state.meta_mut().restored
        {
            restored.keeps = keep_devices;
        }
        self.open_recovery(name, ticket, 0)?;
        Ok(None)
    }

    /// A certificate of the new device of a bot, made now, for its owner to sign.
    fn certificate_to_sign(&mut self) -> Result<Vec<u8>> {
        let Some(mut own) = self.state.identity.clone() else { return Err(out_of_order()) };
        let body: CertificateBody = codec::decode::<DeviceCertificate>(&own.certificate)
            .ok()
            .and_then(|certificate| codec::decode(certificate.body_bytes()).ok())
            .ok_or_else(|| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
        let now = self.run.now;
        let body = CertificateBody {
            not_before: now.minus(limit::CLOCK_SKEW),
            not_after: now.plus(CERTIFICATE_LIFETIME),
            ..body
        };
        own.certificate =
            DeviceCertificate::sign(&body, &SigningKey::from_bytes(&own.account_seed)).to_bytes();
        let certificate = own.certificate.clone();
        self.state.set_identity(own);
        Ok(certificate)
    }

    fn owner_signed(&mut self, signature: &[u8]) -> Result<()> {
        let Some(mut own) = self.state.identity.clone() else { return Err(out_of_order()) };
        let unfit = || {
            ErrorKind::Misuse.because("the signature is not one of the bot's owner under this certificate")
        };
        let signature: [u8; 64] = signature.try_into().map_err(|_| unfit())?;
        let certificate: DeviceCertificate = codec::decode(&own.certificate)
            .map_err(|_| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
        let certificate = certificate.countersigned(signature);
        certificate.verify().map_err(|_| unfit())?;
        own.certificate = certificate.to_bytes();
        self.state.set_identity(own);
        Ok(())
    }

    /// Whether a new device of an account comes beside its others: not when the phrase alone brings it, nor as a bot's,
    /// which has one device.
    pub(super) fn joins_others(&self, own: &IdentityRow, log: &AccountLog) -> bool {
        let Some(restored) = self.state.restored().filter(|_| own.kind == Kind::Person) else { return false };
        restored.keeps.unwrap_or_else(|| log.active().any(|(device, _)| *device != restored.device))
    }

    /// An error in a profile into which a backup was restored: its account is the one of the backup.
    pub(super) fn must_not_be_restored(&self) -> Result<()> {
        match self.state.restored() {
            None => Ok(()),
            Some(_) => Err(ErrorKind::Conflict
                .because("a backup is being restored in this profile")
                .hint(Hint::DeviceRestoreGoOn)),
        }
    }
}

fn another_waits() -> Error {
    ErrorKind::Conflict
        .because("another backup than this one waits in this profile to be finished")
        .hint(Hint::DeviceRestoreGoOn)
}

fn out_of_order() -> Error {
    ErrorKind::Misuse.because("the parts of a backup come in their order, once, into a fresh profile")
}
