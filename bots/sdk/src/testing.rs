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
//! The host in here follows the rules of the real one: place, memory and outgoing messages of an event are saved in
//! one step; whatever was not saved is lost in a crash; what was saved is sent until it is known to have arrived. And it
//! makes messages of actions by the same function ([`answers`]), so an id that a test sees is the id that people get.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cipher_broker::certificate::Kind;
use cipher_broker::codec;
use cipher_broker::id::{AccountId, FileId, GroupId, MessageId};
use cipher_broker::limit;
use cipher_broker::sign::digest;
use cipher_broker::time::Timestamp;
use cipher_broker::wire::content::{self, Body, Content};
use cipher_broker::wire::group::Role;

use crate::action::{Answer, answers};
use crate::bot::{Bot, Handler, Outcome};
use crate::event::{
    Attachment, Change, Conversation, Event, EventKind, LogId, Me, Member, MemberChange, Message, Sender,
};
use crate::file::File;
use crate::typing::Typing;

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
    /// How often a bot told that it is at work.
    typed: Arc<AtomicUsize>,
}

/// One line of the log of the conversation. The number of a line is how many lines there are up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    position: u64,
    /// Among the lines of that position.
    place: u16,
    at: Timestamp,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Said { id: MessageId, sender: Sender, content: Box<Content> },
    Changed(MemberChange),
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
    /// Number of the last line that was handled.
    line: u64,
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
            typed: Arc::default(),
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
        self.answers().map(|(_, content)| text_of(content)).collect()
    }

    /// Ids of these messages.
    pub fn sent_ids(&self) -> Vec<MessageId> {
        self.answers().map(|(id, _)| id).collect()
    }

    /// Names of the files that the bots under test have attached, in order, and the bytes of each.
    pub fn sent_files(&self) -> Vec<(&str, u64)> {
        let files = self.answers().flat_map(|(_, content)| &content.attachments);
        files.map(|file| (file.name.as_str(), file.size)).collect()
    }

    /// How often the bots under test told that they are at work.
    pub fn typed(&self) -> usize {
        self.typed.load(Ordering::SeqCst)
    }

    /// Every event so far as the first bot is told it, in order: for a [`Handler`] that is no [`Bot`].
    pub fn events(&self) -> Vec<Event> {
        let host = self.hosts.first().into_iter();
        let lines = 1..=u64::try_from(self.log.len()).unwrap_or(u64::MAX);
        host.flat_map(|host| lines.clone().map(|line| self.event(host, line))).collect()
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

    fn said(&self) -> impl Iterator<Item = (MessageId, &Sender, &Content)> {
        self.log.iter().filter_map(|entry| match &entry.what {
            What::Said { id, sender, content } => Some((*id, sender, &**content)),
            What::Changed(_) => None,
        })
    }

    fn answers(&self) -> impl Iterator<Item = (MessageId, &Content)> {
        let is_ours = |sender: &Sender| self.hosts.iter().any(|h| h.me.account == sender.account_id);
        self.said().filter(move |(_, sender, _)| is_ours(sender)).map(|(id, _, content)| (id, content))
    }

    /// Puts a message into the log. One that is there already, by its id, is not there twice.
    fn publish(&mut self, sender: &Sender, content: Content) {
        let payload = codec::encode(&content);
        let id = MessageId::of_content(&self.conversation.id, &sender.account_id, &payload);
        if !self.said().any(|(known, _, _)| known == id) {
            self.write([What::Said { id, sender: sender.clone(), content: Box::new(content) }]);
        }
    }

    /// Puts lines of one position into the log.
    fn write(&mut self, lines: impl IntoIterator<Item = What>) {
        let position = self.log.last().map_or(1, |entry| entry.position.saturating_add(1));
        for (what, place) in lines.into_iter().zip(0_u16..) {
            self.log.push(Entry { position, place, at: self.now, what });
        }
    }

    /// An account of the conversation, or of another one.
    fn account(&self, name: &str) -> Sender {
        let is_bot = self.hosts.iter().any(|host| host.me.handle.as_str() == name);
        sender(name, if is_bot { Kind::Bot } else { Kind::Person })
    }

    /// Whether a bot is in the conversation, as the end of the log says.
    fn is_in(&self, host: &Host) -> bool {
        let of_host = self.log.iter().rev().find_map(|entry| match &entry.what {
            What::Changed(change) if change.who.account_id == host.me.account => Some(change.change),
            What::Changed(_) | What::Said { .. } => None,
        });
        of_host != Some(Change::Removed)
    }

    /// Lets every host do what it has to, until nothing is left.
    fn settle(&mut self) {
        let mut hosts = std::mem::take(&mut self.hosts);
        loop {
            let before = (self.log.len(), lines(&hosts));
            for host in &mut hosts {
                for line in self.doorbells(host.saved.line) {
                    // A crash loses what was not saved; the next start goes on from what was.
                    while self.catch_up(host, line).is_err() {}
                }
            }
            if before == (self.log.len(), lines(&hosts)) {
                break;
            }
        }
        self.hosts = hosts;
    }

    /// Lines at which the host's doorbell rings. The last is that of its regular look at the log, without which
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

    /// The host: reads on from its place up to a line.
    fn catch_up(&mut self, host: &mut Host, to: u64) -> Result<(), Crashed> {
        self.send(host)?;
        while host.saved.line < to {
            let line = host.saved.line.saturating_add(1);
            let event = self.event(host, line);
            self.crash.step()?;
            // A failure saves the place only, as in the real host.
            let memory = host.saved.memory.clone();
            let typed = Arc::clone(&self.typed);
            let typing = Typing::new(move || {
                typed.fetch_add(1, Ordering::SeqCst);
            });
            let outcome = host.bot.handle(&event, &memory, &typing);
            let Outcome { actions, memory, .. } =
                outcome.unwrap_or(Outcome { actions: Vec::new(), memory, held_back: false });
            let actions = if self.is_in(host) { actions } else { Vec::new() };
            let outbox = answers(&event, actions).into_iter().map(content_of).collect();
            self.crash.step()?;
            host.saved = Saved { line, memory, outbox };
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

    fn event(&self, host: &Host, line: u64) -> Event {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let Entry { position, place, at, what } =
            self.log.get(index).expect("the line is in the log").clone();
        Event {
            id: LogId { conversation: self.conversation.id, position, place }.into(),
            me: host.me.clone(),
            conversation: self.conversation.clone(),
            at,
            kind: match what {
                What::Said { id, sender, content } => EventKind::Message(Message {
                    message_id: id,
                    sender,
                    text: text_of(&content).to_owned(),
                    reply_to: content.reply_to,
                    hops: content.hops,
                    sent_at: content.sent_at,
                    attachments: content.attachments.iter().map(attachment).collect(),
                    mentions: Vec::new(),
                    mentions_me: false,
                    thread: content.thread,
                    forwarded: content.forwarded,
                    options: Vec::new(),
                }),
                What::Changed(change) => EventKind::of_members(&host.me, change),
            },
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
        test.publish(&sender, Content { hops, ..Content::new(salt, test.now, body) });
        test.settle();
    }

    /// Adds accounts in one change: one event for each of them.
    ///
    /// # Panics
    /// If a name is not a handle.
    pub fn adds(self, names: &[&str]) {
        self.changes(names, Change::Added);
    }

    /// Removes accounts in one change. A bot that was removed says nothing any more.
    ///
    /// # Panics
    /// If a name is not a handle.
    pub fn removes(self, names: &[&str]) {
        self.changes(names, Change::Removed);
    }

    /// Leaves.
    pub fn leaves(self) {
        let name = self.sender.handle.to_string();
        self.changes(&[&name], Change::Removed);
    }

    fn changes(self, names: &[&str], change: Change) {
        let Self { test, sender } = self;
        let stays = |gone: bool| (!gone).then_some(Role::Member);
        let member = |account: Sender, gone: bool| Member {
            handle: account.handle,
            account_id: account.account_id,
            kind: Some(account.kind),
            role: stays(gone),
        };
        let lines: Vec<What> = names
            .iter()
            .map(|name| {
                let who = member(test.account(name), change == Change::Removed);
                let by = if who.account_id == sender.account_id {
                    who.clone()
                } else {
                    member(sender.clone(), false)
                };
                What::Changed(MemberChange { who, change, by })
            })
            .collect();
        test.write(lines);
        test.settle();
    }
}

/// The message of an answer. Its files are what the real host makes of them but for the keys: the same bytes under the
/// same name are the same file, and one that cannot be read fails the test.
fn content_of(Answer { say, files }: Answer) -> Content {
    let attachments =
        files.iter().zip(0_u32..).map(|(file, index)| brought(file, &say.salt, index)).collect();
    Content { attachments, ..say.content() }
}

fn brought(file: &File, salt: &[u8; 16], index: u32) -> content::Attachment {
    let bytes = match file {
        File::Bytes { data, .. } => data.clone(),
        File::Path { path, .. } => std::fs::read(path).expect("a bot attaches what can be read"),
    };
    let name = file.name();
    let id = digest("test/file", &[salt, &index.to_be_bytes(), name.as_bytes(), &bytes]);
    content::Attachment {
        id: FileId::from_bytes(truncated(id)),
        key: id.into(),
        name,
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        mime: String::new(),
        hash: digest("test/content", &[&bytes]).into(),
        chunk: limit::FILE_CHUNK_BYTES,
        expires: Timestamp::default(),
        preview: None,
    }
}

fn attachment(file: &content::Attachment) -> Attachment {
    Attachment { name: file.name.clone(), size: file.size, mime: file.mime.clone(), id: file.id }
}

fn text_of(content: &Content) -> &str {
    match &content.body {
        Body::Text(text) => text,
        _ => "",
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
    let mut event = test.events().remove(0);
    event.id = LogId { conversation: event.conversation.id, position, place: 0 }.into();
    event
}

fn lines(hosts: &[Host]) -> Vec<u64> {
    hosts.iter().map(|host| host.saved.line).collect()
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
