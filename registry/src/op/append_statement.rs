//! Continues the log of an account: a further device, a revocation, a recovery.

use cipher_broker::account_log::{AccountLog, LogError, read};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::Signed;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AccountRecord, Answer, AppendStatement, SignedProfile};
use cipher_broker::wire::statement::{LogEntry, StatementKind};

use crate::caller::{Caller, CallerRole};
use crate::error::OpError;
use crate::key_package::SUITES;
use crate::op::change::Change;
use crate::op::create_account::{refused, within_limits};
use crate::op::set_profile;
use crate::store::{Txn, account, log, stock};

/// A request whose sizes are within the limits. Whether it continues the log is known only where it is written.
#[derive(Debug)]
pub(crate) struct Appended(AppendStatement);

/// Checks what can be checked without the log.
pub(crate) fn check(request: AppendStatement) -> Result<Appended, Refusal> {
    within_limits(&request.statement, request.certificate.as_ref())?;
    Ok(Appended(request))
}

pub(crate) fn run(new: Appended, caller: &Caller, txn: &mut Txn<'_>) -> Result<Change, OpError> {
    let AppendStatement { statement, certificate, profile } = new.0;
    let record = account::by_id(&txn.accounts, &caller.account)?
        .ok_or_else(|| Code::NotFound.because("the calling account does not exist"))?;
    // The repetition after a lost reply.
    if record.statements.last() == Some(&statement) {
        return Ok(Answer::Done.into());
    }
    let log = account::log(&txn.logs, &record)?;
    may(caller, &statement, log.key())?;
    let next = continued(record, log, statement, certificate)?;
    let next = next.with_profile(profile, txn)?;
    let others = next.log.active().map(|(device, _)| *device);
    let hints = others.filter(|device| *device != caller.device).collect();
    let leaf = next.store(txn)?;
    Ok(Change { leaves: vec![leaf], hints, ..Answer::Done.into() })
}

/// R-REG-02: an active device adds and revokes; a device with a certificate of the account asks for itself, to be added or
/// for a recovery that brings it.
fn may(caller: &Caller, statement: &Signed, account_key: &[u8; 32]) -> Result<(), Refusal> {
    let stated = read(statement, account_key).map_err(|error| refused(&error))?;
    match (stated.claim, caller.role) {
        (
            StatementKind::Recover { device, .. } | StatementKind::AddDevice { device, .. },
            CallerRole::Newcomer,
        ) if device == caller.device => Ok(()),
        (StatementKind::Recover { .. }, _) => {
            Err(Code::Denied.because("a recovery is asked for by the new device itself"))
        }
        (StatementKind::AddDevice { .. } | StatementKind::RevokeDevice { .. }, CallerRole::Device) => Ok(()),
        (StatementKind::Create { .. }, _) => Err(refused(&LogError::Creation)),
        (_, CallerRole::Newcomer | CallerRole::Operator | CallerRole::Device) => {
            Err(Code::Denied.because("this registry does not know the calling device"))
        }
    }
}

/// An account after one more statement, not stored yet.
pub(crate) struct Next {
    record: AccountRecord,
    log: AccountLog,
    entry: LogEntry,
    /// The device that comes.
    brought: Option<(DeviceId, [u8; 32])>,
    /// The devices that went.
    gone: Vec<DeviceId>,
}

/// Judges a statement by the log and makes the account as it is after it.
pub(crate) fn continued(
    mut record: AccountRecord,
    mut log: AccountLog,
    statement: Signed,
    certificate: Option<DeviceCertificate>,
) -> Result<Next, Refusal> {
    let before: Vec<DeviceId> = log.active().map(|(device, _)| *device).collect();
    // R-REG-01
    log.append(&statement, certificate.as_ref()).map_err(|error| refused(&error))?;
    let brought = match &certificate {
        Some(certificate) => {
            let CertificateBody { device, device_key, .. } =
                certificate.verify().map_err(|error| Code::Denied.because(error.to_string()))?;
            log.is_active(&device).then_some((device, device_key)).filter(|_| !before.contains(&device))
        }
        None => None,
    };
    let gone: Vec<DeviceId> = before.into_iter().filter(|device| !log.is_active(device)).collect();
    // The certificate of a claim that brings no device is not kept.
    let certificate = certificate.filter(|_| brought.is_some());
    record
        .certificates
        .retain(|certificate| certificate.verify().is_ok_and(|body| log.is_active(&body.device)));
    record.certificates.extend(certificate.clone());
    record.statements.push(statement.clone());
    Ok(Next { record, log, entry: LogEntry { statement, certificate }, brought, gone })
}

impl Next {
    /// Takes a new profile, if one is given. The account has one signed by an active device afterwards, or nothing
    /// changes.
    fn with_profile(mut self, profile: Option<SignedProfile>, txn: &Txn<'_>) -> Result<Self, OpError> {
        if let Some(new) = profile {
            let key = self.key_of(&new.device, txn)?.ok_or_else(|| {
                Code::Denied.because("the profile is signed by a device that the account does not have")
            })?;
            let account = self.record.account;
            let verified = set_profile::verify(&new, &account, &key)?;
            set_profile::follows(&self.record.profile, &new, verified.version)?;
            self.record.profile = new;
        }
        if self.log.is_active(&self.record.profile.device) {
            return Ok(self);
        }
        Err(Code::Denied
            .because("the profile is signed by the device that goes: bring a new one, signed by another")
            .into())
    }

    /// What is left of a profile whose device went, when nobody can be asked for a new one.
    pub(crate) fn without_lost_profile(mut self) -> Self {
        if !self.log.is_active(&self.record.profile.device)
            && let Some((device, _)) = self.log.active().next()
        {
            self.record.profile = SignedProfile::unknown(*device);
        }
        self
    }

    fn key_of(&self, device: &DeviceId, txn: &Txn<'_>) -> Result<Option<[u8; 32]>, OpError> {
        if !self.log.is_active(device) {
            return Ok(None);
        }
        if let Some((brought, key)) = &self.brought
            && brought == device
        {
            return Ok(Some(*key));
        }
        Ok(account::device_key(&txn.devices, &self.record.account, device)?)
    }

    /// Writes all of it; gives the leaf.
    pub(crate) fn store(self, txn: &mut Txn<'_>) -> Result<[u8; 32], OpError> {
        let account = self.record.account;
        if let Some((device, key)) = &self.brought {
            account::enrol(&mut txn.devices, &account, device, key)?;
        }
        let by = self.log.len().saturating_sub(1);
        for device in &self.gone {
            account::revoke(&mut txn.revoked, &account, device, by)?;
            clear(txn, account, *device)?;
        }
        account::put(&mut txn.accounts, &self.record)?;
        txn.logs.insert(account.as_bytes(), codec::encode(&self.log).as_slice())?;
        Ok(log::append(txn, &account, &self.entry)?)
    }
}

/// Throws away every key package of a device: nobody may add it to a group any more.
fn clear(txn: &mut Txn<'_>, account: AccountId, device: DeviceId) -> Result<(), OpError> {
    for suite in SUITES {
        let shelf = stock::Shelf { account, device, suite };
        stock::discard(&mut txn.stock, &txn.shelves, &shelf, |_| true)?;
        stock::remove_last_resort(&mut txn.last_resort, &shelf)?;
    }
    Ok(())
}
