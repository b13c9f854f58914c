//! A new account with its first device and its handle, all or nothing.

use cipher_broker::certificate::{CertificateBody, Owner};
use cipher_broker::codec;
use cipher_broker::id::DeviceId;
use cipher_broker::sign::{Purpose, wire_hash};
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{AccountRecord, Answer, CreateAccount};
use cipher_broker::wire::statement::{Claim, Statement};

use crate::error::OpError;
use crate::op::set_profile;
use crate::store::{Txn, account};

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
}

/// Verifies everything that was signed. `certificate` is the verified body of `request.certificate`.
pub(crate) fn check(request: CreateAccount, certificate: CertificateBody) -> Result<NewAccount, Refusal> {
    let CreateAccount { statement, certificate: encoded, profile, ticket: _ } = request;
    let certificate_bytes = encoded.to_bytes();
    for (what, size, most) in [
        ("certificate", certificate_bytes.len(), CERTIFICATE_BYTES),
        ("statement", statement.body.len(), STATEMENT_BYTES),
    ] {
        if size > most {
            return Err(Code::TooLarge.because(format!("a {what} has at most {most} bytes")));
        }
    }
    let body = statement
        .verified(&certificate.account_key, Purpose::AccountStatement)
        .map_err(|_| Code::Denied.because("the statement is not signed by the account key"))?;
    let stated: Statement = codec::decode(body)
        .map_err(|error| Code::Malformed.because(format!("the statement cannot be read: {error}")))?;
    if stated.account != certificate.account {
        return Err(Code::Denied.because("the statement belongs to another account"));
    }
    if stated.sequence != 0 || stated.previous != [0; 32] {
        return Err(Code::Malformed.because("the statement is not the first of a log"));
    }
    let Claim::Create { handle, certificate: claimed } = stated.claim else {
        return Err(Code::Malformed.because("the first statement of a log creates the account"));
    };
    if claimed != wire_hash(&certificate_bytes) {
        return Err(Code::Denied.because("the statement names another certificate"));
    }
    if profile.device != certificate.device {
        return Err(Code::Denied.because("the profile is signed by another device"));
    }
    set_profile::verify(&profile, &certificate.account, &certificate.device_key)?;
    let record = AccountRecord {
        handle,
        account: certificate.account,
        statements: vec![statement],
        certificates: vec![encoded],
        profile,
        inclusion: None,
    };
    let CertificateBody { device, device_key, owner, .. } = certificate;
    Ok(NewAccount { record, device, device_key, owner })
}

pub(crate) fn run(new: NewAccount, txn: &mut Txn<'_>) -> Result<Answer, OpError> {
    let record = &new.record;
    if let Some(existing) = account::by_id(&txn.accounts, &record.account)? {
        // The same again is the repetition after a lost reply. The statement and the profile may have been made
        // anew; what was stored first stays.
        return if existing.handle == record.handle && existing.certificates == record.certificates {
            Ok(Answer::Done)
        } else {
            Err(Code::AccountExists.because("the account exists with another handle or device").into())
        };
    }
    if account::of_handle(&txn.handles, &record.handle)?.is_some() {
        return Err(Code::HandleTaken
            .because(format!("@{} belongs to another account", record.handle))
            .into());
    }
    if let Some(owner) = &new.owner
        && account::by_id(&txn.accounts, &owner.account)?.is_none()
    {
        return Err(Code::NotFound.because("the owner of the bot has no account here").into());
    }
    account::put(&mut txn.accounts, record)?;
    account::claim(&mut txn.handles, &record.handle, &record.account)?;
    account::enrol(&mut txn.devices, &record.account, &new.device, &new.device_key)?;
    Ok(Answer::Done)
}
