//! Requests to the registry that no agent makes.

use std::time::Duration;

use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::wire::refusal::Code;
use cipher_broker::wire::registry::{Operation, Outcome, open_reply, seal_request};
use cipher_broker::{codec, limit};
use ed25519_dalek::SigningKey;
use openmls::prelude::Lifetime;
use serde_bytes::ByteBuf;
use testbed::person::text;
use testbed::{Result, Site, ensure, wait};
use tls_codec::Serialize;

use crate::client::{Identity, Line, SUITE};
use crate::scene::{GROUP, goes_on, whoami};

/// Fails unless the registry refused with this code.
fn refused(what: &str, outcome: Outcome, code: Code) -> Result {
    ensure(matches!(&outcome, Outcome::Refused(refusal) if refusal.code == code), || {
        format!("{what}: {outcome:?}, not {code:?}")
    })
}

#[test]
fn g06_g07_g09_g10_nobody_asks_the_registry_in_the_name_of_another_or_twice() -> Result {
    let site = Site::single()?;
    let line = Line::to(&site.broker)?;
    let mallory = Identity::fresh()?;
    mallory.registers(&line, "mallory")?;
    let alice = site.registered("alice")?;
    let (account, device) = whoami(&alice)?;

    // In alice's name, signed by mallory's key.
    let mut body = mallory.request(&Operation::CountKeyPackages)?;
    (body.account, body.device) = (account, device);
    refused("alice's device", mallory.asks(&line, &body)?, Code::Denied)?;
    let mut body = mallory.request(&Operation::CountKeyPackages)?;
    body.account = account;
    refused("alice's account", mallory.asks(&line, &body)?, Code::Denied)?;

    // The same bytes again: the same answer or none, and nothing happens twice.
    let body = mallory.request(&Operation::FetchAccount { account })?;
    let request = seal_request(&body, mallory.device_key());
    let first = open_reply(&line.ask(&body.operation, request.clone())?, &request, None)?;
    ensure(matches!(first.outcome, Outcome::Answer(_)), || format!("{first:?}"))?;
    let again = open_reply(&line.ask(&body.operation, request.clone())?, &request, None)?;
    refused("a replay", again.outcome, Code::Replayed)?;
    for off in [limit::REQUEST_WINDOW * 2, Duration::from_secs(3600)] {
        for at in [wait::now().plus(off), wait::now().minus(off)] {
            let mut body = mallory.request(&Operation::CountKeyPackages)?;
            body.issued_at = at;
            refused("another time", mallory.asks(&line, &body)?, Code::ClockSkew)?;
        }
    }

    // Alice's handle, by another account; her own creation, told by another.
    let other = Identity::fresh()?;
    let claim = Operation::CreateAccount(Box::new(other.creation("alice")?));
    refused("a handle that is taken", other.asks(&line, &other.request(&claim)?)?, Code::HandleTaken)?;
    let stolen = Operation::CreateAccount(Box::new(mallory.creation("mallory-two")?));
    let outcome = other.asks(&line, &other.request(&stolen)?)?;
    ensure(matches!(outcome, Outcome::Refused(_)), || format!("another's creation: {outcome:?}"))?;

    // A statement that the account did not sign.
    let mut forged = other.creation("forged")?;
    forged.statement =
        Signed::new(&SigningKey::from_bytes(&[9; 32]), Purpose::AccountStatement, forged.statement.body);
    let forged = Operation::CreateAccount(Box::new(forged));
    let outcome = other.asks(&line, &other.request(&forged)?)?;
    ensure(matches!(outcome, Outcome::Refused(_)), || format!("a forged statement: {outcome:?}"))?;
    alice.is_refused(9, "not-found", &["profile", "show", "forged"])?;
    let shown = alice.does(&["profile", "show", "mallory"])?.of_type("account")?;
    ensure(text(&shown, "handle") == Some("mallory"), || shown.to_string())
}

#[test]
fn k05_k07_k10_the_registry_keeps_no_key_package_that_is_not_sound() -> Result {
    let site = Site::single()?;
    let line = Line::to(&site.broker)?;
    let (mallory, other) = (Identity::fresh()?, Identity::fresh()?);
    mallory.registers(&line, "mallory")?;
    let now = wait::now().as_secs();
    let day = 86_400;
    let with = |from: u64, to: u64| mallory.key_package_of(mallory.credential(), Lifetime::init(from, to));
    let mut bad = vec![
        ("a thousand years", with(now - day, now + 365_000 * day)?),
        ("over already", with(now - 10 * day, now - day)?),
        ("not begun", with(now + 2 * day, now + 60 * day)?),
        ("another's certificate", mallory.key_package_with(mallory.credential_of(&other.certificate))?),
        ("another's own", other.key_package()?),
    ];
    let mut bytes: Vec<(&str, Vec<u8>)> = Vec::new();
    for (what, package) in bad.drain(..) {
        bytes.push((what, package.tls_serialize_detached()?));
    }
    let sound = mallory.key_package()?.tls_serialize_detached()?;
    let mut damaged = sound.clone();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    bytes.push(("a broken signature", damaged));
    bytes.push(("a beginning", sound.get(..sound.len() / 2).unwrap_or_default().to_vec()));
    bytes.push(("bytes behind it", [sound, vec![0]].concat()));
    bytes.push(("none", Vec::new()));
    for (what, bytes) in bytes {
        let publish =
            Operation::PublishKeyPackages { one_time: vec![ByteBuf::from(bytes)], last_resort: None };
        refused(what, mallory.asks(&line, &mallory.request(&publish)?)?, Code::BadKeyPackage)?;
    }
    // The sound ones are still there, and serve.
    let alice = site.registered("alice")?;
    alice.creates("team", &["mallory"])?;
    Ok(())
}

/// Encoded requests that are none, on every operation.
#[test]
fn t07_requests_that_are_none_are_refused_and_cost_nothing() -> Result {
    let site = Site::single()?;
    let line = Line::to(&site.broker)?;
    let mallory = Identity::fresh()?;
    let bomb = [vec![1], vec![0x91; 50_000]].concat();
    for bytes in
        [Vec::new(), b"junk".to_vec(), bomb, codec::encode(&"a text"), vec![1, 0xdf, 255, 255, 255, 255]]
    {
        let answer = line.ask(&Operation::Ping, bytes.clone())?;
        let body = open_reply(&answer, &bytes, None)?;
        ensure(matches!(body.outcome, Outcome::Refused(_)), || format!("{body:?}"))?;
    }
    mallory.registers(&line, "mallory")
}

/// Somebody takes another's key packages as long as it is given any.
#[test]
fn k08_k09_who_takes_every_key_package_keeps_nobody_from_inviting() -> Result {
    let site = Site::single()?;
    let line = Line::to(&site.broker)?;
    let mallory = Identity::fresh()?;
    mallory.registers(&line, "mallory")?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    let (account, _) = whoami(&alice)?;
    let claim = Operation::ClaimKeyPackages { account, suite: SUITE.into(), device: None };
    let mut taken = 0;
    let refusal = loop {
        match mallory.asks(&line, &mallory.request(&claim)?)? {
            Outcome::Answer(_) if taken < 1_000 => taken += 1,
            other => break other,
        }
    };
    refused("one more claim", refusal, Code::Quota)?;
    ensure(taken > 0, || "nothing was given at all".into())?;
    site.group(GROUP, &bob, &[&alice])?;
    goes_on(GROUP, &[&alice, &bob])?;
    Ok(())
}
