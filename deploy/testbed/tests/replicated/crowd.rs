//! People who take each other's key packages as fast as they are answered, and count what they got.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::{Client, Request};
use cipher_broker::sign::wire_hash;
use cipher_broker::subject;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::refusal::{Code, Refusal};
use cipher_broker::wire::registry::{Answer, Operation, Outcome, open_reply};
use serde_bytes::ByteBuf;
use testbed::{Broker, Failure, Result, ensure, fail};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::support::{DAY, HOUR, Person, SUITE};

/// Everybody asks again with the same bytes after this long.
const AGAIN: Duration = Duration::from_secs(1);
/// And gives up after this long: the registry keeps its answers for a minute.
const PATIENCE: Duration = Duration::from_secs(45);
/// Packages that an owner brings at once, when fewer are left.
const REFILL: usize = 40;

/// Owners of key packages and those who take them.
pub(crate) struct Crowd {
    runtime: Runtime,
    client: Client,
    owners: Vec<Person>,
    takers: Vec<Person>,
    shared: Arc<Shared>,
    running: Vec<JoinHandle<Result>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// When each claim was answered, and the hash of what it got.
    claimed: Mutex<Vec<(Instant, [u8; 32])>>,
    brought: AtomicUsize,
    repeated: AtomicUsize,
}

/// What came of it all.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Packages that were brought and acknowledged.
    pub(crate) brought: usize,
    /// Packages that were handed out and received.
    pub(crate) claimed: usize,
    /// Packages that are left.
    pub(crate) left: usize,
    /// Requests that had to be repeated.
    pub(crate) repeated: usize,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Asks whoever answers, again and again: what changes something with the same bytes. What only reads is asked anew,
/// because a replica reads once for the same bytes (G10), and the answer to an earlier try may have been lost.
async fn ask(
    client: &Client,
    person: &Person,
    operation: Operation,
    shared: &Shared,
) -> Result<Result<Answer, Refusal>> {
    let name = operation.name();
    let reads = matches!(operation, Operation::CountKeyPackages);
    let mut bytes = person.request(operation.clone(), now());
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let request = Request::new().payload(bytes.clone().into()).timeout(Some(AGAIN));
        match client.send_request(subject::registry(name), request).await {
            Ok(reply) => {
                let body = open_reply(&reply.payload, &bytes, None)?;
                return Ok(match body.outcome {
                    Outcome::Answer(answer) => Ok(*answer),
                    Outcome::Refused(refusal) => Err(refusal),
                });
            }
            Err(_) => {
                shared.repeated.fetch_add(1, Ordering::Relaxed);
                if reads {
                    bytes = person.request(operation.clone(), now());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    fail(format!("{name} was not answered in {} s", PATIENCE.as_secs()))
}

impl Crowd {
    /// Accounts for everybody.
    pub(crate) fn gather(broker: &Broker, owners: u8, takers: u8) -> Result<Self> {
        let runtime = Runtime::new()?;
        let client = runtime.block_on(testbed::raw::agent(broker))?;
        let people = |prefix: &str, from: u8, count: u8| -> Vec<Person> {
            (from..from.saturating_add(count))
                .map(|seed| Person::new(&format!("{prefix}{seed}"), seed))
                .collect()
        };
        let (owners, takers) = (people("owner", 1, owners), people("taker", 100, takers));
        let shared = Arc::new(Shared::default());
        runtime.block_on(async {
            for person in owners.iter().chain(&takers) {
                let made = ask(&client, person, person.create(), &shared).await?;
                ensure(made == Ok(Answer::Done), || format!("{made:?}"))?;
            }
            for owner in &owners {
                refill(&client, owner, &shared).await?;
            }
            Ok::<_, Failure>(())
        })?;
        Ok(Self { runtime, client, owners, takers, shared, running: Vec::new() })
    }

    /// Everybody begins: takers take, owners bring new packages.
    pub(crate) fn begin(&mut self) {
        let count = self.owners.len();
        for (n, taker) in self.takers.iter().enumerate() {
            let (client, taker, shared) = (self.client.clone(), taker.clone(), Arc::clone(&self.shared));
            let targets: Vec<_> = self.owners.iter().map(|owner| owner.account).collect();
            self.running.push(self.runtime.spawn(async move {
                let mut turn = n;
                while !shared.stop.load(Ordering::Relaxed) {
                    turn = turn.wrapping_add(1);
                    let account = *targets.get(turn % count).unwrap();
                    let claim = Operation::ClaimKeyPackages { account, suite: SUITE.into(), device: None };
                    match ask(&client, &taker, claim, &shared).await? {
                        Ok(Answer::KeyPackages(packages)) => {
                            let at = Instant::now();
                            let mut claimed = shared.claimed.lock().unwrap();
                            claimed.extend(packages.iter().map(|got| (at, wire_hash(&got.key_package))));
                        }
                        Err(refusal) if refusal.code == Code::NoKeyPackage => tokio::task::yield_now().await,
                        other => return fail(format!("{other:?}")),
                    }
                }
                Ok(())
            }));
        }
        for owner in &self.owners {
            let (client, owner, shared) = (self.client.clone(), owner.clone(), Arc::clone(&self.shared));
            self.running.push(self.runtime.spawn(async move {
                while !shared.stop.load(Ordering::Relaxed) {
                    match ask(&client, &owner, Operation::CountKeyPackages, &shared).await? {
                        Ok(Answer::Stock { one_time, .. }) if one_time as usize <= REFILL => {
                            refill(&client, &owner, &shared).await?;
                        }
                        Ok(Answer::Stock { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                        other => return fail(format!("{other:?}")),
                    }
                }
                Ok(())
            }));
        }
    }

    /// Claims that were answered so far.
    pub(crate) fn claims(&self) -> usize {
        self.shared.claimed.lock().unwrap().len()
    }

    /// Waits until so many more claims were answered.
    pub(crate) fn goes_on(&self, more: usize) -> Result {
        let target = self.claims() + more;
        testbed::wait::until("claims are answered", || (self.claims() >= target).then_some(()))
    }

    /// The longest time without an answer that began between two moments.
    pub(crate) fn longest_silence(&self, from: Instant, to: Instant) -> Duration {
        let mut times: Vec<Instant> = self.shared.claimed.lock().unwrap().iter().map(|(at, _)| *at).collect();
        times.sort();
        let before = times.iter().rev().find(|at| **at <= from).copied().unwrap_or(from).max(from);
        let mut last = before;
        let mut longest = Duration::ZERO;
        for at in times.into_iter().filter(|at| *at > from) {
            if last > to {
                break;
            }
            longest = longest.max(at.duration_since(last));
            last = at;
        }
        longest
    }

    /// Everybody stops; counts. Fails when a package went to two, or came from nowhere.
    pub(crate) fn end(mut self) -> Result<Tally> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let running = std::mem::take(&mut self.running);
        self.runtime.block_on(async {
            for task in running {
                task.await.map_err(|error| Failure::new(error.to_string()))??;
            }
            let mut left = 0;
            for owner in &self.owners {
                match ask(&self.client, owner, Operation::CountKeyPackages, &self.shared).await? {
                    Ok(Answer::Stock { one_time, .. }) => left += one_time as usize,
                    other => return fail(format!("{other:?}")),
                }
            }
            let claimed = self.shared.claimed.lock().unwrap();
            let unique: HashSet<[u8; 32]> = claimed.iter().map(|(_, hash)| *hash).collect();
            ensure(unique.len() == claimed.len(), || {
                format!("{} claims got only {} packages: some went to two", claimed.len(), unique.len())
            })?;
            let brought = self.shared.brought.load(Ordering::Relaxed);
            let repeated = self.shared.repeated.load(Ordering::Relaxed);
            Ok(Tally { brought, claimed: claimed.len(), left, repeated })
        })
    }
}

async fn refill(client: &Client, owner: &Person, shared: &Shared) -> Result {
    let owner_too = owner.clone();
    let packages = tokio::task::spawn_blocking(move || {
        let make = || owner_too.package(SUITE, now().minus(HOUR), now().plus(DAY * 84));
        (0..REFILL).map(|_| ByteBuf::from(make())).collect::<Vec<_>>()
    });
    let one_time = packages.await.map_err(|error| Failure::new(error.to_string()))?;
    let publish = Operation::PublishKeyPackages { one_time, last_resort: None };
    match ask(client, owner, publish, shared).await? {
        Ok(Answer::Done) => {
            shared.brought.fetch_add(REFILL, Ordering::Relaxed);
            Ok(())
        }
        other => fail(format!("{other:?}")),
    }
}
