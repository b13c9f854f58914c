//! A bot under test: people, other bots, invented time and a host that crashes. No network, no waiting.
//!
//! ```
//! use cipher_bot::prelude::*;
//! use cipher_bot::testing::BotTest;
//!
//! /// Repeats what you say.
//! #[command]
//! fn echo(text: Rest) -> Reply { text.into() }
//!
//! let mut test = BotTest::new(Bot::new("echo").command(echo));
//! test.user("alice").says("/echo hi");
//! test.sees("hi");
//! test.user("bob").says("nothing for a bot");
//! test.sees_nothing();
//! ```
//!
//! The host in here follows the rule of the real one: position, memory and outgoing messages of an event are saved in
//! one step; whatever was not saved is lost in a crash; what was saved is sent until it is known to have arrived.

use std::time::Duration;

use cipher_broker::certificate::Kind;
use cipher_broker::codec;
use cipher_broker::id::{AccountId, GroupId, MessageId};
use cipher_broker::sign::digest;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{Body, Content};
use cipher_broker::wire::group::Role;

use crate::action::{Action, derive_salt};
use crate::bot::{Bot, Handler, Outcome};
use crate::event::{Conversation, Event, EventId, EventKind, Me, Message, Sender};

/// A conversation with a bot in it.
#[derive(Debug)]
pub struct BotTest {
    conversation: Conversation,
    log: Vec<Entry>,
    hosts: Vec<Host>,
    now: Timestamp,
    seen: usize,
    crash: Crash,
    chance: Option<Chance>,
}

/// One message in the log of the conversation; its position is its place, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: MessageId,
    sender: Sender,
    content: Content,
    at: Timestamp,
}

/// A bot and what its host has on disk.
#[derive(Debug)]
struct Host {
    bot: Bot,
    me: Me,
    saved: Saved,
}

#[derive(Debug, Default)]
struct Saved {
    position: u64,
    memory: Vec<u8>,
    outbox: Vec<Content>,
}

/// Steps of hosts so far, and the one at which one of them crashes.
#[derive(Debug, Default)]
struct Crash {
    steps: u64,
    at: Option<u64>,
}

/// The host is gone; only what it saved is left.
struct Crashed;

/// Somebody in the conversation.
#[derive(Debug)]
pub struct User<'a> {
    test: &'a mut BotTest,
    sender: Sender,
}

impl BotTest {
    /// A group with this bot in it. Its handle is its name.
    pub fn new(bot: Bot) -> Self {
        let id = GroupId::from_bytes([7; 16]);
        let conversation = Conversation { id, name: "test".into(), direct: false };
        Self {
            conversation,
            log: Vec::new(),
            hosts: Vec::new(),
            now: Timestamp::from_millis(1_767_225_600_000),
            seen: 0,
            crash: Crash::default(),
            chance: None,
        }
        .with(bot)
    }

    /// A direct conversation between one person and this bot.
    pub fn direct(bot: Bot) -> Self {
        let mut test = Self::new(bot);
        test.conversation.direct = true;
        test.conversation.name.clear();
        test
    }

    /// Adds another bot.
    #[must_use]
    pub fn with(mut self, bot: Bot) -> Self {
        let who = sender(bot.name(), Kind::Bot);
        let me = Me { handle: who.handle, account: who.account_id };
        self.hosts.push(Host { bot, me, saved: Saved::default() });
        self
    }

    /// Makes the network lose, double and reorder what it carries, by chance but the same for the same seed.
    #[must_use]
    pub fn unreliable(mut self, seed: u64) -> Self {
        self.chance = Some(Chance(seed));
        self
    }

    /// Crashes the host at its `step`th step, counted from 0; [`crash_at_every_step`] tries them all.
    #[must_use]
    pub fn crashing_at(mut self, step: u64) -> Self {
        self.crash.at = Some(step);
        self
    }

    /// Steps that hosts have made so far.
    pub fn steps(&self) -> u64 {
        self.crash.steps
    }

    /// A person.
    ///
    /// # Panics
    /// If the name is not a handle.
    pub fn user(&mut self, name: &str) -> User<'_> {
        User { sender: sender(name, Kind::Person), test: self }
    }

    /// A bot that is not under test: it says what the test says.
    ///
    /// # Panics
    /// If the name is not a handle.
    pub fn other_bot(&mut self, name: &str) -> User<'_> {
        User { sender: sender(name, Kind::Bot), test: self }
    }

    /// Lets time pass.
    pub fn passes(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Every text the bots under test have sent, in order.
    pub fn sent(&self) -> Vec<&str> {
        self.answers().map(|entry| text_of(&entry.content)).collect()
    }

    /// Ids of these messages.
    pub fn sent_ids(&self) -> Vec<MessageId> {
        self.answers().map(|entry| entry.id).collect()
    }

    /// Asserts that the next text nobody looked at yet is this one.
    ///
    /// # Panics
    /// If it is another or there is none.
    pub fn sees(&mut self, text: &str) {
        assert_eq!(self.sent().get(self.seen).copied(), Some(text), "next answer of the bot");
        self.seen = self.seen.saturating_add(1);
    }

    /// Asserts that there is no text nobody looked at yet.
    ///
    /// # Panics
    /// If there is one.
    pub fn sees_nothing(&self) {
        let sent = self.sent();
        let unseen: Vec<&&str> = sent.iter().skip(self.seen).collect();
        assert!(unseen.is_empty(), "the bot said more: {unseen:?}");
    }

    fn answers(&self) -> impl Iterator<Item = &Entry> {
        let is_ours = |entry: &&Entry| self.hosts.iter().any(|h| h.me.account == entry.sender.account_id);
        self.log.iter().filter(is_ours)
    }

    /// Puts a message into the log. One that is there already, by its id, is not there twice.
    fn publish(&mut self, sender: &Sender, content: Content) {
        let payload = codec::encode(&content);
        let id = MessageId::of_content(&self.conversation.id, &sender.account_id, &payload);
        if !self.log.iter().any(|entry| entry.id == id) {
            self.log.push(Entry { id, sender: sender.clone(), content, at: self.now });
        }
    }

    /// Lets every host do what it has to, until nothing is left.
    fn settle(&mut self) {
        let mut hosts = std::mem::take(&mut self.hosts);
        loop {
            let before = (self.log.len(), positions(&hosts));
            for host in &mut hosts {
                for position in self.doorbells(host.saved.position) {
                    // A crash loses what was not saved; the next start goes on from what was.
                    while self.catch_up(host, position).is_err() {}
                }
            }
            if before == (self.log.len(), positions(&hosts)) {
                break;
            }
        }
        self.hosts = hosts;
    }

    /// Positions at which the host's doorbell rings. The last is that of its regular look at the log, without which
    /// a lost ring would be lost for good.
    fn doorbells(&mut self, from: u64) -> Vec<u64> {
        let last = u64::try_from(self.log.len()).unwrap_or(u64::MAX);
        let mut rings: Vec<u64> = (from.saturating_add(1)..=last).collect();
        if let Some(chance) = &mut self.chance {
            rings.retain(|_| !chance.one_in(3));
            let doubled: Vec<u64> = rings.iter().copied().filter(|_| chance.one_in(3)).collect();
            rings.extend(doubled);
            if chance.one_in(2) {
                rings.reverse();
            }
        }
        rings.push(last);
        rings
    }

    /// The host: reads on from its position up to another.
    fn catch_up(&mut self, host: &mut Host, to: u64) -> Result<(), Crashed> {
        self.send(host)?;
        while host.saved.position < to {
            let position = host.saved.position.saturating_add(1);
            let event = self.event(host, position);
            self.crash.step()?;
            // A failure saves the position only, as in the real host.
            let memory = host.saved.memory.clone();
            let outcome = host.bot.handle(&event, &memory);
            let Outcome { actions, memory, .. } =
                outcome.unwrap_or(Outcome { actions: Vec::new(), memory, held_back: false });
            let outbox = contents(&event, actions);
            self.crash.step()?;
            host.saved = Saved { position, memory, outbox };
            self.crash.step()?;
            self.send(host)?;
        }
        Ok(())
    }

    /// Sends what is saved, again if its arrival is not known.
    fn send(&mut self, host: &mut Host) -> Result<(), Crashed> {
        let who = sender(host.me.handle.as_str(), Kind::Bot);
        while let Some(content) = host.saved.outbox.first().cloned() {
            self.publish(&who, content);
            self.crash.step()?;
            let lost = self.chance.as_mut().is_some_and(|chance| chance.one_in(3));
            if !lost {
                host.saved.outbox.remove(0);
            }
        }
        Ok(())
    }

    fn event(&self, host: &Host, position: u64) -> Event {
        let place = usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX);
        let entry = self.log.get(place).expect("the position is in the log").clone();
        Event {
            id: EventId { conversation: self.conversation.id, position },
            me: host.me.clone(),
            conversation: self.conversation.clone(),
            at: entry.at,
            kind: EventKind::Message(Message {
                message_id: entry.id,
                sender: entry.sender,
                text: text_of(&entry.content).to_owned(),
                reply_to: entry.content.reply_to,
                hops: entry.content.hops,
                sent_at: entry.content.sent_at,
            }),
        }
    }
}

impl User<'_> {
    /// Says something; the bots handle it before this returns.
    pub fn says(self, text: &str) {
        self.says_after(text, 0);
    }

    /// Says something that so many bots in a row led to.
    pub fn says_after(self, text: &str, hops: u8) {
        let Self { test, sender } = self;
        let salt = truncated(digest("test", &[&test.log.len().to_be_bytes()]));
        let body = Body::Text(text.into());
        test.publish(&sender, Content { salt, sent_at: test.now, reply_to: None, hops, body, head: None });
        test.settle();
    }
}

/// Plays a script without faults, then again once for every step the host makes, crashing it there. Asserts that the
/// bot sent the same messages, by id, each time.
///
/// # Panics
/// If a message is lost, doubled or another one.
pub fn crash_at_every_step(start: impl Fn() -> BotTest, script: impl Fn(&mut BotTest)) {
    let mut calm = start();
    script(&mut calm);
    assert!(calm.steps() > 0, "the script makes the bot do nothing");
    for step in 0..calm.steps() {
        let mut crashing = start().crashing_at(step);
        script(&mut crashing);
        assert_eq!(crashing.sent(), calm.sent(), "after a crash at step {step}");
        assert_eq!(crashing.sent_ids(), calm.sent_ids(), "after a crash at step {step}");
    }
}

/// An event for a test of a handler alone: somebody says something in a group to a bot called `testbot`.
///
/// # Panics
/// If the name is not a handle.
pub fn event(position: u64, who: &str, text: &str) -> Event {
    let mut test = BotTest::new(Bot::new("testbot"));
    test.user(who).says(text);
    let host = test.hosts.first().expect("there is one bot");
    let mut event = test.event(host, 1);
    event.id.position = position;
    event
}

fn text_of(content: &Content) -> &str {
    match &content.body {
        Body::Text(text) => text,
        _ => "",
    }
}

fn contents(event: &Event, actions: Vec<Action>) -> Vec<Content> {
    let mut contents = Vec::new();
    for (action, index) in actions.into_iter().zip(0_u32..) {
        let Action::Say { text, reply_to } = action;
        let salt = derive_salt(&event.me.account, &event.id, index);
        let (body, hops) = (Body::Text(text), event.hops_of_answers());
        contents.push(Content { salt, sent_at: event.at, reply_to, hops, body, head: None });
    }
    contents
}

fn positions(hosts: &[Host]) -> Vec<u64> {
    hosts.iter().map(|host| host.saved.position).collect()
}

fn sender(name: &str, kind: Kind) -> Sender {
    let handle = name.parse().expect("names of users and bots in a test are handles");
    let account_id = AccountId::from_bytes(digest("test/account", &[name.as_bytes()]));
    Sender { handle, account_id, kind, role: Role::Member }
}

fn truncated(full: [u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(full) {
        *to = from;
    }
    short
}

impl Crash {
    fn step(&mut self) -> Result<(), Crashed> {
        let step = self.steps;
        self.steps = self.steps.saturating_add(1);
        if self.at == Some(step) { Err(Crashed) } else { Ok(()) }
    }
}

/// Splitmix64: enough to choose faults.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(n) == Some(0)
    }
}
