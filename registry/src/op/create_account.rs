//! A new account with its first device and its handle, all or nothing.

use cipher_broker::account_log::{AccountLog, LogError};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Owner};
use cipher_broker::id::DeviceId;
use cipher_broker::sign::{Signed, wire_hash};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AccountRecord, AdmissionProof, Answer, CreateAccount};
use cipher_broker::wire::statement::LogEntry;
use redb::ReadableTable;

use crate::error::OpError;
use crate::op::change::Change;
use crate::op::set_profile;
use crate::store::{Txn, account, log};

/// Bytes of an encoded certificate: it goes into every leaf of every group.
const CERTIFICATE_BYTES: usize = 2048;
/// Bytes of an encoded statement.
const STATEMENT_BYTES: usize = 1024;

/// An account that may be created unless its handle or itself exists.
#[derive(Debug)]
pub(crate) struct NewAccount {
    record: AccountRecord,
    device: DeviceId,
    device_key: [u8; 32],
    owner: Option<Owner>,
    /// SHA-256 of the registration code that is used up by this.
    code: Option<[u8; 32]>,
}

/// Verifies everything that was signed. `certificate` is the verified body of `request.certificate`.
pub(crate) fn check(request: CreateAccount, certificate: CertificateBody) -> Result<NewAccount, Refusal> {
    let CreateAccount { statement, certificate: encoded, profile, ticket } = request;
    within_limits(&statement, Some(&encoded))?;
    // R-REG-01
    let log = AccountLog::begin(&statement, &encoded).map_err(|error| match error {
        LogError::Order => Code::Malformed.because("the statement is not the first of a log"),
        other => refused(&other),
    })?;
    if profile.device != certificate.device {
        return Err(Code::Denied.because("the profile is signed by another device"));
    }
    set_profile::verify(&profile, &certificate.account, &certificate.device_key)?;
    let record = AccountRecord {
        handle: log.handle().clone(),
        account: certificate.account,
        statements: vec![statement],
        certificates: vec![encoded],
        profile,
        inclusion: None,
    };
    let code = match ticket {
        Some(AdmissionProof::Code(code)) => Some(wire_hash(code.as_bytes())),
        _ => None,
    };
    let CertificateBody { device, device_key, owner, .. } = certificate;
    Ok(NewAccount { record, device, device_key, owner, code })
}

/// Sizes of what is kept for ever.
pub(crate) fn within_limits(
    statement: &Signed,
    certificate: Option<&DeviceCertificate>,
) -> Result<(), Refusal> {
    let certificate = certificate.map_or(0, |certificate| certificate.to_bytes().len());
    for (what, size, most) in [
        ("certificate", certificate, CERTIFICATE_BYTES),
        ("statement", statement.body.len(), STATEMENT_BYTES),
    ] {
        if size > most {
            return Err(Code::TooLarge.because(format!("a {what} has at most {most} bytes")));
        }
    }
    Ok(())
}

/// Why a statement does not make or continue a log, as a refusal.
pub(crate) fn refused(error: &LogError) -> Refusal {
    let code = match error {
        LogError::Order => Code::StaleStatement,
        LogError::Malformed | LogError::Creation => Code::Malformed,
        LogError::TooManyDevices | LogError::TooLong => Code::TooLarge,
        _ => Code::Denied,
    };
    code.because(error.to_string())
}

pub(crate) fn run(new: NewAccount, txn: &mut Txn<'_>) -> Result<Change, OpError> {
    let record = &new.record;
    if let Some(existing) = account::by_id(&txn.accounts, &record.account)? {
        // The same again is the repetition after a lost reply. The statement and the profile may have been made
        // anew; what was stored first stays.
        return if existing.handle == record.handle && existing.certificates == record.certificates {
            Ok(Answer::Done.into())
        } else {
            Err(Code::AccountExists.because("the account exists with another handle or device").into())
        };
    }
    if txn.buried.get(record.handle.as_str())?.is_some() {
        return Err(Code::HandleTaken
            .because(format!("the operator of this registry ended @{} for good", record.handle))
            .into());
    }
    if account::of_handle(&txn.handles, &record.handle)?.is_some() {
        return Err(Code::HandleTaken
            .because(format!("@{} belongs to another account", record.handle))
            .into());
    }
    if let Some(owner) = &new.owner {
        if account::by_id(&txn.accounts, &owner.account)?.is_none() {
            return Err(Code::NotFound.because("the owner of the bot has no account here").into());
        }
        if account::is_barred(&txn.blocked, &owner.account)? {
            return Err(Code::Blocked.because("the operator blocked the owner of the bot").into());
        }
    }
    // A code is used up whether it was asked for or not: every copy of a registry then does the same.
    if let Some(code) = &new.code {
        if txn.codes.get(code)?.is_some() {
            return Err(Code::Admission.because("this registration code was used already").into());
        }
        txn.codes.insert(code, record.account.as_bytes())?;
    }
    account::put(&mut txn.accounts, record)?;
    account::claim(&mut txn.handles, &record.handle, &record.account)?;
    account::enrol(&mut txn.devices, &record.account, &new.device, &new.device_key)?;
    let entry = LogEntry {
        statement: record.statements.first().cloned().ok_or_else(account::bad_row)?,
        certificate: record.certificates.first().cloned(),
    };
    let leaf = log::append(txn, &record.account, &entry)?;
    Ok(Change { leaves: vec![leaf], ..Answer::Done.into() })
}
