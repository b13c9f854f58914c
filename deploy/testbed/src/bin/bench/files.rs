//! A file there and back, beside the way of the client library's object store.

use std::time::Instant;

use async_nats::jetstream::{self, consumer, stream};
use futures::StreamExt as _;
use testbed::{Broker, Failure, Result, ensure, raw};

use crate::figure::{Figure, Goal, Report, number};
use crate::lab::Lab;
use crate::process::{measured, people};

/// Bytes of the file.
const SIZE: usize = 100 * 1024 * 1024;
/// What the object store cuts objects into.
const OBJECT_CHUNK: usize = 128 * 1024;
/// Our part of its speed, at least, and our memory, at most.
const RATIO: f64 = 0.6;
const MIB: f64 = 40.0;

/// Sends a file and fetches it, as processes; the object store, inside this one.
pub(crate) async fn there_and_back(report: &Report, lab: &Lab) -> Result {
    let (alice, bob) = people(lab, "files")?;
    let content: Vec<u8> = noise(SIZE);
    let path = alice.home().join("large.bin");
    std::fs::write(&path, &content)?;
    let (put, get) = object_store(&content).await?;
    let sent = measured(&mut alice.command(&["send", "team", "--file", &path.to_string_lossy()]))?;
    bob.syncs()?;
    let listed = bob.does(&["group", "files", "team", "-n", "1"])?.of_type("file")?;
    let id = listed.get("id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let to = bob.home().join("fetched.bin");
    let fetched = measured(&mut bob.command(&["download", &id, "--to", &to.to_string_lossy()]))?;
    ensure(std::fs::read(&to)? == content, || "another file came back".into())?;
    for (what, run, beside, seconds) in [
        ("`send --file`, 100 MiB, as a process", sent, "an object store's put", put),
        ("`download`, 100 MiB, as a process", fetched, "an object store's get", get),
    ] {
        let speed = |seconds: f64| number(SIZE) / 1_048_576.0 / seconds;
        report.tell(
            &Figure::new(what, speed(run.seconds), "MiB/s")
                .against(beside, speed(seconds))
                .goal(Goal::RatioAtLeast(RATIO)),
        );
        report.tell(&Figure::new(format!("{what}: peak memory"), run.mib, "MiB").goal(Goal::Most(MIB)));
    }
    Ok(())
}

/// What nothing packs smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Seconds for an object there and back as the client library's object store does it: chunk after chunk, each
/// acknowledged; and by an ordered consumer. On a server of the same settings whose login may do both.
async fn object_store(content: &[u8]) -> Result<(f64, f64)> {
    let broker = Broker::single_as(|name, text| match name {
        "permissions.conf" => text.replace("\"$JS.API.>\"", "\">\""),
        _ => text,
    })?;
    let context = jetstream::new(raw::registry(&broker).await?);
    let made = stream::Config {
        name: "OBJ_bench".into(),
        subjects: vec!["$O.bench.C.>".into()],
        discard: stream::DiscardPolicy::New,
        allow_direct: true,
        ..stream::Config::default()
    };
    let stream = context.create_stream(made).await?;
    let begun = Instant::now();
    for chunk in content.chunks(OBJECT_CHUNK) {
        let stored = context.publish("$O.bench.C.one", chunk.to_vec().into()).await?;
        stored.await?;
    }
    let put = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let ordered = consumer::push::OrderedConfig {
        filter_subject: "$O.bench.C.one".into(),
        deliver_subject: context_inbox(),
        ..consumer::push::OrderedConfig::default()
    };
    let consumer = stream.create_consumer(ordered).await?;
    let mut messages = consumer.messages().await?;
    let mut fetched = Vec::with_capacity(content.len());
    while fetched.len() < content.len() {
        let message = messages.next().await.ok_or_else(|| Failure::new("the object ended early"))?;
        fetched.extend_from_slice(&message?.payload);
    }
    let get = begun.elapsed().as_secs_f64();
    ensure(fetched == content, || "another object came back".into())?;
    Ok((put, get))
}

fn context_inbox() -> String {
    format!("{}.bench-object", cipher_broker::subject::INBOX_PREFIX)
}
