//! Malformed bytes on every subject anybody may write to: everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use cipher_broker::codec;
use cipher_broker::id::{DeviceId, GroupId};
use cipher_broker::subject::{Route, registry};
use cipher_broker::wire::envelope::Envelope;
use cipher_broker::wire::registry::Operation;
use testbed::agreement::{all_equal, all_read};
use testbed::person::text;
use testbed::{Failure, Result, Site, ensure, flood, wait};

/// Bytes that are wrong in different ways.
fn junk() -> Vec<Vec<u8>> {
    let mut bomb = vec![1];
    bomb.extend(std::iter::repeat_n(0x91, 50_000));
    vec![
        Vec::new(),
        vec![0],
        vec![0xFF; 300],
        b"hello".to_vec(),
        bomb,
        codec::encode(&Envelope::Message(vec![0; 64])),
        codec::encode(&Envelope::Message(Vec::new())),
        codec::encode(&Envelope::Tree(vec![7; 1000])),
        codec::encode(&Envelope::Welcome { welcome: vec![1; 200], note: vec![2; 50] }),
        vec![1; 200 * 1024],
        vec![1; 300 * 1024],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn m01_m04_m05_m06_k01_t07_junk_on_every_subject_stops_nobody() -> Result {
    let site = Site::single()?;
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob])?;
    alice.sends("team", "before")?;
    let id: GroupId = text(&alice.shows("team")?, "id").unwrap_or_default().parse()?;
    let device = |person: &testbed::Person| -> Result<DeviceId> {
        let account = person.does(&["whoami"])?.of_type("account")?;
        Ok(text(&account, "device_id").ok_or_else(|| Failure::new(account.to_string()))?.parse()?)
    };
    let (bobs, carols) = (device(&bob)?, device(&carol)?);
    let epoch = alice.shows("team")?.get("epoch").and_then(serde_json::Value::as_u64).unwrap_or_default();

    let client = testbed::raw::agent(&site.broker).await?;
    let routes = [
        Route::Application(id),
        Route::Handshake(id),
        Route::Inbox(bobs),
        Route::Inbox(carols),
        Route::Tree { group: id, epoch: epoch + 1, piece: 0 },
        Route::Tree { group: id, epoch: epoch + 2, piece: 0 },
    ];
    for route in routes {
        for bytes in junk() {
            // What the stream refuses for its size never reaches anybody.
            let _ = client.request_with_headers(route.to_string(), HeaderMap::new(), bytes.into()).await;
        }
    }
    for operation in Operation::NAMES {
        for bytes in junk() {
            let _ = client.request(registry(operation), bytes.into()).await;
        }
    }

    // Everything still works: old members, a new one, a change of the group, the registry.
    bob.sends("team", "after")?;
    all_read("team", &[&alice, &bob], &["before".into(), "after".into()])?;
    alice.does(&["group", "rename", "team", "crew"])?;
    alice.does(&["group", "add", "crew", "carol"])?;
    carol.accepts("crew")?;
    carol.sends("crew", "junk or not")?;
    all_equal("crew", &[&alice, &bob, &carol])?;
    all_read("crew", &[&alice, &bob], &["before".into(), "after".into(), "junk or not".into()])?;
    let dave = site.registered("dave")?;
    ensure(text(&dave.does(&["whoami"])?.of_type("account")?, "handle") == Some("dave"), || "no dave".into())
}

/// A broker that takes this long for a bare publish has no room for anybody's.
const BUSY: Duration = Duration::from_millis(500);

/// Memory that a process holds, in KiB.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Some seconds of what a neighbour with the site's login can do all day: on the subject that fences stand on, and on the
/// one that everybody reads. The figures are in `cargo xtask bench --junk`.
#[tokio::test(flavor = "multi_thread")]
async fn e13_who_talks_under_a_flood_of_junk_is_heard_and_the_follower_gives_its_memory_back() -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let mut screen = bob.follows("team")?;
    alice.sends("team", "mark")?;
    screen.sees("mark")?;
    let shown = alice.shows("team")?;
    let id: GroupId = text(&shown, "id").unwrap_or_default().parse()?;
    let epoch = shown.get("epoch").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let before = resident(screen.process().id()).unwrap_or_default();
    let client = testbed::raw::agent(&site.broker).await?;
    let mut expected = vec!["mark".to_owned()];
    for (route, handshake, per_second) in
        [(Route::Handshake(id), true, 300), (Route::Application(id), false, 1_000)]
    {
        let junk = flood::looks_right(&id, epoch, handshake);
        let (client, probe, junk_of_one) = (client.clone(), client.clone(), junk.clone());
        let flooding = tokio::spawn(async move {
            flood::flood(&client, route, junk, per_second, Duration::from_secs(4)).await
        });
        for n in 0..12 {
            let words = format!("{per_second} {n}");
            // What the broker needs for a piece of anybody, at the same time: the disk of a busy machine takes less than
            // what floods it, and then everybody waits.
            let (client, junk, said) = (probe.clone(), junk_of_one.clone(), Arc::new(AtomicBool::new(false)));
            let over = Arc::clone(&said);
            let bare = tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    // One that is not answered at all is slow too.
                    let _ = client.request(Route::Application(id).to_string(), junk.clone().into()).await;
                    slowest = slowest.max(begun.elapsed());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                slowest
            });
            let begun = Instant::now();
            let sent = alice.sends("team", &words)?;
            let took = begun.elapsed();
            said.store(true, Ordering::Relaxed);
            let bare = bare.await?;
            eprintln!("{words}: {:?} after {took:?}, a bare publish {bare:?} at most", text(&sent, "state"));
            ensure(bare > BUSY || text(&sent, "state") == Some("sent"), || format!("not said: {sent}"))?;
            expected.push(words);
        }
        flooding.await??;
    }
    for words in &expected[1..] {
        screen.sees(words)?;
    }
    all_read("team", &[&alice, &bob], &expected)?;
    // Half as much again, and not many times as much: shared machines and allocators have moods.
    let pid = screen.process().id();
    wait::within(Duration::from_secs(60), "memory is back", || {
        resident(pid).filter(|now| *now <= before + before / 2).map(drop)
    })
    .map_err(|failure| failure.and(format!("{before} KiB before, {:?} after", resident(pid))))
}
