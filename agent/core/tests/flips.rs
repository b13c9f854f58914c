//! One bit that flips anywhere in the files of a profile: every outcome is one that a person understands.
//!
//! A sample in the ordinary run; `cargo xtask flips` for the long one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::mpsc;
use std::time::Duration;

use cipher_api::command::{account, contact, device, event, group, message};
use cipher_api::view::MessageView;
use cipher_api::{Advice, Ask, Command, Cursor, Error, ErrorKind, Event, Notice, Reply, Target};
use cipher_broker::id::GroupId;
use cipher_broker::time::Timestamp;
use cipher_core::{Core, Effect, Input, Options, Ticket};

use crate::support::dice::Dice;
use crate::support::disk::{Disk, End, Files, unlock};
use crate::support::log::Flavour;
use crate::support::setting;
use crate::support::world::{World, send, typed};

/// Flips of the ordinary run.
const SAMPLE: u64 = 150;
/// How long one case may take, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is said after the flip.
const LATER: &str = "after the flip";

/// What a flipped bit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing that anybody noticed: the byte is not used, or redb made it anew.
    Nothing,
    /// Damage was told, at once or when it was come upon; whatever else there is, is right.
    Named,
    /// The store is as it was before its last transaction, as after a power cut.
    Before,
    /// The store did not open, and said so.
    Refused,
    /// The store opened, and said later that it cannot be used.
    GaveUp,
    /// Something is not there or not as it was, and nothing was said.
    Lost,
    /// A word that nobody said.
    Wrong,
    /// A panic that reached the caller.
    Panic,
    /// No end.
    Hang,
}

impl Outcome {
    /// Whether it is within the rule.
    const fn is_fine(self) -> bool {
        !matches!(self, Self::Lost | Self::Wrong | Self::Panic | Self::Hang)
    }
}

/// What a profile shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    messages: Vec<(GroupId, Vec<MessageView>)>,
    rest: Vec<String>,
}

impl Picture {
    /// What people said. What was observed has names in it, which a damaged contact takes away until it is looked up.
    fn texts(&self) -> BTreeSet<&str> {
        let messages = self.messages.iter().flat_map(|(_, messages)| messages);
        messages.filter(|message| message.is_text()).map(|message| message.text.as_str()).collect()
    }
}

/// A process that has a profile, and nothing else.
struct Process {
    core: Core,
    now: Timestamp,
    tickets: u64,
    named: bool,
}

impl Process {
    fn start(disk: &Disk, now: Timestamp) -> Result<Self, Error> {
        let options = Options { seed: [5; 32], cached_groups: 4, receipts: false };
        let core = Core::open(disk.place(), || Ok(unlock()), &options)?;
        let mut process = Self { core, now, tickets: 0, named: false };
        let effects = process.core.resume(now)?;
        process.hear(effects);
        Ok(process)
    }

    fn hear(&mut self, effects: Vec<Effect>) -> Vec<(Ticket, Result<Reply, Error>)> {
        let mut replies = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { ticket, result } => replies.push((ticket, result)),
                Effect::Notify { event: Event::Warning { notice: Notice::ValuesDamaged { .. } }, .. } => {
                    self.named = true;
                }
                _ => {}
            }
        }
        replies
    }

    /// What comes at once; `None` for what waits for the broker.
    fn asks<R: Ask>(&mut self, request: R) -> Result<Option<R::Reply>, Error> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let command: Command = request.into();
        let inputs = || vec![Input::Command { ticket, command: Box::new(command.clone()) }];
        let effects = match self.core.handle(inputs(), self.now) {
            // It was told, and the store mended: whoever tries again gets an answer.
            Err(error) if error.hint == Some(Advice::TryAgain.into()) => {
                self.named = true;
                self.core.handle(inputs(), self.now)?
            }
            handled => handled?,
        };
        let reply = self.hear(effects).into_iter().find(|(of, _)| *of == ticket);
        reply.map(|(_, result)| result.map(typed::<R>)).transpose()
    }

    /// The same as text: a refusal is something that is shown too, unless it is the store's.
    fn sees<R: Ask>(&mut self, request: R) -> Result<String, Error>
    where
        R::Reply: Debug,
    {
        match self.asks(request) {
            Err(error) if error.kind == ErrorKind::Storage => Err(error),
            other => Ok(format!("{other:?}")),
        }
    }

    fn picture(&mut self, groups: &[GroupId]) -> Result<Picture, Error> {
        let mut messages = Vec::new();
        for group in groups {
            let read = message::Read::of(Target::Group(*group));
            match self.asks(read) {
                Ok(read) => messages.push((*group, read.unwrap_or_default())),
                Err(error) if error.kind == ErrorKind::Storage => return Err(error),
                Err(_) => messages.push((*group, Vec::new())),
            }
        }
        let rest = vec![
            self.sees(account::Show {})?,
            self.sees(device::List {})?,
            self.sees(contact::List {})?,
            self.sees(group::List {})?,
            self.sees(event::List { after: Some(Cursor(0)), subscriber: None, limit: 10_000 })?,
        ];
        Ok(Picture { messages, rest })
    }
}

/// A profile with some history, and what it shows.
#[derive(Clone)]
struct Template {
    files: Files,
    now: Timestamp,
    groups: Vec<GroupId>,
    /// As the store stands, and as it stood before its last transaction.
    shown: Picture,
    before: Option<Picture>,
}

impl Template {
    fn ended(end: End) -> Self {
        let mut world = World::of(9, Flavour::R1, &["alice", "bob", "carol"]);
        let mut groups = vec![world.admins("ops", &["alice", "bob", "carol"])];
        groups.push(world.person("alice").creates("lunch", &["bob"]));
        world.settle();
        world.person("bob").accepts(groups[1]);
        for n in 0..90 {
            let who = ["alice", "bob", "carol"][n % 3];
            world.person(who).says(groups[0], &format!("message number {n}"));
            if n % 9 == 0 {
                world.settle();
                world.person("bob").says(groups[1], &format!("lunch number {n}"));
            }
        }
        world.settle();
        let bob = world.index("bob");
        world.pass(Duration::from_secs(120));
        world.settle();
        // Two transactions that nobody else knows of: the last one is what a power cut may take.
        world.person("bob").disconnects();
        world.person("bob").starts(send(groups[0], "the one before the last"));
        let before = world.people[bob].disk.files();
        world.person("bob").starts(send(groups[0], "the last one"));
        let now = world.now;
        world.end(bob, end);
        let files = world.people[bob].disk.files();
        let picture = |files: &Files| {
            let mut process = Process::start(&Disk::holding(files.clone()), now).unwrap();
            process.picture(&groups).unwrap()
        };
        let shown = picture(&files);
        let before = (end != End::Clean).then(|| picture(&before));
        assert!(shown.texts().contains("the last one") && Some(&shown) != before.as_ref());
        Self { files, now, groups, shown, before }
    }

    /// What became of it with other files.
    fn outcome(&self, files: Files) -> (Outcome, String) {
        let disk = Disk::holding(files);
        match self.live(&disk) {
            Ok(outcome) => (outcome, String::new()),
            Err((opened, error)) => {
                assert_eq!(error.kind, ErrorKind::Storage, "{error:?}");
                assert!(!error.message.is_empty() && error.hint.is_some(), "{error:?}");
                (if opened { Outcome::GaveUp } else { Outcome::Refused }, error.message)
            }
        }
    }

    /// It is opened, read, written to, ended, opened and read again. The error says whether it had been opened.
    fn live(&self, disk: &Disk) -> Result<Outcome, (bool, Error)> {
        let mut process = Process::start(disk, self.now).map_err(|error| (false, error))?;
        let late = |error| (true, error);
        let first = process.picture(&self.groups).map_err(late)?;
        let right = self.shown.texts();
        if first.texts().iter().any(|text| !right.contains(text)) {
            return Ok(Outcome::Wrong);
        }
        let outcome = if process.named {
            Outcome::Named
        } else if first == self.shown {
            Outcome::Nothing
        } else if Some(&first) == self.before.as_ref() {
            Outcome::Before
        } else {
            return Ok(Outcome::Lost);
        };
        // It writes, ends, and reads what it wrote.
        let sent = process.asks(send(self.groups[0], LATER));
        let sent = match sent {
            Err(error) if error.kind == ErrorKind::Storage => return Err(late(error)),
            sent => sent.is_ok(),
        };
        match process.core.rest() {
            Err(error) if error.kind == ErrorKind::Storage => return Err(late(error)),
            _ => drop(process),
        }
        let mut process = Process::start(disk, self.now).map_err(late)?;
        let second = process.picture(&self.groups).map_err(late)?;
        let (texts, before) = (second.texts(), first.texts());
        if texts.iter().any(|text| !right.contains(text) && *text != LATER) {
            return Ok(Outcome::Wrong);
        }
        let all_there = before.iter().all(|text| texts.contains(text)) && (!sent || texts.contains(LATER));
        if !all_there && !process.named && outcome != Outcome::Named {
            return Ok(Outcome::Lost);
        }
        let named = process.named;
        drop(process);
        // A look at everything may come upon a page that leads nowhere, which nothing else had read, and says so.
        let looked = cipher_core::examine(disk.place(), || Ok(unlock()), [6; 32]);
        // It must not cost what worked.
        let third = Process::start(disk, self.now).and_then(|mut process| process.picture(&self.groups));
        if !third.is_ok_and(|third| third.texts() == second.texts()) {
            return Ok(Outcome::Lost);
        }
        looked.map_err(late)?;
        Ok(if named { Outcome::Named } else { outcome })
    }

    /// The same on a thread of its own, which may panic, or never end.
    fn judged(&self, files: Files) -> (Outcome, String) {
        let (template, (sender, outcome)) = (self.clone(), mpsc::channel());
        let case = std::thread::Builder::new().name("flip".into());
        let thread = case.spawn(move || sender.send(template.outcome(files))).unwrap();
        match outcome.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => (Outcome::Hang, String::new()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let payload = thread.join().unwrap_err();
                let said = payload.downcast_ref::<String>().cloned();
                (Outcome::Panic, said.unwrap_or_default())
            }
        }
    }
}

/// E9: one bit anywhere in the files of a profile that was closed, or killed.
#[test]
fn e9_a_flipped_bit_anywhere_gives_no_wrong_word_no_panic_and_no_hang() {
    let mut dice = Dice::new(setting::number("WORLD_SEED").unwrap_or(1));
    let flips = setting::number("WORLD_FLIPS").unwrap_or(SAMPLE);
    let mut counts: BTreeMap<(&str, &str, Outcome), u64> = BTreeMap::new();
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    let mut bad = Vec::new();
    for (end, state) in [(End::Clean, "closed"), (End::Kill, "killed")] {
        let template = Template::ended(end);
        for n in 0..flips / 2 {
            let mut files = template.files.clone();
            let name = match n % 16 {
                7 => "store.sums",
                15 => "store.keys",
                _ => "store.redb",
            };
            // Who is killed leaves no sums.
            let Some(bytes) = files.get_mut(name) else { continue };
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            let (outcome, said) = template.judged(files);
            *counts.entry((state, name, outcome)).or_default() += 1;
            if !outcome.is_fine() {
                bad.push((state, n, outcome, said));
            } else if !said.is_empty() {
                *words.entry(said).or_default() += 1;
            }
        }
        println!("{state}: {} bytes", template.files["store.redb"].len());
    }
    for ((state, name, outcome), count) in &counts {
        println!("{state:8} {name:12} {outcome:?} {count}");
    }
    for (said, count) in &words {
        println!("{count:6} {said}");
    }
    assert!(bad.is_empty(), "{bad:?}");
}
