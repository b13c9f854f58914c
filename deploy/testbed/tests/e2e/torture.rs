//! A deployment that is ill-treated while people talk: afterwards nothing is lost, nothing is there twice, each
//! command has one answer and all members are in one world. What is killed and frozen goes on with what it had; the
//! streams are also put back to an older copy, and emptied: what they lost is given back by those who said it.
//!
//! What happens, to whom, and how long apart is drawn from a seed; what falls into which moment of a process is up to
//! the machine. `cargo xtask torture --minutes N --seed N` runs it longer; a failure prints the seed and what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use tempfile::TempDir;
use testbed::person::{kind_of, text};
use testbed::{Failure, Fault, Person, Result, Screen, Site, disk, ensure, wait};

use crate::support::{all_equal_in_time, echo_bot};

/// How long each, unless TORTURE_SECONDS says it.
const SECONDS: u64 = 30;
/// The seeds, unless TORTURE_SEED says another one: even for one server, whose every write is on disk, odd for three.
const ONE: u64 = 20;
const THREE: u64 = 21;
/// Longest time between two blows, and longest time that something is frozen.
const PAUSE_MS: u64 = 900;
const FROZEN_MS: u64 = 2_500;
/// Commands to the bot per minute. It answers 60 at most, by the broker's clock; an outage has some arrive later, together.
const COMMANDS_PER_MINUTE: u64 = 40;
/// How long the answers of a bot that was killed a moment ago may take on a busy machine.
const REST: Duration = Duration::from_secs(120);

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Blow {
    KillScreen(usize),
    FreezeScreen(usize),
    KillBot,
    FreezeBot,
    KillRegistry,
    FreezeRegistry,
    KillServer(usize),
    FreezeServer(usize),
    CutLine,
    LoseAnswers,
    /// The disks of the servers, and of the registry, as they are now are kept for what comes later.
    Copy,
    /// The streams lose whatever came behind the last copy.
    RestoreStreams,
    /// The streams lose everything, and are made again.
    EmptyStreams,
    RestoreRegistry,
    Rename(u64),
}

impl Blow {
    /// The one that is next. Streams go back in every run: once in its second quarter, once in its third.
    fn next(dice: &mut Dice, servers: usize, passed: f64, went_back: usize) -> Self {
        let (who, server) = (index(dice.below(3)), index(dice.below(servers as u64)));
        let drawn = match dice.below(17) {
            0 | 1 => Self::KillScreen(who),
            2 => Self::FreezeScreen(who),
            3 | 4 => Self::KillBot,
            5 => Self::FreezeBot,
            6 => Self::KillRegistry,
            7 => Self::FreezeRegistry,
            8 => Self::KillServer(server),
            9 => Self::FreezeServer(server),
            10 => Self::CutLine,
            11 => Self::LoseAnswers,
            12 => Self::Copy,
            13 => Self::RestoreStreams,
            14 => Self::EmptyStreams,
            15 => Self::RestoreRegistry,
            _ => Self::Rename(dice.below(1_000_000)),
        };
        match went_back {
            0 if passed > 0.25 => Self::RestoreStreams,
            1 if passed > 0.5 => Self::EmptyStreams,
            _ => drawn,
        }
    }
}

/// What became of a message, as its sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Exit code 0: acknowledged or queued.
    Accepted,
    /// The command was killed or failed: once or not at all.
    Perhaps,
}

/// Dice that give the same again for the same seed.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn of(seed: u64, who: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(who)))
    }

    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0.next_u64() % most.max(1)
    }

    pub(crate) fn pause(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(50 + self.below(most_ms))
    }
}

/// What happened so far.
#[derive(Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    said: Mutex<BTreeMap<String, Said>>,
    /// Commands that the bot was given.
    commands: AtomicU64,
}

impl Diary {
    fn note(&self, since: Instant, line: String) {
        let line = format!("{:>6} ms  {line}", since.elapsed().as_millis());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Whether it is time for another command to the bot. Whoever asks gives it then.
    fn command_is_due(&self, since: Instant) -> bool {
        let due = since.elapsed().as_secs().saturating_mul(COMMANDS_PER_MINUTE) / 60;
        let given = |given: u64| (given < due).then_some(given.saturating_add(1));
        self.commands.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given).is_ok()
    }

    fn said(&self, words: String, how: Said) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(words, how);
    }
}

pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn torture_of_one_server_loses_nothing_doubles_nothing_and_leaves_one_world() -> Result {
    survives(number("TORTURE_SEED", ONE))
}

/// A cluster.
#[test]
fn torture_of_three_servers_loses_nothing_doubles_nothing_and_leaves_one_world() -> Result {
    survives(number("TORTURE_SEED", THREE))
}

fn survives(seed: u64) -> Result {
    let seconds = number("TORTURE_SECONDS", SECONDS);
    let diary = Diary::default();
    torture(seed, Duration::from_secs(seconds), &diary).map_err(|failure| {
        let lines = diary.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        failure.and(format!("cargo xtask torture --seed {seed}; what happened:\n{lines}"))
    })
}

fn torture(seed: u64, time: Duration, diary: &Diary) -> Result {
    let site = if seed.is_multiple_of(2) { Site::single()? } else { Site::cluster()? };
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob, &carol])?;
    let id = text(&alice.shows("team")?, "id").unwrap_or_default().to_owned();
    let (bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", &id, &echo])?;
    let fault = site.fault()?;
    let far = site.through(&fault, &carol);
    let people = vec![alice.clone(), bob.clone(), far];
    let mut screens: Vec<Option<Screen>> = Vec::new();
    for person in &people {
        screens.push(Some(person.follows(&id)?));
    }

    let copies = tempfile::tempdir()?;
    let mut victims = Victims { site, people, id, fault, bot, screens, copies, went_back: 0 };
    // A first copy, so that there is one to go back to.
    victims.suffers(Blow::Copy, Duration::ZERO)?;
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let (talking, over) = (victims.people.clone(), &over);
    let id = victims.id.clone();
    thread::scope(|scope| {
        let talkers: Vec<_> = (1u64..)
            .zip(&talking)
            .map(|(who, person)| {
                let id = id.as_str();
                scope.spawn(move || talk(person, id, Dice::of(seed, who), over, began, diary))
            })
            .collect();
        let struck = strike(&mut Dice::of(seed, 0), &mut victims, began, time, diary);
        over.store(true, Ordering::Relaxed);
        let talked = talkers
            .into_iter()
            .map(|talker| talker.join().unwrap_or_else(|_| testbed::fail("a talker panicked")));
        talked.fold(struck, |sum, one| sum.and(one))
    })?;

    let Victims { site, fault, screens, mut bot, went_back, .. } = victims;
    fault.heal();
    for mut screen in screens.into_iter().flatten() {
        screen.interrupt()?;
    }
    bot.process().kill()?;
    let (mut bot, _) = echo_bot(&alice)?;
    // Whoever had read a message keeps it where it was; who had not reads it where it was said again.
    let one_order = went_back == 0;
    judge(&id, &[&alice, &bob, &carol], one_order, diary).map_err(|failure| {
        // How the bot sees it, in case it is the one who is behind.
        let its = Person::beside_up("alice/echo", &alice.home().join("state"));
        let told = its.map(|its| its.by_way_of(&site.broker.url())).and_then(|its| {
            Ok(format!("{}\n{}", its.run(&["doctor"])?, its.run(&["read", &id, "-n", "20"])?))
        });
        match told {
            Ok(told) => failure.and(format!("the bot:\n{told}")),
            Err(why) => failure.and(format!("the bot says nothing: {why}")),
        }
    })?;
    ensure(bot.interrupt()? == 0, || "the bot did not end in order".into())
}

/// Somebody who talks until it is over: mostly words, now and then a command for the bot, and some commands die.
fn talk(
    person: &Person,
    id: &str,
    mut dice: Dice,
    over: &AtomicBool,
    began: Instant,
    diary: &Diary,
) -> Result {
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        n += 1;
        let words = format!("{} {n}", person.name());
        let words = if diary.command_is_due(began) { format!("/echo {words}") } else { words };
        // Known before it is sent: a command that dies may have been heard.
        diary.said(words.clone(), Said::Perhaps);
        if dice.below(12) == 0 {
            let mut sending = person.starts(&["send", id, &words])?;
            let alive = sending.process().wait(dice.pause(60)).is_err();
            sending.process().kill()?;
            diary.note(
                began,
                format!("{} {} `send {words}`", person.name(), if alive { "kills" } else { "ends" }),
            );
        } else {
            let sent = person.run(&["send", id, &words])?;
            if sent.code == 0 {
                diary.said(words, Said::Accepted);
            } else {
                diary
                    .note(began, format!("{} was told {}: {}", person.name(), sent.code, sent.stderr.trim()));
                // Refused, in doubt about trust, a bug: nothing of that is what happened here.
                ensure(matches!(sent.code, 3 | 5 | 7), || format!("not what a fault explains\n{sent}"))?;
            }
        }
        thread::park_timeout(dice.pause(250));
    }
    Ok(())
}

/// Who and what is struck.
struct Victims {
    site: Site,
    people: Vec<Person>,
    id: String,
    fault: Fault,
    bot: Screen,
    screens: Vec<Option<Screen>>,
    /// The disks of the servers and of the registry as they were.
    copies: TempDir,
    /// How often the streams lost something.
    went_back: usize,
}

/// Blow after blow until the time is over.
fn strike(dice: &mut Dice, victims: &mut Victims, began: Instant, time: Duration, diary: &Diary) -> Result {
    while began.elapsed() < time {
        thread::park_timeout(dice.pause(PAUSE_MS));
        let (servers, frozen) = (victims.site.broker.size(), dice.pause(FROZEN_MS));
        let passed = began.elapsed().div_duration_f64(time);
        let blow = Blow::next(dice, servers, passed, victims.went_back);
        diary.note(began, format!("{blow:?}, {frozen:?}"));
        victims.suffers(blow, frozen)?;
        if let Some(status) = victims.bot.process().ended() {
            diary.note(began, format!("the bot had ended with {status}"));
            victims.bot = victims.owner()?.starts(&["bot", "run", "echo"])?;
        }
    }
    Ok(())
}

impl Victims {
    fn owner(&self) -> Result<&Person> {
        self.people.first().ok_or_else(|| Failure::new("nobody"))
    }

    /// One blow. Whatever was taken away is given back, except what the streams lost.
    fn suffers(&mut self, blow: Blow, frozen: Duration) -> Result {
        let pause = || thread::park_timeout(frozen);
        match blow {
            Blow::KillScreen(who) => {
                let (Some(screen), Some(person)) = (self.screens.get_mut(who), self.people.get(who)) else {
                    return Ok(());
                };
                if let Some(mut screen) = screen.take() {
                    screen.process().kill()?;
                }
                *screen = Some(person.follows(&self.id)?);
            }
            Blow::FreezeScreen(who) => {
                if let Some(Some(screen)) = self.screens.get_mut(who) {
                    screen.process().pause()?;
                    pause();
                    screen.process().resume()?;
                }
            }
            Blow::KillBot => {
                self.bot.process().kill()?;
                // Not `ready`: without a registry or broker it is that later.
                self.bot = self.owner()?.starts(&["bot", "run", "echo"])?;
            }
            Blow::FreezeBot => {
                self.bot.process().pause()?;
                pause();
                self.bot.process().resume()?;
            }
            Blow::KillRegistry => {
                self.site.registry.kill()?;
                pause();
                self.site.registry.start()?;
            }
            Blow::FreezeRegistry => {
                self.site.registry.pause()?;
                pause();
                self.site.registry.resume()?;
            }
            Blow::KillServer(server) => {
                self.site.broker.kill(server)?;
                pause();
                self.site.broker.start(server)?;
            }
            Blow::FreezeServer(server) => {
                self.site.broker.pause(server)?;
                pause();
                self.site.broker.resume(server)?;
            }
            Blow::CutLine => {
                self.fault.cut();
                pause();
                self.fault.heal();
            }
            Blow::LoseAnswers => {
                self.fault.lose_answers("chat.>");
                pause();
                self.fault.heal();
            }
            Blow::Copy => {
                self.site.registry.stop()?;
                disk::copy(&self.site.registry.data(), &self.copies.path().join("registry"))?;
                self.site.broker.copy_disks(&self.copies.path().join("broker"))?;
                self.site.registry.start()?;
            }
            Blow::RestoreStreams => {
                self.went_back += 1;
                self.site.broker.restore_disks(&self.copies.path().join("broker"))?;
            }
            Blow::EmptyStreams => {
                self.went_back += 1;
                self.site.broker.loses_every_disk()?;
                pause();
                // It makes its streams when it starts.
                self.site.registry.stop()?;
                self.site.registry.start()?;
            }
            Blow::RestoreRegistry => {
                self.site.registry.kill()?;
                disk::put_back(&self.copies.path().join("registry"), &self.site.registry.data())?;
                self.site.registry.start()?;
            }
            Blow::Rename(name) => {
                // Whether it succeeds is not the point; that all see the same name afterwards is.
                self.owner()?.run(&["group", "rename", &self.id, &format!("team {name}")])?;
            }
        }
        Ok(())
    }
}

/// Nothing is lost, nothing is there twice, each command has one answer, and all are in one world.
fn judge(id: &str, people: &[&Person], one_order: bool, diary: &Diary) -> Result {
    for person in people {
        person.syncs()?;
    }
    let said = diary.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // What the bot still owes comes by itself, and so does what the streams lost.
    let arrived = |lines: &[serde_json::Value]| {
        let heard: BTreeSet<&str> = lines.iter().filter_map(|line| text(line, "text")).collect();
        let accepted = said.iter().filter(|(_, how)| **how == Said::Accepted);
        accepted.into_iter().all(|(words, _)| heard.contains(words.as_str()))
            && heard
                .iter()
                .filter_map(|words| words.strip_prefix("/echo "))
                .all(|words| heard.contains(words))
    };
    let _ = wait::within(REST, "everything has arrived", || {
        people.iter().try_for_each(|person| person.syncs().map(drop)).ok()?;
        people.iter().all(|person| person.reads(id).is_ok_and(|lines| arrived(&lines))).then_some(())
    });
    all_equal_in_time(id, people)?;
    let mut orders = Vec::new();
    for person in people {
        let lines = person.reads(id)?;
        let spoken = lines
            .iter()
            .filter(|line| kind_of(line) == Some("message") && text(line, "kind") == Some("text"));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut order = Vec::new();
        for line in spoken {
            let words = text(line, "text").unwrap_or_default().to_owned();
            *counts.entry(words.clone()).or_default() += 1;
            order.push(words);
        }
        let name = person.name();
        for (words, how) in &said {
            let times = counts.get(words).copied().unwrap_or_default();
            ensure(times <= 1, || format!("{name}: `{words}` is there {times} times"))?;
            ensure(times == 1 || *how == Said::Perhaps, || format!("{name}: `{words}` is lost"))?;
            let answer = words
                .strip_prefix("/echo ")
                .map_or(0, |asked| counts.get(asked).copied().unwrap_or_default());
            let due = usize::from(words.starts_with("/echo ") && times == 1);
            ensure(answer == due, || format!("{name}: `{words}` was answered {answer} times"))?;
        }
        let known =
            |words: &&String| said.contains_key(*words) || said.contains_key(&format!("/echo {words}"));
        let strange: Vec<&String> = counts.keys().filter(|words| !known(words)).collect();
        ensure(strange.is_empty(), || format!("{name}: nobody said {strange:?}"))?;
        orders.push(order);
    }
    let accepted = said.values().filter(|how| **how == Said::Accepted).count();
    ensure(accepted > 10, || format!("only {accepted} messages were accepted: nothing was tested"))?;
    ensure(!one_order || orders.windows(2).all(|pair| pair.first() == pair.last()), || {
        "they read in different orders".into()
    })?;
    goes_on(id, people)
}

/// Everybody hears everybody, as ever and in one order.
fn goes_on(id: &str, people: &[&Person]) -> Result {
    for person in people {
        person.sends(id, &format!("{} is still here", person.name()))?;
    }
    let mut orders = Vec::new();
    for person in people {
        let order = wait::until("everybody is heard", || {
            person.syncs().ok()?;
            let texts = person.texts(id).ok()?;
            let heard: Vec<String> =
                texts.into_iter().filter(|words| words.ends_with("is still here")).collect();
            (heard.len() == people.len()).then_some(heard)
        });
        orders.push(order?);
    }
    ensure(orders.windows(2).all(|pair| pair.first() == pair.last()), || {
        format!("they hear each other in different orders: {orders:?}")
    })
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
