//! Taking an account over from its recovery phrase, when no other device is left.

use bip39::Mnemonic;
use cipher_api::command::device;
use cipher_api::{Advice, Error, ErrorKind, Hint, Reply, Result};
use cipher_broker::account_log::AccountLog;
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::sign::{Purpose as Signing, Signed, wire_hash};
use cipher_broker::wire::registry::{AccountRecord, AppendStatement, Operation, PublicProfile};
use cipher_broker::wire::statement::StatementKind;
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;

use crate::input::Ticket;
use crate::machine::Core;
use crate::own::device::{active_only, shown_profile};
use crate::own::identity::{CERTIFICATE_LIFETIME, signed_profile};
use crate::registry::question::QuestionReason;
use crate::state::name::check_text;

/// How often a recovery is signed anew because the account stated something in between.
const TRIES: u32 = 8;

impl Core {
    pub(super) fn device_recover(
        &mut self,
        ticket: Ticket,
        phrase: &str,
        name: String,
    ) -> Result<Option<Reply>> {
        if self.state.registered() {
            let own = self.state.own_account()?.handle;
            return Err(ErrorKind::Conflict
                .because(format!("this profile already has the account @{own}"))
                .hint(Hint::DeviceRecoverElsewhere));
        }
        self.must_not_be_restored()?;
        check_text("the name of a device", &name, limit::DISPLAY_NAME_CHARS)?;
        let seed = read_phrase(phrase)?;
        let known = self.state.identity.as_ref();
        // Asked again, after a lost reply for example: the same new device, so that nothing is stated twice.
        if known.is_none_or(|own| !own.recovering || own.account_seed != seed) {
            let mut identity = self.fresh_identity(seed, Kind::Person, None);
            identity.recovering = true;
            self.state.set_identity(identity);
        }
        self.open_recovery(name, ticket, 0)?;
        Ok(None)
    }

    /// Asks the registry for the account, whose keys are here.
    pub(super) fn open_recovery(&mut self, name: String, ticket: Ticket, tries: u32) -> Result<()> {
        let Some(own) = &self.state.identity else { return Ok(()) };
        let certificate: DeviceCertificate = codec::decode(&own.certificate)
            .map_err(|_| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
        let operation = Operation::OpenRecovery { certificate };
        self.ask(operation, QuestionReason::OpenRecovery { name, tries }, Some(ticket));
        Ok(())
    }

    /// The registry showed the account that the phrase belongs to.
    pub(super) fn recovery_opened(
        &mut self,
        name: String,
        tries: u32,
        record: &AccountRecord,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        let Some(mut identity) = self.state.identity.clone().filter(|own| own.recovering) else {
            return Ok(());
        };
        let bad = |why: &str| {
            ErrorKind::Trust
                .because(format!("the registry shows the account as it cannot be: {why}"))
                .hint(Advice::NothingChanged)
        };
        let (mut log, bodies) = AccountLog::replay(&record.statements, &record.certificates)
            .map_err(|error| bad(&error.to_string()))?;
        if log.account() != identity.account || *log.handle() != record.handle {
            return Err(bad("it is another one than asked for"));
        }
        // R-BACKUP-04
        if let Some(known) = &identity.log {
            log.recall(known);
            if !log.continues(known) {
                return Err(bad("its log is not the one that the backup has, continued"));
            }
        }
        let profile = shown_profile(record, &bodies);
        identity.profile = PublicProfile {
            version: profile.as_ref().map_or(0, |profile| profile.version).saturating_add(1),
            ..profile.unwrap_or_else(|| identity.profile.clone())
        };
        if log.is_active(&identity.device) {
            // Done by an earlier request whose reply got lost.
            let own = record
                .certificates
                .iter()
                .find(|known| known.verify().is_ok_and(|body| body.device == identity.device));
            let own = own.ok_or_else(|| bad("the certificate of this device is missing"))?;
            identity.certificate = own.to_bytes();
            identity.certificates.clone_from(&record.certificates);
            self.state.set_identity(identity);
            return self.recovered(name, log, ticket);
        }
        identity.certificates.clone_from(&record.certificates);
        let joins = self.joins_others(&identity, &log);
        let account_key = SigningKey::from_bytes(&identity.account_seed);
        let body: CertificateBody = codec::decode::<DeviceCertificate>(&identity.certificate)
            .ok()
            .and_then(|certificate| certificate.verify().ok())
            .ok_or_else(|| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
        let (certificate, at) = match identity.kind {
            Kind::Person => {
                let at = log.stamp(self.run.now);
                // Certified now, whatever the clocks say: older than this statement is what it revokes.
                let body = CertificateBody {
                    not_before: at.minus(limit::CLOCK_SKEW),
                    not_after: at.plus(CERTIFICATE_LIFETIME),
                    ..body
                };
                (DeviceCertificate::sign(&body, &account_key), at)
            }
            // Its owner signed exactly these bytes.
            Kind::Bot => {
                let signed = codec::decode(&identity.certificate)
                    .map_err(|_| ErrorKind::Storage.because("the own certificate on disk is damaged"))?;
                (signed, log.stamp(body.issued_at()))
            }
        };
        identity.certificate = certificate.to_bytes();
        let (device, hash) = (identity.device, wire_hash(&identity.certificate));
        let claim = match joins {
            true => StatementKind::AddDevice { device, certificate: hash },
            false => StatementKind::Recover { device, certificate: hash },
        };
        let statement = codec::encode(&log.next(at, claim));
        let append = AppendStatement {
            statement: Signed::new(&account_key, Signing::AccountStatement, statement),
            certificate: Some(certificate),
            // The device that signed it stays when the others do.
            profile: (!joins)
                .then(|| signed_profile(&identity.device_seed, identity.device, &identity.profile)),
        };
        self.state.set_identity(identity);
        self.ask(
            Operation::AppendStatement(Box::new(append.clone())),
            QuestionReason::Recover { name, log: Box::new(log), append: Box::new(append), tries },
            ticket,
        );
        Ok(())
    }

    /// The registry has the recovery.
    pub(super) fn recovery_stated(
        &mut self,
        name: String,
        mut log: AccountLog,
        append: &AppendStatement,
        ticket: Option<Ticket>,
    ) -> Result<()> {
        log.append(&append.statement, append.certificate.as_ref())
            .map_err(|error| ErrorKind::Bug.because_of("an own recovery does not fit", error))?;
        self.recovered(name, log, ticket)
    }

    /// The account is this device's now.
    fn recovered(&mut self, name: String, log: AccountLog, ticket: Option<Ticket>) -> Result<()> {
        let Some(mut identity) = self.state.identity.clone() else { return Ok(()) };
        identity.handle = Some(log.handle().clone());
        identity.registered = true;
        identity.recovering = false;
        identity.certificates.extend(codec::decode(&identity.certificate).ok());
        identity.certificates = active_only(&log, identity.certificates);
        identity.log = Some(log);
        let device = identity.device;
        self.state.set_identity(identity);
        let name = self.free_name(&device, &name);
        if let Some(identity) = &mut self.state.identity {
            identity.names.insert(device, name);
        }
        let restored = self.state.restored().is_some();
        if restored {
            self.state.meta_mut().restored = None;
        }
        // Every group that takes the account back takes a key package, all at about the same time.
        self.account_ready(limit::KEY_PACKAGE_STOCK.saturating_mul(2))?;
        if let Some(ticket) = ticket {
            let account = self.state.own_account()?;
            let reply = match restored {
                true => device::Returned { account: Some(account), certificate: None }.into(),
                false => account.into(),
            };
            self.run.reply(ticket, Ok(reply));
        }
        Ok(())
    }

    /// A step of a recovery failed. Whether that is dealt with here.
    pub(super) fn recovery_failed(
        &mut self,
        purpose: &QuestionReason,
        ticket: Option<Ticket>,
        error: &Error,
    ) -> Result<bool> {
        match (purpose, ticket) {
            (QuestionReason::OpenRecovery { .. }, Some(ticket)) if error.kind == ErrorKind::NotFound => {
                let error = match self.state.restored() {
                    Some(_) => ErrorKind::NotFound
                        .because("this registry does not have the account of the backup")
                        .hint(Hint::text(
                            "nothing was changed there; name the broker of the registry that has it, and go on",
                        )),
                    None => ErrorKind::NotFound
                        .because("this registry has no account with this recovery phrase")
                        .hint(Advice::CheckPhrase),
                };
                self.run.reply(ticket, Err(error));
                Ok(true)
            }
            (QuestionReason::Recover { name, tries, .. }, Some(ticket))
                if error.kind == ErrorKind::Conflict && *tries < TRIES =>
            {
                self.open_recovery(name.clone(), ticket, tries.saturating_add(1))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The account key that a phrase stands for.
fn read_phrase(phrase: &str) -> Result<[u8; 32]> {
    let words: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).collect();
    let no = |why: String| {
        ErrorKind::Misuse.because(format!("this is not a recovery phrase: {why}")).hint(Advice::PhraseForm)
    };
    let mnemonic = Mnemonic::parse_normalized(&words.join(" ")).map_err(|error| match error {
        bip39::Error::BadWordCount(count) => no(format!("it has {count} words")),
        bip39::Error::UnknownWord(place) => {
            no(format!("word {} is none of the list", place.saturating_add(1)))
        }
        bip39::Error::InvalidChecksum => no("a word is wrong or at the wrong place".into()),
        other => no(other.to_string()),
    })?;
    let seed: [u8; 32] = mnemonic.to_entropy().try_into().map_err(|_| no("it has too few words".into()))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_read_back_and_a_wrong_one_says_what_is_wrong() {
        let phrase = Mnemonic::from_entropy(&[7; 32]).unwrap().to_string();
        assert_eq!(
            read_phrase(&format!("  {}\n", phrase.to_uppercase().replace(' ', "  "))).unwrap(),
            [7; 32]
        );
        let words: Vec<&str> = phrase.split(' ').collect();
        let swapped = [&words[1..], &words[..1]].concat().join(" ");
        for (text, why) in [
            (swapped.as_str(), "wrong"),
            (&phrase[..phrase.rfind(' ').unwrap()], "23 words"),
            ("", "0 words"),
            (&phrase.replacen(words[0], "cipher", 1), "word 1"),
            ("legal winner thank year wave sausage worth useful legal winner thank yellow", "too few"),
        ] {
            let error = read_phrase(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misuse, "{text}");
            assert!(error.message.contains(why), "{}", error.message);
        }
    }
}
