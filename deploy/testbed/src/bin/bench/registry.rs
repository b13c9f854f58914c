//! The registry with many accounts: how fast it starts, looks up and hands out, over a real broker.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::{Client, RequestErrorKind};
use cipher_broker::certificate::{CertificateBody, DeviceCertificate, Kind};
use cipher_broker::codec;
use cipher_broker::handle::Handle;
use cipher_broker::id::{AccountId, DeviceId};
use cipher_broker::sign::{Purpose, Signed, digest, wire_hash};
use cipher_broker::subject;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::registry::{
    Operation, Outcome, Presence, PublicProfile, RequestBody, SignedProfile, open_reply, seal_request,
};
use cipher_broker::wire::statement::{Statement, StatementKind};
use cipher_registry::{Filled, Store, fill_unverified};
use ed25519_dalek::SigningKey;
use futures::StreamExt;
use serde_json::Value;
use testbed::registry::Registry;
use testbed::{Broker, Failure, Result, ensure, fail};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, number, percentiles};
use crate::process::field;

/// Requests under way at once.
pub(crate) const UNDER_WAY: usize = 48;
/// Requests of one measurement.
const REQUESTS: usize = 30_000;
/// Accounts that ask.
const ASKING: usize = 64;
/// Sizes of key packages as agents make them, and their suites.
const PACKAGES: [(u16, usize); 2] = [(0x0003, 900), (0x004F, 3_300)];
/// Of the suite that is claimed.
pub(crate) const CLAIMED: u16 = PACKAGES[0].0;
const DAY: Duration = Duration::from_secs(86_400);

/// Everything about a registry that holds many accounts.
pub(crate) async fn many_accounts(report: &Report, extent: Extent, kept: Option<&Path>) -> Result {
    let (accounts, stock) = (extent.accounts, extent.stock);
    let broker = Broker::single()?;
    let mut registry = Registry::beside(&broker)?;
    registry.stop()?;
    let data = registry.data();
    let filled = kept.is_some_and(|kept| kept.join("registry.redb").exists());
    if let Some(kept) = kept {
        fs::create_dir_all(kept)?;
        fs::remove_dir_all(&data)?;
        symlink(kept, &data)?;
    }
    if !filled {
        let seconds = fill(&data, accounts, stock).await?;
        let what = format!("{accounts} accounts with {stock} key packages per suite");
        report.note(&format!("{what}: filled in {seconds:.0} s"));
    }
    let named = |what: &str| format!("registry, {accounts} accounts: {what}");
    let size = fs::metadata(data.join("registry.redb"))?.len();
    let size = number(usize::try_from(size).unwrap_or(usize::MAX)) / 1_048_576.0;
    report.tell(&Figure::new(named("store on disk"), size, "MiB"));

    // The first start publishes the whole account log; the second one is like any other.
    let most = u32::MAX.to_string();
    let plenty = ["--claims-per-target", &most, "--claims-overall", &most, "--look-ups", &most];
    registry.start_with(&plenty)?;
    let begun = Instant::now();
    while unpublished(&registry)? > 0 {
        ensure(begun.elapsed() < Duration::from_secs(600), || "the log is not published".into())?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let rate = number(accounts) / begun.elapsed().as_secs_f64();
    report.tell(&Figure::new(named("publishing the account log"), rate, "/s"));
    registry.stop()?;
    let begun = Instant::now();
    registry.start_with(&plenty)?;
    let start = begun.elapsed().as_secs_f64();
    report.tell(&Figure::new(named("start to ready"), start, "s").goal(Goal::Most(2.0)));
    resident(report, &named("resident after start"), &mut registry)?;

    let client = testbed::raw::agent(&broker).await?;
    let resolve = |n: usize| Ok::<_, Failure>(Operation::Resolve { handle: handle(scattered(n, accounts))? });
    measure(report, &client, &named("resolve"), 5_000, &resolve).await?;
    let claim = |n: usize| {
        let account = account_id(scattered(n, accounts));
        Ok::<_, Failure>(Operation::ClaimKeyPackages { account, suite: CLAIMED, device: None })
    };
    measure(report, &client, &named("claim"), 2_000, &claim).await?;
    resident(report, &named("resident after load"), &mut registry)?;
    registry.kill()?;
    let begun = Instant::now();
    if registry.start_with(&plenty).is_err() {
        report.note(&format!("not ready {:.0} s after kill -9", begun.elapsed().as_secs_f64()));
        return Ok(());
    }
    report.tell(&Figure::new(named("start to ready after kill -9"), begun.elapsed().as_secs_f64(), "s"));
    registry.stop()
}

fn resident(report: &Report, name: &str, registry: &mut Registry) -> Result {
    let pid = registry.pid().ok_or_else(|| Failure::new("the registry does not run"))?;
    let kib = field(pid, "status", "VmRSS:")?;
    let mib = number(usize::try_from(kib).unwrap_or(usize::MAX)) / 1024.0;
    report.tell(&Figure::new(name, mib, "MiB"));
    Ok(())
}

fn unpublished(registry: &Registry) -> Result<u64> {
    let output = registry.shows(&["heads"])?.expecting(0)?;
    let head = output.of_type("head")?;
    head.get("unpublished").and_then(Value::as_u64).ok_or_else(|| Failure::new(head.to_string()))
}

/// Spreads numbers over all accounts.
pub(crate) fn scattered(n: usize, accounts: usize) -> usize {
    n.wrapping_mul(2_654_435_761) % accounts
}

pub(crate) fn handle(n: usize) -> Result<Handle> {
    format!("person-{n}").parse().map_err(|_| Failure::new("not a handle"))
}

/// Account and device key of an account.
pub(crate) fn keys(n: usize) -> (SigningKey, SigningKey) {
    let key = |label| SigningKey::from_bytes(&digest(label, &[&n.to_be_bytes()]));
    (key("bench/account"), key("bench/device"))
}

/// The id of an account.
pub(crate) fn account_id(n: usize) -> AccountId {
    AccountId::of_key(&keys(n).0.verifying_key().to_bytes())
}

fn device_of(account: &AccountId) -> DeviceId {
    DeviceId::from_bytes(account.as_bytes().first_chunk().copied().unwrap_or_default())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default())
}

/// Fills a store with accounts; gives how long it took, in seconds.
pub(crate) async fn fill(data: &Path, accounts: usize, stock: usize) -> Result<f64> {
    let begun = Instant::now();
    let store = Store::open_folder(data)?;
    let filling = tokio::task::spawn_blocking(move || {
        // In the order of their ids: neighbours in the tables are written one after the other, else a million takes hours.
        let mut order: Vec<_> = (0..accounts).map(|n| (account_id(n), n)).collect();
        order.sort_unstable();
        let order = Arc::new(order);
        let (sender, made) = mpsc::sync_channel(4_096);
        let writer = std::thread::spawn(move || fill_unverified(&store, made));
        let makers: Vec<_> = (0..2)
            .map(|maker| {
                let (sender, order) = (sender.clone(), Arc::clone(&order));
                std::thread::spawn(move || {
                    let mut mine = order.iter().skip(maker).step_by(2);
                    mine.all(|(_, n)| account(*n, stock).is_ok_and(|filled| sender.send(filled).is_ok()))
                })
            })
            .collect();
        drop(sender);
        let made = makers.into_iter().all(|maker| maker.join().unwrap_or(false));
        (made, writer.join())
    });
    let (made, written) = filling.await?;
    let Ok(written) = written else { return fail("filling panicked") };
    ensure(made && written? == accounts as u64, || "not all accounts were made".into())?;
    Ok(begun.elapsed().as_secs_f64())
}

/// An account as a registration would leave it.
fn account(n: usize, stock: usize) -> Result<Filled> {
    let (account_key, device_key) = keys(n);
    let (public, at) = (account_key.verifying_key().to_bytes(), now());
    let (account, handle) = (AccountId::of_key(&public), handle(n)?);
    let device = device_of(&account);
    let body = CertificateBody {
        account,
        account_key: public,
        device,
        device_key: device_key.verifying_key().to_bytes(),
        kind: Kind::Person,
        owner: None,
        not_before: at,
        not_after: at.plus(DAY * 365),
        serial: 1,
    };
    let certificate = DeviceCertificate::sign(&body, &account_key);
    let claim =
        StatementKind::Create { handle: handle.clone(), certificate: wire_hash(&certificate.to_bytes()) };
    let statement = Statement { account, sequence: 0, previous: [0; 32], at, claim };
    let profile = PublicProfile {
        account,
        name: format!("Person {n}"),
        status: String::new(),
        presence: Presence::Available,
        version: 0,
    };
    let profile = Signed::new(&device_key, Purpose::Profile, codec::encode(&profile));
    let ends = at.plus(DAY * 84);
    let packages = PACKAGES
        .iter()
        .flat_map(|(suite, size)| (0..stock).map(move |which| (*suite, ends, package(n, which, *size))))
        .collect();
    Ok(Filled {
        handle,
        account,
        device,
        device_key: body.device_key,
        statement: Signed::new(&account_key, Purpose::AccountStatement, codec::encode(&statement)),
        certificate,
        profile: SignedProfile { device, profile },
        packages,
    })
}

/// Bytes like no other package of its suite: whether one went to two can be seen.
fn package(account: usize, which: usize, size: usize) -> Vec<u8> {
    let mut bytes = vec![b'p'; size];
    let name = account.to_be_bytes().into_iter().chain(which.to_be_bytes());
    bytes.iter_mut().zip(name).for_each(|(to, from)| *to = from);
    bytes
}

/// How fast it is when as much is asked as it answers, then how long answers take when it is asked at the rate that
/// is the goal. Gives how many requests were answered in all.
pub(crate) async fn measure(
    report: &Report,
    client: &Client,
    name: &str,
    goal: usize,
    operation: &impl Fn(usize) -> Result<Operation>,
) -> Result<usize> {
    let most = load(client, 0, None, operation).await?;
    let what = format!("{name}, {UNDER_WAY} under way");
    report.tell(&Figure::new(&what, most.per_second, "/s").goal(Goal::Least(number(goal))));
    report.tell(&Figure::new(format!("{what}, p50"), most.p50, "ms"));
    report.tell(&Figure::new(format!("{what}, p99"), most.p99, "ms"));
    let paced = load(client, REQUESTS, Some(goal), operation).await?;
    let what = format!("{name}, {goal}/s");
    report.tell(&Figure::new(format!("{what}, p50"), paced.p50, "ms"));
    report.tell(&Figure::new(format!("{what}, p99"), paced.p99, "ms").goal(Goal::Most(20.0)));
    Ok(2 * REQUESTS)
}

/// What a load showed.
struct Rates {
    per_second: f64,
    p50: f64,
    p99: f64,
}

/// A request of one of those who ask, and where it goes.
pub(crate) fn signed(n: usize, operation: Operation) -> (String, Vec<u8>) {
    signed_by(n % ASKING, n, operation)
}

/// A request of an account.
pub(crate) fn signed_by(who: usize, n: usize, operation: Operation) -> (String, Vec<u8>) {
    let (account, key) = keys(who);
    let account = AccountId::of_key(&account.verifying_key().to_bytes());
    let subject = subject::registry(operation.name());
    let (mut nonce, issued_at) = ([0; 16], now());
    let parts = issued_at.as_millis().to_be_bytes().into_iter().chain(n.to_be_bytes());
    nonce.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    let body = RequestBody { nonce, issued_at, account, device: device_of(&account), operation };
    (subject, seal_request(&body, &key))
}

/// Asks many things: so many under way at once, or so many a second whatever is under way, each counted from when it
/// was due. Requests are signed before; one reply in sixteen is verified, all must be answers.
async fn load(
    client: &Client,
    first: usize,
    per_second: Option<usize>,
    operation: &impl Fn(usize) -> Result<Operation>,
) -> Result<Rates> {
    let mut requests = Vec::with_capacity(REQUESTS);
    for n in first..first + REQUESTS {
        let (subject, request) = signed(n, operation(n)?);
        requests.push((n, subject, request));
    }
    let begun = Instant::now();
    let mut times: Vec<f64> = futures::stream::iter(requests)
        .map(|(n, subject, request)| async move {
            let due =
                per_second.map(|rate| begun + Duration::from_secs_f64(number(n - first) / number(rate)));
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            let asked = due.unwrap_or_else(Instant::now);
            let reply = match client.request(subject, request.clone().into()).await {
                Ok(reply) => reply,
                // More was asked than it can do: that shows as time.
                Err(error) if due.is_some() && error.kind() == RequestErrorKind::TimedOut => {
                    return Ok(asked.elapsed().as_secs_f64() * 1000.0);
                }
                Err(error) => return Err(error.into()),
            };
            let took = asked.elapsed().as_secs_f64() * 1000.0;
            if n % 16 == 0 {
                let body = open_reply(&reply.payload, &request, None)
                    .map_err(|error| Failure::new(error.to_string()))?;
                if let Outcome::Refused(refusal) = body.outcome {
                    return fail(format!("refused: {refusal}"));
                }
            }
            Ok::<_, Failure>(took)
        })
        // Those that are not due yet wait too.
        .buffer_unordered(if per_second.is_some() { REQUESTS } else { UNDER_WAY })
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    let per_second = number(times.len()) / begun.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut times);
    Ok(Rates { per_second, p50, p99 })
}
