//! Two front ends and the commands of one profile, a daemon that has it open, and another person who answers: people say
//! things, edit and delete them, and whoever takes part is killed at any moment. Afterwards each front end has heard every
//! event that the profile kept: none is missing, and none came twice, except to the named subscriber that had not acknowledged
//! it yet, and then at the same cursor. What they know of each message is what is in the profile.
//!
//! `cargo xtask soak --minutes N --seed N` runs it longer; a failure prints the seed and what happened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::person::text;
use testbed::wait::{self, PATIENCE};
use testbed::{Failure, Person, Result, Screen, Site, ensure, fail};

use crate::program::Program;
use crate::torture::{Dice, number};

/// How long, unless SOAK_SECONDS says it.
const SECONDS: u64 = 20;
/// The seed, unless SOAK_SEED says another one.
const SEED: u64 = 7;
/// Name of the subscriber whose cursor the profile keeps.
const NAME: &str = "soak";
/// Longest time between two blows to the daemon, and in which one front end lives.
const DAEMON_MS: u64 = 8_000;
const FRONT_MS: u64 = 8_000;
/// Longest time between two commands of one person.
const TALK_MS: u64 = 700;
/// Messages that a person may still edit or delete.
const AT_HAND: usize = 20;
/// Events of one page, when the profile is asked for all of them.
const PAGE: u64 = 1024;
/// How often it is told how far a long run is.
const REPORT: Duration = Duration::from_secs(60);

/// What happened so far.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, since: Instant, line: &str) {
        let line = format!("{:>7} ms  {line}", since.elapsed().as_millis());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The last of it.
    fn end(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(60)).cloned().collect::<Vec<_>>().join("\n")
    }
}

/// What everybody who takes part goes by.
struct Play<'a> {
    began: Instant,
    time: Duration,
    diary: &'a Diary,
    /// Nobody is killed any more.
    over: AtomicBool,
    /// The last event of all, once it is known.
    goal: AtomicU64,
}

impl Play<'_> {
    fn note(&self, line: &str) {
        self.diary.note(self.began, line);
    }

    /// What fails ends all of it.
    fn watched<T>(&self, done: Result<T>) -> Result<T> {
        if done.is_err() {
            self.over.store(true, Ordering::Release);
        }
        done
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn goal(&self) -> Option<u64> {
        Some(self.goal.load(Ordering::Acquire)).filter(|goal| *goal > 0)
    }
}

/// What an event is, however late it is told: the words that it comes with are those of the moment.
fn mark(event: &Value) -> Option<String> {
    let of = |event: &Value, name: &str| text(event, name).unwrap_or_default().to_owned();
    Some(match text(event, "type")? {
        kind @ ("message" | "event") => format!("{kind} {}", of(event, "id")),
        "changed" => format!("changed {}", of(event.get("message")?, "id")),
        "state" => format!("{} is {}", of(event, "id"), of(event, "state")),
        "warning" => format!("warning {}", event.get("notice")?),
        // Of a group only how it is now is told again; the others are kept nowhere.
        _ => return None,
    })
}

/// A message as it is known: its words, and whether it was edited or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    words: String,
    edited: bool,
    deleted: bool,
}

impl Known {
    fn of(message: &Value) -> Self {
        let is = |name: &str| message.get(name).and_then(Value::as_bool).unwrap_or_default();
        let words = text(message, "text").unwrap_or_default().to_owned();
        Self { words, edited: is("edited"), deleted: is("deleted") }
    }
}

/// How a front end knows where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It keeps its cursor itself.
    Own,
    /// The profile keeps it, as far as it acknowledges.
    Named,
}

/// A front end that is killed and comes again.
struct Front<'a> {
    person: &'a Person,
    play: &'a Play<'a>,
    stand: Stand,
    dice: Dice,
    program: Program,
    /// Where it began.
    begin: Option<u64>,
    /// Behind what it heard.
    cursor: u64,
    /// Behind what it heard over the lines that are open.
    line: Option<u64>,
    /// The event at each cursor.
    heard: BTreeMap<u64, String>,
    known: BTreeMap<String, Known>,
    /// Acknowledgements by the id of their request, and the last that was answered.
    sent: BTreeMap<u64, u64>,
    acknowledged: u64,
    calls: u64,
    repeats: u64,
    deaths: u64,
}

impl<'a> Front<'a> {
    fn start(person: &'a Person, play: &'a Play<'a>, stand: Stand, dice: Dice) -> Result<Self> {
        let mut front = Self {
            person,
            play,
            stand,
            dice,
            program: Program::start(person)?,
            begin: None,
            cursor: 0,
            line: None,
            heard: BTreeMap::new(),
            known: BTreeMap::new(),
            sent: BTreeMap::new(),
            acknowledged: 0,
            calls: 10,
            repeats: 0,
            deaths: 0,
        };
        front.subscribes();
        let until = Instant::now() + PATIENCE;
        while front.begin.is_none() {
            front.listens(until)?;
        }
        Ok(front)
    }

    fn subscribes(&mut self) {
        let after = self.begin.filter(|_| self.stand == Stand::Own).map(|_| self.cursor.to_string());
        let name = (self.stand == Stand::Named).then_some(NAME);
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "hello", "params": { "version": 1 } });
        let params = json!({ "after": after, "subscriber": name });
        let subscribe = json!({ "jsonrpc": "2.0", "id": 2, "method": "subscribe", "params": params });
        self.line = None;
        // If it is gone already, that shows when it is listened to.
        drop(self.program.says(&hello).and_then(|()| self.program.says(&subscribe)));
    }

    /// Lives until it has heard the last event of all.
    fn lives(mut self) -> Result<Self> {
        let mut dies = Instant::now() + self.dice.pause(FRONT_MS);
        let mut until = None;
        loop {
            if self.play.is_over() {
                let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE * 4);
                if self.play.goal().is_some_and(|goal| self.cursor >= goal) {
                    return Ok(self);
                }
                ensure(Instant::now() < until, || {
                    format!("{:?}: stands at {} of {:?}", self.stand, self.cursor, self.play.goal())
                })?;
            } else if Instant::now() >= dies {
                self.program.process.kill()?;
                self.deaths += 1;
                dies = Instant::now() + self.dice.pause(FRONT_MS);
            }
            self.listens(dies.min(Instant::now() + Duration::from_millis(200)))?;
        }
    }

    /// Hears one line if there is one by then; comes again when its program is gone.
    fn listens(&mut self, until: Instant) -> Result {
        match self.program.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => self.hears(&line).map_err(|failure| failure.and(format!("{:?}: {line}", self.stand))),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.program.process.wait(PATIENCE)?;
                // Its own process was killed, or the one that had the profile open.
                ensure(status.code().is_none_or(|code| code == 7), || format!("rpc ends with {status}"))?;
                self.program = Program::start(self.person)?;
                self.sent.clear();
                self.subscribes();
                Ok(())
            }
        }
    }

    fn hears(&mut self, line: &Value) -> Result {
        let cursor = |at: &str| line.pointer(at).and_then(Value::as_str).and_then(|text| text.parse().ok());
        if line.get("error").is_some() {
            return fail("a request was refused");
        }
        match line.get("id").and_then(Value::as_u64) {
            Some(2) => {
                let begins: u64 = cursor("/result/cursor").ok_or_else(|| Failure::new("no cursor"))?;
                return self.begins(begins);
            }
            Some(id) => {
                if let Some(cursor) = self.sent.remove(&id) {
                    self.acknowledged = self.acknowledged.max(cursor);
                }
                return Ok(());
            }
            None => {}
        }
        let at: u64 = cursor("/params/cursor").ok_or_else(|| Failure::new("no cursor"))?;
        let before = self.line.replace(at).ok_or_else(|| Failure::new("told before it was answered"))?;
        ensure(at >= before, || format!("{at} comes behind {before}"))?;
        self.cursor = self.cursor.max(at);
        let Some(event) = line.pointer("/params/event") else { return Ok(()) };
        ensure(text(event, "type") != Some("missed"), || "it missed something".into())?;
        let Some(mark) = mark(event) else { return Ok(()) };
        ensure(at > before, || format!("two events at {at}"))?;
        let message = event.get("message").unwrap_or(event);
        if let Some(id) = text(message, "id").filter(|_| text(event, "type") != Some("state")) {
            self.known.insert(id.to_owned(), Known::of(message));
        }
        match self.heard.insert(at, mark.clone()) {
            Some(other) if other != mark => return fail(format!("{at} was '{other}' and is '{mark}'")),
            Some(_) => {
                ensure(self.stand == Stand::Named, || format!("{at} came twice"))?;
                self.repeats += 1;
            }
            None => {}
        }
        if self.stand == Stand::Named && self.dice.below(3) == 0 {
            self.acknowledges(at);
        }
        Ok(())
    }

    /// A subscription begins where it has to.
    fn begins(&mut self, at: u64) -> Result {
        self.line = Some(at);
        if self.begin.is_none() {
            (self.begin, self.cursor, self.acknowledged) = (Some(at), at, at);
            return Ok(());
        }
        match self.stand {
            Stand::Own => ensure(at == self.cursor, || format!("begins at {at} and not at {}", self.cursor)),
            // An acknowledgement that had no answer may have been heard.
            Stand::Named => ensure((self.acknowledged..=self.cursor).contains(&at), || {
                format!("begins at {at}; acknowledged {}, heard {}", self.acknowledged, self.cursor)
            }),
        }
    }

    fn acknowledges(&mut self, at: u64) {
        self.calls += 1;
        self.sent.insert(self.calls, at);
        let params = json!({ "subscriber": NAME, "cursor": at.to_string() });
        let call =
            json!({ "jsonrpc": "2.0", "id": self.calls, "method": "event.acknowledge", "params": params });
        drop(self.program.says(&call));
    }
}

/// What a person said, as far as its commands told.
#[derive(Default)]
struct Said {
    /// The messages by their words as they were said first, with everything that they may be now.
    messages: BTreeMap<String, Vec<Known>>,
    /// Words of commands that were killed or failed: said once or not at all.
    perhaps: Vec<String>,
}

/// A person who says, edits and deletes until it is over; some of its commands are killed.
fn talks(person: &Person, mut dice: Dice, play: &Play<'_>) -> Result<Said> {
    let mut said = Said::default();
    // Id and first words of messages that can be changed.
    let mut at_hand: Vec<(String, String)> = Vec::new();
    let mut n = 0u64;
    while !play.is_over() {
        thread::park_timeout(dice.pause(TALK_MS));
        n += 1;
        let words = format!("{} {n}", person.name());
        let which = usize::try_from(dice.below(at_hand.len() as u64)).unwrap_or_default();
        let old = at_hand.get(which).cloned();
        match (dice.below(10), old) {
            (0..=1, Some((id, first))) => {
                let now = Known { words: words.clone(), edited: true, deleted: false };
                match does(person, &["edit", &id, &words], &mut dice, play)? {
                    Some(_) => _ = said.messages.insert(first, vec![now]),
                    None => said.messages.entry(first).or_default().push(now),
                }
            }
            (2, Some((id, first))) => {
                at_hand.remove(which);
                let done = does(person, &["delete", &id], &mut dice, play)?.is_some();
                let maybe = said.messages.entry(first).or_default();
                if done {
                    maybe.clear();
                }
                // Whether its former words were others is not told of one that is gone.
                maybe.push(Known { words: String::new(), edited: false, deleted: true });
            }
            (3, _) => _ = does(person, &["read", "team", "-n", "5"], &mut dice, play)?,
            _ => match does(person, &["send", "team", &words], &mut dice, play)? {
                Some(lines) => {
                    let id = lines.iter().find_map(|line| text(line, "id"));
                    at_hand.push((id.unwrap_or_default().to_owned(), words.clone()));
                    if at_hand.len() > AT_HAND {
                        at_hand.remove(0);
                    }
                    let known = Known { words: words.clone(), edited: false, deleted: false };
                    said.messages.insert(words, vec![known]);
                }
                None => said.perhaps.push(words),
            },
        }
    }
    Ok(said)
}

/// A command, which may be killed. Its lines, or `None` when it is not known whether it was done.
fn does(person: &Person, command: &[&str], dice: &mut Dice, play: &Play<'_>) -> Result<Option<Vec<Value>>> {
    if dice.below(12) == 0 {
        let mut running = person.starts(command)?;
        drop(running.process().wait(dice.pause(80)));
        running.process().kill()?;
        play.note(&format!("{} kills {command:?}", person.name()));
        return Ok(None);
    }
    let output = person.run(command)?;
    if output.code == 0 {
        return Ok(Some(output.lines));
    }
    play.note(&format!("{} was told {}: {}", person.name(), output.code, output.stderr.trim()));
    // The process that had the profile open was killed. Anything else is nothing that happened here.
    ensure(output.code == 7, || format!("not what a kill explains\n{output}"))?;
    Ok(None)
}

/// Kills the process that has the profile open, or waits for it, until the time is over.
fn strikes(person: &Person, dice: &mut Dice, play: &Play<'_>) -> Result<Screen> {
    let (mut daemon, mut deaths) = (person.starts(&["daemon"])?, 0u64);
    let mut report = Instant::now() + REPORT;
    while play.began.elapsed() < play.time && !play.is_over() {
        thread::park_timeout(dice.pause(DAEMON_MS));
        let by_itself = daemon.process().ended();
        ensure(by_itself.is_none_or(|status| status.code() == Some(7)), || {
            format!("the daemon ended: {by_itself:?}")
        })?;
        daemon.process().kill()?;
        deaths += 1;
        play.note("the daemon is killed");
        if dice.below(2) == 0 {
            thread::park_timeout(dice.pause(1_500));
        }
        daemon = person.starts(&["daemon"])?;
        if Instant::now() >= report {
            report += REPORT;
            let minutes = play.began.elapsed().as_secs() / 60;
            tell(&format!("{minutes} min: the daemon was killed {deaths} times"));
        }
    }
    Ok(daemon)
}

/// Everything that the profile has kept behind a cursor, and the last cursor.
fn kept(person: &Person, begin: u64) -> Result<(BTreeMap<u64, String>, u64)> {
    let (mut kept, mut after) = (BTreeMap::new(), begin);
    loop {
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "hello", "params": { "version": 1 } });
        let params = json!({ "after": after.to_string(), "limit": PAGE });
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "event.list", "params": params });
        let lines = person.run_with(&["rpc"], &format!("{hello}\n{list}\n"))?.expecting(0)?.lines;
        let page = lines.iter().find(|line| line["id"] == 2).map(|line| &line["result"]);
        let page = page.ok_or_else(|| Failure::new("no page"))?;
        ensure(page["missed"] == 0, || "events are not kept any more".into())?;
        let place =
            |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        for event in page["events"].as_array().into_iter().flatten() {
            if let Some(mark) = mark(&event["event"]) {
                kept.insert(place(&event["cursor"]), mark);
            }
        }
        after = place(&page["next"]);
        if page["more"] == false {
            return Ok((kept, after));
        }
    }
}

/// What is in the profile, by id, and by the words that were said first.
fn read(person: &Person) -> Result<BTreeMap<String, Known>> {
    let lines = person.reads("team")?;
    Ok(lines.iter().filter_map(|line| Some((text(line, "id")?.to_owned(), Known::of(line)))).collect())
}

#[test]
fn two_front_ends_miss_nothing_and_hear_nothing_twice_whoever_is_killed() -> Result {
    let (seed, seconds) = (number("SOAK_SEED", SEED), number("SOAK_SECONDS", SECONDS));
    let diary = Diary::default();
    soak(seed, Duration::from_secs(seconds), &diary).map_err(|failure| {
        failure.and(format!("cargo xtask soak --seed {seed}; what happened last:\n{}", diary.end()))
    })
}

fn soak(seed: u64, time: Duration, diary: &Diary) -> Result {
    let site = Site::single()?;
    let (alice, bob) = (site.registered("alice")?, site.registered("bob")?);
    site.group("team", &alice, &[&bob])?;
    let play =
        Play { began: Instant::now(), time, diary, over: AtomicBool::new(false), goal: AtomicU64::new(0) };
    let play = &play;
    let own = Front::start(&alice, play, Stand::Own, Dice::of(seed, 1))?;
    let named = Front::start(&alice, play, Stand::Named, Dice::of(seed, 2))?;
    let begin = own.cursor;
    let (alice, bob) = (&alice, &bob);
    let (own, named, said, all) = thread::scope(|scope| {
        let fronts = [own, named].map(|front| scope.spawn(move || play.watched(front.lives())));
        let talkers: Vec<_> = (3u64..)
            .zip([alice, bob])
            .map(|(who, person)| scope.spawn(move || play.watched(talks(person, Dice::of(seed, who), play))))
            .collect();
        let struck = strikes(alice, &mut Dice::of(seed, 0), play);
        play.over.store(true, Ordering::Release);
        let said: Result<Vec<Said>> = talkers.into_iter().map(joined).collect();
        let all = struck.and_then(|daemon| Ok((daemon, said?))).and_then(|(mut daemon, said)| {
            let all = settled(alice, bob, begin)?;
            play.goal.store(all.1, Ordering::Release);
            daemon.interrupt()?;
            Ok((said, all))
        });
        let [own, named] = fronts.map(joined);
        let ((own, named), (said, all)) = (own.and_then(|own| Ok((own, named?)))?, all?);
        Ok::<_, Failure>((own, named, said, all.0))
    })?;

    let truth = read(alice)?;
    for front in [&own, &named] {
        let begun = front.begin.unwrap_or_default();
        let expected: BTreeMap<&u64, &String> = all.iter().filter(|(at, _)| **at > begun).collect();
        let heard: BTreeMap<&u64, &String> = front.heard.iter().collect();
        let missing: Vec<_> = expected.iter().filter(|(at, _)| !heard.contains_key(**at)).take(5).collect();
        let strange: Vec<_> =
            heard.iter().filter(|(at, mark)| expected.get(**at) != Some(mark)).take(5).collect();
        ensure(missing.is_empty() && strange.is_empty(), || {
            format!("{:?}: missing {missing:?}, not kept {strange:?}", front.stand)
        })?;
        for (id, known) in &front.known {
            if let Some(now) = truth.get(id) {
                ensure(now == known, || {
                    format!("{:?} knows {known:?} of {id}, which is {now:?}", front.stand)
                })?;
            }
        }
        let unknown: Vec<&String> = truth.keys().filter(|id| !front.known.contains_key(*id)).collect();
        ensure(unknown.is_empty(), || format!("{:?} never heard of {unknown:?}", front.stand))?;
    }
    ensure(own.repeats == 0, || "what has its own cursor hears nothing twice".into())?;
    judge(&said, &truth, &read(bob)?)?;
    tell(&format!(
        "{} events, {} messages; front ends killed {} and {} times, {} events heard again by the named one before it acknowledged them",
        all.len(),
        truth.len(),
        own.deaths,
        named.deaths,
        named.repeats
    ));
    Ok(())
}

/// For who watches a long run.
#[expect(clippy::print_stdout, reason = "the one place of the soak that prints")]
fn tell(line: &str) {
    println!("{line}");
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| fail("somebody panicked"))
}

/// Everything is delivered and read, and nothing more happens.
fn settled(alice: &Person, bob: &Person, begin: u64) -> Result<(BTreeMap<u64, String>, u64)> {
    let mut last = 0;
    wait::within(PATIENCE * 2, "nothing more happens", || {
        for person in [bob, alice, bob, alice] {
            person.syncs().ok()?;
        }
        let all = kept(alice, begin).ok()?;
        let quiet = all.1 == last;
        last = all.1;
        quiet.then_some(all)
    })
}

/// Both have the same; what was accepted is there once, as it was last; what may have been said is there once at most.
fn judge(said: &[Said], alices: &BTreeMap<String, Known>, bobs: &BTreeMap<String, Known>) -> Result {
    ensure(alices == bobs, || format!("they read different things: {alices:?}\n{bobs:?}"))?;
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for known in alices.values() {
        *there.entry(known.words.as_str()).or_default() += 1;
    }
    let deleted = there.remove("").unwrap_or_default();
    let twice: Vec<_> = there.iter().filter(|(_, times)| **times > 1).collect();
    ensure(twice.is_empty(), || format!("there twice: {twice:?}"))?;
    let may_be = |words: &str| {
        let listed = |said: &Said| {
            said.perhaps.iter().any(|perhaps| perhaps == words)
                || said.messages.values().flatten().any(|known| known.words == words)
        };
        said.iter().any(listed)
    };
    let strange: Vec<&&str> = there.keys().filter(|words| !may_be(words)).collect();
    ensure(strange.is_empty(), || format!("nobody said {strange:?}"))?;
    let (mut accepted, mut gone, mut perhaps_gone) = (0, 0, 0);
    for said in said {
        for (first, maybe) in &said.messages {
            accepted += 1;
            let may_be_gone = maybe.iter().any(|known| known.deleted);
            let is_there =
                maybe.iter().any(|known| !known.deleted && there.contains_key(known.words.as_str()));
            match (is_there, may_be_gone, maybe.len()) {
                (true, _, _) => {}
                (false, true, 1) => gone += 1,
                (false, true, _) => perhaps_gone += 1,
                (false, false, _) => return fail(format!("'{first}' is lost: it may be {maybe:?}")),
            }
        }
    }
    ensure((gone..=gone + perhaps_gone).contains(&deleted), || {
        format!("{deleted} messages are deleted; {gone} were, and {perhaps_gone} may be")
    })?;
    ensure(accepted > 10, || format!("only {accepted} messages were accepted: nothing was tested"))
}
