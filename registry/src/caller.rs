//! Who asks: verifies a signed request. A [`Caller`] is the only source of authority for `op/`.

use cipher_broker::certificate::{CertificateBody, DeviceCertificate};
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed, wire_hash};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Operation, RequestBody};

use redb::ReadableTable;

use crate::error::OpError;
use crate::store::once::NonceKey;
use crate::store::{View, account};

/// Who signed the request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) account: AccountId,
    /// The device of it.
    pub(crate) device: DeviceId,
    /// The key of the device.
    pub(crate) device_key: [u8; 32],
    /// As what it asks.
    pub(crate) role: CallerRole,
    /// SHA-256 of the signed body: two requests with one nonce are told apart.
    pub(crate) request: [u8; 32],
    /// Bytes of the signed body.
    pub(crate) bytes: usize,
    /// What is remembered so that the request counts once.
    pub(crate) nonce: NonceKey,
}

/// As what somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerRole {
    /// A device that this registry knows and that was not revoked when it was looked at.
    Device,
    /// A device that is not registered yet, with a certificate of the account.
    Newcomer,
    /// Whoever has the registry's key.
    Operator,
}

/// How much is known about who asks.
#[derive(Debug, Clone)]
pub(crate) enum CallerProof {
    /// Nothing was verified: only what tells nothing about anybody and changes nothing ([`Operation::Ping`],
    /// [`Operation::Admission`]).
    Anyone,
    /// A device this registry knows, not revoked.
    Known(Caller),
    /// A device that is not registered yet, with its verified certificate: creates an account or recovers one.
    Newcomer(Caller, Box<CertificateBody>),
    /// The operator.
    Operator(Caller),
}

/// What is remembered so that the request counts once.
fn nonce_key(body: &RequestBody) -> NonceKey {
    let mut key = [0; 64];
    let issued = body.issued_at.as_millis().to_be_bytes();
    let whose = body.device.as_bytes().iter().chain(&body.nonce).chain(body.account.as_bytes());
    for (to, from) in key.iter_mut().zip(issued.iter().chain(whose)) {
        *to = *from;
    }
    key
}

impl Caller {
    /// Until when the nonce must be remembered: the request is too old before that, whatever its issue time.
    pub(crate) fn nonce_expires(now: Timestamp) -> Timestamp {
        now.plus(limit::REQUEST_WINDOW).plus(limit::REQUEST_WINDOW)
    }
}

/// Verifies time and signature, and that neither device nor account was shut out.
pub(crate) fn identify(
    signed: &Signed,
    body: &RequestBody,
    view: &View,
    operator_key: &[u8; 32],
    now: Timestamp,
) -> Result<CallerProof, OpError> {
    in_time(body.issued_at, now)?;
    let caller = |device_key, role| {
        signed
            .verified(&device_key, Purpose::RegistryRequest)
            .map_err(|_| Code::Denied.because("the request is not signed by the key of this device"))?;
        let RequestBody { account, device, .. } = *body;
        let (request, bytes, nonce) = (wire_hash(&signed.body), signed.body.len(), nonce_key(body));
        Ok::<_, OpError>(Caller { account, device, device_key, role, request, bytes, nonce })
    };
    let newcomer = |certificate: &DeviceCertificate| {
        let certificate = certificate.verify().map_err(|error| Code::Denied.because(error.to_string()))?;
        if certificate.account != body.account || certificate.device != body.device {
            return Err(Code::Denied.because("the certificate is for another account or device").into());
        }
        let caller = caller(certificate.device_key, CallerRole::Newcomer)?;
        admitted(&caller, &view.revoked, &view.blocked)?;
        Ok(CallerProof::Newcomer(caller, Box::new(certificate)))
    };
    match &body.operation {
        Operation::Ping | Operation::Admission => return Ok(CallerProof::Anyone),
        Operation::CreateAccount(create) => return newcomer(&create.certificate),
        _ if body.account == AccountId::of_key(operator_key) => {
            return Ok(CallerProof::Operator(caller(*operator_key, CallerRole::Operator)?));
        }
        _ => {}
    }
    // Keys of devices are never replaced: one read before the transaction that acts on it is still true in it.
    if let Some(device_key) = account::device_key(&view.devices, &body.account, &body.device)? {
        let caller = caller(device_key, CallerRole::Device)?;
        admitted(&caller, &view.revoked, &view.blocked)?;
        return Ok(CallerProof::Known(caller));
    }
    match &body.operation {
        Operation::OpenRecovery { certificate } => newcomer(certificate),
        Operation::AppendStatement(append) if append.certificate.is_some() => {
            append.certificate.as_ref().map_or_else(|| Err(unknown().into()), newcomer)
        }
        _ => Err(unknown().into()),
    }
}

fn unknown() -> Refusal {
    Code::Denied.because("this registry does not know the calling device")
}

/// Refuses devices that were revoked and accounts that were blocked. Asked again in the transaction that writes:
/// what was true when the request was examined may have ended (R-REG-03).
pub(crate) fn admitted(
    caller: &Caller,
    revoked: &impl ReadableTable<&'static [u8; 48], u64>,
    blocked: &impl ReadableTable<&'static [u8; 32], ()>,
) -> Result<(), OpError> {
    if caller.role == CallerRole::Operator {
        return Ok(());
    }
    if caller.role == CallerRole::Device && account::is_revoked(revoked, &caller.account, &caller.device)? {
        return Err(Code::Revoked.because("the calling device was revoked by its account").into());
    }
    if account::is_barred(blocked, &caller.account)? {
        return Err(Code::Blocked
            .because("the operator of this registry blocked the calling account")
            .into());
    }
    Ok(())
}

fn in_time(issued_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let apart = issued_at.since(now).max(now.since(issued_at));
    if apart <= limit::REQUEST_WINDOW {
        return Ok(());
    }
    Err(Code::ClockSkew.because(format!("clocks differ: yours says {issued_at}, the registry's {now}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_closed_on_both_ends_and_the_message_tells_both_times() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let window = limit::REQUEST_WINDOW;
        let millisecond = std::time::Duration::from_millis(1);
        assert!(in_time(now.plus(window), now).is_ok());
        assert!(in_time(now.minus(window), now).is_ok());
        for issued_at in
            [now.plus(window + millisecond), now.minus(window + millisecond), Timestamp::default()]
        {
            let refusal = in_time(issued_at, now).unwrap_err();
            assert_eq!(refusal.code, Code::ClockSkew);
            assert!(refusal.message.contains(&now.to_string()));
            assert!(refusal.message.contains(&issued_at.to_string()));
        }
    }
}
