//! Requests to join by a link that no agent makes, by somebody who has the link.

use cipher_broker::codec;
use cipher_broker::sign::{Purpose, Signed};
use cipher_broker::subject::Route;
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::join::{JoinRequest, JoinRequestBody, JoinTicket, link_id, link_key};
use serde_bytes::ByteBuf;
use serde_json::Value;
use testbed::person::text;
use testbed::{Failure, Result, ensure, wait};
use tls_codec::Serialize;

use crate::client::{Identity, Line, seal};
use crate::scene::{GROUP, Scene, goes_on};

/// Asks in the name of keys that may be nobody's.
fn asks(who: &Identity, line: &Line, link: &JoinTicket) -> Result<u64> {
    let id = link_id(&link.secret);
    let key_package = ByteBuf::from(who.key_package()?.tls_serialize_detached()?);
    let body = JoinRequestBody { group: link.group, link: id, at: wait::now(), key_package };
    let body = Signed::new(who.device_key(), Purpose::JoinRequest, codec::encode(&body));
    let request = codec::encode(&JoinRequest { certificate: who.certificate.clone(), body });
    let label = [b"join".as_slice(), id.as_slice()].concat();
    let request = seal(&link_key(&link.secret), who.random()?, &label, &link.group, &request)?;
    line.store(&Route::Application(link.group), codec::encode(&Envelope::Join { link: *id, request }))
}

/// A link of alice's.
fn link(scene: &Scene, more: &[&str]) -> Result<(String, JoinTicket)> {
    let arguments = [&["group", "invite", GROUP], more].concat();
    let line = scene.alice.does(&arguments)?.of_type("join-link")?;
    let link = text(&line, "link").ok_or_else(|| Failure::new(line.to_string()))?;
    Ok((link.to_owned(), link.parse()?))
}

/// F2: keys made on the spot are no account.
#[test]
fn f2_only_accounts_that_the_registry_shows_come_in_by_a_link() -> Result {
    let mut scene = Scene::new()?;
    let _there = scene.alice.follows(GROUP)?;
    let (words, ticket) = link(&scene, &["--expires", "1d"])?;
    for _ in 0..5 {
        asks(&Identity::fresh()?, &scene.line, &ticket)?;
    }
    let carol = scene.site.registered("carol")?;
    carol.does(&["join", &words])?;
    scene.holds()?;
    goes_on(GROUP, &[&scene.alice, &scene.bob, &carol])?;
    let shown = scene.shown()?;
    let members = shown.get("members").and_then(Value::as_array).map_or(0, Vec::len);
    ensure(members == 4, || format!("not alice, bob, carol and mallory: {shown}"))
}

/// F3: very many of them, where a member approves.
#[test]
fn f3_made_up_askers_do_not_hide_a_genuine_one() -> Result {
    let mut scene = Scene::new()?;
    let (words, ticket) = link(&scene, &["--expires", "1d", "--approve"])?;
    for _ in 0..256 {
        asks(&Identity::fresh()?, &scene.line, &ticket)?;
    }
    let carol = scene.site.registered("carol")?;
    carol.does(&["join", &words])?;
    scene.alice.syncs()?;
    let listed = scene.alice.does(&["group", "requests", GROUP])?;
    ensure(listed.lines.iter().any(|line| text(line, "handle") == Some("carol")), || listed.to_string())?;
    ensure(listed.lines.len() <= 64, || format!("{} are listed", listed.lines.len()))?;
    scene.alice.does(&["group", "requests", GROUP, "--accept", "carol"])?;
    carol.syncs()?;
    scene.holds()?;
    goes_on(GROUP, &[&scene.alice, &scene.bob, &carol])?;
    Ok(())
}
