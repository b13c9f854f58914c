//! A client that holds an agent's login and wants more than an agent needs.

use std::time::Duration;

use async_nats::{Client, Event, HeaderMap};
use cipher_broker::codec;
use cipher_broker::id::GroupId;
use cipher_broker::permission::{agent, covers};
use cipher_broker::subject::{INBOX_PREFIX, Route, Source};
use cipher_broker::wire::registry::SignedReply;
use futures::StreamExt;
use serde_json::json;
use testbed::person::text;
use testbed::{Result, Site, ensure};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::scene::{GROUP, goes_on};

/// Long enough for a server on the same machine to answer.
const SOON: Duration = Duration::from_secs(10);

/// A connection with the agent's login that hears what the server objects to.
async fn attacker(site: &Site) -> Result<(Client, mpsc::UnboundedReceiver<String>)> {
    let (send, objections) = mpsc::unbounded_channel();
    let client = testbed::raw::as_agent(&site.broker)
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                // The receiver is gone when the test is over.
                let _ = send.send(error.to_string());
            }
            std::future::ready(())
        })
        .connect(site.broker.addresses()?)
        .await?;
    Ok((client, objections))
}

/// Waits until the server objects.
async fn objected(objections: &mut mpsc::UnboundedReceiver<String>, what: &str) -> Result {
    match timeout(SOON, objections.recv()).await {
        Ok(Some(words)) => {
            ensure(words.to_lowercase().contains("permissions violation"), || format!("{what}: {words}"))
        }
        _ => testbed::fail(format!("{what}: the server did not object")),
    }
}

/// N01, N02, N08: other people's replies, the whole traffic and the system's subjects stay closed.
#[tokio::test(flavor = "multi_thread")]
async fn n01_n02_n08_an_agent_cannot_listen_to_everything() -> Result {
    let site = Site::single()?;
    let (client, mut objections) = attacker(&site).await?;
    for subject in
        [">", "*", "chat.>", "live.>", "live.*.g.>", "$SYS.>", "$JS.>", "_INBOX.>", "reg.v1.>", "$SRV.>"]
    {
        let _listening = client.subscribe(subject).await?;
        client.flush().await?;
        objected(&mut objections, subject).await?;
    }
    Ok(())
}

/// N03, N04, N05: no consumers, no purging, no deleting, no changing of streams; the stored messages
/// are all still there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn n03_n04_n05_an_agent_cannot_manage_streams() -> Result {
    let site = Site::single()?;
    let (client, mut objections) = attacker(&site).await?;
    let group = GroupId::from_bytes([7; 16]);
    let (route, stream) = (Route::Application(group), Source::Group(group).stream());
    let stored = client.request(route.to_string(), "x".into()).await?;
    ensure(stored.payload.starts_with(b"{\"stream\""), || format!("{stored:?}"))?;
    let consumer =
        json!({ "stream_name": stream, "config": { "deliver_subject": "live.1.i.x", "name": "c" } });
    for subject in [
        format!("$JS.API.CONSUMER.CREATE.{stream}"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.c"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.c.{route}"),
        format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.c"),
        format!("$JS.API.STREAM.PURGE.{stream}"),
        format!("$JS.API.STREAM.DELETE.{stream}"),
        format!("$JS.API.STREAM.UPDATE.{stream}"),
        format!("$JS.API.STREAM.MSG.DELETE.{stream}"),
        format!("$JS.API.STREAM.SNAPSHOT.{stream}"),
        format!("$JS.API.STREAM.RESTORE.{stream}"),
        "$JS.API.STREAM.CREATE.MINE".into(),
        "$JS.API.STREAM.LIST".into(),
        "$SYS.REQ.SERVER.PING".into(),
        "$SRV.PING".into(),
    ] {
        client
            .publish_with_reply(
                subject.clone(),
                format!("{INBOX_PREFIX}.testbed.r"),
                consumer.to_string().into(),
            )
            .await?;
        client.flush().await?;
        objected(&mut objections, &subject).await?;
    }
    // Where a stream stands may be asked. It shows the subjects, which direct get of the same login shows too.
    let info = client
        .request(
            format!("$JS.API.STREAM.INFO.{stream}"),
            json!({ "subjects_filter": ">" }).to_string().into(),
        )
        .await?;
    let info: serde_json::Value = serde_json::from_slice(&info.payload)?;
    let count = info.pointer("/state/subjects").and_then(|subjects| subjects.get(route.to_string()));
    ensure(count.is_some_and(|count| *count == 1), || info.to_string())?;
    let got = client
        .request(format!("$JS.API.DIRECT.GET.{stream}"), json!({ "seq": 1 }).to_string().into())
        .await?;
    let subject = got.headers.as_ref().and_then(|headers| headers.get("Nats-Subject"));
    ensure(subject.is_some_and(|subject| *subject.as_str() == *route.to_string()), || format!("{got:?}"))?;
    let traffic = site.registry.traffic(10)?;
    ensure(traffic.len() == 1, || format!("{traffic:?}"))
}

/// N14: headers that would wipe, expire or redirect are refused or change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn n14_hostile_headers_erase_nothing() -> Result {
    let site = Site::single()?;
    let (client, _objections) = attacker(&site).await?;
    let route = Route::Application(GroupId::from_bytes([7; 16])).to_string();
    client.request(route.clone(), "the first".into()).await?;
    for (name, value) in [
        ("Nats-Rollup", "all"),
        ("Nats-Rollup", "sub"),
        ("Nats-TTL", "1s"),
        ("Nats-Schedule", "@at 2026-01-01T00:00:00Z"),
        ("Nats-Schedule-Target", "chat.0.i.x"),
        ("Nats-Trace-Dest", "log.statements"),
        ("Nats-Request-Info", "{\"acc\":\"$SYS\"}"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        // Some are refused, some are ignored.
        let answer = client.request_with_headers(route.clone(), headers, "hostile".into()).await;
        let _ = answer;
    }
    let traffic = site.registry.traffic(100)?;
    let of = |line: &&serde_json::Value, field: &str, value: &str| text(line, field) == Some(value);
    let first = traffic
        .iter()
        .filter(|line| of(line, "stream", &Source::Group(GroupId::from_bytes([7; 16])).stream()));
    let first = first.filter(|line| line.get("sequence").and_then(serde_json::Value::as_u64) == Some(1));
    ensure(first.count() == 1, || format!("the first message is gone: {traffic:?}"))?;
    // A trace goes nowhere that the one who asks for it may not write to.
    let elsewhere = traffic.iter().filter(|line| of(line, "subject", "log.statements"));
    ensure(elsewhere.count() == 0, || format!("a trace was stored in the account log: {traffic:?}"))
}

/// N04: a reply subject of somebody else's is only a place for the broker's own small answer.
#[tokio::test(flavor = "multi_thread")]
async fn n04_an_agent_can_do_what_it_needs() -> Result {
    let site = Site::single()?;
    let (client, mut objections) = attacker(&site).await?;
    let group = GroupId::from_bytes([9; 16]);
    let source = Source::Group(group);
    let mut bell = client.subscribe(source.doorbell()).await?;
    client.request(Route::Application(group).to_string(), "x".into()).await?;
    let rung = timeout(SOON, bell.next()).await;
    ensure(matches!(&rung, Ok(Some(message)) if message.payload.is_empty()), || format!("{rung:?}"))?;
    let get = json!({ "last_by_subj": Route::Application(group).to_string() });
    let message =
        client.request(format!("$JS.API.DIRECT.GET.{}", source.stream()), get.to_string().into()).await?;
    ensure(message.payload.as_ref() == b"x", || format!("{message:?}"))?;
    // Where a stream stands and since when it is there: how an agent sees that its log went back.
    let info = client.request(format!("$JS.API.STREAM.INFO.{}", source.stream()), "".into()).await?;
    let info: serde_json::Value = serde_json::from_slice(&info.payload)?;
    let (created, last) = (info.pointer("/created"), info.pointer("/state/last_seq"));
    ensure(created.is_some() && last.is_some_and(|last| *last == json!(1)), || info.to_string())?;
    ensure(objections.try_recv().is_err(), || "the server objected to something".into())?;
    assert!(agent().subscribe.iter().any(|pattern| covers(pattern, &source.doorbell())));
    Ok(())
}

/// N09, N10: nobody but the registry and the broker itself speaks to an inbox; and what is asked with another's inbox
/// for its reply is nothing to that one.
#[tokio::test(flavor = "multi_thread")]
async fn n09_n10_an_agent_cannot_answer_in_the_place_of_the_registry() -> Result {
    let site = Site::single()?;
    let (client, mut objections) = attacker(&site).await?;
    for subject in
        [format!("{INBOX_PREFIX}.victim.1"), "hint.0123".into(), "log.statements".into(), "live.0.x".into()]
    {
        client.publish(subject.clone(), "forged".into()).await?;
        client.flush().await?;
        objected(&mut objections, &subject).await?;
    }
    // Only inboxes are answered: a reply subject of the log would be a write in the registry's name.
    let group = GroupId::from_bytes([5; 16]);
    let target = Route::Application(group).to_string();
    client.publish_with_reply("reg.v1.ping", target, "?".into()).await?;
    client.request("reg.v1.ping", "?".into()).await?;
    let traffic = site.registry.traffic(10)?;
    ensure(traffic.is_empty(), || format!("the registry wrote into the log: {traffic:?}"))
}

/// N13: junk between an honest writer's look and its compare-and-set delays it and no more.
#[tokio::test(flavor = "multi_thread")]
async fn n13_junk_among_commits_delays_and_stops_nobody() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group(GROUP, &alice, &[&bob])?;
    let id: GroupId = text(&alice.shows(GROUP)?, "id").unwrap_or_default().parse()?;
    let (client, _objections) = attacker(&site).await?;
    let junk = tokio::spawn(async move {
        // One every tenth of a second, until the honest are done.
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        loop {
            beat.tick().await;
            if client.request(Route::Handshake(id).to_string(), "junk".into()).await.is_err() {
                return;
            }
        }
    });
    for round in 0..3 {
        alice.does(&["group", "rename", GROUP, &format!("round {round}")])?;
        alice.does(&["group", "rename", &format!("round {round}"), GROUP])?;
    }
    goes_on(GROUP, &[&alice, &bob])?;
    junk.abort();
    Ok(())
}

/// F9: who listens to everybody's replies sees what the registry answers, and not to which connection.
#[tokio::test(flavor = "multi_thread")]
async fn f9_an_answer_of_the_registry_cannot_be_tied_to_who_asked() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group(GROUP, &alice, &[&bob])?;
    let (client, _objections) = attacker(&site).await?;
    let mut replies = client.subscribe(format!("{INBOX_PREFIX}.>")).await?;
    client.flush().await?;
    // One connection that reads logs and asks about people.
    let mut screen = alice.follows(GROUP)?;
    bob.sends(GROUP, "listen")?;
    screen.sees("listen")?;
    for _ in 0..3 {
        alice.does(&["profile", "show", "bob"])?;
    }
    screen.interrupt()?;
    let end = format!("{INBOX_PREFIX}.testbed.end");
    let (mut answers, mut others) = (Vec::new(), Vec::new());
    // The registry answers the listener last: everything before it was heard.
    client.publish_with_reply("reg.v1.ping", end.clone(), "?".into()).await?;
    while let Ok(Some(reply)) = timeout(SOON, replies.next()).await {
        if reply.subject.as_str() == end {
            break;
        }
        let inbox = reply.subject.split('.').nth(1).unwrap_or_default().to_owned();
        match codec::decode::<SignedReply>(&reply.payload) {
            Ok(_) => answers.push(inbox),
            Err(_) => others.push(inbox),
        }
    }
    ensure(answers.len() >= 3 && !others.is_empty(), || format!("heard {answers:?} and {others:?}"))?;
    for (at, inbox) in answers.iter().enumerate() {
        let again = answers.iter().skip(at + 1).any(|other| other == inbox);
        ensure(!again && !others.contains(inbox), || format!("{inbox} tells: {answers:?} and {others:?}"))?;
    }
    Ok(())
}
