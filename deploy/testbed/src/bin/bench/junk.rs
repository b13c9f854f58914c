//! A conversation while a neighbour floods its subjects, and what a follower pays for it.

use std::time::{Duration, Instant};

use cipher_api::Target;
use cipher_api::command::{group, message, status};
use cipher_broker::id::GroupId;
use cipher_broker::subject::{Route, Source};
use cipher_chat::session::{Need, Session};
use testbed::{Failure, Person, Result, ensure, flood};

use crate::Extent;
use crate::figure::{Figure, Goal, Report, number, percentiles};
use crate::lab::{Lab, core, send, words};
use crate::process::field;

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(12);
/// Between two messages of somebody who talks.
const BETWEEN: Duration = Duration::from_millis(40);
/// How long after a flood memory is looked at again.
const REST: Duration = Duration::from_secs(60);

/// A flood.
struct Junk {
    name: &'static str,
    per_second: u32,
    handshake: bool,
}

const FLOODS: [Junk; 2] = [
    Junk { name: "300 junk/s on a handshake subject", per_second: 300, handshake: true },
    Junk { name: "10,000 junk/s on an application subject", per_second: 10_000, handshake: false },
];

/// Each flood in a group of its own: sends before and meanwhile, and a follower as a process of its own.
pub(crate) async fn under_a_flood(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    for (n, junk) in FLOODS.iter().enumerate() {
        let people = lab.people(1).await?;
        let alice = people.first().ok_or_else(|| Failure::new("nobody"))?;
        let bob = Person::new(&format!("follower{n}"), lab.home(), &lab.site.broker.url())?;
        bob.registers()?;
        let session = lab.session(alice, Need::Everything).await?;
        let with = vec![bob.name().parse().map_err(|_| Failure::new("not a handle"))?];
        let create = group::Create { name: "flooded".into(), with, post_quantum: false };
        let made = session.ask(create).await.map_err(core)?;
        session.ask(status::Sync {}).await.map_err(core)?;
        bob.accepts("flooded")?;
        let mut screen = bob.follows("flooded")?;
        let mark = message::Send::new(Target::Group(made.id), "mark");
        session.ask(mark).await.map_err(core)?;
        screen.sees("mark")?;
        one(report, lab, junk, &session, made.id, screen.process().id(), extent).await?;
        session.close().await;
        ensure(screen.interrupt()? == 0, || "read --follow did not end in order".into())?;
    }
    Ok(())
}

async fn one(
    report: &Report,
    lab: &Lab,
    junk: &Junk,
    alice: &Session,
    group: GroupId,
    follower: u32,
    extent: Extent,
) -> Result {
    let before = cpu(follower)?;
    let mut quiet = talk(alice, group, extent.samples).await?;
    let (quiet50, quiet99) = percentiles(&mut quiet);
    let (memory, begun) = (resident(follower)?, cpu(follower)?);
    let per_message = (begun - before) / number(quiet.len());

    let client = testbed::raw::agent(&lab.site.broker).await?;
    let view = alice.ask(group::Show { target: Target::Group(group) }).await.map_err(core)?;
    let route = if junk.handshake { Route::Handshake(group) } else { Route::Application(group) };
    let bytes = flood::looks_right(&group, view.epoch, junk.handshake);
    let flooding = flood::flood(&client, route, bytes, junk.per_second, FLOOD);
    let samples = usize::try_from(FLOOD.as_millis() / BETWEEN.as_millis()).unwrap_or_default() / 2;
    let (published, times, bare) =
        tokio::join!(flooding, talk(alice, group, samples), publish_bare(lab, group, samples));
    let (published, mut times, (mut bare, unanswered)) = (published?, times?, bare?);
    let (p50, p99) = percentiles(&mut times);
    let (bare50, bare99) = percentiles(&mut bare);
    alice.ask(status::Sync {}).await.map_err(core)?;
    let peak = resident(follower)?;
    // What was said meanwhile costs a follower what it costs without junk.
    let spent = cpu(follower)? - begun - per_message * number(times.len());
    let each = spent * 1e6 / f64::from(published.max(1));

    let named = |what: &str| format!("{what}, {}", junk.name);
    report.note(&format!(
        "{published} pieces, {} messages between them at {:.2} ms of the follower's CPU each",
        times.len(),
        per_message * 1000.0
    ));
    report.note(&format!(
        "a bare publish to the same stream meanwhile: p50 {bare50:.1} ms, p99 {bare99:.1} ms, {unanswered} of {} unanswered",
        bare.len()
    ));
    report.tell(
        &Figure::new(named("send to acknowledged, p50"), p50, "ms")
            .against("without junk", quiet50)
            .goal(Goal::RatioAtMost(2.0)),
    );
    report.tell(
        &Figure::new(named("send to acknowledged, p99"), p99, "ms")
            .against("without junk", quiet99)
            .goal(Goal::Most(1000.0)),
    );
    report.tell(&Figure::new(named("CPU of a follower per piece"), each, "us").goal(Goal::Most(50.0)));
    report.tell(&Figure::new(named("follower's memory at the end"), peak, "MiB").against("before", memory));
    tokio::time::sleep(REST).await;
    report.tell(
        &Figure::new(named("follower's memory a minute later"), resident(follower)?, "MiB")
            .against("before", memory)
            .goal(Goal::RatioAtMost(1.2)),
    );
    Ok(())
}

/// One message after the other; how long each took until its sender knew that it is stored, in ms.
async fn talk(session: &Session, group: GroupId, count: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let begun = Instant::now();
        session.ask(send(group, words(256, n))).await.map_err(core)?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(BETWEEN.saturating_sub(begun.elapsed())).await;
    }
    Ok(times)
}

/// What the same stream takes for bytes of a client that does nothing else, into a conversation that nobody reads; in ms, and
/// how many got no answer in the client library's time.
async fn publish_bare(lab: &Lab, beside: GroupId, count: usize) -> Result<(Vec<f64>, usize)> {
    let context = async_nats::jetstream::new(testbed::raw::agent(&lab.site.broker).await?);
    let stream = Source::Group(beside).stream();
    let group = (0..=u8::MAX).map(|n| GroupId::from_bytes([n; 16]));
    let group = group.into_iter().find(|group| Source::Group(*group).stream() == stream && *group != beside);
    let subject = Route::Application(group.unwrap_or(beside)).to_string();
    let (mut times, mut unanswered) = (Vec::with_capacity(count), 0);
    for n in 0..count {
        let begun = Instant::now();
        let answer = context.publish(subject.clone(), words(256, n).into()).await?.await;
        unanswered += usize::from(answer.is_err());
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(BETWEEN.saturating_sub(begun.elapsed())).await;
    }
    Ok((times, unanswered))
}

fn resident(pid: u32) -> Result<f64> {
    Ok(number(usize::try_from(field(pid, "status", "VmRSS:")?).unwrap_or(usize::MAX)) / 1024.0)
}

/// Seconds of CPU, user and system, a process has had so far.
fn cpu(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold blanks: the 12th and 13th of what follows, in hundredths of a second.
    let rest = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    Ok(f64::from(ticks.sum::<u32>()) / 100.0)
}
