//! What the operator asks a running registry, over the broker like anybody would, signed with the registry's key.

use async_nats::{Client, RequestErrorKind};
use cipher_broker::certificate::{CertificateBody, Kind};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::DeviceId;
use cipher_broker::limit;
use cipher_broker::subject::{self, INBOX_PREFIX};
use cipher_broker::transparency::TreeHead;
use cipher_broker::wire::operator::{InspectedDevice, Inspection, OperatorAnswer, OperatorRequest, Whom};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{
    AdmissionPolicy, Answer, Operation, Outcome, PublicProfile, ReplyBody, RequestBody, open_reply,
    seal_request,
};
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};

use crate::clock;
use crate::connect::{connect, redacted};
use crate::error::{Cause, Error};
use crate::key::RegistryKey;
use crate::publisher;
use crate::settings::Settings;

/// Whom to inspect, as typed.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Whom);

impl std::str::FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(account) = text.parse() {
            return Ok(Self(Whom::Account(account)));
        }
        let handle = text.parse().map(|handle| Self(Whom::Handle(handle)));
        handle.map_err(|error| format!("neither an account id nor a handle: {error}"))
    }
}

/// Everything a running registry keeps of an account.
pub(crate) async fn inspect(settings: &Settings, who: Who) -> Result<Value, Error> {
    match order(settings, OperatorRequest::Inspect(who.0)).await? {
        Answer::Operator(OperatorAnswer::Inspection(shown)) => Ok(describe(&shown)),
        _ => Err(other_question()),
    }
}

/// Blocks, unblocks or buries.
pub(crate) async fn change(settings: &Settings, what: &str, handle: Handle) -> Result<Value, Error> {
    let done = json!({ "type": what, "handle": handle.as_str() });
    let request = match what {
        "blocked" => OperatorRequest::Block(handle),
        "unblocked" => OperatorRequest::Unblock(handle),
        _ => OperatorRequest::Bury(handle),
    };
    match order(settings, request).await? {
        Answer::Done => Ok(done),
        _ => Err(other_question()),
    }
}

/// The quotas in force.
pub(crate) async fn quotas(settings: &Settings) -> Result<Value, Error> {
    match order(settings, OperatorRequest::Quotas).await? {
        Answer::Operator(OperatorAnswer::Quotas(quotas)) => {
            let (registration, work_bits) = match quotas.admission {
                AdmissionPolicy::Open => ("open", None),
                AdmissionPolicy::Code => ("code", None),
                AdmissionPolicy::Work(bits) => ("work", Some(bits)),
                AdmissionPolicy::Closed => ("closed", None),
                _ => ("unknown", None),
            };
            Ok(json!({
                "type": "quotas",
                "hours": 1,
                "claims_per_target": quotas.claims_per_target,
                "claims_overall": quotas.claims_overall,
                "look_ups": quotas.look_ups,
                "registrations": quotas.registrations,
                "registration": registration,
                "work_bits": work_bits,
            }))
        }
        _ => Err(other_question()),
    }
}

/// The head of the account log, and how much of it the broker has.
pub(crate) async fn heads(settings: &Settings) -> Result<Value, Error> {
    let client = connect(settings, INBOX_PREFIX).await?;
    let key = RegistryKey::load(settings)?;
    // Before the head: what is published later cannot make the difference negative.
    let published = publisher::published(&async_nats::jetstream::new(client.clone())).await;
    let published =
        published.map_err(|reason| broker(settings, "cannot read the account log", reason.into()))?;
    let reply = ask(settings, &client, &key, Operation::Ping).await?;
    let head = reply.head.ok_or_else(|| Error::Reply("it shows no head".into()))?;
    let head = TreeHead::open(&head, &key.public()).map_err(|error| Error::Reply(error.into()))?;
    Ok(json!({
        "type": "head",
        "size": head.size,
        "root": data_encoding::HEXLOWER.encode(&head.root),
        "time": head.at.to_string(),
        "registry_key": data_encoding::HEXLOWER.encode(&head.registry_key),
        "published": published,
        "unpublished": head.size.saturating_sub(published),
    }))
}

async fn order(settings: &Settings, request: OperatorRequest) -> Result<Answer, Error> {
    let key = RegistryKey::load(settings)?;
    let client = connect(settings, INBOX_PREFIX).await?;
    match ask(settings, &client, &key, Operation::Operate(request)).await?.outcome {
        Outcome::Answer(answer) => Ok(*answer),
        Outcome::Refused(refusal) if refusal.code == Code::NotFound => Err(Error::NotFound(refusal.message)),
        Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
    }
}

/// Asks with the registry's own key; the reply is the registry's, to this request.
async fn ask(
    settings: &Settings,
    client: &Client,
    key: &RegistryKey,
    operation: Operation,
) -> Result<ReplyBody, Error> {
    let subject = subject::registry(operation.name());
    let mut nonce = [0; 16];
    OsRng.fill_bytes(&mut nonce);
    let device = DeviceId::from_bytes([0; 16]);
    let body = RequestBody { nonce, issued_at: clock::now(), account: key.operator(), device, operation };
    let request = seal_request(&body, key.signer());
    let failed = |reason: Cause| broker(settings, "cannot ask the registry", reason);
    let sent = client.request(subject, request.clone().into());
    let reply = match tokio::time::timeout(limit::REQUEST_TIMEOUT, sent).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            return Err(failed("no registry is running there".into()));
        }
        Ok(Err(error)) => return Err(failed(error.into())),
        Err(_) => return Err(failed("it does not answer".into())),
    };
    open_reply(&reply.payload, &request, Some(&key.public())).map_err(|error| Error::Reply(error.into()))
}

fn broker(settings: &Settings, doing: &'static str, reason: Cause) -> Error {
    Error::Broker { doing, server: redacted(&settings.server), reason }
}

fn other_question() -> Error {
    Error::Reply("it answers another question".into())
}

/// An account in words. Certificates that do not verify are shown as such: the store may have been tampered with.
fn describe(shown: &Inspection) -> Value {
    let record = &shown.record;
    let bodies: Vec<_> = record.certificates.iter().map(|certificate| certificate.verify()).collect();
    let mut devices: Vec<Value> = bodies
        .iter()
        .filter_map(|body| body.as_ref().err())
        .map(|error| json!({ "error": error.to_string() }))
        .collect();
    for device in &shown.devices {
        let body = bodies.iter().flatten().find(|body| body.device == device.device);
        devices.push(describe_device(device, body));
    }
    let profile = if record.profile.is_unknown() {
        Value::Null
    } else {
        match codec::decode::<PublicProfile>(&record.profile.profile.body) {
            Ok(profile) => json!({
                "name": profile.name,
                "status": profile.status,
                "presence": format!("{:?}", profile.presence).to_lowercase(),
                "version": profile.version,
            }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    };
    json!({
        "type": "account",
        "handle": record.handle.as_str(),
        "account": record.account.to_string(),
        "blocked": shown.blocked,
        "buried": shown.buried,
        "statements": record.statements.len(),
        "log_index": record.inclusion.as_ref().map(|inclusion| inclusion.index),
        "devices": devices,
        "profile": profile,
    })
}

fn describe_device(shown: &InspectedDevice, body: Option<&CertificateBody>) -> Value {
    let stock: Vec<Value> = shown
        .stock
        .iter()
        .map(|stock| {
            json!({
                "suite": format!("{:#06x}", stock.suite),
                "one_time": stock.one_time,
                "last_resort": stock.last_resort,
            })
        })
        .collect();
    let mut told = json!({
        "device": shown.device.to_string(),
        "state": if shown.revoked_by.is_none() { "active" } else { "revoked" },
        "since": shown.since.to_string(),
        "revoked_by": shown.revoked_by,
        "stock": stock,
    });
    if let (Some(told), Some(Value::Object(certificate))) = (told.as_object_mut(), body.map(device)) {
        told.extend(certificate);
    }
    told
}

fn device(body: &CertificateBody) -> Value {
    json!({
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
    use cipher_broker::id::AccountId;

    #[test]
    fn an_account_id_and_a_handle_are_told_apart() {
        let id = AccountId::from_bytes([5; 32]).to_string();
        assert!(matches!(id.parse(), Ok(Who(Whom::Account(_)))));
        assert!(matches!("@ana".parse(), Ok(Who(Whom::Handle(_)))));
        assert!("Not A Handle".parse::<Who>().is_err());
    }
}
