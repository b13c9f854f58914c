//! Who asks: verifies a signed request. A [`Caller`] is the only source of authority for `op/`.

use cipher_broker::certificate::CertificateBody;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Operation, RequestBody};

use crate::error::OpError;
use crate::store::{View, account};

/// A nonce and whose it is: somebody else's nonce cannot be used up.
pub(crate) type NonceKey = [u8; 64];

/// Who signed the request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) account: AccountId,
    /// The device of it.
    pub(crate) device: DeviceId,
    /// The key of the device.
    pub(crate) device_key: [u8; 32],
    nonce: [u8; 16],
}

/// How much is known about who asks.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// Nothing was verified: only [`Operation::Ping`], which tells nothing and changes nothing.
    Anyone,
    /// A device this registry knows, or the operator for operations that only read.
    Known(Caller),
    /// A device that is not registered yet, with its verified certificate: only [`Operation::CreateAccount`].
    Newcomer(Caller, Box<CertificateBody>),
}

impl Caller {
    /// What is remembered so that the request counts once.
    pub(crate) fn nonce_key(&self) -> NonceKey {
        let mut key = [0; 64];
        let parts = self.account.as_bytes().iter().chain(self.device.as_bytes()).chain(&self.nonce);
        for (to, from) in key.iter_mut().zip(parts) {
            *to = *from;
        }
        key
    }

    /// Until when the nonce must be remembered: the request is too old before that, whatever its issue time.
    pub(crate) fn nonce_expires(now: Timestamp) -> Timestamp {
        now.plus(limit::REQUEST_WINDOW).plus(limit::REQUEST_WINDOW)
    }
}

/// Verifies time and signature. `operator` is the id and `operator_key` the public key of the registry itself.
pub(crate) fn identify(
    signed: &Signed,
    body: &RequestBody,
    view: &View,
    operator_key: &[u8; 32],
    now: Timestamp,
) -> Result<Standing, OpError> {
    in_time(body.issued_at, now)?;
    let caller = |device_key| {
        signed
            .verified(&device_key, Purpose::RegistryRequest)
            .map_err(|_| Code::Denied.because("the request is not signed by the key of this device"))?;
        Ok::<_, OpError>(Caller { account: body.account, device: body.device, device_key, nonce: body.nonce })
    };
    match &body.operation {
        Operation::Ping => Ok(Standing::Anyone),
        Operation::CreateAccount(create) => {
            let certificate =
                create.certificate.verify().map_err(|error| Code::Denied.because(error.to_string()))?;
            if certificate.account != body.account || certificate.device != body.device {
                return Err(Code::Denied.because("the certificate is for another account or device").into());
            }
            Ok(Standing::Newcomer(caller(certificate.device_key)?, Box::new(certificate)))
        }
        Operation::FetchAccount { .. } | Operation::Resolve { .. }
            if body.account == AccountId::of_key(operator_key) =>
        {
            Ok(Standing::Known(caller(*operator_key)?))
        }
        // Keys of devices are never replaced: one read before the transaction that acts on it is still true in it.
        _ => match account::device_key(&view.devices, &body.account, &body.device)? {
            Some(device_key) => Ok(Standing::Known(caller(device_key)?)),
            None => Err(Code::Denied.because("this registry does not know the calling device").into()),
        },
    }
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
