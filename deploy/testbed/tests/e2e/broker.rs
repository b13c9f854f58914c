//! The running broker is what the contract says.

use async_nats::jetstream;
use cipher_broker::stream;
use testbed::{Broker, Result, Site, ensure};

/// Every stream exists as it is specified, and nothing that would let a member erase or inject is on.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_running_broker_are_the_specified_ones() -> Result {
    let site = Site::single()?;
    let client = testbed::raw::registry(&site.broker).await?;
    let context = jetstream::new(client);
    for specified in stream::all(1) {
        let config = context.get_stream(&specified.name).await?.cached_info().config.clone();
        let name = &specified.name;
        assert_eq!(
            config.subjects.iter().map(ToString::to_string).collect::<Vec<_>>(),
            specified.subjects,
            "{name}"
        );
        assert_eq!(config.num_replicas, specified.replicas, "{name}");
        assert_eq!(config.max_age, specified.max_age, "{name}");
        assert_eq!(config.max_message_size, specified.max_message_bytes, "{name}");
        assert_eq!(config.duplicate_window, specified.duplicate_window, "{name}");
        assert_eq!(config.allow_direct, specified.allow_direct, "{name}");
        assert!(config.deny_delete && config.deny_purge, "{name}");
        assert!(!config.allow_rollup, "{name}: one header would wipe the stream");
        assert!(!config.allow_message_schedules, "{name}: a member could publish into other groups");
        assert!(!config.allow_message_ttl, "{name}: a member could make messages vanish");
        assert_eq!(config.storage, jetstream::stream::StorageType::File, "{name}");
        assert_eq!(config.max_messages, specified.max_messages, "{name}");
        assert_eq!(config.max_bytes > 0, specified.max_bytes > 0, "{name}");
        assert_eq!(config.discard_new_per_subject, specified.once, "{name}");
        let rings = config.republish.map(|republish| stream::Doorbell {
            source: republish.source,
            destination: republish.destination,
            headers_only: republish.headers_only,
        });
        assert_eq!(rings, specified.doorbell, "{name}");
    }
    Ok(())
}

/// N10: acknowledged means on disk.
#[test]
fn n10_a_running_broker_writes_to_disk_before_it_acknowledges() -> Result {
    let broker = Broker::single()?;
    let page = broker.monitor(0, "/varz")?;
    let always = page.pointer("/jetstream/config/sync_always").and_then(serde_json::Value::as_bool);
    ensure(always == Some(true), || format!("sync_always is {always:?}"))
}

#[test]
fn a_cluster_of_three_keeps_three_copies_of_every_stream() -> Result {
    let site = Site::cluster()?;
    let shown = site.registry.shows(&["provision", "--verify"])?.expecting(0)?;
    ensure(
        shown
            .lines
            .iter()
            .all(|line| line.get("drifts").is_none_or(|d| d.as_array().is_some_and(Vec::is_empty))),
        || shown.to_string(),
    )?;
    let leader = site.broker.leader("CHAT-0")?;
    ensure(leader < 3, || format!("leader {leader}"))
}

#[test]
fn a_restarted_broker_keeps_its_port_and_its_streams() -> Result {
    let mut site = Site::single()?;
    let before = site.broker.address(0)?;
    site.broker.kill(0)?;
    site.broker.start(0)?;
    assert_eq!(before, site.broker.address(0)?);
    let shown = testbed::wait::until("the registry is back", || {
        site.registry.shows(&["provision", "--verify"]).ok().filter(|output| output.code == 0)
    })?;
    ensure(shown.stdout.contains("CHAT-15"), || shown.to_string())
}
