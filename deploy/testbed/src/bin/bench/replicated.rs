//! The registry as three replicas on a cluster of three brokers, all on this machine.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cipher_broker::wire::registry::Operation;
use serde_json::Value;
use testbed::registry::Registry;
use testbed::{Broker, Failure, Result};

use crate::Extent;
use crate::fail_over;
use crate::figure::{Figure, Goal, Report, number};
use crate::registry::{CLAIMED, account_id, fill, handle, measure, scattered};

/// Replicas.
const REPLICAS: usize = 3;

/// Looks up, claims, kills and catches up.
pub(crate) async fn replicas(report: &Report, extent: Extent) -> Result {
    let accounts = extent.accounts;
    let broker = Broker::cluster()?;
    let most = u32::MAX.to_string();
    let settings = [
        "--store",
        "jetstream",
        "--claims-per-target",
        &most,
        "--claims-overall",
        &most,
        "--look-ups",
        &most,
    ];
    let prepared = tempfile::tempdir()?;
    fill(prepared.path(), accounts, extent.stock).await?;
    let mut all: Vec<Registry> = Vec::new();
    for n in 0..REPLICAS {
        let mut replica = Registry::prepared(&broker, &settings)?;
        if let Some(first) = all.first() {
            replica.takes_key_of(first)?;
        }
        copy_store(prepared.path(), &replica.data())?;
        let begun = Instant::now();
        replica.start()?;
        report.note(&format!("replica {n} began in {:.1} s", begun.elapsed().as_secs_f64()));
        all.push(replica);
    }
    let named = |what: &str| format!("3 replicas, {accounts} accounts: {what}");
    writer(&all)?;
    wait_published(&all, accounts)?;

    let client = testbed::raw::agent(&broker).await?;
    let resolve = |n: usize| Ok::<_, Failure>(Operation::Resolve { handle: handle(scattered(n, accounts))? });
    measure(report, &client, &named("resolve"), 5_000, &resolve).await?;
    let claim = |n: usize| {
        let account = account_id(scattered(n, accounts));
        Ok::<_, Failure>(Operation::ClaimKeyPackages { account, suite: CLAIMED, device: None })
    };
    let before = applied(&all)?;
    let claims = measure(report, &client, &named("claim"), 2_000, &claim).await?;
    let records = applied(&all)?.saturating_sub(before);
    let records = number(usize::try_from(records).unwrap_or(usize::MAX));
    report.tell(&Figure::new(named("claims per record"), number(claims) / records, ""));

    // A replica with the folder from before all that: reads the log to its end before it is ready.
    let last = all.last_mut().ok_or_else(|| Failure::new("no replica"))?;
    last.stop()?;
    let begun = Instant::now();
    last.start()?;
    let start = begun.elapsed().as_secs_f64();
    report.tell(&Figure::new(named("start to ready"), start, "s").goal(Goal::Most(2.0)));
    last.stop()?;
    copy_store(prepared.path(), &last.data())?;
    let begun = Instant::now();
    last.start()?;
    let rate = number(claims) / (begun.elapsed().as_secs_f64() - start).max(0.001);
    report.tell(&Figure::new(named("claims made again by a late replica"), rate, "/s"));

    fail_over::writers_die(report, &named, &mut all, &client, accounts).await?;
    for replica in &mut all {
        replica.stop()?;
    }
    Ok(())
}

fn health(all: &[Registry]) -> Result<Vec<Value>> {
    let first = all.first().ok_or_else(|| Failure::new("no replica"))?;
    Ok(first.shows(&["replicas"])?.expecting(0)?.lines)
}

pub(crate) fn writer(all: &[Registry]) -> Result<usize> {
    testbed::wait::until("somebody writes", || {
        let health = health(all).ok()?;
        let writing = health.iter().find(|line| line["writes"] == true)?;
        all.iter().position(|replica| replica.replica() == writing["replica"].as_str())
    })
}

/// Records that the writer has.
fn applied(all: &[Registry]) -> Result<u64> {
    let health = health(all)?;
    Ok(health.iter().filter_map(|line| line["applied"].as_u64()).max().unwrap_or_default())
}

/// The first writer publishes the whole account log.
fn wait_published(all: &[Registry], accounts: usize) -> Result {
    let first = all.first().ok_or_else(|| Failure::new("no replica"))?;
    testbed::wait::within(Duration::from_secs(600), &format!("{accounts} statements are published"), || {
        let head = first.shows(&["heads"]).ok()?.of_type("head").ok()?;
        (head["unpublished"].as_u64()? == 0).then_some(())
    })
}

fn copy_store(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    let copy = to.join("registry.redb");
    fs::copy(from.join("registry.redb"), &copy)?;
    // Else the disk writes gigabytes of it while the registry is measured.
    fs::File::open(copy)?.sync_all()?;
    Ok(())
}
