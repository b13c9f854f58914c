//! Writers of a replicated registry that die while it is claimed from: how long nobody is answered, and whether a
//! package is lost or goes to two.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{Client, Request};
use cipher_broker::sign::wire_hash;
use cipher_broker::wire::registry::{Answer, Operation, Outcome, open_reply};
use futures::{StreamExt, TryStreamExt};
use testbed::registry::Registry;
use testbed::{Failure, Result, ensure, fail};
use tokio::task::JoinSet;

use crate::figure::{Figure, Goal, Report, number};
use crate::registry::{CLAIMED, UNDER_WAY, account_id, signed, signed_by};
use crate::replicated::writer;

/// Writers killed.
const KILLS: usize = 5;
/// Who claim at once, each as fast as it is answered.
const CLAIMERS: usize = 48;
/// The same bytes are sent again after this long without an answer.
const AGAIN: Duration = Duration::from_millis(500);
/// And nobody waits longer than this.
const PATIENCE: Duration = Duration::from_secs(45);
/// Accounts from which is claimed, at most.
const TARGETS: usize = 20_000;
/// Claims between two events.
const GOES_ON: usize = 1_000;
/// Numbers of the requests here: others have used those below.
const FIRST: usize = 100_000_000;

/// What all who claim share.
struct Claims {
    stop: AtomicBool,
    next: AtomicUsize,
    targets: usize,
    /// When each was answered, and the hash of what it got.
    answered: Mutex<Vec<(Instant, [u8; 32])>>,
}

/// Kills the writer again and again under load.
pub(crate) async fn writers_die(
    report: &Report,
    named: &impl Fn(&str) -> String,
    all: &mut [Registry],
    client: &Client,
    accounts: usize,
) -> Result {
    let targets = accounts.min(TARGETS);
    let before = stock(client, targets, 0).await?;
    let claims = Arc::new(Claims {
        stop: AtomicBool::new(false),
        next: AtomicUsize::new(FIRST),
        targets,
        answered: Mutex::default(),
    });
    let mut claiming = JoinSet::new();
    for _ in 0..CLAIMERS {
        claiming.spawn(claim(client.clone(), Arc::clone(&claims)));
    }
    let (begun, mut killed) = (Instant::now(), Vec::new());
    for _ in 0..KILLS {
        claims.go_on().await?;
        let writing = writer(all)?;
        let replica = all.get_mut(writing).ok_or_else(|| Failure::new("no such replica"))?;
        killed.push(Instant::now());
        replica.kill()?;
        claims.go_on().await?;
        replica.start()?;
    }
    claims.go_on().await?;
    claims.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = claiming.join_next().await {
        ended??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let left = stock(client, targets, targets).await?;
    let answered = claims.answered.lock().unwrap_or_else(PoisonError::into_inner);
    let different: HashSet<[u8; 32]> = answered.iter().map(|(_, hash)| *hash).collect();

    let gap = longest_gap(answered.iter().map(|(at, _)| *at), &killed).as_secs_f64();
    let slowest = format!("nobody was answered after the writer died, longest of {KILLS}");
    report.tell(&Figure::new(named(&slowest), gap, "s").goal(Goal::Most(5.0)));
    let rate = number(answered.len()) / seconds;
    report.tell(&Figure::new(named("claims meanwhile"), rate, "/s"));
    let twice = number(answered.len() - different.len());
    report.tell(&Figure::new(named("packages that went to two meanwhile"), twice, "").goal(Goal::Most(0.0)));
    let gone = number(before.saturating_sub(left).abs_diff(different.len()));
    report
        .tell(&Figure::new(named("packages that went to nobody meanwhile"), gone, "").goal(Goal::Most(0.0)));
    Ok(())
}

impl Claims {
    /// Waits for some more answers.
    async fn go_on(&self) -> Result {
        let count = || self.answered.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (from, begun) = (count(), Instant::now());
        while count() < from + GOES_ON {
            ensure(begun.elapsed() < PATIENCE, || "nobody answers any more".into())?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// One who claims until told to stop.
async fn claim(client: Client, claims: Arc<Claims>) -> Result {
    while !claims.stop.load(Ordering::Relaxed) {
        let n = claims.next.fetch_add(1, Ordering::Relaxed);
        let account = account_id(n % claims.targets);
        let operation = Operation::ClaimKeyPackages { account, suite: CLAIMED, device: None };
        let (subject, request) = signed(n, operation);
        let Answer::KeyPackages(packages) = ask(&client, subject, &request).await? else {
            return fail("another answer than key packages");
        };
        let at = Instant::now();
        let got = packages.iter().map(|package| (at, wire_hash(&package.key_package)));
        claims.answered.lock().unwrap_or_else(PoisonError::into_inner).extend(got);
    }
    Ok(())
}

/// Asks with the same bytes until there is an answer.
async fn ask(client: &Client, subject: String, bytes: &[u8]) -> Result<Answer> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let request = Request::new().payload(bytes.to_vec().into()).timeout(Some(AGAIN));
        let Ok(reply) = client.send_request(subject.clone(), request).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let body =
            open_reply(&reply.payload, bytes, None).map_err(|error| Failure::new(error.to_string()))?;
        return match body.outcome {
            Outcome::Answer(answer) => Ok(*answer),
            Outcome::Refused(refusal) => fail(format!("refused: {refusal}")),
        };
    }
    fail("a request was never answered")
}

/// Packages that the accounts claimed from have left, of the suite that is claimed. `first`: of the numbers of the
/// requests.
async fn stock(client: &Client, targets: usize, first: usize) -> Result<usize> {
    let counts = futures::stream::iter(0..targets).map(|who| async move {
        let (subject, request) = signed_by(who, FIRST / 2 + first + who, Operation::CountKeyPackages);
        let Answer::Stock { suites, .. } = ask(client, subject, &request).await? else {
            return fail("another answer than a count");
        };
        Ok::<_, Failure>(suites.get(&CLAIMED).copied().unwrap_or_default() as usize)
    });
    counts.buffer_unordered(UNDER_WAY).try_fold(0, |sum, count| async move { Ok(sum + count) }).await
}

/// The longest time without an answer after any of some moments and before the next.
fn longest_gap(answers: impl Iterator<Item = Instant>, killed: &[Instant]) -> Duration {
    let mut times: Vec<Instant> = answers.chain(killed.iter().copied()).collect();
    times.sort();
    let first = killed.first().copied();
    let pairs = times.iter().zip(times.iter().skip(1));
    pairs
        .filter(|(from, _)| first.is_some_and(|first| **from >= first))
        .map(|(from, to)| to.duration_since(*from))
        .max()
        .unwrap_or_default()
}
