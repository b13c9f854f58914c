//! `inspect`: what a running registry holds about an account, asked over the broker like anybody would.

use async_nats::RequestErrorKind;
use cipher_broker::certificate::{CertificateBody, Kind};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::limit;
use cipher_broker::subject::{self, INBOX_PREFIX};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{
    AccountRecord, Answer, Operation, Outcome, Profile, RequestBody, open_reply, seal_request,
};
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};

use crate::clock;
use crate::connect::{connect, redacted};
use crate::error::Error;
use crate::key::RegistryKey;
use crate::settings::Settings;

/// Whom to inspect.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    Account(AccountId),
    Handle(Handle),
}

impl std::str::FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(account) = text.parse() {
            return Ok(Self::Account(account));
        }
        text.parse().map(Self::Handle).map_err(|error| format!("neither an account id nor a handle: {error}"))
    }
}

/// Asks the running registry, signing with its own key: it answers its operator what only reads.
pub(crate) async fn inspect(settings: &Settings, who: Who) -> Result<Value, Error> {
    let key = RegistryKey::load(&settings.data_dir)?;
    let operation = match who {
        Who::Account(account) => Operation::FetchAccount { account },
        Who::Handle(handle) => Operation::Resolve { handle },
    };
    let subject = subject::registry(operation.name());
    let mut nonce = [0; 16];
    OsRng.fill_bytes(&mut nonce);
    let device = DeviceId::from_bytes([0; 16]);
    let body = RequestBody { nonce, issued_at: clock::now(), account: key.operator(), device, operation };
    let request = seal_request(&body, key.signer());

    let client = connect(settings, INBOX_PREFIX).await?;
    let broker = |reason: String| Error::Broker {
        doing: "cannot ask the registry",
        server: redacted(&settings.server),
        reason,
    };
    let sent = client.request(subject, request.clone().into());
    let reply = match tokio::time::timeout(limit::REQUEST_TIMEOUT, sent).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            return Err(broker("no registry is running there".into()));
        }
        Ok(Err(error)) => return Err(broker(error.to_string())),
        Err(_) => return Err(broker("it does not answer".into())),
    };
    let reply = open_reply(&reply.payload, &request, Some(&key.public()))
        .map_err(|error| Error::Reply(error.to_string()))?;
    match reply.outcome {
        Outcome::Answer(answer) => match *answer {
            Answer::Account(record) => Ok(describe(&record)),
            _ => Err(Error::Reply("it answers another question".into())),
        },
        Outcome::Refused(refusal) if refusal.code == Code::NotFound => Err(Error::NotFound(refusal.message)),
        Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
    }
}

/// A record in words. Certificates that do not verify are shown as such: the store may have been tampered with.
fn describe(record: &AccountRecord) -> Value {
    let devices: Vec<Value> = record
        .certificates
        .iter()
        .map(|certificate| match certificate.verify() {
            Ok(body) => device(&body),
            Err(error) => json!({ "error": error.to_string() }),
        })
        .collect();
    let profile = match codec::decode::<Profile>(&record.profile.profile.body) {
        Ok(profile) => json!({
            "name": profile.name,
            "status": profile.status,
            "presence": format!("{:?}", profile.presence).to_lowercase(),
            "version": profile.version,
        }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    json!({
        "type": "account",
        "handle": record.handle.as_str(),
        "account": record.account.to_string(),
        "statements": record.statements.len(),
        "devices": devices,
        "profile": profile,
    })
}

fn device(body: &CertificateBody) -> Value {
    json!({
        "device": body.device.to_string(),
        "device_key": data_encoding::HEXLOWER.encode(&body.device_key),
        "kind": match body.kind { Kind::Person => "person", Kind::Bot => "bot" },
        "owner": body.owner.as_ref().map(|owner| owner.account.to_string()),
        "not_before": body.not_before.to_string(),
        "not_after": body.not_after.to_string(),
        "serial": body.serial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_and_a_handle_are_told_apart() {
        let id = AccountId::from_bytes([5; 32]).to_string();
        assert!(matches!(id.parse(), Ok(Who::Account(_))));
        assert!(matches!("@ana".parse(), Ok(Who::Handle(_))));
        assert!("Not A Handle".parse::<Who>().is_err());
    }
}
