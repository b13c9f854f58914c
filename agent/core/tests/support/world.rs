//! A world: cores, one broker, one registry, and the time, driven by dice.
//!
//! Everything a core wants done waits in a list of its owner until a throw of the dice picks it. So any order that
//! a real network could show may come, and the same seed brings the same order again. [`World::settle`] runs
//! without faults until nobody has anything to do; `oracle.rs` then says whether the outcome is right.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cipher_api::command::{account, bot, device, group, invite, message, status};
use cipher_api::view::{
    AccountView, GroupState, GroupView, JoinLinkView, JoinRequestView, MessageView, StatusView,
};
use cipher_api::{Ask, Command, Cursor, Error, ErrorKind, Event, Notice, Reply, Target};
use cipher_broker::codec;
use cipher_broker::id::{AccountId, DeviceId, GroupId, MessageId};
use cipher_broker::subject::{Route, Source};
use cipher_broker::time::Timestamp;
use cipher_broker::wire::group::Role;
use cipher_core::{
    Core, Delivered, Displaced, Effect, Input, Interest, Mark, NoReply, Options, OutboxId, Publish,
    PublishOutcome, QuestionId, Reading, Ticket,
};

use crate::support::dice::Dice;
use crate::support::disk::{Disk, End, Files, unlock};
use crate::support::log::{Flavour, Log};
use crate::support::registry::{Fate, Registry};
use crate::support::shelf::Shelf;

/// Steps after which a world that does not come to rest is broken.
const PATIENCE: usize = 60_000;
/// How often a reader looks for something that the broker announced before it takes the promise for broken.
const IN_VAIN: u32 = 50;
/// Lines of the trace that a failure shows.
const TRACE: usize = 80;

/// How often things go wrong, of 1000.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A publish never arrives.
    pub(crate) lost_publish: usize,
    /// A publish is stored and its acknowledgement gets lost.
    pub(crate) lost_ack: usize,
    /// An acknowledgement comes twice.
    pub(crate) double_ack: usize,
    /// A cluster is still busy with the fenced message before.
    pub(crate) busy: usize,
    /// A reader sees an old state of the log.
    pub(crate) stale: usize,
    /// A reader starts over a few messages back.
    pub(crate) repeat: usize,
    /// A question to the registry gets lost, or its reply, or the registry fails.
    pub(crate) registry: usize,
}

impl Faults {
    pub(crate) const NONE: Self =
        Self { lost_publish: 0, lost_ack: 0, double_ack: 0, busy: 0, stale: 0, repeat: 0, registry: 0 };
    /// A bad day.
    pub(crate) const ROUGH: Self = Self {
        lost_publish: 60,
        lost_ack: 90,
        double_ack: 60,
        busy: 250,
        stale: 300,
        repeat: 60,
        registry: 60,
    };
}

/// A log that a core reads.
#[derive(Debug, Clone, Copy)]
struct Reader {
    source: Source,
    reading: Reading,
    cursor: u64,
    /// What must lie at the cursor, until it was seen there.
    mark: Option<Mark>,
    /// It did not: the core says how to go on.
    displaced: bool,
    /// Known to exist.
    want: u64,
    /// Whether the reader has to tell that it reached the end.
    due: bool,
    /// How often it has looked for what is known to exist and is not there.
    in_vain: u32,
}

/// What a view says of an epoch: its authenticator, and accounts with their roles.
pub(crate) type Seen = (String, BTreeSet<String>);

/// One profile and the process that runs it.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) disk: Disk,
    pub(crate) core: Option<Core>,
    pub(crate) online: bool,
    pub(crate) interest: Interest,
    /// Whether nothing happens with it: its machine is slow.
    pub(crate) held: bool,
    /// Whether the broker's acknowledgements are on their way for longer than anything else.
    pub(crate) late_acks: bool,
    /// How far its clock is behind the world's.
    pub(crate) behind: Duration,
    /// How far it is ahead.
    pub(crate) ahead: Duration,
    life: u64,
    outgoing: Vec<Publish>,
    acks: Vec<(OutboxId, PublishOutcome)>,
    asks: Vec<(QuestionId, &'static str, Vec<u8>)>,
    answers: Vec<(QuestionId, Result<Vec<u8>, NoReply>)>,
    trees: Vec<(GroupId, u64, u32, Vec<[u8; 32]>)>,
    /// Whispers on their way.
    whispers: VecDeque<(GroupId, Vec<u8>)>,
    /// A hint of the registry is on its way.
    hinted: bool,
    readers: Vec<Reader>,
    /// What readers that were stopped had brought by then, and nobody has looked at yet.
    stale: Vec<Input>,
    wake: Option<Timestamp>,
    open: BTreeMap<Ticket, String>,
    replies: BTreeMap<Ticket, Result<Reply, Error>>,
    /// What was told since the process began.
    pub(crate) events: Vec<Event>,
    /// Behind the last event that was told with a place in the journal.
    cursor: Cursor,
}

impl Person {
    fn runs(&self) -> bool {
        self.core.is_some() && self.online && !self.held
    }
}

/// Sees a publish before the broker does.
type Meddle = Box<dyn FnMut(&str, &Publish, &mut Log)>;

/// Changes a publish on its way.
type Swap = Box<dyn FnMut(&mut Publish)>;

/// What becomes of the pieces of a tree on their way.
pub(crate) type Spoil = fn(Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>>;

/// The world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) now: Timestamp,
    pub(crate) log: Log,
    pub(crate) registry: Registry,
    pub(crate) people: Vec<Person>,
    pub(crate) faults: Faults,
    /// Whether people tell each other how far they came; counts for processes that begin.
    pub(crate) receipts: bool,
    /// What every view ever shown said of (group, epoch), and whose views they were.
    pub(crate) truth: BTreeMap<(GroupId, u64), (Seen, BTreeSet<usize>)>,
    /// Authenticators of epochs that one hostile member made up alone: who was invited there may look at it for as long as
    /// it has not read in the log that no such commit is there.
    pub(crate) made_up: BTreeSet<String>,
    /// Where words lie that were sealed under keys of an epoch that had not begun.
    pub(crate) early: BTreeSet<(GroupId, u64)>,
    /// Since which epoch a person is an active member without a break.
    pub(crate) since: BTreeMap<(usize, GroupId), u64>,
    /// What a failing disk leaves behind.
    pub(crate) dies: End,
    /// Whether people take a place that somebody offers whom their device does not know as a member.
    pub(crate) take_offers: bool,
    /// Whether something may be shown where it was said first, and by its author where it was said again.
    pub(crate) says_again: bool,
    /// Sees every publish just before it reaches the broker.
    pub(crate) meddle: Option<Meddle>,
    /// A broker that changes messages on their way.
    pub(crate) swap: Option<Swap>,
    /// Changes the pieces of the next tree that is fetched.
    pub(crate) spoil_tree: Option<Spoil>,
    /// Every whisper so far: who, where, what.
    pub(crate) whispered: Vec<(String, GroupId, Vec<u8>)>,
    /// Where the bytes of files lie.
    pub(crate) shelf: Shelf,
    /// What a device of an account was told to let go of, it alone.
    pub(crate) let_go: BTreeSet<(AccountId, MessageId)>,
    /// Tokens of words that messages were given later.
    pub(crate) edits: BTreeSet<String>,
    /// What every group wanted in every epoch of how long messages are kept: seconds after reading, seconds after sending.
    pub(crate) wanted: BTreeMap<(GroupId, u64), (Option<u32>, Option<u32>)>,
    trace: VecDeque<String>,
    /// Whether to print the trace as it grows.
    aloud: bool,
    /// Whether nothing is noted: the oracle looks around.
    quiet: bool,
    tickets: u64,
    steps: usize,
}

/// One thing that could happen next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The broker gets the outgoing publish at this place.
    Publish(usize),
    Ack(usize),
    Ask,
    Answer(usize),
    Tree(usize),
    Whisper,
    Hint,
    Read(usize),
    Tick,
}

/// A registered world at rest, to be started many times.
pub(crate) struct Frozen {
    now: Timestamp,
    log: Log,
    registry: Registry,
    people: Vec<(String, Files)>,
}

impl Frozen {
    /// People who registered, one after the other, without faults.
    pub(crate) fn with(names: &[&str]) -> Self {
        let mut world = World::begun(1, Flavour::R1, 80);
        for name in names {
            world.register(name);
        }
        world.freeze()
    }

    /// Starts it with a fate of its own.
    pub(crate) fn thaw(&self, seed: u64, flavour: Flavour, people: usize) -> World {
        self.thaw_with(seed, flavour, people, false)
    }

    /// The same with people who may tell each other how far they came.
    pub(crate) fn thaw_with(&self, seed: u64, flavour: Flavour, people: usize, receipts: bool) -> World {
        let mut world = World::new(seed, flavour);
        world.receipts = receipts;
        world.now = self.now;
        world.log = self.log.clone();
        world.log.flavour = flavour;
        world.registry = self.registry.clone();
        for (name, bytes) in self.people.iter().take(people) {
            world.arrive_with(name, Disk::holding(bytes.clone()));
        }
        world.settle();
        world
    }
}

/// So many days.
pub(crate) const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenMLS compares lifetimes with the system clock: a world starts there"
)]
fn today() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // A little ago: packages that are made after an hour or two have passed in the world have begun to be valid here.
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap()).minus(Duration::from_secs(3 * 3600))
}

impl World {
    pub(crate) fn new(seed: u64, flavour: Flavour) -> Self {
        Self::begun(seed, flavour, 0)
    }

    /// A world that began so many days ago, at most 80, so that months can pass in it: a key package that is made in
    /// it must be valid by the system clock.
    pub(crate) fn begun(seed: u64, flavour: Flavour, days_ago: u64) -> Self {
        assert!(days_ago <= 80, "a package of its first day must still be valid");
        Self {
            seed,
            dice: Dice::new(seed),
            now: today().minus(days(days_ago)),
            log: Log::new(flavour),
            registry: Registry::new([7; 32]),
            people: Vec::new(),
            faults: Faults::NONE,
            receipts: false,
            truth: BTreeMap::new(),
            made_up: BTreeSet::new(),
            early: BTreeSet::new(),
            take_offers: true,
            says_again: false,
            since: BTreeMap::new(),
            dies: End::Kill,
            meddle: None,
            swap: None,
            spoil_tree: None,
            whispered: Vec::new(),
            shelf: Shelf::default(),
            let_go: BTreeSet::new(),
            edits: BTreeSet::new(),
            wanted: BTreeMap::new(),
            trace: VecDeque::new(),
            aloud: crate::support::setting::is_set("WORLD_TRACE"),
            quiet: false,
            tickets: 0,
            steps: 0,
        }
    }

    /// A world at rest with these people, registered and connected.
    pub(crate) fn of(seed: u64, flavour: Flavour, names: &[&str]) -> Self {
        Self::long_ago(seed, flavour, 0, names)
    }

    /// The same, so many days ago.
    pub(crate) fn long_ago(seed: u64, flavour: Flavour, days_ago: u64, names: &[&str]) -> Self {
        let mut world = Self::begun(seed, flavour, days_ago);
        for name in names {
            world.register(name);
        }
        world
    }

    pub(crate) fn freeze(mut self) -> Frozen {
        self.settle();
        let mut people = Vec::new();
        for index in 0..self.people.len() {
            self.end(index, End::Clean);
            people.push((self.people[index].name.clone(), self.people[index].disk.files()));
        }
        Frozen { now: self.now, log: self.log.clone(), registry: self.registry.clone(), people }
    }

    /// Notes what happens.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.quiet {
            return;
        }
        if self.trace.len() >= TRACE {
            self.trace.pop_front();
        }
        let line = format!("{:>5} {}", self.steps, line());
        if self.aloud {
            eprintln!("{line}");
        }
        self.trace.push_back(line);
    }

    // People and their processes.

    fn newcomer(&mut self, name: &str, disk: Disk) -> usize {
        self.people.push(Person {
            name: name.into(),
            disk,
            core: None,
            online: false,
            interest: Interest::Everything,
            held: false,
            late_acks: false,
            behind: Duration::ZERO,
            ahead: Duration::ZERO,
            life: 0,
            outgoing: Vec::new(),
            acks: Vec::new(),
            asks: Vec::new(),
            answers: Vec::new(),
            trees: Vec::new(),
            whispers: VecDeque::new(),
            hinted: false,
            readers: Vec::new(),
            stale: Vec::new(),
            wake: None,
            open: BTreeMap::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            cursor: Cursor(0),
        });
        self.people.len() - 1
    }

    /// Somebody with an empty store, running and connected.
    pub(crate) fn arrive(&mut self, name: &str) -> usize {
        self.arrive_with(name, Disk::default())
    }

    /// Somebody with a store, running and connected, unless the disk fails at once.
    pub(crate) fn arrive_with(&mut self, name: &str, disk: Disk) -> usize {
        let index = self.newcomer(name, disk);
        match self.boot(index) {
            Ok(()) => self.connect(index),
            Err(error) => assert!(self.people[index].disk.failed(), "{name}: {error:?}"),
        }
        index
    }

    /// Starts a process that a failing disk ended; its disk works again.
    pub(crate) fn revive(&mut self, index: usize) {
        if self.people[index].core.is_none() {
            self.people[index].disk.plan(None);
            let Self { people, dice, dies, .. } = self;
            people[index].disk.end(*dies, dice);
            self.boot(index)
                .unwrap_or_else(|error| panic!("{} starts again: {error:?}", self.people[index].name));
            self.connect(index);
        }
    }

    /// Somebody new, registered.
    pub(crate) fn register(&mut self, name: &str) -> usize {
        let index = self.arrive(name);
        let command = account::Register {
            handle: name.parse().unwrap(),
            name: title(name),
            bot: None,
            invite_code: None,
        };
        let reply = self.run(index, command);
        assert!(reply.is_ok(), "{name} registers: {reply:?}");
        self.settle();
        index
    }

    /// A bot of somebody, registered.
    pub(crate) fn register_bot(&mut self, name: &str, owner: &str) -> usize {
        let owner = self.index(owner);
        let bot::OwnerCard { owner: card, handle } = self.run(owner, bot::Card {}).expect("an owner's card");
        let index = self.arrive(name);
        let prepared = self.run(index, bot::Prepare { owner: card.clone() }).expect("a bot's certificate");
        let signed = self.run(owner, bot::Sign { certificate: prepared.certificate });
        let bot::Signature { signature } = signed.expect("an owner signs");
        let bot = Some(account::BotOwnership { owner: card, handle, signature });
        let command =
            account::Register { handle: name.parse().unwrap(), name: title(name), bot, invite_code: None };
        let reply = self.run(index, command);
        assert!(reply.as_ref().is_ok_and(|done| done.phrase.is_none()), "{name} registers: {reply:?}");
        self.settle();
        index
    }

    pub(crate) fn index(&self, name: &str) -> usize {
        let found = self.people.iter().position(|person| person.name == name);
        found.unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// Somebody, to talk to.
    pub(crate) fn person(&mut self, name: &str) -> Somebody<'_> {
        let index = self.index(name);
        Somebody { world: self, index }
    }

    /// Starts a process on somebody's disk.
    pub(crate) fn boot(&mut self, index: usize) -> Result<(), Error> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&(index as u64).to_le_bytes());
        seed[16..24].copy_from_slice(&self.people[index].life.to_le_bytes());
        let now = self.clock(index);
        let person = &mut self.people[index];
        person.life += 1;
        let name = person.name.clone();
        let options =
            Options { seed, cached_groups: *Dice::new(self.seed).pick(&[1, 64]), receipts: self.receipts };
        let started = Core::open(person.disk.place(), || Ok(unlock()), &options)
            .and_then(|mut core| core.resume(now).map(|effects| (core, effects)));
        self.note(|| format!("{name} boots: {}", describe(started.as_ref().err())));
        let (core, effects) = started?;
        self.people[index].core = Some(core);
        self.carry(index, effects);
        Ok(())
    }

    /// Ends somebody's process. What was on its way may still arrive.
    pub(crate) fn end(&mut self, index: usize, end: End) {
        let name = self.people[index].name.clone();
        self.note(|| format!("{name} ends: {end:?}"));
        if end == End::Clean
            && let Some(mut core) = self.people[index].core.take()
            && let Err(error) = core.rest()
        {
            assert!(self.people[index].disk.failed(), "{name} cannot rest: {error:?}");
        }
        let Self { people, dice, .. } = self;
        people[index].disk.end(end, dice);
        people[index].core = None;
        self.cut(index, true);
        let person = &mut self.people[index];
        person.open.clear();
        person.events.clear();
        person.wake = None;
        person.online = false;
    }

    /// Ends somebody's process and starts it again, as connected as it was.
    pub(crate) fn restart(&mut self, index: usize, end: End) {
        let online = self.people[index].online;
        self.end(index, end);
        self.boot(index).unwrap_or_else(|error| panic!("{} starts again: {error}", self.people[index].name));
        if online {
            self.connect(index);
        }
    }

    /// A copy of somebody's profile folder, made while no process uses it.
    pub(crate) fn copy_of(&mut self, index: usize) -> Files {
        let online = self.people[index].online;
        self.end(index, End::Clean);
        let bytes = self.people[index].disk.files();
        self.boot(index).unwrap_or_else(|error| panic!("{} starts again: {error}", self.people[index].name));
        if online {
            self.connect(index);
        }
        bytes
    }

    /// Somebody's profile folder is what it was when the copy was made.
    pub(crate) fn put_back(&mut self, index: usize, copy: Files) {
        self.end(index, End::Clean);
        // What nobody but the life that ends here saw binds nobody.
        self.truth.retain(|_, (_, by)| {
            by.remove(&index);
            !by.is_empty()
        });
        self.people[index].disk = Disk::holding(copy);
        self.people[index].cursor = Cursor(0);
        self.boot(index).unwrap_or_else(|error| panic!("{} starts again: {error}", self.people[index].name));
        self.connect(index);
    }

    /// The connection is gone: what was on its way may arrive or not, and no answer comes.
    fn cut(&mut self, index: usize, dies: bool) {
        let outgoing = std::mem::take(&mut self.people[index].outgoing);
        let mut dead = Vec::new();
        for publish in outgoing {
            let lost = dead.contains(&publish.route) || self.dice.chance(500);
            if lost {
                dead.push(publish.route);
            } else {
                let outcome = self.store(index, &publish);
                self.note(|| format!("  a late publish arrives: {:?} {outcome:?}", publish.route));
            }
            self.people[index].acks.push((publish.row, PublishOutcome::Unknown));
        }
        for (question, operation, bytes) in std::mem::take(&mut self.people[index].asks) {
            if self.dice.chance(500) {
                self.registry.ask(operation, &bytes, self.now, Fate::LostReply);
                self.publish_statements();
            }
            self.people[index].answers.push((question, Err(NoReply)));
        }
        let person = &mut self.people[index];
        for (_, outcome) in &mut person.answers {
            *outcome = Err(NoReply);
        }
        person.readers.clear();
        person.stale.clear();
        person.whispers.clear();
        person.hinted = false;
        if dies {
            person.acks.clear();
            person.answers.clear();
            person.trees.clear();
        }
    }

    /// Somebody gets a connection.
    pub(crate) fn connect(&mut self, index: usize) {
        if self.people[index].core.is_some() && !self.people[index].online {
            self.people[index].online = true;
            let interest = self.people[index].interest;
            self.feed(index, vec![Input::Connected(interest)]);
        }
    }

    /// Somebody loses the connection.
    pub(crate) fn disconnect(&mut self, index: usize) {
        if self.people[index].core.is_some() && self.people[index].online {
            self.people[index].online = false;
            self.cut(index, false);
            // Whoever ran the network may still report that no acknowledgement came, or not any more.
            let acks = std::mem::take(&mut self.people[index].acks);
            let told = self.dice.chance(500);
            let mut batch: Vec<Input> = acks
                .into_iter()
                .filter(|_| told)
                .map(|(row, _)| Input::Published { row, outcome: PublishOutcome::Unknown })
                .collect();
            batch.push(Input::Disconnected);
            self.feed(index, batch);
        }
    }

    /// The time as somebody's machine has it.
    pub(crate) fn clock(&self, index: usize) -> Timestamp {
        self.now.minus(self.people[index].behind).plus(self.people[index].ahead)
    }

    /// Hands facts to a core and takes what it wants done.
    pub(crate) fn feed(&mut self, index: usize, inputs: Vec<Input>) {
        let now = self.clock(index);
        let name = self.people[index].name.clone();
        self.note(|| format!("{name} <- {}", inputs.iter().map(input).collect::<Vec<_>>().join(" + ")));
        let person = &mut self.people[index];
        let Some(core) = &mut person.core else { return };
        let inputs = std::mem::take(&mut person.stale).into_iter().chain(inputs).collect();
        match core.handle(inputs, now) {
            Ok(effects) => self.carry(index, effects),
            Err(error) if person.disk.failed() => {
                // A store that failed is not trusted again before it was reopened.
                let name = person.name.clone();
                self.note(|| format!("{name} fails: {error}"));
                self.end(index, self.dies);
            }
            Err(error) => panic!("{} fails: {error:?}", person.name),
        }
    }

    fn carry(&mut self, index: usize, effects: Vec<Effect>) {
        let name = self.people[index].name.clone();
        for effect in effects {
            self.note(|| format!("    {name} -> {}", outcome(&effect)));
            if let Effect::Notify { event: Event::Group(view), .. } = &effect {
                self.learn(index, view);
            }
            if let Effect::Reply { result: Ok(reply), .. } = &effect {
                match reply {
                    Reply::Group(view) => self.learn(index, view),
                    Reply::Groups(views) => views.iter().for_each(|view| self.learn(index, view)),
                    _ => {}
                }
            }
            let online = self.people[index].online;
            let person = &mut self.people[index];
            match effect {
                Effect::Publish(publish) => {
                    assert!(
                        person.outgoing.iter().all(|other| other.publish_id != publish.publish_id),
                        "{} publishes row {:?} twice at once",
                        person.name,
                        publish.row
                    );
                    if online {
                        person.outgoing.push(publish);
                    } else {
                        person.acks.push((publish.row, PublishOutcome::Unknown));
                    }
                }
                Effect::Ask { question, operation, bytes } => {
                    if online {
                        person.asks.push((question, operation, bytes));
                    } else {
                        person.answers.push((question, Err(NoReply)));
                    }
                }
                Effect::Follow { source, reading, after, mark } => {
                    self.stop_reading(index, source);
                    let reader = Reader {
                        source,
                        reading,
                        cursor: after,
                        mark,
                        displaced: false,
                        want: 0,
                        due: true,
                        in_vain: 0,
                    };
                    self.people[index].readers.push(reader);
                }
                Effect::Fetch { source, sequence } => {
                    if let Some(reader) = person.readers.iter_mut().find(|reader| reader.source == source) {
                        reader.want = reader.want.max(sequence);
                        reader.due = true;
                    }
                }
                // When a log is read is up to the dice here.
                Effect::Junk { .. } => {}
                Effect::Unfollow { source } => self.stop_reading(index, source),
                Effect::FetchTree { group, epoch, pieces, hashes } => {
                    person.trees.push((group, epoch, pieces, hashes));
                }
                Effect::Notify { cursor, event } => {
                    if let Some(cursor) = cursor {
                        assert!(cursor > person.cursor, "{}: {cursor} again: {event:?}", person.name);
                        person.cursor = cursor;
                    }
                    person.events.push(event);
                }
                Effect::Reply { ticket, result } => {
                    if let Err(error) = &result {
                        assert!(error.kind != ErrorKind::Bug, "{}: {error:?}", person.name);
                    }
                    assert!(
                        person.open.remove(&ticket).is_some(),
                        "{ticket:?} is answered twice or was never asked"
                    );
                    person.replies.insert(ticket, result);
                }
                Effect::Whisper { group, bytes } => self.whisper(index, group, bytes),
                Effect::WakeAt(at) => person.wake = Some(at.plus(person.behind)),
                other => panic!("an effect this world does not know: {other:?}"),
            }
        }
    }

    /// A reader in a thread of its own goes on for a moment: what it brings by then comes before anything else.
    fn stop_reading(&mut self, index: usize, source: Source) {
        let person = &mut self.people[index];
        let Some(at) = person.readers.iter().position(|reader| reader.source == source) else { return };
        let Reader { reading, cursor, .. } = person.readers.remove(at);
        let end = self.log.end(&source);
        let messages = self.log.read(&source, cursor.saturating_sub(1), end, 3);
        let brought = messages.into_iter().map(|message| Input::Delivered { reading, message });
        person.stale.extend(brought);
        person.stale.push(Input::CaughtUp { reading, source, sequence: end });
    }

    /// The reading of a log that goes on.
    pub(crate) fn reading(&self, index: usize, source: Source) -> Reading {
        let reader = self.people[index].readers.iter().find(|reader| reader.source == source);
        reader.map_or(Reading(0), |reader| reader.reading)
    }

    /// Compares a view with every other view of the same epoch: no two members ever see two worlds.
    fn learn(&mut self, index: usize, view: &GroupView) {
        let here = matches!(view.state, GroupState::Active | GroupState::Leaving);
        if !here || self.made_up.contains(&view.authenticator) {
            self.since.remove(&(index, view.id));
            return;
        }
        self.since.entry((index, view.id)).or_insert(view.epoch);
        if view.recovering.is_some() || self.log.forgot() {
            // It knows that it is not where the others are; or what would tell it aged out of the log, and others have
            // to say so first.
            return;
        }
        let wanted = (view.settings.expire_seconds, view.settings.retention_seconds);
        self.wanted.insert((view.id, view.epoch), wanted);
        let members = view.members.iter().map(|m| format!("{} {:?}", m.account_id, m.role)).collect();
        let seen = (view.authenticator.clone(), members);
        let place = (view.id, view.epoch);
        let differs = |(known, _): &(Seen, BTreeSet<usize>)| *known != seen;
        if let Some((_, by)) = self.truth.get(&place).filter(|truth| differs(truth)) {
            // What nobody but copies saw that have stopped binds nobody.
            let by = by.clone();
            if by.into_iter().all(|index| self.has_stopped(index)) {
                self.truth.remove(&place);
            }
        }
        let name = &self.people[index].name;
        let (known, by) = self.truth.entry(place).or_insert_with(|| (seen.clone(), BTreeSet::new()));
        by.insert(index);
        assert_eq!(*known, seen, "{name} sees another world in epoch {} of {:?}", view.epoch, view.id);
    }

    /// Whether somebody is a copy of a profile that has stopped.
    fn has_stopped(&mut self, index: usize) -> bool {
        self.people[index].runs() && self.status(index).stopped
    }

    /// Whoever follows the group hears it, unless it gets lost; nothing is kept for the others.
    fn whisper(&mut self, index: usize, group: GroupId, bytes: Vec<u8>) {
        if !self.people[index].online {
            return;
        }
        for (other, person) in self.people.iter_mut().enumerate() {
            let follows = person.readers.iter().any(|reader| reader.source == Source::Group(group));
            if other != index && person.online && follows && !self.dice.chance(self.faults.lost_publish) {
                person.whispers.push_back((group, bytes.clone()));
            }
        }
        self.whispered.push((self.people[index].name.clone(), group, bytes));
    }

    /// The same, of anybody who can publish; unless it gets lost everybody hears it who follows the group.
    pub(crate) fn whisper_junk(&mut self, group: GroupId, bytes: &[u8]) {
        for person in self.people.iter_mut().filter(|person| person.online) {
            if person.readers.iter().any(|reader| reader.source == Source::Group(group)) {
                person.whispers.push_back((group, bytes.to_vec()));
            }
        }
    }

    // What happens.

    /// The registry puts what accounts stated into the account log, and hints to devices that are there.
    pub(crate) fn publish_statements(&mut self) {
        for device in std::mem::take(&mut self.registry.hints) {
            let hears = |reader: &Reader| reader.source == Source::Inbox(device);
            let there = self.people.iter_mut().filter(|person| person.readers.iter().any(hears));
            there.for_each(|person| person.hinted = true);
        }
        for entry in std::mem::take(&mut self.registry.unpublished) {
            self.log.inject(Route::Log, codec::encode(&entry));
        }
    }

    fn store(&mut self, index: usize, publish: &Publish) -> PublishOutcome {
        if let Some(meddle) = &mut self.meddle {
            meddle(&self.people[index].name, publish, &mut self.log);
        }
        let mut publish = publish.clone();
        if let Some(swap) = &mut self.swap {
            swap(&mut publish);
        }
        self.log.publish(&publish, self.now, &mut self.dice, self.faults.busy)
    }

    fn choices(&self, index: usize) -> Vec<Next> {
        let person = &self.people[index];
        let mut choices = Vec::new();
        if person.core.is_none() || person.held {
            return choices;
        }
        let mut routes: Vec<Route> = Vec::new();
        for (at, publish) in person.outgoing.iter().enumerate() {
            if !routes.contains(&publish.route) {
                routes.push(publish.route);
                choices.push(Next::Publish(at));
            }
        }
        if !person.late_acks {
            choices.extend((0..person.acks.len()).map(Next::Ack));
        }
        if !person.asks.is_empty() {
            choices.push(Next::Ask);
        }
        choices.extend((0..person.answers.len()).map(Next::Answer));
        if person.online {
            choices.extend((0..person.trees.len()).map(Next::Tree));
            if !person.whispers.is_empty() {
                choices.push(Next::Whisper);
            }
            if person.hinted {
                choices.push(Next::Hint);
            }
            for (at, reader) in person.readers.iter().enumerate() {
                if reader.displaced {
                    continue;
                }
                if reader.due || reader.cursor < self.log.last_of(&reader.source) {
                    choices.push(Next::Read(at));
                }
            }
        }
        if person.wake.is_some_and(|wake| wake <= self.now) {
            choices.push(Next::Tick);
        }
        choices
    }

    /// The broker's acknowledgements reach somebody, and nothing else does.
    pub(crate) fn is_acknowledged(&mut self, index: usize) {
        while !self.people[index].acks.is_empty() {
            let mut batch = Vec::new();
            self.happen(index, Next::Ack(0), &mut batch);
            self.feed(index, batch);
        }
    }

    /// Somebody reads every log to its end, and nothing else happens.
    pub(crate) fn reads(&mut self, index: usize) {
        while let Some(read) = self.choices(index).into_iter().find(|next| matches!(next, Next::Read(_))) {
            let mut batch = Vec::new();
            self.happen(index, read, &mut batch);
            self.feed(index, batch);
        }
    }

    /// One thing happens, if there is anything that could.
    pub(crate) fn step(&mut self) -> bool {
        let busy: Vec<(usize, Vec<Next>)> = (0..self.people.len())
            .map(|index| (index, self.choices(index)))
            .filter(|(_, choices)| !choices.is_empty())
            .collect();
        if busy.is_empty() {
            return false;
        }
        self.steps += 1;
        self.now = self.now.plus(Duration::from_millis(self.dice.between(1, 20) as u64));
        let (index, choices) = &busy[self.dice.below(busy.len())];
        let mut batch = Vec::new();
        let next = *self.dice.pick(choices);
        self.happen(*index, next, &mut batch);
        // What waits at the same time becomes one batch.
        while !batch.is_empty() && self.dice.chance(350) {
            let choices = self.choices(*index);
            if choices.is_empty() {
                break;
            }
            let next = *self.dice.pick(&choices);
            self.happen(*index, next, &mut batch);
        }
        if !batch.is_empty() {
            self.feed(*index, batch);
        }
        true
    }

    fn happen(&mut self, index: usize, next: Next, batch: &mut Vec<Input>) {
        let faults = self.faults;
        match next {
            Next::Publish(at) => {
                let publish = self.people[index].outgoing.remove(at);
                let row = publish.row;
                let ack = if self.dice.chance(faults.lost_publish) {
                    PublishOutcome::Unknown
                } else {
                    let outcome = self.store(index, &publish);
                    if self.dice.chance(faults.lost_ack) { PublishOutcome::Unknown } else { outcome }
                };
                let name = self.people[index].name.clone();
                self.note(|| format!("  broker: {name} {row:?} {} {ack:?}", route(&publish.route)));
                self.people[index].acks.push((row, ack));
            }
            Next::Ack(at) => {
                let (row, outcome) = self.people[index].acks.remove(at);
                batch.push(Input::Published { row, outcome });
                if self.dice.chance(faults.double_ack) {
                    batch.push(Input::Published { row, outcome });
                }
            }
            Next::Ask => {
                let (question, operation, bytes) = self.people[index].asks.remove(0);
                let fate = if self.dice.chance(faults.registry) {
                    *self.dice.pick(&[Fate::NoReply, Fate::LostReply, Fate::Internal])
                } else {
                    Fate::Answered
                };
                let answer = self.registry.ask(operation, &bytes, self.now, fate).ok_or(NoReply);
                self.publish_statements();
                self.people[index].answers.push((question, answer));
            }
            Next::Answer(at) => {
                let (question, outcome) = self.people[index].answers.remove(at);
                batch.push(Input::Answered { question, outcome });
            }
            Next::Tree(at) => {
                let (group, epoch, pieces, hashes) = self.people[index].trees.remove(at);
                let mut found = self.log.tree(group, epoch, pieces, &hashes);
                if self.dice.chance(faults.stale) {
                    found = None;
                }
                if found.is_some()
                    && let Some(spoil) = self.spoil_tree.take()
                {
                    found = found.and_then(spoil);
                }
                batch.push(Input::TreeFetched { group, epoch, pieces: found });
            }
            Next::Whisper => {
                if let Some((group, bytes)) = self.people[index].whispers.pop_front() {
                    batch.push(Input::Whispered { group, bytes });
                }
            }
            Next::Hint => {
                self.people[index].hinted = false;
                batch.push(Input::Hinted);
            }
            Next::Read(at) => self.read(index, at, batch),
            Next::Tick => {
                self.people[index].wake = None;
                batch.push(Input::Tick);
            }
        }
    }

    fn read(&mut self, index: usize, at: usize, batch: &mut Vec<Input>) {
        let faults = self.faults;
        let reader = self.people[index].readers[at];
        let (source, reading) = (reader.source, reader.reading);
        let (true_end, true_last) = (self.log.end(&source), self.log.last_of(&source));
        // A replica may be behind; a reader that knows better asks again until it gets what it knows of.
        let stale = self.dice.chance(faults.stale);
        let end =
            if stale { self.dice.between(0, usize::try_from(true_end).unwrap()) as u64 } else { true_end };
        let end = end.max(reader.cursor.min(true_end));
        if let Some(mark) = reader.mark {
            let there = self.log.read(&source, reader.cursor - 1, reader.cursor, 1).pop();
            let same = there.as_ref().is_some_and(|entry| Mark::of(entry.at, &entry.bytes) == mark);
            let reader = &mut self.people[index].readers[at];
            reader.mark = None;
            if !same {
                reader.displaced = true;
                let (after, another) = (reader.cursor, there.is_some());
                let stream = Some(self.log.state(&source)).filter(|_| !self.log.keeps_quiet);
                batch.push(Input::Displaced(Displaced { reading, source, after, another, stream }));
                return;
            }
        }
        let most = *self.dice.pick(&[1, 2, 5, 20, 500]);
        let mut from = reader.cursor;
        if self.dice.chance(faults.repeat) {
            from = from.saturating_sub(self.dice.between(1, 8) as u64);
        }
        let messages = self.log.read(&source, from, end, most);
        let mut cursor = reader.cursor;
        for message in messages {
            cursor = cursor.max(message.sequence);
            batch.push(Input::Delivered { reading, message });
        }
        let all = if stale { self.log.read(&source, cursor, end, 1).is_empty() } else { cursor >= true_last };
        let mut due = reader.due;
        // A reader may also tell that it is at the end when nobody asked.
        if all && end >= reader.want && (reader.due || self.dice.chance(500)) {
            due = false;
            let sequence = if self.dice.chance(500) { end } else { cursor.max(reader.want).min(end) };
            batch.push(Input::CaughtUp { reading, source, sequence });
        }
        // What was promised and is not there after all is covered too, as in the real reader.
        let in_vain = all && !stale && end < reader.want;
        let gives_up = in_vain && reader.in_vain + 1 >= IN_VAIN;
        if gives_up {
            due = false;
            batch.push(Input::CaughtUp { reading, source, sequence: reader.want });
        }
        let reader = &mut self.people[index].readers[at];
        reader.cursor = cursor;
        reader.due = due;
        reader.in_vain = if in_vain && !gives_up { reader.in_vain + 1 } else { 0 };
        if gives_up {
            reader.want = 0;
        }
    }

    /// Whether a publish on such a route waits in somebody's machine.
    pub(crate) fn waits(&self, index: usize, which: impl Fn(&Route) -> bool) -> bool {
        self.people[index].outgoing.iter().any(|publish| which(&publish.route))
    }

    /// What waits in somebody's machine.
    pub(crate) fn outgoing(&self, index: usize) -> &[Publish] {
        &self.people[index].outgoing
    }

    /// The broker goes away, comes back with other streams, and everybody is connected again.
    pub(crate) fn broker_returns(&mut self, change: impl FnOnce(&mut Log)) {
        let online: Vec<usize> = (0..self.people.len()).filter(|index| self.people[*index].online).collect();
        for index in &online {
            self.disconnect(*index);
        }
        change(&mut self.log);
        self.note(|| "  the broker returns with other streams".into());
        for index in online {
            self.connect(index);
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, by: Duration) {
        // A machine that reads nothing for a day slept, and one that changes nothing for a month: its connection is another one
        // when it wakes.
        let sleeps = |index: &usize| {
            let runs = self.people[*index].runs();
            runs && (by > days(30) || (by >= days(1) && self.is_behind(*index)))
        };
        let asleep: Vec<usize> = (0..self.people.len()).filter(sleeps).collect();
        for index in &asleep {
            self.disconnect(*index);
        }
        self.now = self.now.plus(by);
        self.log.passes(self.now);
        self.note(|| format!("  {by:?} pass"));
        for index in asleep {
            self.connect(index);
        }
    }

    /// Whether a log holds something that somebody who is connected has not read.
    fn is_behind(&self, index: usize) -> bool {
        let person = &self.people[index];
        person.online && person.readers.iter().any(|reader| reader.cursor < self.log.last_of(&reader.source))
    }

    /// Whether nothing could happen now.
    pub(crate) fn is_at_rest(&self) -> bool {
        (0..self.people.len()).all(|index| self.choices(index).is_empty())
    }

    /// Things happen, up to so many, with whatever faults there are.
    pub(crate) fn churn(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.step() {
                break;
            }
        }
    }

    /// Time passes until somebody who runs wants to look again. Whether anybody does.
    pub(crate) fn wait(&mut self) -> bool {
        let next = self.people.iter().filter(|p| p.runs()).filter_map(|p| p.wake).min();
        next.inspect(|wake| self.now = self.now.max(*wake)).is_some()
    }

    /// Runs without faults until nobody who is connected has anything left to do.
    pub(crate) fn settle(&mut self) {
        let faults = std::mem::replace(&mut self.faults, Faults::NONE);
        let (mut steps, mut waits) = (0, 0);
        loop {
            while self.step() {
                steps += 1;
                assert!(steps < PATIENCE, "seed {}: no rest after {PATIENCE} steps", self.seed);
            }
            if self.take_offers() {
                continue;
            }
            let unfinished = self.unfinished();
            let next = self.people.iter().filter(|p| p.runs()).filter_map(|p| p.wake).min();
            let soon = next.is_some_and(|wake| wake <= self.now.plus(Duration::from_secs(5)));
            let Some(wake) = next.filter(|_| soon || unfinished.is_some()) else {
                assert_eq!(unfinished, None, "seed {}: nobody will ever do anything again", self.seed);
                break;
            };
            waits += 1;
            assert!(waits < 400, "seed {}: no rest after {waits} timers: {unfinished:?}", self.seed);
            // What nobody can give within hours may come after days.
            let least = if waits > 200 { self.now.plus(Duration::from_secs(6 * 3600)) } else { self.now };
            self.now = self.now.max(wake).max(least);
        }
        self.faults = faults;
    }

    /// People take the places that are offered to them. Whether anybody did.
    fn take_offers(&mut self) -> bool {
        let mut any = false;
        let people = if self.take_offers { self.people.len() } else { 0 };
        for index in 0..people {
            if !self.people[index].runs() {
                continue;
            }
            let groups = self.groups(index);
            let offered = |view: &&GroupView| view.recovering.as_ref().is_some_and(|r| r.offered.is_some());
            for group in groups.iter().filter(offered) {
                self.start(index, group::Accept { target: Target::Group(group.id) });
                any = true;
            }
        }
        any
    }

    /// Somebody connected who waits for something.
    fn unfinished(&mut self) -> Option<String> {
        let (mut arriving, mut sending) = (Vec::new(), Vec::new());
        for index in 0..self.people.len() {
            if !self.people[index].runs() {
                continue;
            }
            if let Some((ticket, command)) = self.people[index].open.first_key_value() {
                let waits =
                    format!("{} waits for the reply to {ticket:?} {command}", self.people[index].name);
                if !self.is_outside(index) {
                    return Some(waits);
                }
            }
            let status = self.status(index);
            // What a copy that stopped has to say by itself, after it took an invitation, waits until its person resumes it.
            let waits = status.outbox > 0 && !status.stopped && !self.is_outside(index);
            if status.questions > 0 || waits {
                let (outbox, questions) = (status.outbox, status.questions);
                let name = &self.people[index].name;
                return Some(format!("{name} has {outbox} in the outbox and {questions} questions"));
            }
            if status.arriving {
                arriving.extend(self.own_device(index));
            }
            sending.extend(status.sending);
        }
        if self.people.iter().all(Person::runs) && arriving.iter().any(|device| sending.contains(device)) {
            return Some("a new device waits for its groups and history".into());
        }
        None
    }

    /// Whether somebody asks to come back into a group that nobody else says it is in: it was removed by a change that
    /// aged out before it read it, and what it wrote there waits until it leaves.
    fn is_outside(&mut self, index: usize) -> bool {
        let own = self.account(index);
        let device = self.own_device(index);
        let asks: Vec<GroupId> =
            self.groups(index).iter().filter(|view| view.recovering.is_some()).map(|view| view.id).collect();
        asks.into_iter().any(|group| {
            (0..self.people.len()).all(|other| {
                let elsewhere =
                    !self.people[other].runs() || self.is_over(other) || self.own_device(other) == device;
                elsewhere
                    || !self.groups(other).iter().any(|view| {
                        view.id == group
                            && view.state == GroupState::Active
                            && view.recovering.is_none()
                            && view.members.iter().any(|member| Some(member.account_id) == own)
                    })
            })
        })
    }

    /// Everybody runs and is connected, and the world comes to rest.
    pub(crate) fn heal(&mut self) {
        self.faults = Faults::NONE;
        for index in 0..self.people.len() {
            if self.people[index].core.is_none() {
                self.people[index].disk.plan(None);
                self.boot(index).unwrap_or_else(|error| panic!("{}: {error}", self.people[index].name));
            }
            self.people[index].held = false;
            self.connect(index);
        }
        self.settle();
    }

    /// A group of these people, all of whom accepted; the first one made it. Comes to rest.
    pub(crate) fn group_of(&mut self, name: &str, people: &[&str]) -> GroupId {
        let group = self.person(people[0]).creates(name, &people[1..]);
        self.settle();
        for other in &people[1..] {
            if self.person(other).group(group).state == GroupState::Invited {
                self.person(other).accepts(group);
            }
        }
        self.settle();
        group
    }

    /// [`World::group_of`] in which everybody may add, remove and rename.
    pub(crate) fn admins(&mut self, name: &str, people: &[&str]) -> GroupId {
        let group = self.group_of(name, people);
        for other in &people[1..] {
            self.person(people[0]).makes(group, other, Role::Admin);
        }
        self.settle();
        group
    }

    // Commands.

    /// Gives a command; its reply comes later.
    pub(crate) fn start(&mut self, index: usize, command: impl Into<Command>) -> Ticket {
        let command = command.into();
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let person = &mut self.people[index];
        if person.core.is_none() {
            let dead = ErrorKind::Storage.because("the process is not running");
            person.replies.insert(ticket, Err(dead));
            return ticket;
        }
        person.open.insert(ticket, format!("{command:?}"));
        self.feed(index, vec![Input::Command { ticket, command: Box::new(command) }]);
        ticket
    }

    /// The reply to a command, if it came.
    pub(crate) fn reply(&mut self, index: usize, ticket: Ticket) -> Option<Result<Reply, Error>> {
        self.people[index].replies.remove(&ticket)
    }

    /// Makes a request and lets the world run until its reply comes. A process that dies answers nothing:
    /// [`ErrorKind::Storage`].
    pub(crate) fn run<R: Ask>(&mut self, index: usize, request: R) -> Result<R::Reply, Error> {
        self.run_any(index, request).map(typed::<R>)
    }

    /// The same for any request.
    pub(crate) fn run_any(&mut self, index: usize, command: impl Into<Command>) -> Result<Reply, Error> {
        let ticket = self.start(index, command);
        for _ in 0..PATIENCE {
            if let Some(reply) = self.reply(index, ticket) {
                return reply;
            }
            if !self.people[index].open.contains_key(&ticket) {
                return Err(ErrorKind::Storage.because("the process died"));
            }
            if !self.step() {
                let next =
                    self.people.iter().filter(|p| p.core.is_some() && !p.held).filter_map(|p| p.wake).min();
                let wake = next.unwrap_or_else(|| panic!("seed {}: no reply will ever come", self.seed));
                self.now = self.now.max(wake);
            }
        }
        panic!("seed {}: no reply after {PATIENCE} steps", self.seed)
    }

    /// Answers that need nobody else: without a step of the world, and not in the trace.
    pub(crate) fn look<R: Ask>(&mut self, index: usize, request: R) -> Result<R::Reply, Error> {
        self.quiet = !self.aloud;
        let ticket = self.start(index, request);
        self.quiet = false;
        let reply = self.reply(index, ticket).unwrap_or_else(|| panic!("looking is answered at once"));
        reply.map(typed::<R>)
    }

    /// What a person was told that nobody asked for, since its process began.
    pub(crate) fn notices(&self, name: &str) -> impl Iterator<Item = &Notice> {
        self.people[self.index(name)].events.iter().filter_map(|event| match event {
            Event::Warning { notice } => Some(notice),
            _ => None,
        })
    }

    pub(crate) fn status(&mut self, index: usize) -> StatusView {
        match self.look(index, status::Status {}) {
            Ok(status) => status,
            Err(error) => panic!("status of {}: {error:?}", self.people[index].name),
        }
    }

    /// Whose device somebody's profile is, if it is anybody's.
    pub(crate) fn account(&mut self, index: usize) -> Option<AccountId> {
        self.look(index, account::Show {}).ok().map(|view| view.account_id)
    }

    /// Whether somebody's device was revoked, as far as it knows.
    pub(crate) fn is_revoked(&mut self, index: usize) -> bool {
        let devices = self.look(index, device::List {}).unwrap_or_default();
        devices.iter().any(|device| device.current && device.revoked)
    }

    /// Whether somebody's device says nothing any more: it was revoked, or stopped because another copy of it goes on.
    pub(crate) fn is_over(&mut self, index: usize) -> bool {
        self.is_revoked(index) || self.status(index).stopped
    }

    pub(crate) fn own_device(&mut self, index: usize) -> Option<DeviceId> {
        self.look(index, account::Show {}).ok()?.device_id
    }

    pub(crate) fn groups(&mut self, index: usize) -> Vec<GroupView> {
        match self.look(index, group::List {}) {
            Ok(groups) => groups,
            Err(error) if error.kind == ErrorKind::Misuse && self.account(index).is_none() => Vec::new(),
            other => panic!("groups of {}: {other:?}", self.people[index].name),
        }
    }

    /// Links to a group that somebody could pass on.
    pub(crate) fn links(&mut self, index: usize, group: GroupId) -> Vec<JoinLinkView> {
        self.look(index, invite::List { target: Target::Group(group) }).unwrap_or_default()
    }

    /// Requests to join that wait for somebody's answer.
    pub(crate) fn requests(&mut self, index: usize) -> Vec<JoinRequestView> {
        self.look(index, invite::Requests { target: None }).unwrap_or_default()
    }

    /// What somebody finds in a conversation by words.
    pub(crate) fn found(&mut self, index: usize, group: GroupId, words: &str) -> Vec<MessageView> {
        let asked = message::Search { limit: Some(500), target: Some(Target::Group(group)), ..search(words) };
        for _ in 0..100 {
            let found = self.look(index, asked.clone());
            let found = found.unwrap_or_else(|error| panic!("looking for {words}: {error}"));
            // Each question takes in a part of what the index lacks.
            if found.indexing.is_none() {
                return found.hits.into_iter().map(|hit| hit.message).collect();
            }
        }
        panic!("the index is never complete")
    }

    pub(crate) fn messages(&mut self, index: usize, group: GroupId) -> Vec<MessageView> {
        let command = message::Read::of(Target::Group(group));
        match self.look(index, command) {
            Ok(messages) => messages,
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Refused) => Vec::new(),
            other => panic!("messages of {}: {other:?}", self.people[index].name),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.trace.is_empty() {
            eprintln!("--- the last of world {} ({:?}):", self.seed, self.log.flavour);
            for line in &self.trace {
                eprintln!("{line}");
            }
        }
    }
}

/// Somebody in a world, to talk to.
pub(crate) struct Somebody<'w> {
    world: &'w mut World,
    index: usize,
}

impl Somebody<'_> {
    fn name(&self) -> String {
        self.world.people[self.index].name.clone()
    }

    /// Makes a request and lets the world run until its reply comes.
    pub(crate) fn asks<R: Ask>(&mut self, request: R) -> Result<R::Reply, Error> {
        self.world.run(self.index, request)
    }

    /// Gives a command; the world does not run.
    pub(crate) fn starts(&mut self, command: impl Into<Command>) -> Ticket {
        self.world.start(self.index, command)
    }

    /// A request that must succeed.
    pub(crate) fn does<R: Ask + std::fmt::Debug>(&mut self, request: R) -> R::Reply {
        let what = format!("{request:?}");
        self.asks(request).unwrap_or_else(|error| panic!("{}: {what}: {error:?}", self.name()))
    }

    /// A request that must fail in this way.
    pub(crate) fn cannot(&mut self, command: impl Into<Command>, kind: ErrorKind) -> Error {
        let command = command.into();
        let what = format!("{command:?}");
        match self.world.run_any(self.index, command) {
            Err(error) => {
                assert_eq!(error.kind, kind, "{}: {what}: {error:?}", self.name());
                error
            }
            Ok(reply) => panic!("{} can {what}: {reply:?}", self.name()),
        }
    }

    pub(crate) fn creates(&mut self, name: &str, with: &[&str]) -> GroupId {
        let with = with.iter().map(|handle| handle.parse().unwrap()).collect();
        self.does(group::Create { name: name.into(), with, post_quantum: false }).id
    }

    pub(crate) fn adds(&mut self, group: GroupId, handles: &[&str]) -> GroupView {
        self.does(add(group, handles))
    }

    pub(crate) fn removes(&mut self, group: GroupId, handles: &[&str]) -> GroupView {
        self.does(remove(group, handles))
    }

    pub(crate) fn renames(&mut self, group: GroupId, name: &str) -> GroupView {
        self.does(rename(group, name))
    }

    pub(crate) fn declines(&mut self, group: GroupId) {
        self.does(group::Decline { target: Target::Group(group) });
    }

    pub(crate) fn accepts(&mut self, group: GroupId) -> GroupView {
        self.does(group::Accept { target: Target::Group(group) })
    }

    pub(crate) fn says(&mut self, group: GroupId, text: &str) -> MessageView {
        self.does(send(group, text))
    }

    /// What people said in a group, as far as this person knows, in order.
    pub(crate) fn texts(&mut self, group: GroupId) -> Vec<String> {
        self.messages(group).into_iter().filter(|m| m.is_text()).map(|m| m.text).collect()
    }

    pub(crate) fn messages(&mut self, group: GroupId) -> Vec<MessageView> {
        self.world.messages(self.index, group)
    }

    /// How often this person sees a text.
    pub(crate) fn sees(&mut self, group: GroupId, text: &str) -> usize {
        self.texts(group).iter().filter(|seen| *seen == text).count()
    }

    pub(crate) fn groups(&mut self) -> Vec<GroupView> {
        self.world.groups(self.index)
    }

    /// A group, if this person knows it.
    pub(crate) fn knows(&mut self, group: GroupId) -> Option<GroupView> {
        self.groups().into_iter().find(|view| view.id == group)
    }

    pub(crate) fn group(&mut self, group: GroupId) -> GroupView {
        let name = self.name();
        self.knows(group).unwrap_or_else(|| panic!("{name} does not know the group"))
    }

    /// Handles of the members, sorted.
    pub(crate) fn members(&mut self, group: GroupId) -> Vec<String> {
        let mut members: Vec<String> = self.group(group).members.into_iter().map(|m| m.handle).collect();
        members.sort();
        members
    }

    pub(crate) fn status(&mut self) -> StatusView {
        self.world.status(self.index)
    }

    pub(crate) fn account(&mut self) -> AccountView {
        self.does(account::Show {})
    }

    pub(crate) fn restarts(&mut self, end: End) {
        self.world.restart(self.index, end);
    }

    pub(crate) fn disconnects(&mut self) {
        self.world.disconnect(self.index);
    }

    pub(crate) fn connects(&mut self) {
        self.world.connect(self.index);
    }

    /// Nothing happens with this person until it is let go.
    pub(crate) fn holds(&mut self, held: bool) {
        self.world.people[self.index].held = held;
    }

    /// Gives a role.
    pub(crate) fn makes(&mut self, group: GroupId, handle: &str, role: Role) -> GroupView {
        let who = handle.parse().unwrap();
        self.does(group::SetRole { target: Target::Group(group), who, role })
    }

    /// Own groups in which this person is a member.
    pub(crate) fn active(&mut self) -> Vec<GroupView> {
        self.groups().into_iter().filter(|view| view.state == GroupState::Active).collect()
    }

    /// Gives a message to the core as if it had been delivered.
    pub(crate) fn gets(&mut self, message: Delivered) {
        let reading = message.route.source().map(|source| self.world.reading(self.index, source));
        let reading = reading.unwrap_or(Reading(0));
        self.world.feed(self.index, vec![Input::Delivered { reading, message }]);
    }
}

pub(crate) fn send(group: GroupId, text: &str) -> message::Send {
    message::Send::new(Target::Group(group), text)
}

pub(crate) fn search(query: &str) -> message::Search {
    message::Search {
        query: query.into(),
        target: None,
        from: None,
        since: None,
        kind: None,
        limit: None,
        behind: None,
    }
}

pub(crate) fn rename(group: GroupId, name: &str) -> group::Rename {
    group::Rename { target: Target::Group(group), name: name.into() }
}

pub(crate) fn add(group: GroupId, handles: &[&str]) -> group::Add {
    let handles = handles.iter().map(|handle| handle.parse().unwrap()).collect();
    group::Add { target: Target::Group(group), handles }
}

pub(crate) fn remove(group: GroupId, handles: &[&str]) -> group::Remove {
    let who = handles.iter().map(|handle| handle.parse().unwrap()).collect();
    group::Remove { target: Target::Group(group), who }
}

/// The reply of a request, as the core must have given it.
pub(crate) fn typed<R: Ask>(reply: Reply) -> R::Reply {
    R::reply(reply).unwrap_or_else(|error| panic!("{error}"))
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

// One line for everything, for the trace.

fn describe(error: Option<&Error>) -> String {
    error.map_or_else(|| "well".into(), ToString::to_string)
}

fn route(route: &Route) -> String {
    match route {
        Route::Application(group) => format!("{}.a", group.short()),
        Route::Handshake(group) => format!("{}.h", group.short()),
        Route::Inbox(device) => format!("inbox {}", device.short()),
        Route::Tree { group, epoch, piece } => format!("tree {} {epoch}.{piece}", group.short()),
        other => format!("{other:?}"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(160).collect()
}

fn input(input: &Input) -> String {
    match input {
        Input::Command { ticket, command } => short(&format!("#{} {command:?}", ticket.0)),
        Input::Delivered { message: delivered, .. } => {
            let header = crate::support::log::Header::of(&delivered.bytes);
            let epoch =
                header.map_or_else(String::new, |h| format!(" (epoch {} type {})", h.epoch, h.content));
            format!("{} {}{epoch}", route(&delivered.route), delivered.sequence)
        }
        Input::Answered { question, outcome } => {
            format!("answer {} {}", question.0, if outcome.is_ok() { "came" } else { "did not come" })
        }
        Input::TreeFetched { group, epoch, pieces } => {
            format!("tree {} {epoch} {:?}", group.short(), pieces.as_ref().map(Vec::len))
        }
        Input::CaughtUp { source, sequence, .. } => format!("caught up {source:?} {sequence}"),
        other => short(&format!("{other:?}")),
    }
}

fn outcome(effect: &Effect) -> String {
    match effect {
        Effect::Publish(p) => {
            let expect = p.expect.as_ref().map(|e| format!(" if {} at {}", route(&e.route), e.sequence));
            format!("publish {} {}{}", p.row.0, route(&p.route), expect.unwrap_or_default())
        }
        Effect::Ask { question, operation, .. } => format!("ask {} {operation}", question.0),
        Effect::Reply { ticket, result: Ok(reply) } => short(&format!("reply #{} {reply:?}", ticket.0)),
        Effect::Reply { ticket, result: Err(error) } => {
            format!("reply #{} {:?}: {error}", ticket.0, error.kind)
        }
        Effect::Notify { event: Event::Group(view), .. } => {
            format!(
                "group {} epoch {} {:?} of {}",
                view.id.short(),
                view.epoch,
                view.state,
                view.members.len()
            )
        }
        Effect::Notify { event: Event::Message(m), .. } => {
            format!("message {} {:?} {:?} {:?} {}", m.group.short(), m.seq, m.state, m.body, short(&m.text))
        }
        other => short(&format!("{other:?}")),
    }
}
