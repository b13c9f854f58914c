//! A deployment that is ill-treated while people talk: afterwards nothing is lost, nothing is there twice, each
//! command has one answer and all members are in one world.
//!
//! What happens, to whom, and how long apart is drawn from a seed; what falls into which moment of a process is up to
//! the machine. `cargo xtask torture --minutes N --seed N` runs it longer; a failure prints the seed and what happened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use testbed::person::{kind_of, text};
use testbed::{Failure, Fault, Person, Result, Screen, Site, ensure, wait};

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
    Rename(u64),
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
struct Dice(ChaCha8Rng);

impl Dice {
    fn of(seed: u64, who: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(who)))
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0.next_u64() % most.max(1)
    }

    fn pause(&mut self, most_ms: u64) -> Duration {
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

fn number(name: &str, otherwise: u64) -> u64 {
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
    let mut site = if seed.is_multiple_of(2) { Site::single()? } else { Site::cluster()? };
    let (alice, bob, carol) = (site.registered("alice")?, site.registered("bob")?, site.registered("carol")?);
    site.group("team", &alice, &[&bob, &carol])?;
    let id = text(&alice.shows("team")?, "id").unwrap_or_default().to_owned();
    let (mut bot, echo) = echo_bot(&alice)?;
    alice.does(&["group", "add", &id, &echo])?;
    let fault = site.fault()?;
    let far = site.through(&fault, &carol);
    let people = [alice.clone(), bob.clone(), far];
    let mut screens: Vec<Option<Screen>> = Vec::new();
    for person in &people {
        screens.push(Some(person.follows(&id)?));
    }

    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let (id, over) = (id.as_str(), &over);
    thread::scope(|scope| {
        let talkers: Vec<_> = (1u64..)
            .zip(&people)
            .map(|(who, person)| {
                scope.spawn(move || talk(person, id, Dice::of(seed, who), over, began, diary))
            })
            .collect();
        let struck = strike(
            &mut Dice::of(seed, 0),
            &mut site,
            &people,
            id,
            &fault,
            &mut bot,
            &mut screens,
            began,
            time,
            diary,
        );
        over.store(true, Ordering::Relaxed);
        let talked = talkers
            .into_iter()
            .map(|talker| talker.join().unwrap_or_else(|_| testbed::fail("a talker panicked")));
        talked.fold(struck, |sum, one| sum.and(one))
    })?;

    fault.heal();
    for mut screen in screens.into_iter().flatten() {
        screen.interrupt()?;
    }
    bot.process().kill()?;
    let (mut bot, _) = echo_bot(&alice)?;
    judge(id, &[&alice, &bob, &carol], diary).map_err(|failure| {
        // How the bot sees it, in case it is the one who is behind.
        let its = Person::beside_up("alice/echo", &alice.home().join("state"));
        let told = its.map(|its| its.by_way_of(&site.broker.url())).and_then(|its| {
            Ok(format!("{}\n{}", its.run(&["doctor"])?, its.run(&["read", id, "-n", "20"])?))
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

/// Blow after blow until the time is over. Whatever was taken away is given back.
fn strike(
    dice: &mut Dice,
    site: &mut Site,
    people: &[Person],
    id: &str,
    fault: &Fault,
    bot: &mut Screen,
    screens: &mut [Option<Screen>],
    began: Instant,
    time: Duration,
    diary: &Diary,
) -> Result {
    let owner = people.first().ok_or_else(|| Failure::new("nobody"))?;
    while began.elapsed() < time {
        thread::park_timeout(dice.pause(PAUSE_MS));
        let (who, server, frozen) =
            (index(dice.below(3)), index(dice.below(site.broker.size() as u64)), dice.pause(FROZEN_MS));
        let blow = match dice.below(13) {
            0 | 1 => Blow::KillScreen(who),
            2 => Blow::FreezeScreen(who),
            3 | 4 => Blow::KillBot,
            5 => Blow::FreezeBot,
            6 => Blow::KillRegistry,
            7 => Blow::FreezeRegistry,
            8 => Blow::KillServer(server),
            9 => Blow::FreezeServer(server),
            10 => Blow::CutLine,
            11 => Blow::LoseAnswers,
            _ => Blow::Rename(dice.below(1_000_000)),
        };
        diary.note(began, format!("{blow:?}, {frozen:?}"));
        let pause = || thread::park_timeout(frozen);
        match blow {
            Blow::KillScreen(who) => {
                let (Some(screen), Some(person)) = (screens.get_mut(who), people.get(who)) else { continue };
                if let Some(mut screen) = screen.take() {
                    screen.process().kill()?;
                }
                *screen = Some(person.follows(id)?);
            }
            Blow::FreezeScreen(who) => {
                if let Some(Some(screen)) = screens.get_mut(who) {
                    screen.process().pause()?;
                    pause();
                    screen.process().resume()?;
                }
            }
            Blow::KillBot => {
                bot.process().kill()?;
                // Not `ready`: without a registry or broker it is that later.
                *bot = owner.starts(&["bot", "run", "echo"])?;
            }
            Blow::FreezeBot => {
                bot.process().pause()?;
                pause();
                bot.process().resume()?;
            }
            Blow::KillRegistry => {
                site.registry.kill()?;
                pause();
                site.registry.start()?;
            }
            Blow::FreezeRegistry => {
                site.registry.pause()?;
                pause();
                site.registry.resume()?;
            }
            Blow::KillServer(server) => {
                site.broker.kill(server)?;
                pause();
                site.broker.start(server)?;
            }
            Blow::FreezeServer(server) => {
                site.broker.pause(server)?;
                pause();
                site.broker.resume(server)?;
            }
            Blow::CutLine => {
                fault.cut();
                pause();
                fault.heal();
            }
            Blow::LoseAnswers => {
                fault.lose_answers("chat.>");
                pause();
                fault.heal();
            }
            Blow::Rename(name) => {
                // Whether it succeeds is not the point; that all see the same name afterwards is.
                let renamed = owner.run(&["group", "rename", id, &format!("team {name}")])?;
                diary.note(began, format!("renamed: {}", renamed.code));
            }
        }
        if let Some(status) = bot.process().ended() {
            diary.note(began, format!("the bot had ended with {status}"));
            *bot = owner.starts(&["bot", "run", "echo"])?;
        }
    }
    Ok(())
}

/// Nothing is lost, nothing is there twice, each command has one answer, and all are in one world.
fn judge(id: &str, people: &[&Person], diary: &Diary) -> Result {
    for person in people {
        person.syncs()?;
    }
    let said = diary.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let first = people.first().ok_or_else(|| Failure::new("nobody"))?;
    // What the bot still owes comes by itself.
    let answered = |lines: &[serde_json::Value]| {
        let heard = lines.iter().filter_map(|line| text(line, "text")).collect::<Vec<_>>();
        let asked = heard.iter().filter_map(|words| words.strip_prefix("/echo ")).collect::<Vec<_>>();
        asked.iter().all(|words| heard.contains(words))
    };
    let _ = wait::within(REST, "every command is answered", || {
        first.syncs().ok()?;
        first.reads(id).ok().filter(|lines| answered(lines)).map(drop)
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
    ensure(orders.windows(2).all(|pair| pair.first() == pair.last()), || {
        "they read in different orders".into()
    })
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
