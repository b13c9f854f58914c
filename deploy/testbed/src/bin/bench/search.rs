//! A profile with many messages: what the index of words costs when they come, and what it gives.

use std::time::Instant;

use cipher_api::command::message::{Read, Search};
use cipher_api::command::{group, status};
use cipher_api::{Reply, Target};
use cipher_broker::id::GroupId;
use cipher_chat::session::Need;
use testbed::{Result, ensure, fail};

use crate::Extent;
use crate::brain::Brain;
use crate::figure::{Figure, Goal, Report, number, percentiles};
use crate::lab::{Lab, Somebody, core};

const GROUPS: usize = 20;
/// Messages that go into one conversation before the next one has its turn.
const TURN: usize = 1_000;
/// Searches that are timed.
const SEARCHES: usize = 200;
/// Searches and readings of a core that was just opened.
const COLD: usize = 20;

/// Fills the stores of two people with the same messages, one without an index, and searches in the other one.
pub(crate) async fn many_messages(report: &Report, lab: &mut Lab, extent: Extent) -> Result {
    let people = lab.people(3).await?;
    let [alice, bob, carol] = people.as_slice() else { return fail("three people") };
    let groups = groups_of(lab, alice, &[bob, carol]).await?;
    let count = extent.searched.div_ceil(GROUPS * TURN) * GROUPS * TURN;
    let (mut dice, mut bytes, mut seconds) = (Dice(7), 0, [0.0; 2]);
    let mut done = 0;
    while done < count {
        for group in &groups {
            let mut writer = Brain::open(alice, *group)?;
            writer.core.without_index();
            let log = writer.send_texts(TURN, |_| {
                let text = dice.text();
                bytes += text.len();
                text
            })?;
            drop(writer);
            for (n, reader) in [bob, carol].into_iter().enumerate() {
                let mut reader = Brain::open(reader, *group)?;
                if n == 1 {
                    reader.core.without_index();
                }
                let begun = Instant::now();
                let (shown, _) = reader.receive(log.clone())?;
                seconds[n] += begun.elapsed().as_secs_f64();
                ensure(shown >= TURN, || format!("{shown} of {TURN} messages were shown"))?;
            }
            done += TURN;
        }
    }
    let [with, without] = seconds.map(|seconds| number(count) / seconds);
    let all = format!("{count} messages of {} B in {GROUPS} conversations", bytes / count);
    report.tell(
        &Figure::new(format!("{all}: received with an index"), with, "msg/s")
            .against("without", without)
            .goal(Goal::RatioAtLeast(0.85)),
    );
    size_and_searches(report, bob, &groups, bytes, "as they came")?;
    longest_step(report, bob, &groups)?;
    size_and_searches(report, bob, &groups, bytes, "after a rest")?;
    let mut reads = Vec::new();
    for group in &groups {
        let begun = Instant::now();
        let mut reader = Brain::open(bob, *group)?;
        let read = Read { last: Some(50), ..Read::of(Target::Group(*group)) };
        let Reply::Messages(shown) = reader.asks(read)? else { return fail("no messages") };
        reads.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure(shown.len() == 50, || format!("{} lines were read", shown.len()))?;
    }
    let (p50, most) = percentiles(&mut reads);
    report.tell(&Figure::new("store opened and `read -n 50`, p50", p50, "ms").goal(Goal::Most(60.0)));
    report.tell(&Figure::new("store opened and `read -n 50`, most", most, "ms").goal(Goal::Most(60.0)));
    Ok(())
}

/// Conversations of one person with others.
async fn groups_of(lab: &Lab, owner: &Somebody, others: &[&Somebody]) -> Result<Vec<GroupId>> {
    let session = lab.session(owner, Need::Everything).await?;
    let mut groups = Vec::with_capacity(GROUPS);
    for n in 0..GROUPS {
        let with = others.iter().map(|who| who.handle.clone()).collect();
        let create = group::Create { name: format!("chat {n}"), with, post_quantum: false };
        groups.push(session.ask(create).await.map_err(core)?.id);
    }
    session.ask(status::Sync {}).await.map_err(core)?;
    session.close().await;
    for who in others {
        let session = lab.session(who, Need::Everything).await?;
        session.ask(status::Sync {}).await.map_err(core)?;
        for group in &groups {
            session.ask(group::Accept { target: Target::Group(*group) }).await.map_err(core)?;
        }
        session.ask(status::Sync {}).await.map_err(core)?;
        session.close().await;
    }
    Ok(groups)
}

fn size_and_searches(
    report: &Report,
    who: &Somebody,
    groups: &[GroupId],
    bytes: usize,
    when: &str,
) -> Result {
    let Some(group) = groups.first() else { return fail("no conversation") };
    let mut reader = Brain::open(who, *group)?;
    let (segments, size) = reader.core.index_size().map_err(core)?;
    report.tell(&Figure::new(format!("{when}: segments of the index"), number(segments), ""));
    let share = number(size) * 100.0 / number(bytes);
    report
        .tell(&Figure::new(format!("{when}: index, of the text's bytes"), share, "%").goal(Goal::Most(60.0)));
    let (mut times, mut hits) = (Vec::new(), 0);
    for n in 0..SEARCHES {
        let begun = Instant::now();
        hits += found(&mut reader, n)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    drop(reader);
    tell(report, &format!("{when}: search of two words, {} hits each", hits / SEARCHES), &mut times);
    let mut times = Vec::new();
    for n in 0..COLD {
        let begun = Instant::now();
        let mut reader = Brain::open(who, *group)?;
        found(&mut reader, n * 7)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    tell(report, &format!("{when}: store opened and search of two words"), &mut times);
    Ok(())
}

/// p50 and p95, which has a goal.
fn tell(report: &Report, what: &str, times: &mut [f64]) {
    let (p50, _) = percentiles(times);
    let p95 = times.get(times.len() * 95 / 100).copied().unwrap_or(f64::NAN);
    report.tell(&Figure::new(format!("{what}, p50"), p50, "ms"));
    report.tell(&Figure::new(format!("{what}, p95"), p95, "ms").goal(Goal::Most(100.0)));
}

/// Hits of two words: the beginning of a rather rare one and a frequent one.
fn found(reader: &mut Brain, n: usize) -> Result<usize> {
    let query = format!("{} {}", word(n * n % 5_000), word(n * 37 % 400));
    let search =
        Search { query, target: None, from: None, since: None, kind: None, limit: None, behind: None };
    match reader.asks(search)? {
        Reply::Found(found) => {
            ensure(found.indexing.is_none(), || "the index is not complete".into())?;
            Ok(found.hits.len())
        }
        _ => fail("a search gives what was found"),
    }
}

/// Looks after the index until nothing is left to do.
fn longest_step(report: &Report, who: &Somebody, groups: &[GroupId]) -> Result {
    let Some(group) = groups.first() else { return fail("no conversation") };
    let mut reader = Brain::open(who, *group)?;
    let mut times = reader.rests()?;
    let steps = times.len();
    let (_, most) = percentiles(&mut times);
    report.tell(&Figure::new(format!("longest of {steps} batches at rest"), most, "ms"));
    Ok(())
}

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number(usize::try_from(self.0 >> 33).unwrap_or_default()) / 2_147_483_648.0
    }

    /// A whole number below another one, which is no more than a million.
    fn below(&mut self, most: f64) -> usize {
        whole(self.throw() * most)
    }

    /// Words as people use them: few of them very often, and always new ones.
    fn text(&mut self) -> String {
        let count = 4 + self.below(28.0);
        let each: Vec<String> =
            (0..count).map(|_| word(whole(200_000_f64.powf(self.throw()) - 1.0))).collect();
        each.join(" ")
    }
}

/// What is in front of the point of a number up to a million.
fn whole(number: f64) -> usize {
    let mut found = 0_u32;
    for bit in (0..20).rev() {
        let more = found | 1 << bit;
        if f64::from(more) <= number {
            found = more;
        }
    }
    usize::try_from(found).unwrap_or_default()
}

/// A word by its number.
fn word(n: usize) -> String {
    let letters: Vec<char> = "etaoinshrdlucmfwypvbgkjqxz".chars().collect();
    let (mut n, mut word) = (n.wrapping_mul(2_654_435_761) % 1_000_003 + n * 7, String::new());
    while word.len() < 3 || n > 0 {
        word.extend(letters.get(n % 26));
        n /= 19;
    }
    word
}
